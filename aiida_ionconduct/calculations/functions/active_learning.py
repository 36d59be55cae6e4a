"""Where a committee of potentials disagrees: calibration against true errors, and the choice of frames to label."""

from __future__ import annotations

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms
from scipy.spatial.distance import cdist

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.structures import minimum_distances, minimum_distances_of, radial_distribution

NO_NUMBER_EV_PER_A = 1e6  # in the place of a force that is no number
FINGERPRINT_R_MAX_A, FINGERPRINT_BIN_A = 5.0, 0.25
DISAGREEMENT, GATE, NO_NEW_ENVIRONMENTS, BUDGET = 'disagreement', 'gate', 'no_new_environments', 'budget'


def committee_spread(forces: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the force on every atom over a committee, (frames, atoms), eV/Å.

    :param forces: (members, …, 3), eV/Å.
    """
    variance = forces.var(axis=0, ddof=1).sum(axis=-1)
    return np.sqrt(variance)


def calibration_factor(forces: np.ndarray, reference: np.ndarray) -> float:
    """Return by what the spread of a committee is to be multiplied to be the error of its mean, both as RMS over atoms.

    A committee that shares a training set shares its errors too, so its members differ by less than they err.

    :param forces: (members, atoms, 3), eV/Å, of held-out frames.
    :param reference: (atoms, 3), by DFT.
    """
    error = ((forces.mean(axis=0) - reference) ** 2).sum(axis=-1).mean()
    spread = (committee_spread(forces) ** 2).mean()
    return float(np.sqrt(error / spread)) if spread > 0 else 1.0


def fingerprint(positions: np.ndarray, symbols: list[str], cell: np.ndarray) -> np.ndarray:
    """Return what tells one arrangement of atoms from another: the pair distribution functions, one after the other."""
    g = radial_distribution(positions[None], symbols, cell, FINGERPRINT_R_MAX_A, bin_width=FINGERPRINT_BIN_A)
    return np.concatenate([g[pair] for pair in sorted(g)])


def farthest_points(points: np.ndarray, known: np.ndarray, first: int, n_points: int) -> list[int]:
    """Return indices of points far from each other and from what is known, the farthest next each time.

    :param points: (n, dimensions).
    :param known: (m, dimensions), m may be 0.
    :param first: index to begin with.
    """
    chosen = [first]
    distances = np.full(len(points), np.inf)
    for one in (*known, points[first]):
        distances = np.minimum(distances, np.linalg.norm(points - one, axis=1))
    while len(chosen) < min(n_points, len(points)) and distances.max() > 0:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


@calcfunction
def select_frames(
    parameters: orm.Dict,
    candidates: orm.TrajectoryData,
    predictions: orm.ArrayData,
    dataset: DatasetData,
    **parities: orm.ArrayData,
):
    """Judge how well a committee knows some frames, and choose those worth a label.

    The disagreement of a frame is the largest spread of a force on one of its atoms, times the factor by which the
    committee's spread on held-out frames falls short of its error there. Frames above a threshold are uncertain; those
    far above it, or with atoms closer than anything sensible, have left physics and teach nothing.

    :param parameters: ``threshold_eV_per_A``, ``max_disagreement_eV_per_A``, ``max_uncertain_fraction``,
        ``distance_fraction`` (of the shortest distances in the training set), ``n_frames`` to choose; and whether the
        ``budget_is_spent`` and the ``gate_is_passed``.
    :param predictions: forces of every member on the candidates.
    :param dataset: what the committee was trained on.
    :param parities: predictions of every member on the held-out frames.
    :return: ``report``, in it by what the loop has ``ended_by`` (None while it goes on), and ``frames`` to label.
    """
    p = parameters.get_dict()
    names = sorted(name for name in predictions.get_arraynames() if name.startswith('forces_'))
    reference = next(iter(parities.values())).get_array('forces_reference')
    held_out = np.array([node.get_array('forces_predicted') for _, node in sorted(parities.items())])
    factor = calibration_factor(held_out, reference)
    spread = committee_spread(np.array([predictions.get_array(name) for name in names]))
    spread = np.nan_to_num(spread, nan=NO_NUMBER_EV_PER_A, posinf=NO_NUMBER_EV_PER_A)
    disagreement = factor * spread.max(axis=1)
    uncertain = disagreement > p['threshold_eV_per_A']

    symbols, frames = list(candidates.symbols), dataset.get_frames()
    positions, cells = candidates.get_positions(), candidates.get_cells()
    physical = (disagreement <= p['max_disagreement_eV_per_A']) & reachable(
        positions, cells, symbols, frames, p['distance_fraction']
    )
    chosen, ended_by = [], None
    novelty = np.array([])
    if uncertain.mean() <= p['max_uncertain_fraction']:
        ended_by = DISAGREEMENT
    elif p.get('gate_is_passed'):
        ended_by = GATE
    elif (uncertain & physical).any():
        worth = np.flatnonzero(uncertain & physical)
        known = np.array([fingerprint(f.positions, symbols, f.cell.array) for f in frames if same_species(f, symbols)])
        points = np.array([fingerprint(positions[index], symbols, cells[index]) for index in worth])
        novelty = novelties(points, known)
        if (novelty <= 1).all():
            ended_by = NO_NEW_ENVIRONMENTS
        elif p['budget_is_spent']:
            ended_by = BUDGET
        else:
            first = int(disagreement[worth].argmax())
            chosen = [int(worth[index]) for index in farthest_points(points, known, first, p['n_frames'])]
    elif p['budget_is_spent']:
        ended_by = BUDGET
    report = {
        'ended_by': ended_by,
        'calibration_factor': factor,
        'n_candidates': len(disagreement),
        'n_uncertain': int(uncertain.sum()),
        'n_unphysical': int((uncertain & ~physical).sum()),
        'n_chosen': len(chosen),
        'chosen': chosen,
        'median_disagreement_eV_per_A': float(np.median(disagreement)),
        'rms_disagreement_eV_per_A': float(factor * np.sqrt((spread**2).mean())),
        'max_disagreement_eV_per_A': float(disagreement.max()),
        'max_novelty': float(novelty.max()) if np.isfinite(novelty).all() and len(novelty) else None,
    }
    outputs = {'report': orm.Dict(report)}
    if chosen:
        outputs['frames'] = frames_to_trajectory(
            [Atoms(symbols, positions=positions[index], cell=cells[index], pbc=True) for index in chosen]
        )
    return outputs


def same_species(frame: Atoms, symbols: list[str]) -> bool:
    """Whether a frame has the species of the candidates, so that fingerprints can be compared."""
    return set(frame.symbols) == set(symbols)


def reachable(positions, cells, symbols: list[str], frames: list[Atoms], fraction: float) -> np.ndarray:
    """Return which candidates have no pair of species closer than a fraction of the shortest distance seen by DFT."""
    shortest = minimum_distances_of(frames)
    candidates = [minimum_distances(frame[None], symbols, cell) for frame, cell in zip(positions, cells, strict=True)]
    return np.array(
        [
            all(distance >= fraction * shortest.get(pair, 0) for pair, distance in distances.items())
            for distances in candidates
        ]
    )


def novelties(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how far each point is from the nearest known one, in units of the distances among the known ones.

    :return: (n,), 1 where a point is as far as the loneliest tenth of what is known is from its nearest neighbour.
    """
    if len(known) < 2:
        return np.full(len(points), np.inf)
    among = cdist(known, known)
    np.fill_diagonal(among, np.inf)
    usual = np.quantile(among.min(axis=1), 0.9)
    nearest = cdist(points, known).min(axis=1)
    return nearest / usual if usual > 0 else np.full(len(points), np.inf)
