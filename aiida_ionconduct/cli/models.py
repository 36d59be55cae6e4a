"""The study of models: its plan, its submission, and what is chosen from it: ``aiida-ionconduct study models``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click
from aiida import orm
from aiida.engine import ProcessBuilder
from tabulate import tabulate

from aiida_ionconduct.allegro.cost import COMPILE_S, MD_ATOM_STEP_S, relative_size, training_seconds
from aiida_ionconduct.allegro.grid import parse_grid
from aiida_ionconduct.calculations.functions.datasets import split
from aiida_ionconduct.calculations.functions.models import choose_model, chosen_row
from aiida_ionconduct.cli.plan import duration
from aiida_ionconduct.cli.studies import submit_study
from aiida_ionconduct.cli.submit import load_data, load_overrides
from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.readers.label_keys import LabelKeys
from aiida_ionconduct.report.tables.models import choice_text, models_text, overrides_text
from aiida_ionconduct.studies.models import force_limit, level_name, rung_sizes
from aiida_ionconduct.workchains.inputs import load_codes
from aiida_ionconduct.workchains.model_inputs import CODES, models_builder, training_parameters
from aiida_ionconduct.workchains.models_study import ModelsStudyWorkChain
from aiida_ionconduct.workchains.protocols import protocol_inputs

START_S = 40.0
"""Core seconds in which a training starts, tests and packages its model."""
START_MD_S = 15.0


def stored_study(source: str) -> orm.ProcessNode | None:
    """Return the study of models with a PK, or None for anything else, such as a file."""
    if not source.isdigit() or Path(source).exists():
        return None
    query = orm.QueryBuilder().append(ModelsStudyWorkChain, filters={'id': int(source)})
    node: orm.ProcessNode | None = query.first(flat=True)
    return node


def get_study_builder(
    source: str,
    *,
    grid: tuple[tuple[str, str], ...],
    epochs: str,
    keep: float,
    protocol: str,
    overrides: str | None,
    codes: tuple[tuple[str, str], ...],
    atoms: int,
    steps: int,
    max_concurrent: int | None,
    energy_key: str | None,
    forces_key: str | None,
    stress_key: str | None,
    stress_unit: Any,
) -> ProcessBuilder:
    """Turn the command's words into a builder.

    :param source: of the labelled frames: a file, a folder or a PK.
    :raises ValueError: for bad input, saying what to do.
    """
    rungs = parse_epochs(epochs)
    values = parse_grid(grid)
    p = protocol_inputs('conductivity', protocol, load_overrides(overrides) if overrides else {})
    labelled = {'keys': LabelKeys(energy_key, forces_key, stress_key), 'stress_unit': stress_unit}
    dataset = load_data(source, DatasetData, 'dataset', **labelled)
    return models_builder(
        load_codes(dict(codes), needed=set(CODES)),
        dataset,
        p,
        grid=values,
        epochs=rungs,
        keep=keep,
        n_atoms_min=atoms,
        n_steps=steps,
        max_concurrent=max_concurrent,
    )


def parse_epochs(text: str) -> list[int]:
    """Return the epochs of the rungs.

    :raises ValueError: if they are not whole numbers that grow.
    """
    words = text.split(',')
    epochs = [int(word) for word in words if word.strip().isdigit()]
    if len(epochs) < len(words) or any(b <= a for a, b in zip([0, *epochs], epochs, strict=False)):
        raise ValueError(
            f'the epochs `{text}` must be whole numbers that grow from rung to rung, separated by commas, such as '
            '10,30,90.'
        )
    return epochs


def plan_text(builder: Any) -> str:
    """Return the settings, the rungs and an estimate of the core time."""
    settings, halving = builder.settings.get_dict(), builder.halving
    keys = list(next(iter(settings.values())))
    table = tabulate(
        [[label, *map(level_name, values.values())] for label, values in settings.items()],
        headers=['setting', *keys],
        disable_numparse=True,
    )
    rungs = rung_rows(builder)
    rows = [[name, n_settings, text, duration(seconds / 3600)] for name, n_settings, text, seconds in rungs]
    headers = ('rung', 'settings', 'epochs', 'core time, about')
    total = sum(row[3] for row in rungs)
    return (
        f'{table}\n\n{tabulate(rows, headers=headers, disable_numparse=True)}\n\n{duration(total / 3600)} of core time '
        f'in all, good to a factor of three; {builder.max_concurrent.value} trainings and {builder.max_timings.value} '
        f'timings at a time. From rung to rung, {halving["keep"]:g} of the settings go on.'
    )


def rung_rows(builder: Any) -> list[tuple[str, int, str, float]]:
    """Return name, number of settings, epochs and core seconds of every rung, and of the compilations and timings."""
    frames, halving = builder.dataset.get_frames(), builder.halving
    parts = split(frames, builder.allegro['split'].get_dict())
    n_atoms = sum(len(frames[index]) for index in parts['train'])
    sizes = rung_sizes(len(builder.settings.get_dict()), halving['epochs'], halving['keep'])
    parameters = list(training_parameters(builder).values())
    rows: list[tuple[str, int, str, float]] = []
    begun = 0
    for rung, (n_settings, end) in enumerate(zip(sizes, halving['epochs'], strict=True)):
        per_setting = sum(training_seconds(p, n_atoms, end - begun) for p in parameters) / len(parameters)
        text = f'{begun} to {end}' if begun else str(end)
        rows.append((f'rung {rung}', n_settings, text, n_settings * (per_setting + START_S)))
        begun = end
    n_steps = builder.md['md']['parameters']['production_steps']
    run_s = sum(relative_size(p) for p in parameters) * builder.cell['n_atoms_min'] * n_steps * MD_ATOM_STEP_S
    n_settings = len(parameters)
    rows.insert(1, ('compiled and timed', n_settings, '', n_settings * (COMPILE_S + START_MD_S) + run_s))
    return rows


def run_study(
    builder: ProcessBuilder, *, choose: str | None, output: Path | None, figures: Path, detach: bool, dry_run: bool
) -> None:
    """Print the plan, submit the study, follow it, and show what it has found.

    :raises click.ClickException: if the study does not end well.
    """
    if choose is not None:
        force_limit(choose)
    echo(plan_text(builder))
    if dry_run:
        echo('Nothing was submitted.')
        return
    command = 'study models {pk}' + (f' --choose "{choose}"' if choose else '')
    show = functools.partial(show_study, choose=choose, output=output, figures=figures)
    submit_study(builder, show, command, detach=detach)


def show_study(node: orm.ProcessNode, *, choose: str | None, output: Path | None, figures: Path) -> None:
    """Print the table of a study and draw its figure; with a criterion, store and print what is chosen.

    :raises click.ClickException: if the study has no table, or all its settings have failed.
    """
    if 'table' not in node.outputs:
        why = node.exit_message or node.exception or 'it has not come to its end'
        raise click.ClickException(f'{node.process_label}<{node.pk}> has no table: {why}')
    from aiida_ionconduct.cli.commands.study import save
    from aiida_ionconduct.report.figures.models import models

    table = node.outputs.table
    echo('\n' + models_text(table.get_dict()))
    if not node.is_finished_ok:
        raise click.ClickException(f'{node.process_label}<{node.pk}> has failed: {node.exit_message}')
    limit = None if choose is None else force_limit(choose)
    save(models(table['rows'], limit), figures, f'models-{node.pk}', table)
    if choose is None:
        return
    chosen_row(table.get_dict(), choose)  # refused here, a choice leaves no process behind
    choice = choose_model(table, orm.Str(choose))
    text = overrides_text(choice.get_dict())
    echo(f'\n{choice_text(choice.get_dict())}\nStored: {choice.pk}\n\n{text}')
    if output is not None:
        output.write_text(text, encoding='utf-8')
        echo(f'Written: {output}\nNext: aiida-ionconduct launch --overrides {output} …')
