# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Read positions from text, without the GIL and on all threads, each number rounded as by strtod; and unwrap them."""

from cython.parallel cimport prange
from libc.math cimport fabs, rint
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memchr, memcmp, memcpy


cdef enum:
    LONGEST = 63  # characters of a number that is left to strtod
    DIGITS = 18  # that fit into an integer of 64 bits
    COORDINATES = 3
    FLAGS = 3
    ID = 6
    CHARGE = 7
    VALUES = 8  # of a row: coordinates, image flags, id, charge
    LABEL = -2  # a word that must stay the same
    COLON = 5  # characters of `ITEM:`

cdef double[23] POWERS
for _power in range(23):
    POWERS[_power] = 10.0**_power

cdef unsigned long long EXACT = <unsigned long long> 1 << 53


def find_frames(const unsigned char[::1] text, Py_ssize_t shortest, int64_t[:, ::1] frames):
    """Find the frames of a LAMMPS dump and return their number; a frame that ends within its header does not count.

    :param shortest: least number of bytes that the rows of a frame take.
    :param frames: (most, 4), set to the step, the start of the header behind it, the start of the rows, and whether
        the header is the same as in the first frame.
    """
    cdef Py_ssize_t n = 0, most = frames.shape[0], size = text.shape[0], at = 0, header, body, first = 0, length = 0
    cdef const unsigned char* t = &text[0]
    cdef int64_t step
    with nogil:
        while n < most:
            at = after(t, size, at, b'ITEM: TIMESTEP', 14)
            if at < 0:
                break
            step = 0
            header = at
            while header < size and t[header] != c'\n':
                if c'0' <= t[header] <= c'9':
                    step = 10 * step + (t[header] - c'0')
                header += 1
            body = after(t, size, header, b'ITEM: ATOMS', 11)
            if body < 0:
                break
            if n == 0:
                first, length = header, body - header
            frames[n, 0], frames[n, 1], frames[n, 2] = step, header, body
            frames[n, 3] = body - header == length and memcmp(t + header, t + first, length) == 0
            n += 1
            at = min(body + shortest, size)
    return n


cdef Py_ssize_t after(
    const unsigned char* text, Py_ssize_t size, Py_ssize_t at, const char* word, Py_ssize_t length
) noexcept nogil:
    """Return where the line after the line with a word of the form ``ITEM: …`` begins, or -1 if there is no such word.

    The colon is looked for, as the rows of atoms hold none.
    """
    cdef Py_ssize_t colon
    cdef const unsigned char* here = text + at
    cdef const unsigned char* end = text + size
    while True:
        here = <const unsigned char*> memchr(here, c':', end - here)
        if here == NULL:
            return -1
        here += 1
        colon = here - text
        if colon >= at + COLON and colon - COLON + length <= size and memcmp(here - COLON, word, length) == 0:
            break
    here = <const unsigned char*> memchr(here, c'\n', end - here)
    return -1 if here == NULL else here - text + 1


def parse_frames(
    const unsigned char[::1] text,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] targets,
    const double[:, :, ::1] cells,
    const double[:, ::1] origins,
    bint scaled,
    double[:, :, ::1] positions,
    int64_t[:, ::1] ids,
    int64_t[:, ::1] labels,
    double[:, ::1] charges,
    const int64_t[::1] expected,
    const int64_t[::1] expected_labels,
    int64_t[:, ::1] others,
    Py_ssize_t[::1] whole,
):
    """Write the positions of every frame.

    :param text: the file.
    :param starts: (frames,), where the first row of each frame begins.
    :param targets: (columns,), for each column of the text 0, 1, 2 for coordinates, 3, 4, 5 for image flags, 6 for the
        id, 7 for the charge, -2 for a word that labels the atom, or -1 if the column is not wanted.
    :param cells: (1 or frames, 3, 3), the unit of image flags and scaled coordinates.
    :param origins: (1 or frames, 3), added to scaled coordinates.
    :param positions: (frames, rows, 3).
    :param ids: (frames, rows), 0 if no column is the id; or (0, 0) if ids are not wanted.
    :param labels: (frames, rows), a number that the words of the row that label the atom give; or (0, 0).
    :param charges: (frames, rows), or (0, 0).
    :param expected: (rows,), ids to compare with; or (0,).
    :param expected_labels: (rows,), labels to compare with; or (0,).
    :param others: (frames, 2), zero on entry; set to the numbers of ids and of labels that are not as expected.
    :param whole: (frames,), set to the number of rows that could be read: fewer than all if the text ends, a row has
        too few columns, or a word is not a number. The last row must end with a line feed: otherwise its last number
        may be cut.
    """
    cdef Py_ssize_t frames = starts.shape[0], size = text.shape[0], f
    while size and text[size - 1] != c'\n':
        size -= 1
    for f in prange(frames, schedule='static', nogil=True):
        whole[f] = parse_rows(
            &text[0] + starts[f],
            &text[0] + size,
            targets,
            &cells[f if cells.shape[0] > 1 else 0, 0, 0],
            &origins[f if origins.shape[0] > 1 else 0, 0],
            scaled,
            positions[f],
            &ids[f, 0] if ids.shape[0] else NULL,
            &labels[f, 0] if labels.shape[0] else NULL,
            &charges[f, 0] if charges.shape[0] else NULL,
            &expected[0] if expected.shape[0] else NULL,
            &expected_labels[0] if expected_labels.shape[0] else NULL,
            &others[f, 0],
        )


cdef Py_ssize_t parse_rows(
    const unsigned char* p,
    const unsigned char* end,
    const Py_ssize_t[::1] targets,
    const double* cell,
    const double* origin,
    bint scaled,
    double[:, ::1] positions,
    int64_t* ids,
    int64_t* labels,
    double* charges,
    const int64_t* expected,
    const int64_t* expected_labels,
    int64_t* others,
) noexcept nogil:
    """Return how many rows could be read. The text ends with a line feed, so that no word reaches beyond its end."""
    cdef Py_ssize_t rows = positions.shape[0], columns = targets.shape[0], row, column, k
    cdef bint good = True, flags = False
    cdef uint64_t label, word
    cdef double[VALUES] values
    for k in range(VALUES):
        values[k] = 0.0
    for column in range(columns):
        flags = flags or COORDINATES <= targets[column] < COORDINATES + FLAGS
    for row in range(rows):
        if p >= end:
            return row
        label = 14695981039346656037U
        for column in range(columns):
            while p[0] == c' ' or p[0] == c'\t':
                p += 1
            if targets[column] >= 0:
                p = number(p, &values[targets[column]], &good)
                if not good:
                    return row
            elif p[0] <= c' ':
                return row
            elif targets[column] == LABEL:  # up to eight characters are one integer; words are mixed by an odd factor
                word = 0
                while p[0] > c' ':
                    word = (word << 8 | word >> 56) ^ p[0]
                    p += 1
                label = (label ^ word) * 1099511628211U
            else:
                while p[0] > c' ':
                    p += 1
        while p[0] != c'\n':
            p += 1
        p += 1
        if scaled:
            for k in range(3):
                positions[row, k] = origin[k] + (
                    (values[0] + values[3]) * cell[k] + (values[1] + values[4]) * cell[3 + k]
                    + (values[2] + values[5]) * cell[6 + k]
                )
        elif flags:
            for k in range(3):
                positions[row, k] = values[k] + (
                    values[3] * cell[k] + values[4] * cell[3 + k] + values[5] * cell[6 + k]
                )
        else:
            for k in range(3):
                positions[row, k] = values[k]
        if ids != NULL:
            ids[row] = <int64_t> values[ID]
        if labels != NULL:
            labels[row] = <int64_t> label
        if charges != NULL:
            charges[row] = values[CHARGE]
        if expected != NULL and expected[row] != <int64_t> values[ID]:
            others[0] += 1
        if expected_labels != NULL and expected_labels[row] != <int64_t> label:
            others[1] += 1
    return rows


cdef inline const unsigned char* number(const unsigned char* p, double* value, bint* good) noexcept nogil:
    """Set the number that begins here, and return where it ends.

    An integer up to 2⁵³ divided by a power of ten up to 10²², both exact, is rounded once (Clinger 1990,
    10.1145/93542.93557). strtod reads everything else.
    """
    cdef const unsigned char* start = p
    cdef const unsigned char* first
    cdef unsigned long long mantissa = 0
    cdef Py_ssize_t fraction = 0, digits
    cdef bint negative = p[0] == c'-'
    if negative or p[0] == c'+':
        p += 1
    first = p
    while c'0' <= p[0] <= c'9':
        mantissa = 10 * mantissa + (p[0] - c'0')
        p += 1
    digits = p - first
    if p[0] == c'.':
        p += 1
        first = p
        while c'0' <= p[0] <= c'9':
            mantissa = 10 * mantissa + (p[0] - c'0')
            p += 1
        fraction = p - first
        digits += fraction
    if p[0] > c' ' or digits == 0 or digits > DIGITS or mantissa > EXACT:
        return by_strtod(start, value, good)
    value[0] = <double> mantissa / POWERS[fraction] if fraction else <double> mantissa
    if negative:
        value[0] = -value[0]
    return p


cdef const unsigned char* by_strtod(const unsigned char* word, double* value, bint* good) noexcept nogil:
    """Set the number that strtod reads: many digits, exponents, nan and inf; ``good`` becomes 0 if the word is not a number."""
    cdef char[LONGEST + 1] buffer
    cdef char* end
    cdef Py_ssize_t length = 0
    while word[length] > c' ':
        length += 1
    good[0] = 0 < length <= LONGEST
    if good[0]:
        memcpy(buffer, word, length)
        buffer[length] = 0
        value[0] = strtod(buffer, &end)
        good[0] = end == buffer + length
    return word + length


def unwrap_frames(
    double[:, :, ::1] positions,
    const double[:, :, ::1] cells,
    const double[:, :, ::1] inverses,
    double[:, ::1] last,
    double[:, ::1] images,
    double[:, ::1] longest,
    const Py_ssize_t[::1] groups,
    double[:, ::1] before,
    double[:, :, ::1] sums,
):
    """Remove the jumps at the borders of the cell in place; every atom takes the shortest way.

    :param positions: (frames, rows, 3).
    :param cells: (1 or frames, 3, 3), and so are ``inverses``.
    :param last: (rows, 3), for the fractional positions of the frame before.
    :param images: (rows, 3), zero on entry; the number of cells that each atom has crossed so far.
    :param longest: (frames, 2), zero on entry; set to the longest step to each frame, in cell vectors, and 3 atom + vector.
    :param groups: (rows,), the number of the group of each atom.
    :param before: (rows, 3), for the steps to the frame before.
    :param sums: (groups, 3, 3), zero on entry; set to the sum of the squared steps, to how much the squares of two steps
        in sequence lose if their sum is folded to the shortest way, and to how much the squares of steps beyond 0.4 would
        gain if they went the other way round.
    """
    cdef Py_ssize_t frames = positions.shape[0], rows = positions.shape[1], f, i, k, c
    cdef double s, step, whole, double_step
    cdef bint moved
    with nogil:
        for f in range(frames):
            c = f if cells.shape[0] > 1 else 0
            for i in range(rows):
                moved = False
                for k in range(3):
                    s = (
                        positions[f, i, 0] * inverses[c, 0, k]
                        + positions[f, i, 1] * inverses[c, 1, k]
                        + positions[f, i, 2] * inverses[c, 2, k]
                    )
                    step = s - last[i, k] if f else 0.0
                    last[i, k] = s
                    if fabs(step) > 0.5:
                        whole = rint(step)
                        images[i, k] += whole
                        step -= whole
                    if fabs(step) > longest[f, 0]:
                        longest[f, 0], longest[f, 1] = fabs(step), 3 * i + k
                    sums[groups[i], k, 0] += step * step
                    if fabs(step) > 0.4:
                        sums[groups[i], k, 2] += 1.0 - 2.0 * fabs(step)
                    if f > 1:
                        double_step = step + before[i, k]
                        if fabs(double_step) > 0.5:
                            whole = fabs(double_step) - rint(fabs(double_step))
                            sums[groups[i], k, 1] += double_step * double_step - whole * whole
                    before[i, k] = step
                    moved = moved or images[i, k] != 0
                if moved:  # what has not crossed a border keeps its digits
                    for k in range(3):
                        positions[f, i, k] -= (
                            images[i, 0] * cells[c, 0, k] + images[i, 1] * cells[c, 1, k] + images[i, 2] * cells[c, 2, k]
                        )


def survey_frames(
    const double[:, :, ::1] positions,
    const double[:, :, ::1] inverses,
    double[:, :, ::1] ranges,
    int64_t[:, ::1] jumps,
):
    """Find the range of the fractional positions, and how many of them jump by more than half a cell vector.

    :param positions: (frames, rows, 3).
    :param inverses: (1 or frames, 3, 3), of the cells.
    :param ranges: (frames, 2, 3), set to the least and the largest fractional position of each frame.
    :param jumps: (frames, 3), zero on entry; set to the number of steps to each frame that are longer than half a cell
        vector, to how many of those end within an eighth of whole cell vectors, and to the number of directions along
        which a position is not finite.
    """
    cdef Py_ssize_t frames = positions.shape[0], f
    for f in prange(frames, schedule='static', nogil=True):
        survey_frame(
            &positions[f, 0, 0],
            &positions[f - 1, 0, 0] if f else NULL,
            positions.shape[1],
            &inverses[f if inverses.shape[0] > 1 else 0, 0, 0],
            &inverses[f - 1 if f and inverses.shape[0] > 1 else 0, 0, 0],
            &ranges[f, 0, 0],
            &jumps[f, 0],
        )


cdef void survey_frame(
    const double* x,
    const double* before,
    Py_ssize_t rows,
    const double* inverse,
    const double* inverse_before,
    double* ranges,
    int64_t* jumps,
) noexcept nogil:
    """Survey one frame; ``before`` is NULL for the first."""
    cdef Py_ssize_t i, k
    cdef double s, step, low, high, total
    cdef double a, b, c, u, v, w
    cdef int64_t long_steps, whole
    for k in range(3):
        a, b, c = inverse[k], inverse[3 + k], inverse[6 + k]
        u, v, w = inverse_before[k], inverse_before[3 + k], inverse_before[6 + k]
        low, high, total = 1e300, -1e300, 0.0
        long_steps = 0
        for i in range(rows):
            s = x[3 * i] * a + x[3 * i + 1] * b + x[3 * i + 2] * c
            low = s if s < low else low
            high = s if s > high else high
            total += s - s  # nan unless all are finite
            if before != NULL:
                step = s - (before[3 * i] * u + before[3 * i + 1] * v + before[3 * i + 2] * w)
                long_steps += fabs(step) > 0.5
        ranges[k], ranges[3 + k] = low, high
        jumps[0] += long_steps
        jumps[2] += total != 0.0
        if long_steps:
            whole = 0
            for i in range(rows):
                step = (
                    x[3 * i] * a + x[3 * i + 1] * b + x[3 * i + 2] * c
                    - (before[3 * i] * u + before[3 * i + 1] * v + before[3 * i + 2] * w)
                )
                whole += fabs(step) > 0.5 and fabs(step - rint(step)) < 0.125
            jumps[1] += whole
