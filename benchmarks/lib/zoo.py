"""The processes of known diffusivity that `coverage.py` puts every estimator to.

Lengths are in Å and times in ps. Each process draws the positions (frames, n, d) of one campaign, an array for each
seed, and knows the diffusivity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from lib.processes import anisotropic as anisotropic_seed
from lib.processes import brownian, relaxing

Tracks = list[np.ndarray]
Rng = np.random.Generator


class Process(NamedTuple):
    """A process: ``draw`` the positions of all seeds; ``dt_ps`` between frames; ``truth``, the diffusivity in Å²/ps.

    ``fresh``: whether the process was written after the constants of the estimators were chosen. ``haven`` is the Haven
    ratio, where the particles are ions whose sum is analysed, too.
    """

    draw: Callable[[Rng], Tracks]
    truth: float
    dt_ps: float = 0.1
    fresh: bool = False
    haven: float | None = None


def oscillating(
    rng: Rng, shape: tuple[int, ...], amplitude: float, *, THz: float, damping_ps: float, dt_ps: float
) -> np.ndarray:
    """Return an oscillation with damped phase memory: M(t) = amplitude (1 - cos(2 pi THz t) exp(-t/damping_ps))."""
    turn = np.exp((2j * np.pi * THz - 1 / damping_ps) * dt_ps)
    size = np.sqrt(amplitude / 2 * (1 - abs(turn) ** 2))
    noise = size * (rng.normal(0, 1, shape) + 1j * rng.normal(0, 1, shape))
    noise[0] /= np.sqrt(1 - abs(turn) ** 2)
    motion: np.ndarray = lfilter([1], [1, -turn], noise, axis=0).real
    return motion


def inertial(rng: Rng, shape: tuple[int, ...], time_ps: float, dt_ps: float) -> np.ndarray:
    """Return Langevin dynamics with inertia, D = 1 Å²/ps, exact (Gillespie 1996, 10.1103/PhysRevE.54.2084)."""
    decay, rate = np.exp(-dt_ps / time_ps), dt_ps / time_ps
    covariance = np.array([[1 - decay**2, (1 - decay) ** 2], [(1 - decay) ** 2, 2 * rate - 3 + 4 * decay - decay**2]])
    factor = np.linalg.cholesky(covariance) * np.sqrt([[1 / time_ps], [time_ps]])
    kick, push = np.einsum('ij,j...->i...', factor, rng.normal(0, 1, (2, *shape)))
    kick[0] = rng.normal(0, np.sqrt(1 / time_ps), shape[1:])
    velocity = lfilter([1], [1, -decay], kick, axis=0)
    steps = velocity[:-1] * time_ps * (1 - decay) + push[1:]
    return np.concatenate((np.zeros((1, *shape[1:])), np.cumsum(steps, axis=0)))


def gaussian(
    D: float = 1.0,
    relaxations: Sequence[tuple[float, float]] = (),
    *,
    length_ps: float = 340.0,
    dt_ps: float = 0.1,
    seeds: int = 4,
    components: int = 3,
    inertia_ps: float | None = None,
    scatter: float = 0.0,
    oscillation: tuple[float, float, float] | None = None,
    fresh: bool = False,
) -> Process:
    """Return diffusion with relaxations, each of an amplitude and a time, in one to many independent components.

    :param scatter: standard deviation of the logarithm of D between seeds, in which the relaxations share.
    :param oscillation: amplitude, frequency in THz, and damping time.
    """
    particles = max(components // 3, 1)
    shape = (round(length_ps / dt_ps) + 1, particles, min(components, 3))

    def draw(rng: Rng) -> Tracks:
        tracks = []
        for _ in range(seeds):
            if inertia_ps:
                motion = np.sqrt(D) * inertial(rng, shape, inertia_ps, dt_ps)
            else:
                motion = brownian(rng, shape, D, dt_ps)
            for amplitude, time_ps in relaxations:
                motion += relaxing(rng, shape, amplitude, time_ps, dt_ps)
            if oscillation:
                amplitude, THz, damping_ps = oscillation
                motion += oscillating(rng, shape, amplitude, THz=THz, damping_ps=damping_ps, dt_ps=dt_ps)
            tracks.append(motion * np.exp(rng.normal(0, scatter) / 2 - scatter**2 / 4))
        return tracks

    return Process(draw, D, dt_ps, fresh)


def _poisson_hops(rng: Rng, shape: tuple[int, ...], D: float, dt_ps: float, hop_A: float) -> np.ndarray:
    """Return the steps of hops of a length along each component, with no memory."""
    mean = D / hop_A**2 * dt_ps
    steps: np.ndarray = hop_A * (rng.poisson(mean, shape) - rng.poisson(mean, shape)).astype(float)
    return steps


SEEDS = 4  # of a campaign, where not stated otherwise
VIBRATION = (0.2, 0.3)  # amplitude in Å² and time in ps


def rare_hops(ions: int = 48, hops: int = 40, length_ps: float = 300.0, seeds: int = 4) -> Process:
    """Return few hops of 2.5 Å in a run, and vibrations."""
    dt_ps, hop_A = 0.1, 2.5
    shape = (round(length_ps / dt_ps) + 1, ions, 3)
    D = hops / length_ps / ions * hop_A**2 / 6

    def draw(rng: Rng) -> Tracks:
        return [
            np.cumsum(_poisson_hops(rng, shape, D, dt_ps, hop_A), axis=0) + relaxing(rng, shape, *VIBRATION, dt_ps)
            for _ in range(seeds)
        ]

    return Process(draw, D, dt_ps)


def returning_hops(
    ions: int = 24, rate: float = 0.02, share: float = 0.7, time_ps: float = 5.0, length_ps: float = 340.0
) -> Process:
    """Return hops at a rate per ion and ps, of which a share is taken back after a random time of a mean."""
    dt_ps, hop_A, n_frames = 0.1, 2.5, round(length_ps / 0.1) + 1

    def seed(rng: Rng) -> np.ndarray:
        warm = 10 * time_ps
        n = rng.poisson(rate * ions * (length_ps + warm))
        time, ion = rng.uniform(-warm, length_ps, n), rng.integers(0, ions, n)
        step = hop_A * rng.choice([-1, 1], n)[:, None] * np.eye(3)[rng.integers(0, 3, n)]
        back = rng.random(n) < share
        time = np.concatenate((time, (time + rng.exponential(time_ps, n))[back]))
        ion, step = np.concatenate((ion, ion[back])), np.concatenate((step, -step[back]))
        frame = np.ceil(time / dt_ps).astype(int)
        inside = (frame > 0) & (frame < n_frames)
        steps = np.zeros((n_frames, ions, 3))
        np.add.at(steps, (frame[inside], ion[inside]), step[inside])
        return np.cumsum(steps, axis=0) + relaxing(rng, steps.shape, *VIBRATION, dt_ps)

    return Process(lambda rng: [seed(rng) for _ in range(4)], rate * (1 - share) * hop_A**2 / 6, dt_ps)


def shared_hops(ions: int = 12, shared: float = 0.2, length_ps: float = 200.0, *, fresh: bool = False) -> Process:
    """Return ions that hop by 2.5 Å, alone and all together, and vibrate: D* = 1 Å²/ps.

    A share of each ion's hops is that of all, so D_sigma = (1 - shared + ions × shared) D*.
    """
    dt_ps, hop_A = 0.1, 2.5

    def draw(rng: Rng) -> Tracks:
        frames, tracks = round(length_ps / dt_ps) + 1, []
        for _ in range(4):
            own = _poisson_hops(rng, (frames, ions, 3), 1 - shared, dt_ps, hop_A)
            common = _poisson_hops(rng, (frames, 1, 3), shared, dt_ps, hop_A)
            tracks.append(np.cumsum(own + common, axis=0) + relaxing(rng, own.shape, *VIBRATION, dt_ps))
        return tracks

    return Process(draw, 1.0, dt_ps, fresh, haven=1 / (1 - shared + ions * shared))


def two_sublattices(fast: int = 8, slow: int = 24, ratio: float = 30.0) -> Process:
    """Return ions of which some diffuse faster than the others, D = 1 Å²/ps on average, each with its own cage."""
    dt_ps = 0.1
    D_slow = (fast + slow) / (fast * ratio + slow)

    def draw(rng: Rng) -> Tracks:
        tracks = []
        for _ in range(4):
            parts = [
                brownian(rng, (2001, count, 3), D, dt_ps) + relaxing(rng, (2001, count, 3), 0.5, time_ps, dt_ps)
                for count, D, time_ps in ((fast, ratio * D_slow, 0.5), (slow, D_slow, 5.0))
            ]
            tracks.append(np.concatenate(parts, axis=1))
        return tracks

    return Process(draw, 1.0, dt_ps, fresh=True)


def barriers(rates: Sequence[float] = (2.0, 0.5, 0.05, 1.0), ions: int = 16, length_ps: float = 400.0) -> Process:
    """Return hops along chains of equal sites with a period of barriers: D = hop²/mean of the inverse rates."""
    dt_ps, hop_A, forward = 0.1, 1.5, np.array(rates)
    backward = np.roll(forward, 1)
    inner = 4  # steps between frames

    def draw(rng: Rng) -> Tracks:
        n = (round(length_ps / dt_ps) + 1, SEEDS * ions, 1)
        site, positions = rng.integers(0, 400, n[1:]), np.empty(n)
        for frame in range(n[0]):
            for _ in range(inner):
                right, left = forward[site % len(rates)], backward[site % len(rates)]
                total = right + left
                hops = rng.random(n[1:]) < -np.expm1(-total * dt_ps / inner)
                site = site + np.where(hops, np.where(rng.random(n[1:]) * total < right, 1, -1), 0)
            positions[frame] = site * hop_A
        return np.split(positions + relaxing(rng, n, *VIBRATION, dt_ps), SEEDS, axis=1)

    return Process(draw, hop_A**2 / np.mean(1 / forward), dt_ps, fresh=True)


def cosine_potential(height_kT: float = 2.5, components: int = 24, length_ps: float = 300.0) -> Process:
    """Return overdamped motion in a cosine potential: D = D0/I0(height/2)² (Festa and d'Agliano 1978).

    :param height_kT: from the minimum to the maximum of the potential.
    """
    dt_ps, period, D0, inner = 0.1, 3.0, 1.0, 10
    wave, half = 2 * np.pi / period, height_kT / 2

    def draw(rng: Rng) -> Tracks:
        n, step, all_components = round(length_ps / dt_ps) + 1, dt_ps / inner, SEEDS * components
        places = np.linspace(0, period, 400)
        weights = np.exp(-half * np.cos(wave * places))
        x = rng.choice(places, all_components, p=weights / weights.sum())
        positions = np.empty((n, all_components, 1))
        for frame in range(n):
            for noise in rng.normal(0, np.sqrt(2 * D0 * step), (inner, all_components)):
                # Heun's rule for dx = half wave sin(wave x) D0 dt + noise
                force = D0 * half * wave * np.sin(wave * x)
                guess = x + force * step + noise
                x = x + (force + D0 * half * wave * np.sin(wave * guess)) / 2 * step + noise
            positions[frame, :, 0] = x
        return np.split(positions, SEEDS, axis=1)

    return Process(draw, D0 / np.i0(half) ** 2, dt_ps, fresh=True)


def traps(ions: int = 20, length_ps: float = 300.0) -> Process:
    """Return hops with waiting times of 1 ps, or 20 ps at every tenth site: bursts; D = hop²/(6 mean waiting time)."""
    dt_ps, hop_A, times, probabilities = 0.1, 2.5, np.array([1.0, 20.0]), np.array([0.9, 0.1])

    def draw(rng: Rng) -> Tracks:
        n = round(length_ps / dt_ps) + 1
        occupied = times * probabilities / (times @ probabilities)
        steps, trapped = np.zeros((n, SEEDS * ions, 3)), rng.random(SEEDS * ions) < occupied[1]
        for frame in range(1, n):
            hops = np.flatnonzero(rng.random(SEEDS * ions) < -np.expm1(-dt_ps / times[trapped.astype(int)]))
            axis, sign = rng.integers(0, 3, len(hops)), rng.choice([-1, 1], len(hops))
            steps[frame, hops, axis] = hop_A * sign
            trapped[hops] = rng.random(len(hops)) < probabilities[1]
        tracks = np.cumsum(steps, axis=0) + relaxing(rng, steps.shape, *VIBRATION, dt_ps)
        return np.split(tracks, SEEDS, axis=1)

    # A frame sees at most one hop, with the probability 1 - exp(-dt/t).
    mean = (probabilities / -np.expm1(-dt_ps / times)).sum() * dt_ps
    return Process(draw, hop_A**2 / 6 / mean, dt_ps, fresh=True)


def network(ions: int = 10, length_ps: float = 300.0) -> Process:
    """Return ions that move apart faster than together: D* = 1 Å²/ps and a Haven ratio above 1, with back-hops.

    Each ion follows a part of its own, of which the mean over the ions is mostly taken out: the sum moves with a
    quarter of the diffusivity that independent ions would have.
    """
    dt_ps, kept = 0.1, 0.25
    D = 1 / (1 - (1 - kept) / ions)

    def draw(rng: Rng) -> Tracks:
        shape, tracks = (round(length_ps / dt_ps) + 1, ions, 3), []
        for _ in range(4):
            own = brownian(rng, shape, D, dt_ps) + relaxing(rng, shape, 1.5, 6.0, dt_ps)
            tracks.append(own - (1 - np.sqrt(kept)) * own.mean(axis=1, keepdims=True))
        return tracks

    return Process(draw, 1.0, dt_ps, fresh=True, haven=1 / (kept * D))


def _stretched(low: float, high: float, count: int, power: float) -> list[tuple[float, float]]:
    """Return relaxations whose amplitudes rise with a power of their times."""
    return [(0.3 * time**power, time) for time in np.geomspace(low, high, count)]


THREE = ((0.5, 0.3), (0.6, 4.0), (1.0, 30.0))
BACK_HOPS = ((1.0, 20.0), (0.3, 0.3))
SLOW_BACK_HOPS = ((1.0, 50.0), (0.3, 0.3))
PROCESSES: dict[str, Process] = {
    'white': gaussian(),
    'caged': gaussian(relaxations=[(3, 2)]),
    'caged, 24 components': gaussian(relaxations=[(3, 2)], components=24),
    'caged, 60 ps, 8 seeds': gaussian(relaxations=[(3, 2)], length_ps=60, seeds=8),
    'caged, 1 ns, 2 seeds': gaussian(relaxations=[(3, 2)], length_ps=1000, dt_ps=0.2, seeds=2),
    'inertia': gaussian(inertia_ps=0.5, length_ps=200, dt_ps=0.05),
    'inertia, 90 components': gaussian(inertia_ps=0.5, length_ps=200, components=90),
    'anisotropic': Process(lambda rng: [anisotropic_seed(rng) for _ in range(4)], 1.0),
    'shared hops': shared_hops(),
    'relaxations of 0.5 and 15 ps': gaussian(0.5, [(1, 0.5), (1, 15)], length_ps=300, seeds=6),
    'back-hops, 20 ps': gaussian(0.1, BACK_HOPS, components=48),
    'back-hops, 20 ps, 8 seeds': gaussian(0.1, BACK_HOPS, components=12, seeds=8),
    'back-hops, 50 ps, 1 ns': gaussian(0.1, SLOW_BACK_HOPS, length_ps=1000, dt_ps=0.2, components=48),
    'back-hops, 50 ps, 200 ps': gaussian(0.02, SLOW_BACK_HOPS, length_ps=200, components=120),
    'cage, 40 ps, 1 component': gaussian(relaxations=[(30, 40)], length_ps=400, components=1),
    'cage, 40 ps': gaussian(relaxations=[(30, 40)], length_ps=400),
    'cage, 40 ps, 1.6 ns': gaussian(relaxations=[(30, 40)], length_ps=1600, dt_ps=0.4),
    'rare hops': rare_hops(),
    'rare hops, 10 a run': rare_hops(hops=10),
    'returning hops': returning_hops(),
    'seeds scatter by 30 %': gaussian(relaxations=[(3, 2)], length_ps=1000, dt_ps=0.2, scatter=0.3),
    'seeds scatter by 30 %, 16 ions': gaussian(
        relaxations=[(3, 2)], length_ps=1000, dt_ps=0.2, scatter=0.3, components=48
    ),
    'seeds scatter by 20 %': gaussian(relaxations=[(3, 2)], length_ps=200, scatter=0.2),
    'stretched': gaussian(0.3, _stretched(0.2, 50, 12, 0.3), length_ps=600, dt_ps=0.2, components=24),
    'stretched, full': gaussian(0.3, _stretched(0.2, 50, 12, 0.3), length_ps=600, dt_ps=0.2),
    'three relaxations': gaussian(0.2, THREE, length_ps=500, components=30),
    'oscillation': gaussian(0.3, [(0.5, 5)], oscillation=(0.5, 3, 0.3), length_ps=300, components=24),
    'barriers': barriers(),
    'cosine potential': cosine_potential(),
    'traps': traps(),
    'two sublattices': two_sublattices(),
    'network': network(),
    'seeds scatter by 10 %, back-hops': gaussian(0.1, BACK_HOPS, scatter=0.1, components=30),
    'shared hops, few ions': shared_hops(ions=6, shared=0.1, fresh=True),
}
