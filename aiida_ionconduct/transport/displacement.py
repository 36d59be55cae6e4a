"""Mean-squared displacements: the simple and the block method."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from scipy import fft

from aiida_ionconduct.transport import _kernels

CHUNK_BYTES = 2**25  # memory for the coordinates of a chunk of particles, of which each thread has one
TRANSFORM_BYTES = 2**23  # memory for the coordinates that are transformed at a time: small transforms stay in the cache
JUMP = 0.75  # of a cell vector, between two frames: a longer step looks like a fold
Method = Literal['simple', 'block']
Argument = TypeVar('Argument')
Result = TypeVar('Result')


class Track(NamedTuple):
    """Particles followed in time; nothing is copied until a chunk of them is worked on.

    ``positions`` (frames, n, d), ``particles`` the indices followed, ``shift`` (frames, d) the moving origin.
    """

    positions: np.ndarray
    particles: np.ndarray
    shift: np.ndarray

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def dimension(self) -> int:
        """Number of coordinates of a particle."""
        return int(self.positions.shape[2])

    def sums(self, *functions: Callable[[np.ndarray], list[np.ndarray]], length: int = 0) -> list[list[np.ndarray]]:
        """Apply functions to the coordinates in chunks of particles, in one pass, and sum what they return.

        :param functions: each takes coordinates as rows in time, float64 and mean-free, and returns a list of arrays.
        :param length: of the rows, with zeros beyond the frames; the length of the run by default.
        """
        length = max(length, self.n_frames)
        chunk = min(max(1, CHUNK_BYTES // (8 * self.dimension * length)), len(self.particles))
        buffers = [np.zeros((chunk * self.dimension, length)) for _ in range(_kernels.max_threads())]

        def apply(start: int) -> list[list[np.ndarray]]:
            particles, buffer = self.particles[start : start + chunk], buffers.pop()
            rows = buffer[: len(particles) * self.dimension]
            _kernels.gather(self.positions, particles, self.shift, rows)
            parts = [function(rows) for function in functions]
            buffers.append(buffer)
            return parts

        totals: list[list[np.ndarray]] = []
        for parts in in_threads(apply, range(0, len(self.particles), chunk)):
            if not totals:
                totals = parts
                continue
            for total, part in zip(totals, parts, strict=True):
                for array, addend in zip(total, part, strict=True):
                    array += addend
        release(self.positions)
        return totals


def in_threads(function: Callable[[Argument], Result], arguments: Sequence[Argument]) -> Iterator[Result]:
    """Yield the results of a function in the order of its arguments, from as many threads as there are cores to use."""
    workers = min(_kernels.max_threads(), len(arguments))
    if workers < 2:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(function, arguments)


def as_track(
    positions: np.ndarray, name: str = 'positions', particles: np.ndarray | None = None, shift: np.ndarray | None = None
) -> Track:
    """Check positions and wrap them.

    :param positions: (frames, n, d), float32 or float64 (anything else is converted), of any memory layout.
    :param name: what to call the array in a message.
    :param particles: indices of the particles to follow; all of them by default.
    :param shift: (frames, d) moving origin, zero by default.
    :raises ValueError: if the shape is wrong or a value is not finite.
    """
    positions = as_positions(positions, name)
    if particles is None:
        particles = np.arange(positions.shape[1])
    if shift is None:
        shift = np.broadcast_to(0.0, (len(positions), positions.shape[2]))
    return Track(positions, np.ascontiguousarray(particles, dtype=np.intp), shift)


def as_positions(positions: np.ndarray, name: str = 'positions') -> np.ndarray:
    """Return positions as float32 or float64, without a copy where they are that already.

    :param positions: (frames, n, d).
    :param name: what to call the array in a message.
    :raises ValueError: if the shape is wrong or a value is not finite.
    """
    positions = as_floats(positions, name)
    _refuse_not_finite(positions, name)
    return positions


def as_floats(positions: np.ndarray, name: str) -> np.ndarray:
    """Return positions as :func:`as_positions` does, their values unchecked."""
    positions = np.asarray(positions)
    if positions.ndim != 3:
        raise ValueError(
            f'`{name}` has shape {positions.shape}: give an array of shape (frames, particles, dimensions).'
        )
    if 0 in positions.shape:
        raise ValueError(f'`{name}` has shape {positions.shape}: it holds no frame, no particle or no dimension.')
    native = positions.dtype.isnative and positions.dtype in (np.float32, np.float64)
    if not native or any(stride % positions.itemsize for stride in positions.strides) or not positions.flags.aligned:
        if positions.dtype.kind not in 'fiu':
            raise ValueError(f'`{name}` has the type {positions.dtype}: give real numbers.')
        positions = positions.astype(np.float64)
    return positions


def _refuse_not_finite(positions: np.ndarray, name: str) -> None:
    """Refuse positions that are not finite.

    :raises ValueError: naming the array and the first such frame.
    """
    frame = _kernels.first_not_finite(positions)
    if frame >= 0:
        raise ValueError(f'`{name}` holds a value that is not finite in frame {frame}: remove or repair that frame.')


def release(positions: np.ndarray) -> None:
    """Free the memory that holds what was read from a memory-mapped file; the file still has it."""
    array: object = positions
    while isinstance(array, np.ndarray):
        base: object = array.base
        # Not a private copy ('c'), whose changes are nowhere else.
        if isinstance(array, np.memmap) and array.mode in ('r', 'r+') and isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)
        array = base


def species_displacements(
    positions: np.ndarray, species: np.ndarray, cell: np.ndarray | None = None, name: str = 'positions'
) -> np.ndarray:
    """Return sum_i [r_i(t) - r_i(0)] over the particles of each species, (species, frames, d), and check all values.

    :param positions: (frames, n, d), as returned by :func:`as_floats`.
    :param species: (n,), the number of every particle's species.
    :param cell: (3, 3), cell vectors as rows, where the positions must not be folded into it.
    :raises ValueError: if a value is not finite, or as :func:`refuse_wrapped`.
    """
    frames, _, dimension = positions.shape
    out, strange = np.zeros((species.max() + 1, dimension, frames)), np.zeros(frames, dtype=np.int64)
    # A fractional step is at most the longest Cartesian component times this sum.
    longest = np.inf if cell is None else JUMP / np.abs(np.linalg.inv(cell)).sum(axis=0).max()
    _kernels.species_displacements(positions, np.ascontiguousarray(species, dtype=np.intp), longest, out, strange)
    if strange.any():
        _refuse_not_finite(positions, name)
        if cell is not None:
            refuse_wrapped(positions, cell, name)
    release(positions)
    displacements: np.ndarray = out.transpose(0, 2, 1)
    return displacements


def refuse_wrapped(positions: np.ndarray, cell: np.ndarray, name: str = 'positions') -> None:
    """Refuse a trajectory that was folded back into the cell.

    A fold shows as a step of about a cell vector of an atom that otherwise moves little from frame to frame.

    :param positions: (frames, n, 3), as returned by :func:`as_positions`.
    :param cell: (3, 3), cell vectors as rows.
    :raises ValueError: naming the array, the atom and the frame.
    """
    if len(positions) < 2:
        return
    inverse = np.linalg.inv(np.asarray(cell, dtype=float))
    size, atom = np.empty(len(positions) - 1), np.empty(len(positions) - 1, dtype=np.intp)
    _kernels.largest_jumps(positions, inverse, size, atom)
    for step in np.flatnonzero(size > JUMP):
        moves = np.diff(positions[:, atom[step]].astype(float), axis=0) @ inverse
        usual = np.median(np.abs(moves - np.round(moves)))
        # Six standard deviations of the usual step: fast ions in frames far apart do not look folded.
        if 6 * usual / 0.6745 < JUMP:
            raise ValueError(
                f'`{name}` looks wrapped into the cell: atom {atom[step]} moves by {size[step]:.2f} of a cell vector '
                f'between frames {step} and {step + 1}. Give unwrapped positions (LAMMPS: xu, yu, zu).'
            )


def mean_squared_displacement(
    positions: np.ndarray, method: Method = 'simple', block: int | None = None, origins: int | None = None
) -> np.ndarray:
    """Return the mean-squared displacement at all lags, averaged over particles.

    ``simple`` averages a lag k over all T - k origins, so the longest lags have the fewest samples; it goes by Fourier
    transform (Kneller et al. 1995, 10.1016/0010-4655(95)00048-K), with one inverse transform for all particles.
    ``block`` averages every lag over the same number of origins (Frenkel and Smit, Understanding Molecular
    Simulation, section 4.4): consecutive segments with the clock restarted in each, or, with ``origins``, that many
    sliding origins at the start of each segment.

    :param positions: (frames, n, d), unwrapped, float32 or float64, any memory layout, memory-mapped too.
    :param method: 'simple' or 'block'.
    :param block: longest lag of the block method, in frames; a quarter of the run by default.
    :param origins: sliding origins per segment of the block method; the segment's first frame alone by default.
    :return: float64, (frames,) for 'simple' and (block + 1,) for 'block'; index is the lag in frames, unit Å².
    :raises ValueError: for a wrong shape, a value that is not finite, an unknown method or a block that does not fit.
    """
    track = as_track(positions)
    if method == 'simple':
        if block is not None or origins is not None:
            raise ValueError("`block` and `origins` belong to method='block'.")
        return simple_displacement(track)
    if method == 'block':
        segments = block_displacements(track, block or max(1, (track.n_frames - 1) // 4), origins)
        mean: np.ndarray = segments.mean(axis=0)
        return mean
    raise ValueError(f"`method` is '{method}': choose 'simple' or 'block'.")


def simple_displacement(track: Track, longest: int | None = None) -> np.ndarray:
    """Return <abs(x(t + k) - x(t))²> over all origins t and particles, for every lag k up to the longest.

    M(k) = {C[T-k] + C[T] - C[k] - 2 A(k)}/(T-k) with C the running sum of squares and A the autocorrelation.

    :param longest: longest lag in frames; the length of the run by default.
    """
    function, length = displacement_sums(track.n_frames, longest)
    ((squares, power),) = track.sums(function, length=length)
    return displacement_from_sums(squares, power, len(track.particles), longest)


def displacement_sums(
    n_frames: int, longest: int | None = None
) -> tuple[Callable[[np.ndarray], list[np.ndarray]], int]:
    """Return the function that :func:`simple_displacement` gives to :meth:`Track.sums`, and the length of its rows."""
    length = _transform_length(n_frames, longest)

    def sums(rows: np.ndarray) -> list[np.ndarray]:
        squares, power = np.zeros(n_frames), np.zeros(length // 2 + 1)
        _kernels.add_squares(rows, squares)
        batch = max(2, TRANSFORM_BYTES // (8 * length))
        for start in range(0, len(rows), batch):
            _kernels.add_power(fft.rfft(rows[start : start + batch], axis=1).view(float), power)
        return [squares, power]

    return sums, length


def _transform_length(n_frames: int, longest: int | None) -> int:
    """Return the length of a transform that does not wrap around at any lag up to the longest."""
    return int(fft.next_fast_len(n_frames + (n_frames if longest is None else longest), real=True))


def displacement_from_sums(
    squares: np.ndarray, power: np.ndarray, n_particles: int, longest: int | None = None
) -> np.ndarray:
    """Return the mean-squared displacement (lags,) from what the function of :func:`displacement_sums` returned."""
    frames = len(squares)
    lags = np.arange(frames if longest is None else longest + 1)
    correlation = fft.irfft(power, n=_transform_length(frames, longest))[: len(lags)]
    running = np.concatenate(([0.0], np.cumsum(squares)))
    sums = running[frames - lags] + running[frames] - running[lags] - 2 * correlation
    sums[0] = 0.0
    displacement: np.ndarray = np.maximum(sums, 0.0) / (frames - lags) / n_particles
    return displacement


def block_displacements(track: Track, block: int, origins: int | None = None) -> np.ndarray:
    """Return the displacement of each segment: (segments, block + 1), averaged over particles.

    :param block: longest lag, in frames.
    :param origins: number L of sliding origins per segment, (1/L) sum_l abs(x(o+l+k) - x(o+l))²; one by default.
    :raises ValueError: if no segment fits.
    """
    # Segments with one origin share their end points: they are consecutive, and their increments do not overlap.
    stride = block if origins is None else block + origins
    starts = range(0, track.n_frames - block - (origins or 1) + 1, stride)
    if block < 1 or (origins is not None and origins < 1) or not starts:
        raise ValueError(
            f'a block of {block} lags with {origins or 1} origins does not fit into {track.n_frames} frames: '
            'choose a shorter one.'
        )
    if origins is None:
        out = _displacements_from(track, starts, block)
    else:
        out = _sliding_displacements(track, starts, block, origins)
    return out / len(track.particles)


def _displacements_from(track: Track, starts: range, block: int) -> np.ndarray:
    """Return the sums over particles of the block method with one origin per segment."""

    def sums(rows: np.ndarray) -> list[np.ndarray]:
        out = np.zeros((len(starts), block + 1))
        for segment, start in zip(out, starts, strict=True):
            _kernels.add_displacements_from(rows, start, segment)
        return [out]

    ((displacements,),) = track.sums(sums)
    return displacements


def _sliding_displacements(track: Track, starts: range, block: int, origins: int) -> np.ndarray:
    """Return the sums over particles of the sliding-origin block method, one transform pair per segment."""
    size = block + origins
    length = fft.next_fast_len(size + origins, real=True)

    def sums(rows: np.ndarray) -> list[np.ndarray]:
        squares = np.zeros((len(starts), size))
        spectra = np.zeros((len(starts), length // 2 + 1), dtype=complex)
        for index, start in enumerate(starts):
            segment = np.ascontiguousarray(rows[:, start : start + size])
            segment -= segment.mean(axis=1, keepdims=True)
            _kernels.add_squares(segment, squares[index])
            early = fft.rfft(segment[:, :origins], n=length, axis=1)
            late = fft.rfft(segment, n=length, axis=1)
            _kernels.add_cross_spectrum(early.view(float), late.view(float), spectra[index].view(float))
        return [squares, spectra]

    ((squares, spectra),) = track.sums(sums)
    running = np.concatenate((np.zeros((len(starts), 1)), np.cumsum(squares, axis=1)), axis=1)
    lags = np.arange(block + 1)
    products = fft.irfft(spectra, n=length, axis=1)[:, : block + 1]
    total = running[:, lags + origins] - running[:, lags] + running[:, [origins]] - 2 * products
    total[:, 0] = 0.0
    displacements: np.ndarray = np.maximum(total, 0.0) / origins
    return displacements


def displacement_series(track: Track, lags: list[int]) -> dict[int, np.ndarray]:
    """Return, for each lag, abs(x(t + lag) - x(t))² averaged over particles at every origin t: (frames - lag,)."""

    def sums(rows: np.ndarray) -> list[np.ndarray]:
        series = [np.zeros(track.n_frames - lag) for lag in lags]
        for lag, out in zip(lags, series, strict=True):
            _kernels.add_squared_displacements(rows, lag, out)
        return series

    (series,) = track.sums(sums)
    return {lag: out / len(track.particles) for lag, out in zip(lags, series, strict=True)}
