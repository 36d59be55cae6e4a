# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops that carry the cost: over frames, particles and lags, without the GIL.

Every sum runs over particles in a fixed order, so that the numbers do not depend on the number of threads: loops over a
whole trajectory share out its frames to the threads, and loops over a chunk of its particles run in the thread that
calls them.
"""

from cython cimport floating
from cython.parallel cimport prange
from libc.float cimport DBL_MAX
from libc.math cimport fabs, log

cimport openmp

# Frames that are handled at a time: what is worked on stays in the fastest cache.
cdef enum:
    TILE = 64


def max_threads():
    """Number of threads to use: OMP_NUM_THREADS, or the cores that this process may run on."""
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
    :param out: (len(particles) * d, at least frames); what is beyond the frames is left as it is.
    """
    cdef Py_ssize_t frames = positions.shape[0], d = positions.shape[2], n = particles.shape[0]
    cdef Py_ssize_t stride = positions.strides[0] // sizeof(floating), shift_stride = shift.strides[0] // sizeof(double)
    cdef Py_ssize_t tile, start, t, p, a, row
    cdef double origin, shifted
    cdef const floating* x
    cdef const double* away
    cdef double* own
    with nogil:
        for tile in range((frames + TILE - 1) // TILE):
            start = tile * TILE
            for p in range(n):
                for a in range(d):
                    # The first frame is subtracted before anything is summed: a large offset costs no digits.
                    origin, shifted = positions[0, particles[p], a], shift[0, a]
                    x, away, own = &positions[start, particles[p], a], &shift[start, a], &out[p * d + a, start]
                    for t in range(min(frames - start, TILE)):
                        own[t] = (<double> x[t * stride] - origin) - (away[t * shift_stride] - shifted)
        for row in range(n * d):
            subtract_mean(&out[row, 0], frames)


cdef void subtract_mean(double* x, Py_ssize_t n) noexcept nogil:
    # Eight running sums: one alone waits for itself at each addition.
    cdef double[8] sums
    cdef double mean = 0.0
    cdef Py_ssize_t t, k
    for k in range(8):
        sums[k] = 0.0
    for t in range(0, n - n % 8, 8):
        for k in range(8):
            sums[k] += x[t + k]
    for t in range(n - n % 8, n):
        mean += x[t]
    for k in range(8):
        mean += sums[k]
    mean /= n
    for t in range(n):
        x[t] -= mean


def block_means(const double[:, ::1] x, Py_ssize_t block, double[:, ::1] out):
    """Write the means over consecutive blocks of each row of x."""
    cdef Py_ssize_t row, k, t
    cdef double total
    with nogil:
        for row in range(x.shape[0]):
            for k in range(out.shape[1]):
                total = 0.0
                for t in range(k * block, (k + 1) * block):
                    total += x[row, t]
                out[row, k] = total / block


def tapered_steps(const double[:, ::1] x, const double[::1] taper, double[:, :, ::1] out):
    """Write the steps from each value of x to the next, times a taper, of each segment of each row.

    :param x: (rows, at least segments * (steps + 1)).
    :param taper: (steps,).
    :param out: (rows, segments, steps).
    """
    cdef Py_ssize_t steps = out.shape[2], row, segment, tile, start, t
    with nogil:
        for row in range(out.shape[0]):
            for segment in range(out.shape[1]):
                start = segment * (steps + 1)
                for t in range(steps):
                    out[row, segment, t] = (x[row, start + t + 1] - x[row, start + t]) * taper[t]


def add_squares(const double[:, ::1] x, double[::1] out):
    """Add the sum over rows of x(t)² to out(t), for every t of out."""
    cdef Py_ssize_t frames = out.shape[0], tile, start, t, row
    with nogil:
        for tile in range((frames + TILE - 1) // TILE):
            start = tile * TILE
            for row in range(x.shape[0]):
                for t in range(start, min(frames, start + TILE)):
                    out[t] += x[row, t] * x[row, t]


def add_power(const double[:, ::1] x, double[::1] out):
    """Add the sum over rows of abs(x(f))² to out(f); complex numbers come as pairs of doubles."""
    cdef Py_ssize_t size = out.shape[0], tile, start, f, row
    with nogil:
        for tile in range((size + TILE - 1) // TILE):
            start = tile * TILE
            for row in range(x.shape[0]):
                for f in range(start, min(size, start + TILE)):
                    out[f] += x[row, 2 * f] * x[row, 2 * f] + x[row, 2 * f + 1] * x[row, 2 * f + 1]


def add_products(const double[:, :, ::1] x, double[:, :, :, ::1] out):
    """Add the real parts of conj(x_a(f)) x_b(f), summed over particles, to out(a, b, f) for each segment and b >= a.

    Complex numbers come as pairs of doubles.

    :param x: (rows, segments, 2 * frequencies), the d components of a particle in consecutive rows.
    :param out: (segments, d, d, frequencies).
    """
    cdef Py_ssize_t d = out.shape[1], size = out.shape[3], particle, first, segment, a, b, f
    cdef const double* left
    cdef const double* right
    cdef double* own
    with nogil:
        for particle in range(x.shape[0] // d):
            first = particle * d
            for segment in range(out.shape[0]):
                for a in range(d):
                    for b in range(a, d):
                        left, right, own = &x[first + a, segment, 0], &x[first + b, segment, 0], &out[segment, a, b, 0]
                        for f in range(size):
                            own[f] += left[2 * f] * right[2 * f] + left[2 * f + 1] * right[2 * f + 1]


def add_cross_spectrum(const double[:, ::1] x, const double[:, ::1] y, double[::1] out):
    """Add the sum over rows of conj(x(f)) y(f) to out(f).

    Complex numbers come as pairs of doubles: the compiler's own product tests each for NaN and is several times slower.
    """
    cdef Py_ssize_t size = x.shape[1] // 2, tile, start, f, row
    with nogil:
        for tile in range((size + TILE - 1) // TILE):
            start = tile * TILE
            for row in range(x.shape[0]):
                for f in range(start, min(size, start + TILE)):
                    out[2 * f] += x[row, 2 * f] * y[row, 2 * f] + x[row, 2 * f + 1] * y[row, 2 * f + 1]
                    out[2 * f + 1] += x[row, 2 * f] * y[row, 2 * f + 1] - x[row, 2 * f + 1] * y[row, 2 * f]


def add_squared_displacements(const double[:, ::1] x, Py_ssize_t lag, double[::1] out):
    """Add the sum over rows of (x(t + lag) - x(t))² to out(t), for every origin t."""
    cdef Py_ssize_t origins = x.shape[1] - lag, tile, start, t, row
    cdef double step
    with nogil:
        for tile in range((origins + TILE - 1) // TILE):
            start = tile * TILE
            for row in range(x.shape[0]):
                for t in range(start, min(origins, start + TILE)):
                    step = x[row, t + lag] - x[row, t]
                    out[t] += step * step


def add_displacements_from(const double[:, ::1] x, Py_ssize_t origin, double[::1] out):
    """Add the sum over rows of (x(origin + k) - x(origin))² to out(k), for every lag k of out."""
    cdef Py_ssize_t lags = out.shape[0], tile, start, k, row
    cdef double step
    with nogil:
        for tile in range((lags + TILE - 1) // TILE):
            start = tile * TILE
            for row in range(x.shape[0]):
                for k in range(start, min(lags, start + TILE)):
                    step = x[row, origin + k] - x[row, origin]
                    out[k] += step * step


def species_displacements(
    const floating[:, :, :] positions,
    const Py_ssize_t[::1] species,
    double longest,
    double[:, :, ::1] out,
    long long[::1] strange,
):
    """Write sum_i [r_i(t) - r_i(0)] over the particles of each species, and which frames deserve a closer look.

    :param positions: (frames, n, d).
    :param species: (n,), the species of every particle.
    :param longest: usual limit of a component's step between two frames.
    :param out: (species, d, frames), zero.
    :param strange: (frames,), zero; set where a step to the next frame is longer than that, or no number.
    """
    cdef Py_ssize_t frames = positions.shape[0], n = positions.shape[1], d = positions.shape[2], tile, start, i, a
    cdef Py_ssize_t stride = positions.strides[0] // sizeof(floating)
    longest = min(longest, DBL_MAX)
    for tile in prange((frames + TILE - 1) // TILE, schedule='static', nogil=True):
        start = tile * TILE
        for i in range(n):
            for a in range(d):
                species_tile(
                    &positions[start, i, a], stride, min(frames - start, TILE + 1), positions[0, i, a], longest,
                    &out[species[i], a, start], &strange[start],
                )


cdef void species_tile(
    const floating* positions,
    Py_ssize_t stride,
    Py_ssize_t frames,
    double origin,
    double longest,
    double* out,
    long long* strange,
) noexcept nogil:
    """Add one coordinate's values in a tile; the last frame but in the last tile is the first of the next tile."""
    cdef Py_ssize_t t
    cdef double[TILE + 1] x
    for t in range(frames):
        x[t] = <double> positions[t * stride] - origin
    for t in range(min(frames, TILE)):
        out[t] += x[t]
    for t in range(frames - 1):
        # Written so that it holds for what is not a number, too.
        strange[t] |= not fabs(x[t + 1] - x[t]) <= longest


def first_not_finite(const floating[:, :, :] positions):
    """Return the first frame that holds a value that is not finite, or -1."""
    cdef Py_ssize_t t, first = -1
    with nogil:
        for t in range(positions.shape[0]):
            if not_finite(positions, t):
                first = t
                break
    return first


cdef bint not_finite(const floating[:, :, :] positions, Py_ssize_t t) noexcept nogil:
    cdef Py_ssize_t i, a
    cdef bint found = False
    for i in range(positions.shape[1]):
        for a in range(positions.shape[2]):
            found |= not fabs(positions[t, i, a]) <= DBL_MAX
    return found


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


cdef enum:
    MOST = 3  # parameters of a model
    SCORING = 6  # steps of Fisher scoring: the weights of the fit are then settled


def fit_spectra(
    const double[::1] spectrum,
    const double[::1] shape,
    const double[:, ::1] terms,
    const Py_ssize_t[:, ::1] chosen,
    double[:, ::1] parameters,
    double[:, :, ::1] covariance,
    double[::1] deviance,
    double[:, ::1] weights,
    double[:, ::1] fitted,
):
    """Fit models that are sums of terms to a spectrum by Fisher scoring; the first parameter is the value.

    :param spectrum: (bins,), positive.
    :param shape: (bins,) shape of the gamma distribution of the spectrum about the model.
    :param terms: (terms, at least bins), the spectra of which the models are sums.
    :param chosen: (models, parameters), at most three, which terms a model consists of.
    :param parameters: (models, parameters), written, as are ``covariance`` (models, parameters, parameters), ``deviance``
        (models,), ``weights`` (models, bins) of the spectrum in the first parameter, and ``fitted`` (models, bins).
    """
    cdef Py_ssize_t model, bins = spectrum.shape[0], size = chosen.shape[1]
    with nogil:
        for model in range(chosen.shape[0]):
            # Each size is compiled by itself, with its loops over parameters unrolled.
            if size == 1:
                fit_spectrum(
                    bins, 1, &spectrum[0], &shape[0], terms, &chosen[model, 0], &parameters[model, 0],
                    &covariance[model, 0, 0], &deviance[model], &weights[model, 0], &fitted[model, 0],
                )
            elif size == 2:
                fit_spectrum(
                    bins, 2, &spectrum[0], &shape[0], terms, &chosen[model, 0], &parameters[model, 0],
                    &covariance[model, 0, 0], &deviance[model], &weights[model, 0], &fitted[model, 0],
                )
            else:
                fit_spectrum(
                    bins, 3, &spectrum[0], &shape[0], terms, &chosen[model, 0], &parameters[model, 0],
                    &covariance[model, 0, 0], &deviance[model], &weights[model, 0], &fitted[model, 0],
                )


cdef inline void fit_spectrum(
    Py_ssize_t bins,
    Py_ssize_t size,
    const double* spectrum,
    const double* shape,
    const double[:, ::1] terms,
    const Py_ssize_t* chosen,
    double* parameters,
    double* covariance,
    double* deviance,
    double* weights,
    double* fitted,
) noexcept nogil:
    """Fit one model."""
    cdef double[MOST * MOST] information
    cdef double[MOST] moments, values
    cdef (const double*)[MOST] term
    cdef double weight, total
    cdef Py_ssize_t step, b, i, j
    cdef bint negative = False
    for i in range(size):
        term[i] = &terms[chosen[i], 0]
    for b in range(bins):
        fitted[b] = spectrum[b]
    for step in range(SCORING):
        for i in range(size):
            moments[i] = 0.0
            for j in range(size):
                information[i * size + j] = 0.0
        for b in range(bins):
            weight = shape[b] / (fitted[b] * fitted[b])
            for i in range(size):
                moments[i] += weight * term[i][b] * spectrum[b]
                for j in range(i + 1):
                    information[i * size + j] += weight * term[i][b] * term[j][b]
        total = 0.0
        for i in range(size):
            total += information[i * size + i]
        for i in range(size):
            information[i * size + i] += 1e-10 * total
            for j in range(i):
                information[j * size + i] = information[i * size + j]
        invert(size, information, covariance)
        for i in range(size):
            values[i] = 0.0
            for j in range(size):
                values[i] += covariance[i * size + j] * moments[j]
        if step == SCORING - 1:
            for b in range(bins):
                total = 0.0
                for i in range(size):
                    total += covariance[i] * term[i][b]
                weights[b] = total * shape[b] / (fitted[b] * fitted[b])
        negative = False
        for b in range(bins):
            total = 0.0
            for i in range(size):
                total += values[i] * term[i][b]
            # A spectrum is positive: a fit that is not is made improbable.
            negative |= total <= 0.02 * spectrum[b]
            fitted[b] = max(total, 0.02 * spectrum[b])
    for i in range(size):
        parameters[i] = values[i]
    deviance[0] = 50.0 if negative else 0.0
    for b in range(bins):
        deviance[0] += 2 * shape[b] * (spectrum[b] / fitted[b] - 1 - log(spectrum[b] / fitted[b]))


cdef void invert(Py_ssize_t n, double* matrix, double* inverse) noexcept nogil:
    """Write the inverse of a positive definite matrix (n, n), which is overwritten."""
    cdef Py_ssize_t i, j, k
    cdef double factor
    for i in range(n):
        for j in range(n):
            inverse[i * n + j] = 1.0 if i == j else 0.0
    for k in range(n):
        factor = 1 / matrix[k * n + k]
        for j in range(n):
            matrix[k * n + j] *= factor
            inverse[k * n + j] *= factor
        for i in range(n):
            if i != k:
                factor = matrix[i * n + k]
                for j in range(n):
                    matrix[i * n + j] -= factor * matrix[k * n + j]
                    inverse[i * n + j] -= factor * inverse[k * n + j]
