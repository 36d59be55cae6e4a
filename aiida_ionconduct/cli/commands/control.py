"""`aiida-ionconduct pause`, `resume` and `kill`: a campaign with all its processes and jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from aiida_ionconduct.cli.nodes import CAMPAIGN, Node, kind, open_profile
from aiida_ionconduct.cli.options import PROFILE
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from aiida import orm

PROCESS = click.argument('node', type=Node(CAMPAIGN), metavar='PK')


@click.command('pause')
@PROCESS
@click.option(
    '--hold/--no-hold',
    default=True,
    show_default=True,
    help='Whether jobs that wait in the queue of a scheduler are held there.',
)
@PROFILE
def pause_command(*, node: orm.Node, hold: bool, profile: str | None) -> None:
    """Pause a campaign: nothing new is submitted, and jobs that wait in a queue do not start.

    Jobs that run go on to their end; what they have computed is fetched when the campaign is resumed.

    \b
      aiida-ionconduct pause PK
    """
    open_profile(profile)
    from aiida_ionconduct.cli.control import pause

    _control(node, lambda process: pause(process, hold=hold))


@click.command('resume')
@PROCESS
@PROFILE
def resume_command(*, node: orm.Node, profile: str | None) -> None:
    """Resume a campaign that was paused, by you or by AiiDA after errors of a connection.

    \b
      aiida-ionconduct resume PK
    """
    open_profile(profile)
    from aiida_ionconduct.cli.control import resume

    _control(node, resume)


@click.command('kill')
@PROCESS
@click.option('--force', is_flag=True, help='Do not connect to computers; jobs that are there stay and are listed.')
@PROFILE
def kill_command(*, node: orm.Node, force: bool, profile: str | None) -> None:
    """Kill a campaign with all its processes, and cancel its jobs at the schedulers.

    What has been computed stays in the profile. The same campaign can be launched again and takes it from the cache.

    \b
      aiida-ionconduct kill PK
    """
    open_profile(profile)
    from aiida_ionconduct.cli.control import kill

    _control(node, lambda process: kill(process, force=force))


def _control(node: orm.Node, action: Callable[[orm.ProcessNode], str]) -> None:
    """Do something with a process, and print what was done.

    :raises click.ClickException: if all has ended, also below the process, or is not in the wanted state afterwards.
    """
    from aiida import orm

    from aiida_ionconduct.cli.control import ControlError, alive
    from aiida_ionconduct.farm.queue import QueueError

    if not isinstance(node, orm.ProcessNode):
        raise click.BadParameter(f'node {node.pk} is a {kind(node)}, not a process.', param_hint='PK')
    if not alive(node):
        raise click.ClickException(f'{node.process_label}<{node.pk}> has ended already.')
    try:
        echo(f'{node.process_label}<{node.pk}>: {action(node)}.')
    except (ControlError, QueueError) as error:
        raise click.ClickException(str(error)) from error
