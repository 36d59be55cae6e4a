"""The study of potentials: its plan, its submission and its table: ``aiida-ionconduct study potentials``."""

from __future__ import annotations

import click
from aiida import orm

from aiida_ionconduct.cli.follow import follow
from aiida_ionconduct.cli.plan import Builder, plan_table
from aiida_ionconduct.cli.submit import load_campaign, numbers
from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.farm.submission import SubmissionError, submit_once
from aiida_ionconduct.report.tables.studies import potentials_text
from aiida_ionconduct.workchains.potentials_study import PotentialsStudyWorkChain, potentials_builder


def study_potentials(
    pk: int, training_seeds: str | None, temperatures: str | None, *, dry_run: bool, detach: bool
) -> None:
    """Submit a study of potentials and follow it, or show the table of a study that exists.

    :param pk: of a campaign, or of a study.
    :raises ValueError: for bad input, saying what to do.
    :raises click.ClickException: if the study does not end well.
    """
    study: orm.ProcessNode | None = (
        orm.QueryBuilder().append(PotentialsStudyWorkChain, filters={'id': pk}).first(flat=True)
    )
    if study is not None:
        show_study(study)
        return
    seeds = numbers(training_seeds, int, 'seeds of the trainings') if training_seeds else []
    builder: Builder = potentials_builder(
        load_campaign(pk), seeds, numbers(temperatures, float, 'temperatures') if temperatures else []
    )
    n = len(builder.training_seeds)
    echo(f'{n} more potential{"s" * (n > 1)}, one after the other. Each:\n')
    echo(plan_table(builder.campaign, f'of the campaign {pk}'))
    if dry_run:
        echo('Nothing was submitted.')
        return
    try:
        node, is_new = submit_once(builder)
    except SubmissionError as exception:
        raise click.ClickException(str(exception)) from exception
    echo(f'{"Submitted" if is_new else "The same is on its way:"} {node.process_label}<{node.pk}>.\n')
    later = f'  aiida-ionconduct status {node.pk}\n  aiida-ionconduct study potentials {node.pk}'
    if detach:
        echo(f'Later:\n{later}')
    elif not follow(node):
        echo(f'\nThe study goes on without this window. Come back to it:\n{later}')
    else:
        show_study(node)


def show_study(node: orm.ProcessNode) -> None:
    """Print the table of a study.

    :raises click.ClickException: if the study has no table, or some of its potentials have no conductivity.
    """
    if 'comparison' in node.outputs:
        echo('\n' + potentials_text(node.outputs.comparison.get_dict()))
        echo('The potentials share their frames, so the scatter between them is a lower limit of their error.')
    if not node.is_finished_ok:
        why = node.exit_message or node.exception or 'it has not come to its end'
        raise click.ClickException(f'{node.process_label}<{node.pk}>: {why}')
