"""Where a committee of potentials disagrees: calibration against true errors, and the choice of frames to label."""

from __future__ import annotations

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms

from aiida_ionconduct.allegro.committee import (
    calibration_factor,
    committee_spread,
    farthest_points,
    fingerprint,
    novelties,
)
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.structures import minimum_distances, minimum_distances_of

NO_NUMBER_EV_PER_A = 1e6  # in the place of a force that is no number
DISAGREEMENT, GATE, NO_NEW_ENVIRONMENTS, BUDGET = 'disagreement', 'gate', 'no_new_environments', 'budget'


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
