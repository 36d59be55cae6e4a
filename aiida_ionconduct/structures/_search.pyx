# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops of the search for ordered cells: over all exchanges of two ions of a sublattice."""

from libc.stdint cimport int64_t, uint64_t

# An exchange must lower the energy (eV) by more than the first number; of exchanges whose changes differ by less than
# the second number, as symmetry makes them equal, the first is taken.
cdef double GAIN = 1e-7, EQUAL = 1e-9


cdef inline uint64_t draw(uint64_t* state) noexcept nogil:
    """Return the next number of a generator (xorshift64; the state must not be zero)."""
    state[0] ^= state[0] << 13
    state[0] ^= state[0] >> 7
    state[0] ^= state[0] << 17
    return state[0]


cdef class Descent:
    """Exchanges of two ions of a sublattice, with the electrostatic potential and the contacts kept up to date.

    :param charges: (species,), e.
    :param ewald: (sites, sites), eV/e².
    :param distances: (sites, sites), Å; infinite for pairs that do not count.
    :param limits: (species, species), Å; two ions nearer than this are a contact.
    :param sites: (n,), the sites of the sublattices whose ions can be exchanged, one sublattice after another.
    :param ends: (sublattices,), where the sites of each sublattice end in ``sites``.
    :param contact_eV: energy of a contact.
    """

    cdef const double[::1] charges
    cdef const double[:, ::1] ewald, distances, limits
    cdef const int64_t[::1] sites, ends
    cdef double[::1] potential
    cdef int64_t[:, ::1] crowd
    cdef double contact_eV

    def __init__(self, charges, ewald, distances, limits, sites, ends, double contact_eV, potential, crowd):
        self.charges, self.ewald, self.distances, self.limits = charges, ewald, distances, limits
        self.sites, self.ends, self.contact_eV = sites, ends, contact_eV
        self.potential, self.crowd = potential, crowd

    def descend(self, int64_t[::1] occupation):
        """Make the exchange that lowers the energy most, in place, until no exchange lowers the energy.

        :param occupation: (sites,), the species of each site.
        """
        cdef Py_ssize_t x, y, i, j, first, second, group, begin
        cdef int64_t a, b
        cdef double dq, change, best
        with nogil:
            self._count(occupation)
            while True:
                best, first, second, begin = -GAIN, -1, -1, 0
                for group in range(self.ends.shape[0]):
                    for x in range(begin, self.ends[group]):
                        i = self.sites[x]
                        a = occupation[i]
                        for y in range(x + 1, self.ends[group]):
                            j = self.sites[y]
                            b = occupation[j]
                            if a == b:
                                continue
                            dq = self.charges[b] - self.charges[a]
                            change = dq * 2 * (self.potential[i] - self.potential[j]) + dq * dq * (
                                self.ewald[i, i] + self.ewald[j, j] - 2 * self.ewald[i, j]
                            ) + self.contact_eV * self._more_contacts(i, j, a, b)
                            if change < best - EQUAL:
                                best, first, second = change, i, j
                    begin = self.ends[group]
                if first < 0:
                    break
                self._exchange(occupation, first, second)

    def separate(self, int64_t[::1] occupation, uint64_t seed, Py_ssize_t n_steps):
        """Exchange ions at random, in place, until no two are in contact, or for a number of steps.

        In each step an ion that is in contact changes places with the ion or vacancy that leaves fewest contacts (the
        min-conflicts heuristic of constraint satisfaction: Minton et al. 1992, 10.1016/0004-3702(92)90007-K).

        :param occupation: (sites,), the species of each site.
        """
        cdef Py_ssize_t step, x, y, i, chosen, group, begin, end, n_ties
        cdef int64_t more, fewest, left = 0
        cdef uint64_t state = seed | 1
        with nogil:
            self._count(occupation)
            for step in range(n_steps):
                left, chosen, begin, end = 0, -1, 0, 0
                group = 0
                for x in range(self.sites.shape[0]):
                    while x >= self.ends[group]:
                        group += 1
                    i = self.sites[x]
                    if self.crowd[i, occupation[i]] > 0:
                        left += 1
                        if draw(&state) % <uint64_t>left == 0:
                            chosen = i
                            begin = self.ends[group - 1] if group else 0
                            end = self.ends[group]
                if chosen < 0:
                    break
                fewest, n_ties, i = 1 << 60, 0, -1
                for y in range(begin, end):
                    if occupation[self.sites[y]] == occupation[chosen]:
                        continue
                    more = self._more_contacts(chosen, self.sites[y], occupation[chosen], occupation[self.sites[y]])
                    if more < fewest:
                        fewest, n_ties = more, 0
                    if more == fewest:
                        n_ties += 1
                        if draw(&state) % <uint64_t>n_ties == 0:
                            i = self.sites[y]
                self._exchange(occupation, chosen, i)

    cdef inline int64_t _more_contacts(
        self, Py_ssize_t i, Py_ssize_t j, int64_t a, int64_t b
    ) noexcept nogil:
        """Return by how much the number of contacts grows when species a of site i and b of site j are exchanged."""
        cdef double d = self.distances[i, j]
        return (
            self.crowd[i, b] + self.crowd[j, a] - self.crowd[i, a] - self.crowd[j, b]
            - (d < self.limits[a, a]) - (d < self.limits[b, b]) + 2 * (d < self.limits[a, b])
        )

    cdef void _count(self, int64_t[::1] occupation) noexcept nogil:
        """Compute the potential of each site, and how many contacts each species would have there."""
        cdef Py_ssize_t k, j
        cdef int64_t a
        for k in range(occupation.shape[0]):
            self.potential[k] = 0
            for a in range(self.charges.shape[0]):
                self.crowd[k, a] = 0
            for j in range(occupation.shape[0]):
                self.potential[k] += self.ewald[k, j] * self.charges[occupation[j]]
                for a in range(self.charges.shape[0]):
                    self.crowd[k, a] += self.distances[k, j] < self.limits[a, occupation[j]]

    cdef void _exchange(self, int64_t[::1] occupation, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
        """Exchange what two sites hold: a row of the Ewald matrix and of the distances for each site."""
        cdef int64_t a = occupation[i], b = occupation[j], c
        cdef double dq = self.charges[b] - self.charges[a]
        cdef Py_ssize_t k
        occupation[i], occupation[j] = b, a
        for k in range(occupation.shape[0]):
            self.potential[k] += dq * (self.ewald[i, k] - self.ewald[j, k])
            for c in range(self.charges.shape[0]):
                self.crowd[k, c] += (
                    <int64_t>(self.distances[i, k] < self.limits[c, b])
                    - <int64_t>(self.distances[i, k] < self.limits[c, a])
                    + <int64_t>(self.distances[j, k] < self.limits[c, a])
                    - <int64_t>(self.distances[j, k] < self.limits[c, b])
                )
