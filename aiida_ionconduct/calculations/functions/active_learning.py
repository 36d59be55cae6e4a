"""Where a committee of potentials disagrees: calibration against true errors, and the choice of frames to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

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
from aiida_ionconduct.structures import minimum_distances_of

Ending = Literal['disagreement', 'gate', 'no_new_environments', 'budget']
"""Why the loop ends: the committee agrees, the gate is passed, no environment is new, or the budget is spent."""
DISAGREEMENT: Final = 'disagreement'
GATE: Final = 'gate'
NO_NEW_ENVIRONMENTS: Final = 'no_new_environments'
BUDGET: Final = 'budget'
NO_NUMBER_EV_PER_A = 1e6  # takes the place of a force that is not a number


@calcfunction
def select_frames(
    parameters: orm.Dict,
    candidates: orm.TrajectoryData,
    predictions: orm.ArrayData,
    dataset: DatasetData,
    **parities: orm.ArrayData,
) -> dict[str, Any]:
    """Judge how well a committee knows some frames, and choose the frames worth a label.

    The disagreement of a frame is the largest spread of a force on one of its atoms, times the factor by which the
    committee's spread on held-out frames falls short of its error there. Frames above a threshold are uncertain; frames
    far above it, or with atoms closer than anything sensible, are unphysical and teach nothing.

    :param parameters: ``threshold_eV_per_A``, ``max_disagreement_eV_per_A``, ``max_uncertain_fraction``,
        ``distance_fraction`` (of the shortest distances in the training set), ``n_frames`` to choose; and whether the
        ``budget_is_spent`` and the ``gate_is_passed``.
    :param candidates: frames of molecular dynamics with the potential, unlabelled.
    :param predictions: forces of every member on the candidates.
    :param dataset: what the committee was trained on.
    :param parities: predictions of every member on the held-out frames.
    :return: ``report``, which states by what the loop has ``ended_by`` (None while it goes on), and ``frames`` to label
        where some were chosen.
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

    pool = [
        Atoms(candidates.symbols, positions=positions, cell=cell, pbc=True)
        for positions, cell in zip(candidates.get_positions(), candidates.get_array('cells'), strict=True)
    ]
    frames = dataset.get_frames()
    physical = (disagreement <= p['max_disagreement_eV_per_A']) & _reachable(pool, frames, p['distance_fraction'])
    ended_by, chosen, novelty = _end_or_choose(pool, frames, disagreement, uncertain=uncertain, physical=physical, p=p)
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
    outputs: dict[str, Any] = {'report': orm.Dict(report)}
    if chosen:
        outputs['frames'] = frames_to_trajectory([pool[index] for index in chosen])
    return outputs


def _end_or_choose(
    pool: Sequence[Atoms],
    frames: Sequence[Atoms],
    disagreement: np.ndarray,
    *,
    uncertain: np.ndarray,
    physical: np.ndarray,
    p: Mapping[str, Any],
) -> tuple[Ending | None, list[int], np.ndarray]:
    """Return by what the loop ends, or else the indices of frames to label; and the novelty of frames worth a label.

    :param pool: candidates.
    :param frames: of the training set.
    :param disagreement: (candidates,), eV/Å, as are ``uncertain`` and ``physical``.
    :param p: parameters of :func:`select_frames`.
    """
    worth = np.flatnonzero(uncertain & physical).tolist()
    if uncertain.mean() <= p['max_uncertain_fraction']:
        return DISAGREEMENT, [], np.array([])
    if p.get('gate_is_passed'):
        return GATE, [], np.array([])
    if not worth:
        return (BUDGET if p['budget_is_spent'] else None), [], np.array([])
    # Fingerprints can be compared between frames of the same species only.
    known = np.array([_fingerprint(frame) for frame in frames if set(frame.symbols) == set(pool[0].symbols)])
    points = np.array([_fingerprint(pool[index]) for index in worth])
    novelty = novelties(points, known)
    if (novelty <= 1).all():
        return NO_NEW_ENVIRONMENTS, [], novelty
    if p['budget_is_spent']:
        return BUDGET, [], novelty
    first = int(disagreement[worth].argmax())
    return None, [worth[index] for index in farthest_points(points, known, first, p['n_frames'])], novelty


def _fingerprint(frame: Atoms) -> np.ndarray:
    """Return the fingerprint of a frame."""
    return fingerprint(frame.positions, list(frame.symbols), frame.cell.array)


def _reachable(pool: Sequence[Atoms], frames: Sequence[Atoms], fraction: float) -> np.ndarray:
    """Return which candidates have no pair of species closer than a fraction of the shortest distance seen by DFT."""
    shortest = minimum_distances_of(frames)
    distances = (minimum_distances_of([frame]) for frame in pool)
    return np.array(
        [all(distance >= fraction * shortest.get(pair, 0) for pair, distance in by.items()) for by in distances]
    )
