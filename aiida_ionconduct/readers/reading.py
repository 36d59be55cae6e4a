"""From files to runs: the reader of each format, and what is made of what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import _amu, _k

from aiida_ionconduct.readers import library
from aiida_ionconduct.readers.arrays import read_npz
from aiida_ionconduct.readers.formats import TrajectoryFormat, guess_format
from aiida_ionconduct.readers.frames import Frames
from aiida_ionconduct.readers.identity import check_density, check_order, check_rows, check_unit, name_atoms
from aiida_ionconduct.readers.joining import cut_overlaps, join_segments
from aiida_ionconduct.readers.lammps import read_binary, read_text
from aiida_ionconduct.readers.options import ReadingOptions
from aiida_ionconduct.readers.structure import Structure, read_structure
from aiida_ionconduct.readers.times import set_times
from aiida_ionconduct.readers.trajectory import Assumption, Trajectory
from aiida_ionconduct.readers.wrapping import remove_wrapping
from aiida_ionconduct.readers.xdatcar import read_xdatcar
from aiida_ionconduct.readers.xyz import read_extxyz

READERS: dict[TrajectoryFormat, Callable[[str | Path], Frames]] = {
    'lammps-text': read_text,
    'lammps-binary': read_binary,
    'extxyz': read_extxyz,
    'xdatcar': read_xdatcar,
    'npz': read_npz,
    'cp.x': library.read_cpx,
    'ase': library.read_with_ase,
    'mdanalysis': library.read_with_mdanalysis,
}
FASTEST = 4.0
"""Times the mean-squared thermal step that atoms may move between two frames: they cannot move further than freely."""
SAME_K = 0.01
"""Relative difference up to which a temperature in a file is the given one."""


def _read_frames(path: Path, options: ReadingOptions, structure: Structure | None) -> Frames:
    """Read a file, name its atoms, and make one run of a restarted run in it.

    :raises ValueError: if the file cannot be read or contradicts itself or the options.
    """
    file_format = options.file_format or guess_format(path)
    try:
        with np.errstate(over='ignore', invalid='ignore'):
            frames = READERS[file_format](path)
            finite = np.isfinite(frames.positions.sum()) and (frames.cells is None or np.isfinite(frames.cells).all())
    except (UnicodeDecodeError, OverflowError, MemoryError, RecursionError, np.linalg.LinAlgError) as exception:
        raise ValueError(
            f'`{path}` cannot be read as {file_format}: {exception or type(exception).__name__}.'
        ) from exception
    if not finite:
        frame = int(np.argmin(np.isfinite(frames.positions).all(axis=(1, 2))))
        raise ValueError(f'frame {frame} of `{path}` has a position or cell that is not a number.')
    name_atoms(frames, options.types, structure)
    check_unit(frames, structure)
    if frames.fractional and frames.cells is not None:
        frames.positions, frames.fractional = frames.positions @ frames.cells, False
    if frames.by_id or file_format.startswith('lammps'):
        check_order(frames)
    elif file_format != 'xdatcar':
        check_rows(frames)
    cut_overlaps(frames)
    return frames


def read_trajectory(
    path: str | Path, file_format: TrajectoryFormat | None = None, types: Sequence[str] | None = None
) -> Trajectory:
    """Read one file as it is, without asking for the time between its frames.

    :param file_format: by :func:`~aiida_ionconduct.readers.formats.guess_format` if not given.
    :param types: chemical symbols of the types 1, 2, … of a LAMMPS text dump without a column ``element``.
    :return: the frames, unwrapped.
    :raises ValueError: if the format is unknown or the file cannot be read, saying what to do.
    :raises OSError: if the file cannot be opened.
    """
    frames = _read_frames(Path(path), ReadingOptions(file_format=file_format, types=types), None)
    if frames.cells is None and frames.words is not None:
        _require_cell(frames)
    remove_wrapping(frames, None)
    return _trajectory(frames, None)


def read_runs(paths: Sequence[str | Path], options: ReadingOptions) -> list[Trajectory]:
    """Read files, and return the runs that they hold.

    :return: every run with unwrapped positions, one order of atoms, and a known time between frames.
    :raises ValueError: if a file cannot be read or contradicts itself or the options, saying what to do.
    :raises OSError: if a file cannot be opened.
    """
    structure = None if options.structure is None else read_structure(options.structure)
    files = [_read_frames(Path(path), options, structure) for path in paths]
    for frames in files:
        _check_temperature(frames, options.temperature_K)
        _require_cell(frames)
        if frames.symbols is None:
            raise ValueError(
                f'`{frames.path}` states no symbols: give --structure FILE, or --types for the types of a LAMMPS dump '
                'or the groups of an old XDATCAR.'
            )
        check_density(frames)
    if options.dt_ps is not None:
        _compare_steps(files)
    runs = []
    for frames in join_segments(files):
        dt_ps = set_times(frames, options)
        remove_wrapping(frames, options.wrapped, dt_ps)
        _state_cell(frames)
        run = _trajectory(frames, dt_ps)
        run.cell = _cell_of_mean_volume(frames)
        run.temperature_K = options.temperature_K or run.temperature_K
        _check_speed(run, frames, options)
        runs.append(run)
    return runs


def _trajectory(frames: Frames, dt_ps: float | None) -> Trajectory:
    """Return the frames as a run."""
    clock = next((clock for clock in frames.clocks if not clock.is_step and clock.unit_ps is not None), None)
    times: np.ndarray | None = None if clock is None else np.asarray(clock.values * (clock.unit_ps or 1.0))
    if times is None and frames.dt_ps is not None:
        times = frames.dt_ps * np.arange(len(frames.positions))
    return Trajectory(
        positions=frames.positions,
        symbols=frames.symbols,
        cell=frames.mean_cell(),
        steps=frames.steps(),
        times_ps=times,
        temperature_K=frames.temperature_K,
        notes=frames.notes,
        dt_ps=dt_ps if dt_ps is not None else frames.dt_ps,
        charges=frames.charges,
        masses=frames.masses,
        paths=frames.paths,
        assumptions=frames.assumptions,
    )


def _compare_steps(files: Sequence[Frames]) -> None:
    """Compare the MD steps between frames of files for which the same time between frames is given.

    :raises ValueError: if they differ, naming the files.
    """
    gaps: dict[float, Path] = {}
    for frames in files:
        clock = next((clock for clock in frames.clocks if clock.is_step and not clock.is_count), None)
        if clock is not None and len(clock.values) > 1:
            gaps.setdefault(float(np.median(np.diff(clock.values))), frames.path)
    if len(gaps) > 1:
        listed = ', '.join(f'{gap:g} in `{path}`' for gap, path in gaps.items())
        raise ValueError(
            f'the MD steps from frame to frame differ, {listed}, so that --dt-ps cannot hold for all files: give '
            '--timestep-fs instead, or analyse the files one by one.'
        )


def _require_cell(frames: Frames) -> None:
    """Refuse frames without a cell.

    :raises ValueError: saying what gives it.
    """
    if frames.cells is None:
        raise ValueError(f'`{frames.path}` states no lattice (no cell): give --structure FILE.')


def _check_temperature(frames: Frames, given: float | None) -> None:
    """Compare the temperature that a file states with the given one.

    :raises ValueError: if they differ.
    """
    stated = frames.temperature_K
    if given is not None and stated is not None and abs(given - stated) > SAME_K * stated:
        raise ValueError(
            f'`{frames.path}` states {stated:g} K, but --temperature is {given:g} K: leave out the option.'
        )


def _cell_of_mean_volume(frames: Frames) -> np.ndarray | None:
    """Return the mean cell with the mean volume of all frames, (3, 3) in Å; None if no cell is known."""
    mean = frames.mean_cell()
    if frames.cells is None or mean is None or frames.cells.ndim == 2:
        return mean
    volume = float(np.abs(np.linalg.det(frames.cells)).mean())
    return np.asarray(mean * np.cbrt(volume / abs(np.linalg.det(mean))))


def _state_cell(frames: Frames) -> None:
    """Say which cell stands for all frames."""
    if frames.cells is None or any(row.subject == 'cell' for row in frames.assumptions):
        return
    if frames.cells.ndim == 2:
        frames.assumptions.append(Assumption('cell', 'constant', 'file'))
        return
    frames.assumptions.append(
        Assumption('cell', f'mean of {len(frames.positions)} frames, with their mean volume', 'file')
    )


def _check_speed(run: Trajectory, frames: Frames, options: ReadingOptions) -> None:
    """Compare the steps with the thermal velocity: no atom moves further than freely.

    In equilibrium, <Δr²> ≤ 3 kT/m Δt², as no correlation of velocities is above their mean square.

    :raises ValueError: if steps are counted one by one and atoms would be faster: frames were counted, not MD steps.
    """
    if run.temperature_K is None or run.symbols is None or not run.dt_ps or len(run.positions) < 2:
        return
    chosen = np.unique(np.linspace(0, len(run.positions) - 2, 200).astype(int))
    steps = run.positions[chosen + 1] - run.positions[chosen]
    squares = np.sum((steps - steps.mean(axis=1, keepdims=True)) ** 2, axis=2).mean(axis=0)
    masses = atomic_masses[[atomic_numbers[symbol] for symbol in run.symbols]] if run.masses is None else run.masses
    free = 3 * _k * run.temperature_K / (masses * _amu) * 1e-4 * run.dt_ps**2  # m²/s² to Å²/ps²
    symbols = np.array(run.symbols)
    ratios = {symbol: float((squares / free)[symbols == symbol].mean()) for symbol in dict.fromkeys(run.symbols)}
    symbol = max(ratios, key=lambda symbol: ratios[symbol])
    if ratios[symbol] < FASTEST:
        return
    text = (
        f'{symbol} in `{frames.path}` would move {ratios[symbol] ** 0.5:.2g} times faster than at its thermal '
        'velocity at '
        f'{run.temperature_K:g} K if {run.dt_ps:g} ps passed between two frames'
    )
    counted = frames.steps() if options.dt_ps is None and all(clock.is_step for clock in frames.clocks) else None
    if counted is not None and counted[1] - counted[0] == 1:
        raise ValueError(f'{text}: the file seems to count frames, not MD steps. Give --dt-ps.')
    run.notes.append(f'WARNING: {text}: check the time between frames.')
