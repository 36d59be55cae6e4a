"""Random motion whose diffusivity is known: the processes that `coverage.py` puts every estimator to."""

import numpy as np
from scipy.signal import lfilter


def brownian(rng, shape, D, dt_ps):
    """Return Brownian motion of diffusivity D (a number, or one per component), shape (frames, n, d)."""
    return np.cumsum(rng.normal(0, 1, shape) * np.sqrt(2 * np.asarray(D) * dt_ps), axis=0)


def relaxing(rng, shape, amplitude, time_ps, dt_ps):
    """Return Ornstein-Uhlenbeck motion with M(t) = amplitude (1 - exp(-t/time_ps)) per component."""
    decay = np.exp(-dt_ps / time_ps)
    noise = rng.normal(0, np.sqrt(amplitude / 2 * (1 - decay**2)), shape)
    noise[0] = rng.normal(0, np.sqrt(amplitude / 2), shape[1:])
    return lfilter([1], [1, -decay], noise, axis=0)


def caged(rng, dt_ps=0.1, frames=3401):
    """Diffusion with caging and back-hops, MSD = 2 D t + 3 (1 - exp(-t/2 ps)) per component, D = 1 Å²/ps."""
    shape = (frames, 1, 3)
    return brownian(rng, shape, 1.0, dt_ps) + relaxing(rng, shape, 3.0, 2.0, dt_ps)


def inertial(rng, dt_ps=0.05, frames=4001, time_ps=1.0):
    """Langevin dynamics with inertia, D = 1 Å²/ps, sampled exactly (Gillespie 1996, 10.1103/PhysRevE.54.2084)."""
    decay, rate, size = np.exp(-dt_ps / time_ps), dt_ps / time_ps, (frames, 1, 3)
    covariance = np.array([[1 - decay**2, (1 - decay) ** 2], [(1 - decay) ** 2, 2 * rate - 3 + 4 * decay - decay**2]])
    kick, push = np.einsum('ij,j...->i...', np.linalg.cholesky(covariance), rng.normal(0, 1, (2, *size)))
    kick[0] = rng.normal(0, 1, size[1:])
    velocity = lfilter([1], [1, -decay], kick, axis=0)
    steps = velocity[:-1] * (1 - decay) + push[1:]
    return np.concatenate((np.zeros((1, *size[1:])), np.cumsum(steps, axis=0)))


def anisotropic(rng, dt_ps=0.1, frames=3401):
    """A fast axis, D = 2.7, 0.27 and 0.03 Å²/ps (1 on average), and a little caging along each."""
    shape = (frames, 1, 3)
    return brownian(rng, shape, [2.7, 0.27, 0.03], dt_ps) + relaxing(rng, shape, 0.5, 2.0, dt_ps)


IONS, HOP_A, SHARED = 12, 2.5, 0.2


def hopping(rng, dt_ps=0.1, frames=2001):
    """Twelve ions that hop by 2.5 Å, alone and all together, and vibrate: D* = 1 Å²/ps, Haven ratio 0.3125.

    A fifth of each ion's hops is shared by all, so D_sigma = (1 - 0.2 + 12 * 0.2) D*.
    """

    def hops(n, D):
        rate = 2 * D / HOP_A**2 * dt_ps  # per component; the difference of two Poisson numbers
        return HOP_A * (rng.poisson(rate / 2, (frames, n, 3)) - rng.poisson(rate / 2, (frames, n, 3)))

    ions = np.cumsum(hops(IONS, 1 - SHARED) + hops(1, SHARED), axis=0)
    return ions + relaxing(rng, (frames, IONS, 3), 0.2, 0.3, dt_ps)


HAVEN = 1 / (1 - SHARED + IONS * SHARED)
PROCESSES = {
    # name: (generator of one seed's positions, time between frames in ps)
    'caged': (caged, 0.1),
    'inertial': (inertial, 0.05),
    'hopping': (hopping, 0.1),
    'anisotropic': (anisotropic, 0.1),
}
