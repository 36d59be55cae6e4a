"""What curves and estimators need from trajectories, in as few passes as possible: reading them takes longest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aiida_ionconduct.transport.displacement import (
    Track,
    displacement_from_sums,
    displacement_sums,
    simple_displacement,
)
from aiida_ionconduct.transport.spectrum import SEGMENTS, spectra, spectral_grid, spectrum_sums


class Observed(NamedTuple):
    """What was seen of some tracks.

    ``displacements`` (samples, lags up to half a track) of the tracks of :func:`at_least_two`; ``spectra`` of each
    track.
    """

    displacements: np.ndarray
    spectra: list[dict[int, np.ndarray]]


def observe(tracks: list[Track], dt_ps: float) -> Observed:
    """Return the mean-squared displacements and the periodograms of tracks; several tracks are read once each."""
    grid = spectral_grid(tracks[0].n_frames, dt_ps)
    if len(tracks) == 1:
        halves = at_least_two(tracks)
        longest = (halves[0].n_frames - 1) // 2
        displacements = np.array([simple_displacement(track, longest) for track in halves])
        return Observed(displacements, [spectra(tracks[0], grid, SEGMENTS)])
    rows, periodograms = [], []
    for track in tracks:
        longest = (track.n_frames - 1) // 2
        squares_and_power, length = displacement_sums(track.n_frames, longest)
        sums, products = track.sums(squares_and_power, spectrum_sums(track, grid, SEGMENTS), length=length)
        squares, power = sums
        rows.append(displacement_from_sums(squares, power, len(track.particles), longest))
        periodograms.append(dict(zip(SEGMENTS, products, strict=True)))
    return Observed(np.array(rows), periodograms)


def at_least_two(tracks: list[Track]) -> list[Track]:
    """Return the tracks; a single track as its two halves, which are then the samples that give the error."""
    if len(tracks) > 1:
        return tracks
    ((positions, particles, shift),) = tracks
    half = len(positions) // 2
    return [Track(positions[part], particles, shift[part]) for part in (slice(0, half), slice(half, 2 * half))]
