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

    PK is a campaign or another work chain with conductivities, a ConductivityData, a study, a model or a trajectory.

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
@PROFILE
def status_command(*, node: orm.Node, live: bool, profile: str | None) -> None:
    """Print how far a campaign is: its stages and jobs, its MD, the errors so far, and when it will end.

    The exit status is 1 for a campaign that has failed.

    \b
      aiida-ionconduct status PK
      aiida-ionconduct status PK --follow
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.cli.follow import follow, status

    if not isinstance(node, orm.ProcessNode):
        raise click.BadParameter(f'node {node.pk} is a {kind(node)}, not a process.', param_hint='PK')
    if live:
        follow(node)
    else:
        echo(status(node))
    if node.is_terminated and not node.is_finished_ok:
        raise click.ClickException(
            f'it ended with [{node.exit_status}] {node.exit_message or node.exception}: verdi process report {node.pk}'
        )


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
@PROFILE
def report_command(*, nodes: tuple[orm.Node, ...], output: Path, profile: str | None) -> None:
    """Print the results of a campaign and write them as an HTML page, or compare several campaigns on one page.

    \b
      aiida-ionconduct report PK -o conductivity.html
      aiida-ionconduct report PK PK -o comparison.html
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.report.graph.campaign import collect
    from aiida_ionconduct.report.page.campaign import write_page
    from aiida_ionconduct.report.page.comparison import write_comparison
    from aiida_ionconduct.report.tables.terminal import summary_tables

    campaigns = []
    for node in nodes:
        if not isinstance(node, orm.WorkChainNode) or node.process_type != CAMPAIGN:
            message = f'node {node.pk} is a {kind(node)}, not a ConductivityWorkChain.'
            raise click.BadParameter(message, param_hint='PK')
        campaigns.append(node)
    if len(campaigns) == 1:
        echo(summary_tables(collect(campaigns[0])))
        path = write_page(campaigns[0], output)
    else:
        try:
            path = write_comparison(campaigns, output)
        except ValueError as exception:
            raise click.UsageError(str(exception)) from exception
    echo(f'Page written: {path}')
