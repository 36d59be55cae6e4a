"""A Lennard-Jones liquid of known chaos: its largest Lyapunov exponent is worked out in its tangent space."""

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from aiida_ionconduct.lammps.script import Potential


class Argon:
    """A Lennard-Jones liquid near its triple point, and its largest Lyapunov exponent in tangent space."""

    epsilon_eV, sigma_A = 0.0103, 3.4
    density, temperature, cutoff = 0.8442, 0.722, 2.5  # reduced
    mass_u = atomic_masses[atomic_numbers['Ar']]
    cells = 3  # of four atoms, along each axis

    def __init__(self):
        self.time_ps = self.sigma_A * np.sqrt(self.mass_u * 1.0364269e-4 / self.epsilon_eV)
        self.edge = (4 * self.cells**3 / self.density) ** (1 / 3)  # in sigma

    @property
    def potential(self):
        """What takes the place of a potential: file name, ``pair_style``, and the end of ``pair_coeff``."""
        return Potential('argon', f'lj/cut {self.cutoff * self.sigma_A}', f'{self.epsilon_eV} {self.sigma_A} # ')

    def fcc(self):
        """Return the crystal it is melted from, in sigma."""
        basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
        corners = np.array(np.meshgrid(*[range(self.cells)] * 3, indexing='ij')).reshape(3, -1).T
        return (corners[:, None] + basis).reshape(-1, 3) * self.edge / self.cells

    def order(self, positions):
        """Return how much of the crystal is left, 1 to about 1/sqrt(atoms): by its (111) Bragg peaks."""
        shortest = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])
        phase = positions @ shortest.T * 2 * np.pi * self.cells / (self.edge * self.sigma_A)
        return np.abs(np.exp(1j * phase).mean(axis=0)).mean()

    def atoms(self):
        """Return the crystal in Å."""
        positions = self.fcc() * self.sigma_A
        return Atoms(['Ar'] * len(positions), positions, cell=[self.edge * self.sigma_A] * 3, pbc=True)

    def forces(self, x, w=None):
        """Return the forces, and how they change along a tangent vector."""
        d = x[:, None] - x[None]
        d -= self.edge * np.round(d / self.edge)
        r2 = (d**2).sum(axis=2)
        np.fill_diagonal(r2, np.inf)
        i2 = np.where(r2 < self.cutoff**2, 1 / r2, 0.0)
        i6 = i2**3
        g = 24 * i2 * (2 * i6**2 - i6)  # force = g d
        f = (g[..., None] * d).sum(axis=1)
        if w is None:
            return f
        e = w[:, None] - w[None]
        dg = -48 * i2**2 * (14 * i6**2 - 4 * i6) * (d * e).sum(axis=2)  # dg/d(r²) · 2 d·e
        return f, (g[..., None] * e + dg[..., None] * d).sum(axis=1)

    def exponent(self, steps=6000, settle=3000, dt=0.004, seed=1):
        """Return the exponent and its error in 1/ps: the growth of a tangent vector (Benettin et al. 1976)."""
        rng = np.random.default_rng(seed)
        x = self.fcc()
        v = rng.normal(size=x.shape)
        v -= v.mean(axis=0)
        v *= np.sqrt(3 * (len(x) - 1) * 2 * self.temperature / (v**2).sum())
        f = self.forces(x)
        for step in range(settle):
            v += dt / 2 * f
            x = x + dt * v
            f = self.forces(x)
            v += dt / 2 * f
            if step < 2 * settle // 3 and step % 20 == 0:
                v *= np.sqrt(3 * (len(x) - 1) * self.temperature / (v**2).sum())
        dx, dv, rates = rng.normal(size=x.shape), rng.normal(size=x.shape), []
        dx, dv = dx - dx.mean(axis=0), dv - dv.mean(axis=0)
        f, df = self.forces(x, dx)
        for _ in range(steps):
            v, dv = v + dt / 2 * f, dv + dt / 2 * df
            x, dx = x + dt * v, dx + dt * dv
            f, df = self.forces(x, dx)
            v, dv = v + dt / 2 * f, dv + dt / 2 * df
            size = np.sqrt((dx**2).sum() + (dv**2).sum())
            dx, dv, df = dx / size, dv / size, df / size
            rates.append(np.log(size) / dt)
        rates = np.array(rates[steps // 6 :])
        blocks = rates[: len(rates) // 10 * 10].reshape(10, -1).mean(axis=1)
        return blocks.mean() / self.time_ps, blocks.std(ddof=1) / np.sqrt(10) / self.time_ps
