"""Segments of one run, in one file or in several, joined where they continue each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aiida_ionconduct.readers.frames import Frames
from aiida_ionconduct.readers.trajectory import Assumption
from aiida_ionconduct.readers.wrapping import HAIR

SAME = 0.01
"""In Å, how far the positions of the same frame may lie apart in two files, by rounding."""
ONE_STEP = 1.5
"""How much longer than the usual step from frame to frame a step between segments may be."""
NEARER = 0.5
"""A segment continues another if it begins that much nearer to its end than to its beginning."""
SAMPLES = 200
TEMPERATURE = 0.01
"""Relative difference up to which two temperatures are the same."""


def _apart(frames: Frames, frame: int, other: Frames, other_frame: int) -> np.ndarray:
    """Return how far each atom of a frame is from the same atom of another frame, but for whole cells, (atoms,), Å."""
    cell, other_cell = frames.cell_of(frame), other.cell_of(other_frame)
    if cell is None or other_cell is None:
        apart: np.ndarray = np.linalg.norm(frames.positions[frame] - other.positions[other_frame], axis=1)
        return apart
    step = other.positions[other_frame] @ np.linalg.inv(other_cell) - frames.positions[frame] @ np.linalg.inv(cell)
    distances: np.ndarray = np.linalg.norm((step - np.rint(step)) @ cell, axis=1)
    return distances


def _rms(distances: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(distances**2)))


def _usual_step(frames: Frames) -> float:
    """Return the longest root-mean-square step from one frame to the next among some frames, Å."""
    last = len(frames.positions) - 1
    chosen = np.unique(np.linspace(0, last - 1, min(last, SAMPLES)).astype(int))
    return max((_rms(_apart(frames, frame, frames, frame + 1)) for frame in chosen), default=0.0)


def _growing(frames: Frames) -> np.ndarray | None:
    """Return the steps, else the times of the frames."""
    steps = frames.steps()
    return steps if steps is not None else next((clock.values for clock in frames.clocks), None)


def _first_kept(first: Frames, second: Frames) -> int | None:
    """Return how many frames of the first segment are kept if the second continues it; None if it does not.

    The second continues the first from a frame with the same step and positions (a restart), or from the end.
    """
    numbers, next_numbers = _growing(first), _growing(second)
    end = len(first.positions)
    if numbers is not None and next_numbers is not None:
        same = np.flatnonzero(numbers == next_numbers[0])
        if len(same) and _apart(first, int(same[0]), second, 0).max() < SAME:
            at = int(same[0])
            if at or end == 1 or _same_frames(first, second):
                return at
            return None
    step = ONE_STEP * max(_usual_step(first), _usual_step(second))
    to_end = _apart(first, end - 1, second, 0)
    if to_end.max() < SAME and _rms(_apart(first, 0, second, 0)) > SAME:
        return end - 1
    if not 0 < _rms(to_end) <= step:
        return None
    if numbers is not None and next_numbers is not None and end > 1:
        gap = float(np.median(np.diff(numbers)))
        if gap > 0 and abs(next_numbers[0] - numbers[-1] - gap) <= 1e-3 * gap:
            return end
        if next_numbers[0] > numbers[-1]:
            return None  # frames are missing between the two
    return end if _rms(to_end) < NEARER * _rms(_apart(first, 0, second, 0)) else None


def _same_frames(first: Frames, second: Frames) -> bool:
    """Whether the second segment repeats all frames of the first and goes on."""
    n_frames = len(first.positions)
    return n_frames <= len(second.positions) and all(
        _apart(first, frame, second, frame).max() < SAME for frame in range(n_frames)
    )


def _continued(first: Frames, second: Frames, kept: int) -> Frames:
    """Return a segment with the segment that continues it.

    :param kept: frames of the first that are kept.
    """
    # Whole cells by which the second begins elsewhere, as programs may fold atoms when they restart.
    at = min(kept, len(first.positions) - 1)
    cell, cell_before, positions = second.cell_of(0), first.cell_of(at), second.positions
    if cell is not None and cell_before is not None:
        step = positions[0] @ np.linalg.inv(cell) - first.positions[at] @ np.linalg.inv(cell_before)
        images = np.rint(step)
        if images.any() and not _in_one_window(first, second):
            cells = second.cells if second.cells is not None and second.cells.ndim == 3 else cell
            positions = positions - images @ cells
    if first.cells is not None and second.cells is not None:
        if first.cells.ndim == second.cells.ndim == 2 and np.array_equal(first.cells, second.cells):
            cells_of_both = first.cells
        else:
            cells_of_both = np.concatenate(
                [
                    np.broadcast_to(first.cells, (len(first.positions), 3, 3))[:kept],
                    np.broadcast_to(second.cells, (len(positions), 3, 3)),
                ]
            )
        first.cells = cells_of_both
    others = {clock.name: clock for clock in second.clocks}
    first.clocks = [clock for clock in first.clocks if clock.name in others]
    for clock in first.clocks:
        values, more = clock.values[:kept], others[clock.name].values
        if len(values) and more[0] <= values[-1]:  # numbered anew
            gap = np.median(np.diff(clock.values)) if len(clock.values) > 1 else np.median(np.diff(more))
            start = clock.values[kept] if kept < len(clock.values) else values[-1] + gap
            more = more - more[0] + np.asarray(start, dtype=more.dtype)
        clock.values = np.concatenate([values, more])
    first.positions = np.concatenate([first.positions[:kept], positions])
    return first


def _in_one_window(first: Frames, second: Frames) -> bool:
    """Whether all positions lie in one window of one cell: then they are folded into it, and unwrapped later."""
    ranges = []
    for frames in (first, second):
        if frames.cells is None:
            return False
        fractional = frames.positions @ np.linalg.inv(frames.cells)
        ranges.append((fractional.min(axis=(0, 1)), fractional.max(axis=(0, 1))))
    (low, high), (next_low, next_high) = ranges
    return bool((np.maximum(high, next_high) - np.minimum(low, next_low) <= 1 + HAIR).all())


def cut_overlaps(frames: Frames) -> None:
    """Make one run of a file whose steps go back where a restarted run was appended.

    :raises ValueError: if the steps go back and the positions do not tell that one run continues another.
    """
    numbers = _growing(frames)
    if numbers is None:
        return
    begins = [0, *(np.flatnonzero(np.diff(numbers) <= 0) + 1).tolist(), len(numbers)]
    if len(begins) == 2:
        return
    if len(begins) > 2 + len(numbers) // 2:
        raise ValueError(f'the steps of `{frames.path}` do not grow from frame to frame: sort its frames by step.')
    joined, dropped = _slice(frames, begins[0], begins[1]), 0
    for begin, end in itertools.pairwise(begins[1:]):
        segment = _slice(frames, begin, end)
        kept = _first_kept(joined, segment)
        if kept is None:
            raise ValueError(
                f'the steps of `{frames.path}` go back from {numbers[begin - 1]:g} to {numbers[begin]:g} at frame '
                f'{begin}, '
                'and the positions do not continue: it holds two runs. Cut it into two files at that frame.'
            )
        dropped += len(joined.positions) - kept
        joined = _continued(joined, segment, kept)
    frames.positions, frames.cells, frames.clocks = joined.positions, joined.cells, joined.clocks
    if dropped:
        frames.notes.append(f'{dropped} frames repeat the step before or were written again after a restart: left out.')
    value = f'{len(begins) - 1} segments in one file, {dropped} overlapping frames left out'
    frames.assumptions.append(Assumption('joined', value, 'steps and positions'))


def _slice(frames: Frames, begin: int, end: int) -> Frames:
    """Return some frames, with clocks of their own."""
    part = replace(frames, clocks=[replace(clock) for clock in frames.clocks], notes=[], assumptions=[])
    part.keep(slice(begin, end))
    return part


def join_segments(files: Sequence[Frames]) -> list[Frames]:
    """Join files that continue each other, and files that hold one frame each; return the runs in the order given."""
    if len(files) > 1 and all(len(frames.positions) == 1 for frames in files):
        return [_join_single(files)]
    runs = list(files)
    first = 0
    while first < len(runs):
        for second, segment in enumerate(runs):
            if second == first or not _comparable(runs[first], segment):
                continue
            kept = _first_kept(runs[first], segment)
            if not kept:
                continue
            joined = runs[first]
            dropped = len(joined.positions) - kept
            _continued(joined, segment, kept)
            joined.paths += segment.paths
            joined.notes += [note for note in segment.notes if note not in joined.notes]
            names = ', '.join(path.name for path in joined.paths)
            joined.notes.append(
                f'{names} continue each other: joined to one run ({dropped} overlapping frames left out).'
            )
            joined.assumptions = [row for row in joined.assumptions if row.subject != 'joined files']
            joined.assumptions.append(Assumption('joined files', names, 'steps or positions continue'))
            del runs[second]
            first -= second < first
            break
        else:
            first += 1
    return runs


def _comparable(first: Frames, second: Frames) -> bool:
    """Whether two files hold the same atoms at the same temperature."""
    temperatures = [frames.temperature_K for frames in (first, second) if frames.temperature_K is not None]
    return (
        first.positions.shape[1] == second.positions.shape[1]
        and (first.symbols or first.types) == (second.symbols or second.types)
        and (len(temperatures) < 2 or abs(temperatures[0] - temperatures[1]) <= TEMPERATURE * temperatures[0])
        and (first.wrapping == 'unwrapped') == (second.wrapping == 'unwrapped')
    )


def natural_key(path: Path) -> list[int | str]:
    """Return a key that sorts names by the numbers in them: ``frame2`` before ``frame10``."""
    return [int(word) if word.isdigit() else word for word in re.split(r'(\d+)', path.name)]


def _join_single(files: Sequence[Frames]) -> Frames:
    """Return the frames of files that hold one frame each, by their steps, else by the numbers in their names.

    :raises ValueError: if the files hold different atoms.
    """
    numbers = [None if (values := _growing(frames)) is None else float(values[0]) for frames in files]
    known = [number for number in numbers if number is not None]
    by_step = len(set(known)) == len(files)
    order = sorted(range(len(files)), key=lambda k: (known[k],) if by_step else natural_key(files[k].path))
    first = files[order[0]]
    other = next((files[k] for k in order if not _comparable(first, files[k])), None)
    if other is not None:
        raise ValueError(f'`{first.path}` and `{other.path}` hold one frame each, but of different atoms.')
    result = first
    for clock in result.clocks:
        clock.values = np.array(
            [other.values[0] for k in order for other in files[k].clocks if other.name == clock.name]
        )
    result.clocks = [clock for clock in result.clocks if len(clock.values) == len(files)] if by_step else []
    result.positions = np.concatenate([files[k].positions for k in order])
    cells = [cell for k in order if (cell := files[k].cell_of(0)) is not None]
    if len(cells) == len(files):
        result.cells = cells[0] if all(np.array_equal(cell, cells[0]) for cell in cells) else np.array(cells)
    result.paths = [files[k].path for k in order]
    source = 'steps in the files' if by_step else 'numbers in their names'
    result.notes.append(f'{len(files)} files of one frame each were taken as one run, in the order of the {source}.')
    result.assumptions.append(Assumption('joined files', f'{len(files)} files of one frame each', source))
    return result
