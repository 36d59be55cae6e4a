"""How long ions stay on their sites, how often each site is taken, and where they jump to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.density.sites import IMAGES, nearest_site

CORE_A = 0.8
FRAMES_PER_STAY = 5  # fewer, and jumps forth and back between frames are missed too often


class JumpStatistics(NamedTuple):
    """The result of :func:`jump_statistics`.

    ``sites`` (S, 3) in Å; ``occupancy`` (S,) mean number of ions, with ``occupancy_stderr`` over seeds; ``stays`` (S,)
    number of departures; ``residence_ps`` (S,) mean time that an ion stays, nan for a site that none has left, with
    ``residence_stderr``; ``jumps`` (S, S) number of jumps from row to column; ``mean_residence_ps`` and its error over
    all sites, None without a jump; ``jump_length_A`` the root mean square distance of the jumps; ``back_jumps`` the
    share of jumps that return at once to where the ion came from; ``diffusivity_A2_per_ps`` what the jumps would give
    if they were independent, length²/(6 residence); ``warnings``.
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
    jump_length_A: float | None  # noqa: N815
    back_jumps: float | None
    diffusivity_A2_per_ps: float | None  # noqa: N815
    warnings: list[str]


def jump_statistics(
    seeds: Sequence[np.ndarray], sites: np.ndarray, cell: np.ndarray, dt_ps: float, core_A: float = CORE_A
) -> JumpStatistics:
    """Follow ions from site to site.

    An ion is on the site whose core it entered last, so that vibrations across the border between two sites are no
    jumps. The time on a site over the number of departures from it is the maximum-likelihood estimate of an
    exponential residence time, with the stays that the ends of the runs cut counted rightly; its relative error is one
    over the square root of the number.

    :param seeds: positions of the ions in Å, (frames, ions, 3), one array per seed, in the framework's frame.
    :param sites: (S, 3), Å.
    :param cell: (3, 3), cell vectors as rows, Å.
    :param dt_ps: time between two frames.
    :param core_A: radius of the cores; at most half the least distance of two sites.
    :raises ValueError: for no sites, an interval or a radius that is not positive.
    """
    sites = np.asarray(sites, dtype=float)
    if sites.ndim != 2 or sites.shape[1] != 3 or not len(sites):
        raise ValueError(f'`sites` has shape {sites.shape}: give (sites, 3), one at least.')
    if not (dt_ps > 0 and core_A > 0):
        raise ValueError(f'`dt_ps` is {dt_ps} and `core_A` {core_A}: give positive numbers.')
    core = min(core_A, 0.5 * least_distance(sites, cell))
    n, shares = len(sites), []
    jumps = np.zeros((n, n), dtype=int)
    steps, returns, followed, squares = np.zeros(n), 0, 0, 0.0
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
            # The distance between the sites, on the side to which the ion has gone.
            moved = positions[when + 1, ion].astype(float) - positions[when, ion]
            squares += float((site_vectors(sites[after] - sites[before], moved, cell) ** 2).sum())
    departures, time = jumps.sum(axis=1), steps * dt_ps
    with np.errstate(divide='ignore', invalid='ignore'):
        residence = np.where(departures > 0, time / departures, np.nan)
        residence_stderr = residence / np.sqrt(departures)
    total = int(departures.sum())
    mean = float(time.sum() / total) if total else None
    length = math.sqrt(squares / total) if total else None
    shares = np.array(shares)
    spread = shares.std(axis=0, ddof=1) / math.sqrt(len(shares)) if len(shares) > 1 else np.full(n, np.nan)
    return JumpStatistics(
        sites,
        shares.mean(axis=0),
        spread,
        departures,
        residence,
        residence_stderr,
        jumps,
        mean,
        mean / math.sqrt(total) if total else None,
        length,
        returns / followed if followed else None,
        length**2 / (6 * mean) if total else None,
        complaints(total, mean, dt_ps, core, core_A),
    )


def follow(positions: np.ndarray, sites: np.ndarray, cell: np.ndarray, core_A: float) -> np.ndarray:
    """Return the site of each ion in each frame, (frames, ions): that whose core it entered last.

    Before its first core, an ion is on the site of that one.
    """
    nearest, distance = nearest_site(positions, sites, cell)
    inside = distance < core_A
    frames = np.arange(len(positions))[:, None]
    entered = np.maximum.accumulate(np.where(inside, frames, -1), axis=0)
    first = np.where(inside.any(axis=0), inside.argmax(axis=0), 0)
    return np.take_along_axis(nearest, np.where(entered < 0, first, entered), axis=0)


def site_vectors(vectors: np.ndarray, moved: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return vectors between sites (jumps, 3) plus the cell vectors that bring them closest to the ions' own steps."""
    cell = np.asarray(cell, dtype=float)
    return vectors + np.round((moved - vectors) @ np.linalg.inv(cell)) @ cell


def least_distance(sites: np.ndarray, cell: np.ndarray) -> float:
    """Return the least distance of two different sites, or of a site and its own image."""
    vectors = (sites[None] - sites[:, None])[..., None, :] + IMAGES @ np.asarray(cell, dtype=float)
    distances = np.linalg.norm(vectors, axis=-1)
    return float(distances[distances > 1e-8].min())


def complaints(total: int, mean: float | None, dt_ps: float, core: float, core_A: float) -> list[str]:
    """Say what the numbers do not support."""
    warnings = []
    if not total:
        return ['no ion has left its site: run longer']
    if mean < FRAMES_PER_STAY * dt_ps:
        warnings.append(
            f'ions stay for {mean:.3g} ps, fewer than {FRAMES_PER_STAY} frames: jumps are missed; store more often'
        )
    if core < core_A:
        warnings.append(f'two sites are closer than {2 * core_A:g} Å: the cores are {core:.2g} Å')
    return warnings
