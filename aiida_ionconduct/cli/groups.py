"""Groups of commands: loaded when asked for, and with errors as one sentence."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from aiida_ionconduct.labels import terminal_text


class Group(click.Group):
    """A group whose commands report bad input, a missing file or a complaint of AiiDA in one sentence, with status 1.

    Any other exception is a defect of this package and shows its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.ClickException as exception:
            exception.message = terminal_text(exception.message)
            raise
        except Exception as exception:
            if ctx.find_root().params.get('traceback') or not is_complaint(exception):
                raise
            raise click.ClickException(terminal_text(str(exception)) or type(exception).__name__) from exception


def is_complaint(exception: Exception) -> bool:
    """Whether an exception tells the user what to change. AiiDA's exceptions are recognised without importing AiiDA."""
    if isinstance(exception, BrokenPipeError):  # the reader of a pipe had enough: click ends quietly
        return False
    aiida = sys.modules.get('aiida.common.exceptions')
    return isinstance(exception, (ValueError, OSError, *((aiida.AiidaException,) if aiida else ())))


class LazyGroup(Group):
    """A group of commands that live in modules of their own.

    :param commands_in: the module of each command, which holds it under the name ``<command>_command``.
    """

    def __init__(self, *args: Any, commands_in: Mapping[str, str], **kwargs: Any) -> None:
        """Remember where the commands are."""
        super().__init__(*args, **kwargs)
        self.commands_in = commands_in

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return sorted(self.commands_in)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.commands_in:
            return None
        return getattr(importlib.import_module(self.commands_in[cmd_name]), f'{cmd_name}_command')
