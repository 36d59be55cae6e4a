"""What curves and estimators need from trajectories, in as few passes as possible: reading them takes longest."""

from __future__ import annotations

from collections.abc import Sequence
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

    ``displacements`` (samples, lags up to half a track) of the tracks of :func:`equal_stretches`; ``spectra`` of each
    track.
    """

    displacements: np.ndarray
    spectra: list[dict[int, np.ndarray]]


def observe(tracks: list[Track], dt_ps: float) -> Observed:
    """Return the mean-squared displacements and the periodograms of tracks; several tracks are read once each."""
    stretches = equal_stretches(tracks)
    longest = (stretches[0].n_frames - 1) // 2
    if stretches is not tracks:
        displacements = np.array([simple_displacement(track, longest) for track in stretches])
        return Observed(displacements, run_spectra(tracks, dt_ps))
    grid = spectral_grid(tracks[0].n_frames, dt_ps)
    rows, periodograms = [], []
    for track in tracks:
        squares_and_power, length = displacement_sums(track.n_frames, longest)
        sums, products = track.sums(squares_and_power, spectrum_sums(track, grid, SEGMENTS), length=length)
        squares, power = sums
        rows.append(displacement_from_sums(squares, power, len(track.particles), longest))
        periodograms.append(dict(zip(SEGMENTS, products, strict=True)))
    return Observed(np.array(rows), periodograms)


def run_spectra(tracks: list[Track], dt_ps: float) -> list[dict[int, np.ndarray]]:
    """Return the spectra of each track by the number of segments."""
    longest = max(track.n_frames for track in tracks)
    return [spectra(track, spectral_grid(track.n_frames, dt_ps, longest), SEGMENTS) for track in tracks]


def equal_stretches(tracks: list[Track]) -> list[Track]:
    """Return stretches of the tracks, of one length and at least two, which are the samples that give an error.

    Several tracks of one length are returned as they are, and a single track as its two halves.
    """
    lengths = [track.n_frames for track in tracks]
    length = stretch_length(lengths)
    if len(tracks) > 1 and set(lengths) == {length}:
        return tracks
    return [
        Track(positions[start : start + length], particles, shift[start : start + length])
        for positions, particles, shift in tracks
        for start in range(0, len(positions) - length + 1, length)
    ]


def stretch_length(lengths: Sequence[int]) -> int:
    """Return the length of at least two stretches of runs that leave out the fewest frames.

    :param lengths: numbers of frames of the runs. Stretches are at least half as long as the longest run, where two of
        them fit.
    """
    longest = max(lengths)
    candidates = {length for length in (*lengths, longest // 2) if 2 * length >= longest - 1}
    used = {length: sum(n // length for n in lengths) for length in candidates}
    several = [length for length in candidates if used[length] > 1]
    return max(several, key=lambda length: (used[length] * length, length))


def curves_in_words(lengths: Sequence[int]) -> list[str]:
    """Return what curves of runs of unequal length are means over; nothing for runs of one length.

    :param lengths: numbers of frames of the runs.
    """
    if len(set(lengths)) == 1:
        return []
    length = stretch_length(lengths)
    count = sum(n // length for n in lengths)
    return [
        f'runs of unequal length: the curves are means over {count} stretches of {length} frames, without '
        f'{sum(lengths) - count * length} of {sum(lengths)} frames'
    ]
