"""Sampling by a pretrained potential: cells and tasks, frames for DFT, and the energy shifts between the two."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms

from aiida_ionconduct.allegro.shifts import fit_energy_shifts as fit_shifts
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.sampling.diversity import diverse_frames
from aiida_ionconduct.sampling.tasks import sampling_plan
from aiida_ionconduct.structures import minimum_distances_of


@calcfunction
def plan_sampling(structure: orm.StructureData, parameters: orm.Dict, **orderings: orm.StructureData) -> dict[str, Any]:
    """Return the cells from which a pretrained potential samples, and the tasks that start from them.

    :param structure: the crystal, relaxed.
    :param parameters: of :func:`~aiida_ionconduct.sampling.tasks.sampling_plan`; and ``mobile`` and ``rattle``.
    :param orderings: other cells of the same composition.
    :return: ``cells`` and ``tasks``.
    """
    p = parameters.get_dict()
    plan = sampling_plan(
        structure.get_ase(),
        p,
        mobile=p['mobile'],
        orderings={label: cell.get_ase() for label, cell in orderings.items()},
        rattle=p['rattle'],
    )
    return {'cells': frames_to_trajectory(plan.cells), 'tasks': orm.List(plan.tasks)}


@calcfunction
def structure_to_cells(structure: orm.StructureData) -> orm.TrajectoryData:
    """Return a structure as the only cell of a sampling job."""
    return frames_to_trajectory([structure.get_ase()])


@calcfunction
def last_structure(dataset: DatasetData) -> orm.StructureData:
    """Return the last frame of a relaxation as a structure."""
    frame = dataset.get_frames()[-1]
    return orm.StructureData(ase=Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=True))


@calcfunction
def choose_frames(parameters: orm.Dict, dataset: DatasetData) -> dict[str, Any]:
    """Choose frames for DFT that differ from each other as much as possible, from every kind of sampling.

    :param parameters: ``n_frames``.
    :param dataset: frames of one composition, labelled by a pretrained potential.
    :return: ``frames``, unlabelled, and ``report``: the indices of the frames, and how many come from where.
    """
    frames = dataset.get_frames()
    chosen = diverse_frames(frames, parameters['n_frames'])
    sources = [str(frames[index].info.get('source', 'unknown')) for index in chosen]
    report = {
        'n_frames': len(chosen),
        'chosen': chosen,
        'sources': {source: sources.count(source) for source in sorted(set(sources))},
        'shortest_distances_A': minimum_distances_of([frames[index] for index in chosen]),
    }
    return {'frames': frames_to_trajectory([frames[index] for index in chosen]), 'report': orm.Dict(report)}


@calcfunction
def fit_energy_shifts(dataset: DatasetData, predictions: orm.ArrayData) -> orm.Dict:
    """Return the energies of atoms that bring the energies of a model to those of a training set, by least squares.

    :param dataset: the training frames.
    :param predictions: of one model on these frames, without its own energies of atoms.
    :return: what :func:`aiida_ionconduct.allegro.shifts.fit_energy_shifts` returns.
    """
    (name,) = [name for name in predictions.get_arraynames() if name.startswith('energies_')]
    frames = dataset.get_frames()
    energies = np.array([frame.get_potential_energy() for frame in frames])
    return orm.Dict(fit_shifts([list(frame.symbols) for frame in frames], energies - predictions.get_array(name)))
