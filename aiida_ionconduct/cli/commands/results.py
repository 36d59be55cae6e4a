"""`aiida-ionconduct show`, `status` and `report`: what was found, and where a campaign is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_ionconduct.cli.nodes import CAMPAIGN, Node, kind, open_profile
from aiida_ionconduct.cli.options import LAYOUT, PROFILE
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from aiida import orm

RESULT = Node(CAMPAIGN, 'ionconduct.conductivity')


@click.command('show')
@click.argument('node', type=RESULT, metavar='PK')
@click.option('-T', '--temperature', type=float, help='Show only this temperature, in K.')
@LAYOUT
@PROFILE
def show_command(*, node: orm.Node, temperature: float | None, layout: str, profile: str | None) -> None:
    """Print a result: the numbers, their intervals, and whether they can be trusted.

    PK is a campaign or another work chain with conductivities, a ConductivityData, a study, a study of
    models, a model or a trajectory.

    \b
      aiida-ionconduct show PK
      aiida-ionconduct show PK --temperature 900
      aiida-ionconduct show PK --format json
    """
    open_profile(profile)
    from aiida_ionconduct.report.tables.any_result import as_data, describe, to_json

    if layout == 'json':
        echo(to_json(as_data(node, temperature)))
    else:
        echo(describe(node, temperature))


@click.command('status')
@click.argument('node', type=Node(CAMPAIGN), metavar='PK')
@click.option('--follow', 'live', is_flag=True, help='Stay until the end. Ctrl-C leaves, and the campaign goes on.')
@click.option(
    '--notify',
    metavar='COMMAND',
    help='With --follow: a command of the shell that is run when the campaign does not move, fails or ends. Its input '
    'says why, and $SUBJECT is a line for the subject of a mail.',
)
@PROFILE
def status_command(*, node: orm.Node, live: bool, notify: str | None, profile: str | None) -> None:
    """Print how far a campaign is: its stages and jobs, its MD, the errors so far, and when it will end.

    The exit status is 1 for a campaign that has failed.

    \b
      aiida-ionconduct status PK
      aiida-ionconduct status PK --follow
      aiida-ionconduct status PK --follow --notify 'mail -s "$SUBJECT" me@example.org'
    """
    if notify and not live:
        raise click.UsageError('--notify needs --follow: without it, nothing is waited for.')
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.cli.follow import follow, status
    from aiida_ionconduct.cli.notify import notifier

    if not isinstance(node, orm.ProcessNode):
        raise click.BadParameter(f'node {node.pk} is a {kind(node)}, not a process.', param_hint='PK')
    if live:
        follow(node, notifier(notify) if notify else None)
    else:
        echo(status(node))
    if node.is_terminated and not node.is_finished_ok:
        raise click.ClickException(
            f'it ended with [{node.exit_status}] {node.exit_message or node.exception}: verdi process report {node.pk}'
        )


@click.command('cost')
@click.argument('node', type=Node(CAMPAIGN), metavar='PK')
@LAYOUT
@PROFILE
def cost_command(*, node: orm.Node, layout: str, profile: str | None) -> None:
    """Print what a campaign has cost so far: core and GPU hours of each stage, what was planned, and the speed of MD.

    The hours are those of the scheduler's accounting (sacct) or, where there is none, wall times times the cores that
    the job has asked for. The plan is the estimate that --dry-run prints, in hours of a core of a 2023 server.

    \b
      aiida-ionconduct cost PK
      aiida-ionconduct cost PK --format json
    """
    open_profile(profile)
    from dataclasses import asdict

    from aiida import orm
    from tabulate import tabulate

    from aiida_ionconduct.report.graph.costs import stage_costs
    from aiida_ionconduct.report.graph.speed import md_speeds
    from aiida_ionconduct.report.tables.any_result import to_json
    from aiida_ionconduct.report.tables.costs import COLUMNS, FROM_WALL_TIMES, SPEED_COLUMNS, cost_rows, speed_rows

    if not isinstance(node, orm.ProcessNode):
        raise click.BadParameter(f'node {node.pk} is a {kind(node)}, not a process.', param_hint='PK')
    costs, speeds = stage_costs(node), md_speeds(node)
    if layout == 'json':
        stages, measured = ([asdict(row) for row in rows] for rows in (costs, speeds))
        echo(to_json({'stages': stages, 'md_speeds': measured}))
        return
    echo(tabulate(cost_rows(costs), headers=COLUMNS, tablefmt='simple', disable_numparse=True))
    if not all(cost.accounted for cost in costs):
        echo(FROM_WALL_TIMES)
    if speeds:
        echo(f'\n{tabulate(speed_rows(speeds), headers=SPEED_COLUMNS, tablefmt="simple", disable_numparse=True)}')


def _report_models_study(study: orm.WorkChainNode, output: Path, figures: Path | None) -> None:
    """Print what a study of models says, and write its page and, if a folder is given, its figure."""
    from aiida_ionconduct.report.page.figure_files import write_figures
    from aiida_ionconduct.report.page.models import models_drawing, write_models_page
    from aiida_ionconduct.report.tables.any_result import describe

    echo(describe(study))
    if 'table' not in study.outputs:
        raise click.ClickException(f'{kind(study)}<{study.pk}> has no table, so no page was written.')
    if figures:
        write_figures([models_drawing(study.outputs.table.get_dict())], figures)
        echo(f'Figures written to {figures}: models')
    echo(f'Page written: {write_models_page(study, output)}')


@click.command('report')
@click.argument('nodes', type=Node(CAMPAIGN), nargs=-1, required=True, metavar='PK…')
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path('conductivity.html'),
    show_default=True,
    help='The HTML page to write.',
)
@click.option(
    '--figures',
    type=click.Path(file_okay=False, path_type=Path),
    metavar='FOLDER',
    help='A folder for the figures of the page as SVG and PNG, with the numbers of each as CSV.',
)
@click.option(
    '--measured',
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar='FILE',
    help='A CSV file of measured conductivities to compare with: material, temperature_K, sigma_S_per_cm, source.',
)
@PROFILE
def report_command(
    *, nodes: tuple[orm.Node, ...], output: Path, figures: Path | None, measured: Path | None, profile: str | None
) -> None:
    """Print the results of a campaign and write them as an HTML page, or compare several campaigns on one page.

    With --measured, the page compares also a single campaign with the measured conductivities.

    PK may be a study of models, too.

    \b
      aiida-ionconduct report PK -o conductivity.html
      aiida-ionconduct report PK --figures figures
      aiida-ionconduct report PK PK -o comparison.html
      aiida-ionconduct report PK --measured measured.csv --figures figures
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.queries import MODELS_STUDY
    from aiida_ionconduct.report.graph.campaign import collect
    from aiida_ionconduct.report.measured import read_measured
    from aiida_ionconduct.report.page.campaign import write_page
    from aiida_ionconduct.report.page.comparison import write_comparison
    from aiida_ionconduct.report.page.figure_files import write_figures_comparing, write_figures_of
    from aiida_ionconduct.report.tables.terminal import summary_tables

    if len(nodes) == 1 and isinstance(nodes[0], orm.WorkChainNode) and nodes[0].process_type == MODELS_STUDY:
        if measured:
            raise click.UsageError('--measured is for campaigns; a study of models has no conductivities.')
        _report_models_study(nodes[0], output, figures)
        return
    campaigns = []
    for node in nodes:
        if not isinstance(node, orm.WorkChainNode) or node.process_type != CAMPAIGN:
            message = f'node {node.pk} is a {kind(node)}, not a ConductivityWorkChain.'
            raise click.BadParameter(message, param_hint='PK')
        campaigns.append(node)
    files: list[Path] = []
    if len(campaigns) == 1 and not measured:
        echo(summary_tables(collect(campaigns[0])))
        path = write_page(campaigns[0], output)
        files = write_figures_of(campaigns[0], figures) if figures else files
    else:
        try:
            rows = read_measured(measured) if measured else []
            path = write_comparison(campaigns, output, rows)
        except ValueError as exception:
            raise click.UsageError(str(exception)) from exception
        files = write_figures_comparing(campaigns, figures, rows) if figures else files
    if files:
        echo(f'Figures written to {figures}: {", ".join(sorted({file.stem for file in files}))}')
    echo(f'Page written: {path}')
