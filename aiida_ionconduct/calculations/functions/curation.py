"""Which frames a training set keeps, and which it leaves out, with the reason."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

REASONS = ('equilibration', 'unconverged', 'exploded', 'duplicate', 'correlated')
"""Why a frame is left out; a frame with several reasons counts for the first."""
MIN_RUN_FRAMES = 10
"""At least this many frames in a row that state neither a run nor a source are taken for one run of dynamics."""
DUPLICATE_A = 1e-3
DUPLICATE_EV_PER_ATOM = 1e-4
"""Equal frames have equal energies, so only neighbours in energy are compared."""


def correlation_time(forces: np.ndarray) -> int:
    """Return the correlation time of some dynamics in frames, at least 1.

    It is the time from which the autocorrelation of the forces about their mean stays within ±1/e. The autocorrelation
    is summed over atoms and components, so that a single hop keeps a run correlated, and its envelope counts instead of
    its integral, in which vibrations would cancel out. Times up to half the run can be told; a run that is still
    correlated then counts as correlated throughout.

    :param forces: (frames, atoms, 3), at equal times.
    """
    n_frames = len(forces)
    n_lags = max(n_frames // 2, 1)
    fluctuations = forces - forces.mean(axis=0)
    transform = np.fft.rfft(fluctuations.reshape(n_frames, -1), n=2 * n_frames, axis=0)
    power = (np.abs(transform) ** 2).sum(axis=1)
    function = np.fft.irfft(power, n=2 * n_frames)[:n_lags] / (n_frames - np.arange(n_lags))
    if function[0] <= 0:  # the same frame again and again
        return n_frames
    above = np.flatnonzero(np.abs(function / function[0]) > 1 / np.e)
    return n_frames if above[-1] == n_lags - 1 and n_lags > 1 else int(above[-1]) + 1


def find_runs(frames: Sequence[Atoms]) -> dict[str, list[int]]:
    """Return the indices of the frames of every run of dynamics, in the order of time; other frames are independent.

    A frame belongs to the run it states (``info['run']``). Frames that state neither a run nor a source, such as the
    frames of a user's file, are one run as long as composition and temperature stay the same, unless there are too few
    of them.
    """
    runs: dict[str, list[int]] = {}
    unnamed = []
    for index, frame in enumerate(frames):
        if 'run' in frame.info:
            runs.setdefault(str(frame.info['run']), []).append(index)
        elif 'source' not in frame.info:
            unnamed.append(index)

    def kind(index: int) -> tuple[str, float | None]:
        return str(frames[index].symbols), frames[index].info.get('temperature_K')

    for number, (_, group) in enumerate(itertools.groupby(unnamed, key=kind)):
        members = list(group)
        if len(members) >= MIN_RUN_FRAMES:
            runs[f'unnamed_{number}'] = members
    return {name: sorted(members, key=lambda index: time_of(frames, index)) for name, members in runs.items()}


def time_of(frames: Sequence[Atoms], index: int) -> float:
    """Return the time of a frame in ps where it states one, else its place in the file."""
    return float(frames[index].info.get('time_ps', index))


def run_correlation_time(frames: Sequence[Atoms], members: list[int]) -> float:
    """Return the correlation time of a run in the unit of :func:`time_of`: as stated, or from its own forces.

    :param members: indices of the frames of the run in the order of time.
    """
    stated = frames[members[0]].info.get('correlation_time_ps')
    if stated is not None and 'time_ps' in frames[members[0]].info:
        return float(stated)
    times = np.array([time_of(frames, index) for index in members])
    spacing = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return spacing * correlation_time(np.array([frames[index].get_forces() for index in members]))


def curate(frames: Sequence[Atoms], parameters: Mapping[str, Any]) -> tuple[list[Atoms], dict[str, int]]:
    """Return the frames worth keeping, in their order, and how many were left out for each of :data:`REASONS`.

    :param parameters: any of ``equilibration_ps``, by which every run that states its times is cut at its start;
        ``max_force_eV_per_A``, beyond which a frame has exploded; ``duplicate_A``, within which all atoms of two equal
        frames agree; ``spacing_correlation_times``, the least time between two frames of a run. A criterion that is
        not given is not applied; convergence (``info['scf_converged']``) always is.
    """
    reasons: dict[int, str] = {}
    runs = find_runs(frames)
    # Before any frame is left out: the estimate needs frames at equal times.
    factor = parameters.get('spacing_correlation_times', 0)
    spacings = {name: factor * run_correlation_time(frames, run) for name, run in runs.items()} if factor else {}
    for members in runs.values():
        end = time_of(frames, members[0]) + parameters.get('equilibration_ps', 0) - 1e-9
        for index in members:
            if 'time_ps' in frames[index].info and time_of(frames, index) < end:
                reasons[index] = 'equilibration'
    limit = parameters.get('max_force_eV_per_A', np.inf)
    for index, frame in enumerate(frames):
        if not frame.info.get('scf_converged', True):
            reasons.setdefault(index, 'unconverged')
        if not np.abs(frame.get_forces()).max() < limit:
            reasons.setdefault(index, 'exploded')
    for index in find_duplicates(frames, parameters['duplicate_A']) if parameters.get('duplicate_A') else ():
        reasons.setdefault(index, 'duplicate')
    for name, spacing in spacings.items():
        last = -np.inf
        for index in runs[name]:
            if index in reasons:
                continue
            if time_of(frames, index) - last < spacing - 1e-9:
                reasons[index] = 'correlated'
            else:
                last = time_of(frames, index)
    counts = Counter(reasons.values())
    kept = [frame for index, frame in enumerate(frames) if index not in reasons]
    return kept, {reason: counts[reason] for reason in REASONS}


def find_duplicates(frames: Sequence[Atoms], tolerance_A: float = DUPLICATE_A) -> dict[int, int]:
    """Return the frames that repeat an earlier frame, each with the first frame that it repeats.

    Frames are equal that have the same atoms in the same cell, however wrapped.

    :param tolerance_A: largest distance of an atom from its counterpart in an equal frame.
    :return: indices of the first frame by the indices of the frames that repeat it.
    """
    energies = np.array([frame.get_potential_energy() / len(frame) for frame in frames])
    fractional = [frame.cell.scaled_positions(frame.positions) for frame in frames]
    order = np.argsort(energies, kind='stable')
    duplicates: dict[int, int] = {}
    for place, lower in enumerate(order):
        for higher in order[place + 1 :]:
            if energies[higher] - energies[lower] > DUPLICATE_EV_PER_ATOM:
                break
            frame, other = frames[lower], frames[higher]
            if len(frame) != len(other) or (frame.numbers != other.numbers).any():
                continue
            difference = fractional[lower] - fractional[higher]
            moved = np.abs((difference - difference.round()) @ frame.cell.array).max()
            if moved < tolerance_A and np.allclose(frame.cell, other.cell):
                first, again = sorted((int(lower), int(higher)))
                duplicates[again] = min(first, duplicates.get(again, first))
    return duplicates
