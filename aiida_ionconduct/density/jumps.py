"""How long ions stay on their sites, how often each site is taken, and where they jump to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.density.sites import IMAGES, nearest_site

CORE_A = 0.8
FRAMES_PER_STAY = 5  # with fewer frames, jumps forth and back between two frames are missed too often


class JumpStatistics(NamedTuple):
    """The result of :func:`jump_statistics`.

    ``sites`` (S, 3) in Å; ``occupancy`` (S,) mean number of ions, with ``occupancy_stderr`` over seeds; ``stays`` (S,)
    number of departures; ``residence_ps`` (S,) mean time that an ion stays, nan for a site that no ion has left, with
    ``residence_stderr``; ``jumps`` (S, S) number of jumps from row to column; ``mean_residence_ps`` and its error over
    all sites, None without a jump; ``jump_length_A`` the root mean square distance of the jumps; ``back_jumps`` the
    share of jumps that return at once to the site the ion came from; ``diffusivity_A2_per_ps`` of independent jumps,
    length²/(6 residence); ``warnings`` about what the data do not support.
    """

    sites: np.ndarray
    occupancy: np.ndarray
    occupancy_stderr: np.ndarray
    stays: np.ndarray
    residence_ps: np.ndarray
    residence_stderr: np.ndarray
    jumps: np.ndarray
    mean_residence_ps: float | None
    mean_residence_stderr: float | None
    jump_length_A: float | None
    back_jumps: float | None
    diffusivity_A2_per_ps: float | None
    warnings: list[str]


def jump_statistics(
    seeds: Sequence[np.ndarray], sites: np.ndarray, cell: np.ndarray, dt_ps: float, *, core_A: float = CORE_A
) -> JumpStatistics:
    """Follow ions from site to site.

    An ion is on the site whose core it entered last, so that vibrations across the border between two sites are no
    jumps. The time on a site divided by the number of departures from it is the maximum-likelihood estimate of an
    exponential residence time, in which stays cut by the ends of the runs count correctly; its relative error is
    1/√departures.

    :param seeds: positions of the ions in Å relative to the framework, (frames, ions, 3), one array per seed.
    :param sites: (S, 3), Å.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param dt_ps: time between two frames.
    :param core_A: radius of the cores; half the shortest distance between two sites is the upper limit.
    :raises ValueError: if there are no sites, or the interval or the radius is not positive.
    """
    sites = np.asarray(sites, dtype=float)
    if sites.ndim != 2 or sites.shape[1] != 3 or not len(sites):
        raise ValueError(f'`sites` has shape {sites.shape}: give (sites, 3) with at least one site.')
    if not (dt_ps > 0 and core_A > 0):
        raise ValueError(f'`dt_ps` is {dt_ps} and `core_A` {core_A}: give positive numbers.')
    core = min(core_A, 0.5 * _shortest_distance(sites, cell))
    n, shares = len(sites), []
    jumps, steps = np.zeros((n, n), dtype=int), np.zeros(n)
    returns, followed, squares = 0, 0, 0.0
    for positions in seeds:
        states = follow(positions, sites, cell, core)
        shares.append(np.bincount(states.ravel(), minlength=n) / len(states))
        steps += np.bincount(states[:-1].ravel(), minlength=n)
        for ion, path in enumerate(states.T):
            when = np.flatnonzero(np.diff(path))
            before, after = path[when], path[when + 1]
            np.add.at(jumps, (before, after), 1)
            returns += int((after[1:] == before[:-1]).sum())
            followed += max(len(when) - 1, 0)
            # The distance is measured to the image of the site to which the ion has gone.
            moved = positions[when + 1, ion].astype(float) - positions[when, ion]
            squares += float((_site_vectors(sites[after] - sites[before], moved, cell) ** 2).sum())
    departures, time = jumps.sum(axis=1), steps * dt_ps
    residence, residence_stderr = _residence_times(time, departures)
    total = int(departures.sum())
    mean = float(time.sum() / total) if total else None
    length = math.sqrt(squares / total) if total else None
    occupancy, occupancy_stderr = _mean_over_seeds(np.array(shares))
    return JumpStatistics(
        sites=sites,
        occupancy=occupancy,
        occupancy_stderr=occupancy_stderr,
        stays=departures,
        residence_ps=residence,
        residence_stderr=residence_stderr,
        jumps=jumps,
        mean_residence_ps=mean,
        mean_residence_stderr=None if mean is None else mean / math.sqrt(total),
        jump_length_A=length,
        back_jumps=returns / followed if followed else None,
        diffusivity_A2_per_ps=None if mean is None or length is None else length**2 / (6 * mean),
        warnings=_warnings(mean, dt_ps, core=core, core_asked_for=core_A),
    )


def follow(positions: np.ndarray, sites: np.ndarray, cell: np.ndarray, core_A: float) -> np.ndarray:
    """Return the site whose core each ion entered last, for each frame, (frames, ions).

    Before an ion enters its first core, it is on the site of that core.

    :param positions: (frames, ions, 3), Å.
    """
    nearest, distance = nearest_site(positions, sites, cell)
    inside = distance < core_A
    frames = np.arange(len(positions))[:, None]
    entered = np.maximum.accumulate(np.where(inside, frames, -1), axis=0)
    first = np.where(inside.any(axis=0), inside.argmax(axis=0), 0)
    return np.take_along_axis(nearest, np.where(entered < 0, first, entered), axis=0)


def _residence_times(time: np.ndarray, departures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the residence time on each site and its standard error, (sites,), nan where no ion has left.

    :param time: (sites,), total time of all ions on each site.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        residence = np.where(departures > 0, time / departures, np.nan)
        return residence, residence / np.sqrt(departures)


def _mean_over_seeds(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds and its standard error, nan for a single seed.

    :param shares: (seeds, sites).
    """
    mean = shares.mean(axis=0)
    stderr = shares.std(axis=0, ddof=1) / math.sqrt(len(shares)) if len(shares) > 1 else np.full_like(mean, np.nan)
    return mean, stderr


def _site_vectors(vectors: np.ndarray, moved: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return vectors between sites plus the cell vectors that bring them closest to the ions' own steps, (jumps, 3)."""
    cell = np.asarray(cell, dtype=float)
    return np.asarray(vectors + np.round((moved - vectors) @ np.linalg.inv(cell)) @ cell)


def _shortest_distance(sites: np.ndarray, cell: np.ndarray) -> float:
    """Return the shortest distance between two different sites, or between a site and its own image, in Å."""
    vectors = (sites[None] - sites[:, None])[..., None, :] + IMAGES @ np.asarray(cell, dtype=float)
    distances = np.linalg.norm(vectors, axis=-1)
    return float(distances[distances > 1e-8].min())


def _warnings(mean: float | None, dt_ps: float, *, core: float, core_asked_for: float) -> list[str]:
    """Return what the numbers do not support.

    :param mean: mean residence time in ps, None if no ion has left its site.
    """
    if mean is None:
        return ['no ion has left its site: run longer']
    warnings = []
    if mean < FRAMES_PER_STAY * dt_ps:
        warnings.append(
            f'ions stay for {mean:.3g} ps, fewer than {FRAMES_PER_STAY} frames: jumps are missed; store more often'
        )
    if core < core_asked_for:
        warnings.append(f'two sites are closer than {2 * core_asked_for:g} Å: the cores are {core:.2g} Å')
    return warnings
