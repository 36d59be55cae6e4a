"""Groups of commands: loaded when asked for, and with errors as one sentence."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click


class Group(click.Group):
    """A group whose commands say bad input, a missing file or a complaint of AiiDA in one sentence, with exit code 1.

    Anything else is a defect of ours and shows its traceback.
    """

    def invoke(self, ctx):
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as exception:
            if ctx.find_root().params.get('traceback') or not is_complaint(exception):
                raise
            raise click.ClickException(str(exception) or type(exception).__name__) from exception


def is_complaint(exception: Exception) -> bool:
    """Whether an exception tells the user what to change. AiiDA's are known without importing it."""
    if isinstance(exception, BrokenPipeError):  # the reader of a pipe had enough, which click knows to end quietly
        return False
    aiida = sys.modules.get('aiida.common.exceptions')
    return isinstance(exception, (ValueError, OSError, *((aiida.AiidaException,) if aiida else ())))


class LazyGroup(Group):
    """A group of commands that live in modules of their own.

    :param commands: the module of each command, which holds it under the name ``<command>_command``.
    """

    def __init__(self, *args, commands_in: Mapping[str, str], **kwargs):
        """Remember where the commands are."""
        super().__init__(*args, **kwargs)
        self.commands_in = commands_in

    def list_commands(self, ctx):
        """Return the names."""
        return sorted(self.commands_in)

    def get_command(self, ctx, name):
        """Import a command."""
        if name not in self.commands_in:
            return None
        return getattr(importlib.import_module(self.commands_in[name]), f'{name}_command')
