"""The submission of a study, and the way back to it."""

from __future__ import annotations

from collections.abc import Callable

import click
from aiida import orm
from aiida.engine import ProcessBuilder

from aiida_ionconduct.cli.follow import follow
from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.farm.submission import SubmissionError, submit_once


def submit_study(
    builder: ProcessBuilder, show: Callable[[orm.ProcessNode], None], command: str, *, detach: bool
) -> None:
    """Submit a study and follow it, unless it is detached; show what it has found.

    :param show: prints the result of the study.
    :param command: that shows it later, with ``{pk}`` for the PK.
    :raises click.ClickException: if the study cannot be submitted, or does not end well.
    """
    try:
        node, is_new = submit_once(builder)
    except SubmissionError as exception:
        raise click.ClickException(str(exception)) from exception
    echo(f'{"Submitted" if is_new else "The same is on its way:"} {node.process_label}<{node.pk}>.\n')
    later = f'  aiida-ionconduct status {node.pk}\n  aiida-ionconduct {command.format(pk=node.pk)}'
    if detach:
        echo(f'Later:\n{later}')
    elif not follow(node):
        echo(f'\nThe study goes on without this window. Come back to it:\n{later}')
    else:
        show(node)
