"""The study of models: the cell of the timings, which settings go on, the table, and the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms
from ase.build import make_supercell

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.structures import supercell_matrix
from aiida_ionconduct.studies.models import (
    Point,
    fastest_that_suffices,
    force_limit,
    main_effects,
    n_surviving,
    pareto_front,
    survivors,
)

TRAINING, TIMING = 'training', 'timing'
"""The first word of the labels of the nodes: ``training_0_model_001`` of a rung, ``timing_model_001``."""
NOT_PART_OF_A_MODEL = ('accelerator', 'schedule_epochs')
"""Parameters of a training that the section for a campaign leaves out."""


@calcfunction
def timing_cell(dataset: DatasetData, parameters: orm.Dict) -> orm.StructureData:
    """Return the cell of the timings: a frame of a training set, repeated.

    Of the frames with the most elements, the frame with the least forces is taken, which does not heat up.

    :param dataset: any training set.
    :param parameters: ``n_atoms_min``, the least number of atoms.
    """
    frame = min(dataset.get_frames(), key=lambda frame: (-len(set(frame.symbols)), float(np.abs(_forces(frame)).max())))
    matrix = supercell_matrix(np.array(frame.cell), len(frame), max(parameters['n_atoms_min'], len(frame)))
    cell = make_supercell(Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True), matrix)
    cell.wrap()
    return orm.StructureData(ase=cell)


def _forces(frame: Atoms) -> np.ndarray:
    forces: np.ndarray = frame.get_forces()
    return forces


@calcfunction
def decide_models(parameters: orm.Dict, **nodes: orm.Dict) -> orm.Dict:
    """Return which settings go on to the next rung of a study, and why.

    :param parameters: ``rung``; ``n_tried``, the number of settings on it; ``keep``, the fraction of them that goes
        on; ``n_atoms`` of the timings.
    :param nodes: results of the trainings of this rung and of the timings, under :data:`TRAINING` and :data:`TIMING`.
    :return: ``points``: force error on the validation frames and time by label; ``kept`` and ``stopped``.
    """
    points = _points(nodes, parameters['rung'], parameters['n_atoms'])
    kept = survivors(points, n_surviving(parameters['n_tried'], parameters['keep']))
    return orm.Dict(
        {
            **parameters.get_dict(),
            'points': {
                label: {'validation_forces_mae_eV_per_A': point.error, 'us_per_atom_step': point.time}
                for label, point in points.items()
            },
            'kept': kept,
            'stopped': sorted(set(points) - set(kept)),
        }
    )


@calcfunction
def compare_models(parameters: orm.Dict, **nodes: orm.Dict) -> orm.Dict:
    """Return the table of a study of models.

    :param parameters: ``settings`` by label, ``training`` (all other parameters), ``epochs`` of the rungs,
        ``failures`` (``step`` and ``reason`` by label of the settings that failed), ``cell`` (what the timings ran),
        ``n_atoms``.
    :param nodes: results of all trainings and timings, under :data:`TRAINING` and :data:`TIMING`.
    :return: ``rows``, one for each setting; ``front``: the labels on the Pareto front; ``effects`` on the force error
        after the first rung and on the time, by key and value.
    """
    p = parameters.get_dict()
    rows = {label: _row(label, p, nodes) for label in p['settings']}
    points = table_points(rows.values())
    front = pareto_front(points)
    first = {label: error for label in rows if (error := held_out_error(nodes.get(_training(0, label)))) is not None}
    times = {label: row['us_per_atom_step'] for label, row in rows.items() if row['us_per_atom_step'] is not None}
    effects = {
        'forces_mae_eV_per_A': main_effects(p['settings'], first),
        'us_per_atom_step': main_effects(p['settings'], times),
    }
    for label, row in rows.items():
        row['on_front'] = label in front
    return orm.Dict({**p, 'rows': list(rows.values()), 'front': front, 'effects': effects})


@calcfunction
def choose_model(table: orm.Dict, criterion: orm.Str) -> orm.Dict:
    """Return the fastest setting of a study with a force error below a limit, for ``launch --overrides``.

    :param table: of :func:`compare_models`.
    :param criterion: such as ``forces<50meV/A``.
    :return: ``training``: all parameters of the training; the row of the table; the criterion.
    :raises ValueError: if there is none, or the criterion is not understood.
    """
    row = chosen_row(table.get_dict(), criterion.value)
    return orm.Dict({'criterion': criterion.value, 'row': row, 'training': training_section(table.get_dict(), row)})


def chosen_row(table: Mapping[str, Any], criterion: str) -> dict[str, Any]:
    """Return the row of the fastest setting that suffices; parameters and errors are those of :func:`choose_model`."""
    label = fastest_that_suffices(table_points(table['rows']), force_limit(criterion))
    return next(row for row in table['rows'] if row['label'] == label)


def training_section(table: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of the full training of a setting, so that no protocol changes the model."""
    parameters = {**table['training'], **row['settings'], 'max_epochs': table['epochs'][-1]}
    checked = TrainingParameters.check(parameters).model_dump()
    return {key: value for key, value in checked.items() if key not in NOT_PART_OF_A_MODEL}


def table_points(rows: Iterable[Mapping[str, Any]]) -> dict[str, Point]:
    """Return the force error on the test frames and the time by label, of the rows that have both and did not fail."""
    numbers = {row['label']: (row['forces_mae_eV_per_A'], row['us_per_atom_step']) for row in rows if not row['reason']}
    return {
        label: Point(error, time) for label, (error, time) in numbers.items() if error is not None and time is not None
    }


def validation_error(training: orm.Dict | None) -> float | None:
    """Return the force error of the best epoch on the validation frames, in eV/Å, by which a study decides."""
    if training is None:
        return None
    values = training.get_dict()
    best = values.get('best_epoch')
    if best is None:
        return None
    curves = values['curves']
    error: float | None = curves['val_forces_mae_eV_per_A'][curves['epoch'].index(best)]
    return error


def held_out_error(training: orm.Dict | None) -> float | None:
    """Return the force error on the test frames, in eV/Å, which decides nothing in the study."""
    return None if training is None else training.get_dict().get('test_forces_mae_eV_per_A')


def microseconds(timing: orm.Dict | None, n_atoms: int) -> float | None:
    """Return the time of a run in µs per atom and step, the equilibration left out."""
    speed = None if timing is None else timing.get_dict().get('steps_per_second')
    return 1e6 / speed / n_atoms if speed else None


def _training(rung: int, label: str) -> str:
    return f'{TRAINING}_{rung}_{label}'


def _points(nodes: Mapping[str, orm.Dict], rung: int, n_atoms: int) -> dict[str, Point]:
    """Return the error on the validation frames and the time of the settings that have both."""
    prefix, points = _training(rung, ''), {}
    for name, node in sorted(nodes.items()):
        label = name.removeprefix(prefix)
        timing = nodes.get(f'{TIMING}_{label}')
        error, time = validation_error(node), microseconds(timing, n_atoms)
        if name.startswith(prefix) and error is not None and time is not None:
            points[label] = Point(error, time)
    return points


def _row(label: str, p: Mapping[str, Any], nodes: Mapping[str, orm.Dict]) -> dict[str, Any]:
    """Return the row of a setting, with the results of the last rung that it has come to."""
    rungs = [rung for rung in range(len(p['epochs'])) if held_out_error(nodes.get(_training(rung, label))) is not None]
    last = nodes[_training(rungs[-1], label)].get_dict() if rungs else {}
    timing = nodes.get(f'{TIMING}_{label}')
    run = {} if timing is None else timing.get_dict()
    failure = p['failures'].get(label)
    if failure:
        state = f'failed in {failure["step"]}'
    else:
        state = 'trained in full' if rungs[-1] == len(p['epochs']) - 1 else f'stopped after rung {rungs[-1]}'
    return {
        'label': label,
        'settings': p['settings'][label],
        'epochs': last.get('n_epochs', 0),
        'forces_mae_eV_per_A': last.get('test_forces_mae_eV_per_A'),
        'energy_mae_eV_per_atom': last.get('test_energy_mae_eV_per_atom'),
        'us_per_atom_step': microseconds(timing, p['n_atoms']),
        'cpu_use_percent': run.get('cpu_use_percent'),
        'peak_memory_MB': run.get('peak_memory_MB'),
        'state': state,
        'reason': failure['reason'] if failure else '',
    }
