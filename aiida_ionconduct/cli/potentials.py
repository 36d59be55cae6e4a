"""The study of potentials: its plan, its submission and its table: ``aiida-ionconduct study potentials``."""

from __future__ import annotations

import click
from aiida import orm

from aiida_ionconduct.cli.plan import Builder, plan_table
from aiida_ionconduct.cli.studies import submit_study
from aiida_ionconduct.cli.submit import load_campaign, numbers
from aiida_ionconduct.cli.words import echo
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
    if 'initial_model' in builder.campaign.allegro['train']:
        echo('\nAll start from the weights from which the campaign has started, so they differ less than they could.')
    if dry_run:
        echo('Nothing was submitted.')
        return
    submit_study(builder, show_study, 'study potentials {pk}', detach=detach)


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
