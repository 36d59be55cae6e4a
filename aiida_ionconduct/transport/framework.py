"""Which species are at rest: the framework that tracers move through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.estimators.results import mean_and_error
from aiida_ionconduct.transport.masses import atomic_mass

# Frames of each run, evenly spread, that the species are judged by.
FRAMES = 200
# A species is at rest if its slope is below this share of the fastest one: what it moves then hardly moves its centre.
SLOW = 0.1
CONFIDENCE = 0.99
MIN_FRAMES = 8  # of a run, below which nothing is seen


def choose_framework(
    trajectories: Sequence[np.ndarray],
    symbols: Sequence[str],
    mobile: Sequence[str],
    *,
    framework: Sequence[str] | None = None,
    masses: Mapping[str, float] | None = None,
) -> list[str]:
    """Return the species whose centre of mass tracers are followed against, in the order of the symbols.

    :param trajectories: (frames, atoms, 3), Å, one per seed.
    :param framework: the species, where the user names them; none of them for the barycentric frame.
    :return: empty for the barycentric frame.
    :raises ValueError: if a named species is absent or mobile.
    """
    others = [symbol for symbol in dict.fromkeys(symbols) if symbol not in mobile]
    if framework is None:
        return at_rest(trajectories, symbols, others, masses)
    if wrong := sorted(set(framework) - set(others)):
        raise ValueError(
            f'the framework cannot hold {", ".join(wrong)}: choose among {", ".join(others) or "no species"}, the '
            'species that are not mobile.'
        )
    return [symbol for symbol in others if symbol in framework]


def at_rest(
    trajectories: Sequence[np.ndarray],
    symbols: Sequence[str],
    candidates: Sequence[str],
    masses: Mapping[str, float] | None = None,
) -> list[str]:
    """Return the candidates that do not diffuse.

    The atoms of a species are followed relative to their own centre of mass, so that no frame of reference is needed.
    A species of one atom is followed relative to the others that are at rest, or to all atoms. Where all runs are too
    short to see anything, all candidates are taken to be at rest.

    :param trajectories: (frames, atoms, 3), Å, one per seed.
    :param candidates: species among the symbols.
    """
    trajectories = [positions for positions in trajectories if len(positions) >= MIN_FRAMES]
    if not trajectories:
        return list(candidates)
    kinds = np.array(symbols)
    weights = np.array([atomic_mass(symbol, masses) for symbol in symbols])
    runs = [positions[:: max(1, len(positions) // FRAMES)].astype(float) for positions in trajectories]
    counts = {symbol: int((kinds == symbol).sum()) for symbol in dict.fromkeys(symbols)}
    slopes = {symbol: _slope(runs, kinds == symbol, kinds == symbol, weights) for symbol, n in counts.items() if n > 1}
    fastest = max((slope for slope, _ in slopes.values()), default=0.0)

    def rests(slope: float, error: float) -> bool:
        return slope <= error or slope <= SLOW * fastest

    resting = [symbol for symbol in candidates if counts[symbol] > 1 and rests(*slopes[symbol])]
    reference = np.isin(kinds, resting) if resting else np.ones(len(kinds), dtype=bool)
    alone = [
        symbol
        for symbol in candidates
        if counts[symbol] == 1 and rests(*_slope(runs, kinds == symbol, reference, weights))
    ]
    return [symbol for symbol in candidates if symbol in resting or symbol in alone]


def tracer_frame(species: Sequence[str], mobile: Sequence[str], framework: Sequence[str]) -> str:
    """Return the frame of reference of the tracer in words.

    :param species: all species.
    :param framework: none of them for the barycentric frame.
    """
    left_out = sorted(set(species) - {*mobile, *framework})
    also = f'; {", ".join(left_out)} may diffuse as well' if left_out else ''
    if not framework:
        return f'relative to the centre of mass of all atoms{also}'
    return f'relative to the centre of mass of {", ".join(sorted(framework))}{also}'


def _slope(
    runs: list[np.ndarray], atoms: np.ndarray, reference: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """Return the slope of the MSD of atoms between an eighth and a quarter of the runs, and its one-sided error.

    :param reference: (atoms,), the atoms whose centre of mass is the origin.
    :param weights: (atoms,), masses.
    """
    samples = []
    for positions in runs:
        centre = np.einsum('tax,a->tx', positions[:, reference], weights[reference] / weights[reference].sum())
        lag = max(1, len(positions) // 8)
        with np.errstate(invalid='ignore'):  # values that are not finite are refused elsewhere, by name
            relative = positions[:, atoms] - centre[:, None]
            near, far = (((relative[k:] - relative[:-k]) ** 2).mean(axis=0) for k in (lag, 2 * lag))
            samples.append((far - near).ravel())
    values = np.concatenate(samples)
    count = atoms.sum()
    own = count / (count - 1) if (atoms == reference).all() else 1.0
    mean, error, dof = mean_and_error(values * own)
    return mean, float(stats.t.ppf(CONFIDENCE, dof) * error)
