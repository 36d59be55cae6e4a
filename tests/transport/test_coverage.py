"""Do intervals cover the truth as often as they say? The caged process of known D = 1 Å²/ps, and Haven ratios.

``python -m pytest tests/transport/test_coverage.py -rP`` prints the table.
"""

import numpy as np
import pytest

from aiida_ionconduct.transport import analyse, diffusivity

pytestmark = pytest.mark.slow
REPLICAS = 200


def coverage(estimates, truth):
    """Return the fractions of the 68.3 % and 95 % intervals that hold the truth."""
    levels = []
    for level in (0.6827, 0.95):
        bounds = np.array([estimate.interval(level) for estimate in estimates])
        levels.append(np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])))
    return levels


# The caging time is 2 ps. Runs of few caging times and particles cannot tell caging from diffusion and overestimate:
# their 95 % intervals hold, but the truth lies below most of their 68 % intervals.
TOO_SHORT, LONG = 0.2, 0.6


@pytest.mark.parametrize(
    ('seeds', 'length_ps', 'particles', 'alike', 'least'),
    [
        (4, 5, 1, 1, TOO_SHORT),
        (4, 10, 1, 1, TOO_SHORT),
        (4, 10, 8, 1, LONG),
        (4, 10, 8, 8, TOO_SHORT),
        (4, 40, 1, 1, LONG),
        (4, 340, 1, 1, LONG),
        (1, 10, 8, 1, TOO_SHORT),
        (1, 40, 1, 1, TOO_SHORT),
    ],
)
def test_caged_walk(caged_walk, seeds, length_ps, particles, alike, least):
    """Intervals cover the truth; ``alike`` copies of a particle are no independent samples.

    ``least`` is the least coverage of the 68 % intervals.
    """
    rng, estimates = np.random.default_rng(42), []
    for _ in range(REPLICAS):
        tracks = caged_walk(rng, (seeds, particles // alike), length_ps)
        estimates.append(diffusivity(list(np.repeat(tracks, alike, axis=2)), 0.1))
    c68, c95 = coverage(estimates, 1e-4)
    slopes = np.array([estimate.diagnostics['slope'] for estimate in estimates]) * 1e4
    given = np.mean([estimate.value is not None for estimate in estimates])
    print(
        f'{seeds} seeds × {length_ps} ps, {particles} particles ({alike} alike): 68 % {c68:.3f}, 95 % {c95:.3f}, '
        f'bias {slopes.mean() - 1:+.3f}, RMSE {np.sqrt(np.mean((slopes - 1) ** 2)):.3f}, a number in {given:.2f}'
    )
    assert c95 > 0.90
    assert c68 > least


def test_caged_without_diffusion(caged_walk):
    """Particles that only rattle seldom give a number: about a quarter of single particles in runs of five cages do."""
    rng, estimates = np.random.default_rng(7), []
    for _ in range(REPLICAS):
        estimates.append(diffusivity(list(caged_walk(rng, (4, 1), 10, D=0.0)), 0.1))
    false = np.mean([estimate.value is not None for estimate in estimates])
    print(f'a number for a caged particle in {false:.3f}')
    assert false < 0.35


@pytest.mark.parametrize('shared', [0.0, 0.3])
def test_haven_ratio(salt, shared):
    """Independent hoppers: 1. A shared mode: D* / [(1 - shared) D + N shared D]."""
    rng, ions, results = np.random.default_rng(3), 12, []
    for _ in range(REPLICAS // 2):
        results.append(analyse(**salt(rng, frames=500, ions=ions, shared=shared)))
    truth = 1 / (1 - shared + ions * shared)
    havens = [result.haven_ratio for result in results if result.haven_ratio is not None]
    c68, c95 = coverage(havens, truth)
    values = np.array([haven.value for haven in havens])
    print(f'Haven {truth:.3f}: median {np.median(values):.3f}, 68 % {c68:.3f}, 95 % {c95:.3f}, {len(havens)} numbers')
    assert len(havens) > 0.85 * len(results)
    assert np.median(values) == pytest.approx(truth, rel=0.15)
    assert c68 > 0.58
    assert c95 > 0.90
