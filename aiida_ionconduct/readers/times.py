"""The time between two frames: all that tells of it, compared."""

from __future__ import annotations

import numpy as np

from aiida_ionconduct.readers.frames import Clock, Frames
from aiida_ionconduct.readers.options import ReadingOptions
from aiida_ionconduct.readers.trajectory import Assumption

AGREE = 1e-3
"""Relative difference up to which two times between frames are the same."""
ROUNDED = 0.01
"""Relative difference between gaps of times that were rounded when they were printed."""
ENOUGH = 10
"""Fewest frames that advice to discard the frames before may leave."""
TIME_UNITS = {'ps': 1.0, 'fs': 1e-3, 'ns': 1e3, 'the unit of ASE': 1 / 98.22694788, 'atomic units': 2.418884e-5}
"""Units in ps that times without a unit may have."""


def set_times(frames: Frames, options: ReadingOptions) -> float:
    """Discard the beginning, check that frames follow each other at one interval, and return that interval in ps.

    :raises ValueError: if sources of time contradict each other, the time is unknown, or frames are unequally spaced.
    """
    if len(frames.positions) < 2:
        raise ValueError(f'`{frames.path}` holds one frame: displacements need more.')
    for clock in frames.clocks:
        _set_unit(clock, frames, options)
    _discard(frames, options)
    gaps = {clock.name: _equal_gap(clock, frames, options) for clock in frames.clocks}
    known = {
        clock.name + _scale_text(clock, options): gaps[clock.name] * clock.unit_ps
        for clock in frames.clocks
        if clock.unit_ps is not None
    }
    if frames.dt_ps is not None:
        known[f'{frames.dt_source} of the file'] = frames.dt_ps
    if options.dt_ps is not None:
        known['--dt-ps'] = options.dt_ps
    if options.nblock and options.timestep_fs and not any(clock.is_step for clock in frames.clocks):
        known['--nblock × --timestep-fs'] = options.nblock * options.timestep_fs / 1000
    _require_known(known, frames, options)
    _compare(known, frames)
    dt_ps = next(iter(known.values()))
    for clock in frames.clocks:
        if clock.unit_ps is None and not clock.is_step:
            unit = _unit_of_gap(gaps[clock.name], clock, dt_ps=dt_ps, source=next(iter(known)), frames=frames)
            known[f'{clock.name} in {unit}'] = dt_ps
        elif clock.is_count and options.timestep_fs and options.dt_ps:
            _whole_steps(gaps[clock.name], dt_ps, options, frames)
    frames.assumptions.append(Assumption('time between frames', f'{dt_ps:.6g} ps', ', '.join(known)))
    return dt_ps


def _set_unit(clock: Clock, frames: Frames, options: ReadingOptions) -> None:
    """Set what a difference of one in the numbers of the steps means.

    :raises ValueError: if the numbers contradict ``--nblock``, or may be numbers of frames.
    """
    if not clock.is_step or len(clock.values) < 2:
        return
    step_ps = None if options.timestep_fs is None else options.timestep_fs / 1000
    gap = float(np.median(np.diff(clock.values)))
    if clock.is_count and gap == 1:
        if step_ps is not None and options.nblock:
            clock.unit_ps = step_ps * options.nblock
        elif step_ps is not None and options.dt_ps is None and frames.dt_ps is None:
            raise ValueError(
                f'`{frames.path}` numbers its frames 1, 2, 3, …, which does not tell the MD steps between them: give '
                '--dt-ps, which is NBLOCK × POTIM / 1000 of the INCAR.'
            )
        return
    if options.nblock and gap != options.nblock and gap != 0:
        raise ValueError(
            f'{clock.name} of `{frames.path}` counts {gap:g} steps from frame to frame, but --nblock says '
            f'{options.nblock}: leave out the one that is wrong (--nblock, or give --dt-ps alone).'
        )
    clock.unit_ps = step_ps


def _scale_text(clock: Clock, options: ReadingOptions) -> str:
    """Return how the numbers of a clock were turned into times."""
    if not clock.is_step:
        return ''
    return ' × --timestep-fs' + (' × --nblock' if clock.is_count and options.nblock else '')


def times_ps(frames: Frames, options: ReadingOptions) -> np.ndarray | None:
    """Return the time of each frame in ps after the first, (frames,), by the best source there is."""
    number = np.arange(len(frames.positions), dtype=float)
    given = options.dt_ps or frames.dt_ps
    for clock in sorted(frames.clocks, key=lambda clock: clock.unit_ps is None):
        passed = (clock.values - clock.values[0]).astype(float)
        gap = float(np.median(np.diff(passed)))
        unit = clock.unit_ps or (given / gap if given and gap > 0 else None)
        if unit is not None:
            times: np.ndarray = passed * unit
            return times
    return None if given is None else number * given


def _discard(frames: Frames, options: ReadingOptions) -> None:
    """Leave out the frames of the first ``--discard-ps``.

    :raises ValueError: if the time is not known, or fewer than two frames are left.
    """
    if not options.discard_ps:
        return
    times = times_ps(frames, options)
    if times is None:
        _require_known({}, frames, options)
        return
    kept = times >= options.discard_ps - 1e-6 * max(float(np.median(np.diff(times))), 0.0) - 1e-12
    if kept.sum() < 2:
        raise ValueError(
            f'--discard-ps {options.discard_ps:g} leaves nothing of the {times[-1]:g} ps of `{frames.path}`.'
        )
    frames.keep(slice(int(np.argmax(kept)), None))
    value = f'{int(np.argmax(kept))} frames ({options.discard_ps:g} ps) at the beginning'
    frames.assumptions.append(Assumption('discarded', value, '--discard-ps'))


def _equal_gap(clock: Clock, frames: Frames, options: ReadingOptions) -> float:
    """Return the difference between two frames.

    :raises ValueError: if the differences are unequal, naming the frame and what helps.
    """
    gaps = np.diff(clock.values.astype(float))
    usual = float(np.median(gaps))
    tolerance = 1e-6 if clock.is_step else ROUNDED
    wrong = np.flatnonzero(~(np.abs(gaps - usual) <= tolerance * abs(usual)) | ~(gaps > 0))
    if not len(wrong):
        return float(clock.values[-1] - clock.values[0]) / len(gaps)
    frame = int(wrong[0])
    text = (
        f'the frames of `{frames.path}` are not equally spaced in time: {clock.name} goes from '
        f'{clock.values[frame]:g} to '
        f'{clock.values[frame + 1]:g} between frames {frame} and {frame + 1}, where {usual:g} is the usual difference. '
    )
    times, last = times_ps(frames, options), int(wrong[-1]) + 1
    left = len(clock.values) - last
    if times is not None and left >= max(ENOUGH, len(clock.values) // 5) and times[last] > times[last - 1] >= 0:
        until = options.discard_ps + times[last] if options.discard_ps else 0.5 * (times[last - 1] + times[last])
        raise ValueError(text + f'Give --discard-ps {until:.6g} to leave out what comes before frame {last}.')
    advice = 'Write frames at a constant interval (in LAMMPS `dump … N` with a number, not a variable)'
    if len(wrong) == 1 and frame + 1 >= ENOUGH:
        advice = f'Leave out what comes after frame {frame} (cut the file there)'
    raise ValueError(text + advice + '.')


def _require_known(known: dict[str, float], frames: Frames, options: ReadingOptions) -> None:
    """Refuse a trajectory whose time is unknown.

    :raises ValueError: saying which option tells it.
    """
    if known:
        return
    name = f'`{frames.path}`'
    if any(clock.unit_ps is None and not clock.is_step for clock in frames.clocks):
        clock = next(clock for clock in frames.clocks if not clock.is_step)
        raise ValueError(
            f'the time between two frames of {name} is not known: {clock.name} has no unit (ps or fs). Give --dt-ps'
            + (', or --timestep-fs.' if any(clock.is_step for clock in frames.clocks) else '.')
        )
    if any(clock.is_step and not clock.is_count for clock in frames.clocks):
        raise ValueError(
            f'the time between two frames of {name} is not known: it numbers MD steps. Give --timestep-fs, or --dt-ps.'
        )
    more = ' (NBLOCK × POTIM / 1000 of the INCAR)' if any(clock.is_count for clock in frames.clocks) else ''
    raise ValueError(f'the time between two frames of {name} is not known: give --dt-ps{more}.')


def _compare(known: dict[str, float], frames: Frames) -> None:
    """Compare all times between two frames.

    :raises ValueError: if two differ, naming both.
    """
    first, dt_ps = next(iter(known.items()))
    for name, other in known.items():
        if abs(other - dt_ps) > AGREE * max(abs(dt_ps), abs(other)):
            raise ValueError(
                f'the time between two frames of `{frames.path}` is {dt_ps:.6g} ps by {first}, but {other:.6g} ps by '
                f'{name}: leave out the option that is wrong, or correct it.'
            )


def _unit_of_gap(gap: float, clock: Clock, *, dt_ps: float, source: str, frames: Frames) -> str:
    """Return the unit in which a difference of times is the known time.

    :raises ValueError: if there is none.
    """
    for name, unit in TIME_UNITS.items():
        if abs(gap * unit - dt_ps) <= AGREE * dt_ps:
            return name
    raise ValueError(
        f'the time between two frames of `{frames.path}` is {dt_ps:.6g} ps by {source}, but {clock.name} differs by '
        f'{gap:.6g} from frame to frame, which is that time neither in ps nor in fs: correct the option.'
    )


def _whole_steps(gap: float, dt_ps: float, options: ReadingOptions, frames: Frames) -> None:
    """Check that the time between two frames of an XDATCAR is a whole number of MD steps.

    :raises ValueError: if it is not.
    """
    steps = dt_ps * 1000 / (options.timestep_fs or 1)
    if abs(steps - round(steps)) > AGREE * steps or round(steps) < 1:
        raise ValueError(
            f'--dt-ps {dt_ps:g} is no whole number of steps of --timestep-fs {options.timestep_fs:g} in '
            f'`{frames.path}`: '
            'leave out the one that is wrong.'
        )
