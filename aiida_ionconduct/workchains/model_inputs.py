"""From a protocol and a grid of settings to the inputs of a study of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida import orm
from aiida.engine import ProcessBuilder

from aiida_ionconduct.allegro.grid import Grid, combinations
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.calculations.functions.datasets import split
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.workchains.checks import check_gpus
from aiida_ionconduct.workchains.models_study import ModelsStudyWorkChain
from aiida_ionconduct.workchains.stage_inputs import SPLIT, Codes, Inputs, allegro_inputs, md_inputs

CODES = ('nequip-train', 'nequip-package', 'nequip-compile', 'lammps')
TIMED_RUN = {
    'temperature_K': 300.0,
    'timestep_fs': 0.02,
    'ensemble': 'nve',
    'seeds': [1],
    'equilibration_steps': 20,
    'frame_stride': 50,
    'com_stride': 50,
    'thermo_stride': 50,
    'restart_stride': 0,
}
"""A run that a potential of a few epochs survives: in the steps that are timed the ions move by hundredths of an Å, and
the time of a step is the same. The equilibration is left out of the time: the first steps of a compiled model are slow.
"""


def models_builder(
    codes: Codes,
    dataset: DatasetData,
    p: Inputs,
    *,
    grid: Grid,
    epochs: Sequence[int],
    keep: float,
    n_atoms_min: int,
    n_steps: int,
    max_concurrent: int | None = None,
) -> ProcessBuilder:
    """Return the builder of a study of models, everything checked that can be checked before submission.

    :param codes: by the labels of the engines, at least :data:`CODES`.
    :param p: the protocol with its overrides, whose section ``training`` is what the grid changes.
    :param grid: of :func:`~aiida_ionconduct.allegro.grid.parse_grid`.
    :param epochs: of every rung, counted from the start.
    :param keep: the fraction of the settings that goes on from rung to rung.
    :param n_atoms_min: least number of atoms of the cell of the timings.
    :param n_steps: of the timings.
    :param max_concurrent: trainings at a time; by default that of the protocol.
    :raises ValueError: for anything wrong with these, saying what to do.
    """
    settings = combinations(grid)
    check_frames(dataset, p, settings)
    check_gpus(codes, p['resources'])
    max_concurrent = max_concurrent or p['resources']['max_concurrent']
    allegro = allegro_inputs(codes, p)
    allegro['compile'].pop('check')  # no result comes from these models: the chosen setting is trained and checked anew
    base = md_inputs(codes, p)['base']
    run_settings = base['md']['settings'].get_dict() if 'settings' in base['md'] else {}
    base['md'] |= {
        'settings': orm.Dict({**run_settings, 'report_memory': True}),
        'parameters': orm.Dict({**TIMED_RUN, 'production_steps': n_steps}),
    }
    builder = ModelsStudyWorkChain.get_builder()
    builder.dataset = dataset
    builder.settings = orm.Dict(settings)
    builder.allegro, builder.md = allegro, base
    builder.halving = orm.Dict({'epochs': list(epochs), 'keep': keep})
    builder.cell = orm.Dict({'n_atoms_min': n_atoms_min})
    builder.max_concurrent = orm.Int(max_concurrent)
    builder.max_timings = orm.Int(1 if shares_machine(codes['lammps']) else max_concurrent)
    return builder


def check_frames(dataset: DatasetData, p: Inputs, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a dataset that lacks the stress a setting asks for, or is too small to be split.

    :raises ValueError: saying what to do.
    """
    stresses = [{**p['training'], **values}.get('stress_coefficient', 0.0) for values in settings.values()]
    if any(stresses) and not dataset.has_stress:
        raise ValueError(
            'a setting has a stress_coefficient, but not all frames of the dataset have a stress: set '
            'training.stress_coefficient to 0 with --overrides, leave it out of the grid, or give a dataset with '
            'stresses.'
        )
    parts = split(dataset.get_frames(), split_parameters(p))
    empty = [name for name in ('train', 'validation', 'test') if not parts[name]]
    if empty:
        raise ValueError(
            f'{dataset.n_frames} frames are too few: none is left for {" and ".join(empty)}. Give more frames.'
        )


def split_parameters(p: Inputs) -> dict[str, Any]:
    """Return how the protocol splits a training set."""
    return {key: p['dataset'][key] for key in SPLIT}


def shares_machine(code: orm.AbstractCode) -> bool:
    """Return whether jobs of a code run beside each other on one machine, without a scheduler."""
    return code.computer is not None and code.computer.scheduler_type == 'core.direct'


def training_parameters(builder: Any) -> dict[str, dict[str, Any]]:
    """Return all parameters of the training of every setting by label.

    :param builder: of :func:`models_builder`.
    """
    base = builder.allegro['train']['parameters'].get_dict()
    return {
        label: TrainingParameters.check({**base, **values}).model_dump()
        for label, values in builder.settings.get_dict().items()
    }
