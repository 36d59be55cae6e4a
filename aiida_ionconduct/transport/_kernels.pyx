# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops that carry the cost: over frames, particles and lags, without the GIL and on all threads.

Every sum runs over particles in a fixed order and the threads share out frames, so that the numbers do not depend
on the number of threads.
"""

from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport fabs, isfinite

cimport openmp

cdef Py_ssize_t TILE = 256  # frames a thread handles at a time: a tile of positions stays in its cache


def max_threads():
    """Number of threads the loops use (OMP_NUM_THREADS, or the cores)."""
    return openmp.omp_get_max_threads()


def gather(
    const floating[:, :, :] positions,
    const Py_ssize_t[::1] particles,
    const double[:, :] shift,
    double[:, ::1] out,
):
    """Write coordinates of some particles as rows in time, in double precision and with their mean subtracted.

    :param positions: (frames, n, d).
    :param particles: which of the n particles.
    :param shift: (frames, d), subtracted from every particle.
    :param out: (len(particles) * d, frames).
    """
    cdef Py_ssize_t frames = positions.shape[0], d = positions.shape[2], n = particles.shape[0]
    cdef Py_ssize_t tiles = (frames + TILE - 1) // TILE
    cdef Py_ssize_t tile, t, p, a, row
    cdef double mean
    with nogil:
        for tile in prange(tiles, schedule='static'):
            for p in range(n):
                for t in range(tile * TILE, min(frames, (tile + 1) * TILE)):
                    for a in range(d):
                        # The first frame is subtracted before anything is summed: a large offset costs no digits.
                        out[p * d + a, t] = (
                            <double> positions[t, particles[p], a] - <double> positions[0, particles[p], a]
                        ) - (shift[t, a] - shift[0, a])
        for row in prange(n * d, schedule='static'):
            mean = 0.0
            for t in range(frames):
                mean = mean + out[row, t]
            mean = mean / frames
            for t in range(frames):
                out[row, t] = out[row, t] - mean


def add_squares(const double[:, ::1] x, double[::1] out):
    """Add the sum over rows of x(t)² to out(t)."""
    cdef Py_ssize_t rows = x.shape[0], frames = x.shape[1], tile, t, row
    for tile in prange((frames + TILE - 1) // TILE, schedule='static', nogil=True):
        for row in range(rows):
            for t in range(tile * TILE, min(frames, (tile + 1) * TILE)):
                out[t] += x[row, t] * x[row, t]


def add_cross_spectrum(const double[:, ::1] x, const double[:, ::1] y, double[::1] out):
    """Add the sum over rows of conj(x(f)) y(f) to out(f).

    Complex numbers come as pairs of doubles: the compiler's own product tests each for NaN and is several times slower.
    """
    cdef Py_ssize_t rows = x.shape[0], size = x.shape[1] // 2, tile, f, row
    for tile in prange((size + TILE - 1) // TILE, schedule='static', nogil=True):
        for row in range(rows):
            for f in range(tile * TILE, min(size, (tile + 1) * TILE)):
                out[2 * f] += x[row, 2 * f] * y[row, 2 * f] + x[row, 2 * f + 1] * y[row, 2 * f + 1]
                out[2 * f + 1] += x[row, 2 * f] * y[row, 2 * f + 1] - x[row, 2 * f + 1] * y[row, 2 * f]


def add_squared_displacements(const double[:, ::1] x, Py_ssize_t lag, double[::1] out):
    """Add the sum over rows of (x(t + lag) - x(t))² to out(t), for every origin t."""
    cdef Py_ssize_t rows = x.shape[0], origins = x.shape[1] - lag, tile, t, row
    cdef double step
    for tile in prange((origins + TILE - 1) // TILE, schedule='static', nogil=True):
        for row in range(rows):
            for t in range(tile * TILE, min(origins, (tile + 1) * TILE)):
                step = x[row, t + lag] - x[row, t]
                out[t] += step * step


def add_displacements_from(const double[:, ::1] x, Py_ssize_t origin, double[::1] out):
    """Add the sum over rows of (x(origin + k) - x(origin))² to out(k), for every lag k of out."""
    cdef Py_ssize_t rows = x.shape[0], lags = out.shape[0], tile, k, row
    cdef double step
    for tile in prange((lags + TILE - 1) // TILE, schedule='static', nogil=True):
        for row in range(rows):
            for k in range(tile * TILE, min(lags, (tile + 1) * TILE)):
                step = x[row, origin + k] - x[row, origin]
                out[k] += step * step


def weighted_displacements(const floating[:, :, :] positions, const double[:, ::1] weights, double[:, :, ::1] out):
    """Write sum_i w_i [r_i(t) - r_i(0)] for several sets of weights at once.

    :param positions: (frames, n, d).
    :param weights: (sets, n).
    :param out: (sets, frames, d).
    """
    cdef Py_ssize_t frames = positions.shape[0], n = positions.shape[1], d = positions.shape[2]
    cdef Py_ssize_t sets = weights.shape[0], t, i, a, w
    cdef double step
    for t in prange(frames, schedule='static', nogil=True):
        for w in range(sets):
            for a in range(d):
                out[w, t, a] = 0.0
        for i in range(n):
            for a in range(d):
                step = <double> positions[t, i, a] - <double> positions[0, i, a]
                for w in range(sets):
                    out[w, t, a] += weights[w, i] * step


def first_not_finite(const floating[:, :, :] positions):
    """Return the first frame that holds a value that is not finite, or -1."""
    cdef Py_ssize_t frames = positions.shape[0], n = positions.shape[1], d = positions.shape[2], t, i, a
    with nogil:
        for t in range(frames):
            for i in range(n):
                for a in range(d):
                    if not isfinite(positions[t, i, a]):
                        with gil:
                            return t
    return -1


def largest_jumps(
    const floating[:, :, :] positions, const double[:, ::1] inverse_cell, double[::1] size, Py_ssize_t[::1] atom
):
    """Write, for every frame but the first, the largest step since the frame before, in cell vectors, and its atom.

    :param inverse_cell: (3, 3), turns Cartesian rows into fractional ones.
    :param size: (frames - 1), largest fractional component.
    :param atom: (frames - 1), index of that atom.
    """
    cdef Py_ssize_t frames = positions.shape[0], n = positions.shape[1], t, i, a
    cdef double step
    for t in prange(frames - 1, schedule='static', nogil=True):
        size[t] = 0.0
        atom[t] = 0
        for i in range(n):
            for a in range(3):
                step = fabs(
                    (<double> positions[t + 1, i, 0] - <double> positions[t, i, 0]) * inverse_cell[0, a]
                    + (<double> positions[t + 1, i, 1] - <double> positions[t, i, 1]) * inverse_cell[1, a]
                    + (<double> positions[t + 1, i, 2] - <double> positions[t, i, 2]) * inverse_cell[2, a]
                )
                if step > size[t]:
                    size[t] = step
                    atom[t] = i
