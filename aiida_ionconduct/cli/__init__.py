"""The command line: ``aiida-ionconduct``. A command's module is imported when it is asked for, AiiDA when it runs."""

from __future__ import annotations

import click

from aiida_ionconduct import __version__
from aiida_ionconduct.cli.groups import LazyGroup

MODULES = {
    'analyse': ('analyse',),
    'archives': ('export', 'import'),
    'control': ('kill', 'pause', 'resume'),
    'installation': ('clean', 'doctor', 'setup'),
    'launch': ('launch',),
    'model': ('model',),
    'query': ('query',),
    'results': ('cost', 'report', 'show', 'status'),
    'structures': ('alloy', 'structures'),
    'study': ('study',),
}
"""The modules of :mod:`aiida_ionconduct.cli.commands`, and the commands in each."""


@click.group(
    cls=LazyGroup,
    commands_in={name: f'{__name__}.commands.{module}' for module, names in MODULES.items() for name in names},
    context_settings={'help_option_names': ['-h', '--help']},
)
@click.version_option(__version__)
@click.option('--traceback', is_flag=True, help='Show the traceback of every error, for bug reports.')
def cli(*, traceback: bool) -> None:
    """Compute ionic conductivities with error bars; AiiDA's provenance graph records every step.

    \b
      aiida-ionconduct launch --structure cell.cif --dry-run    what a campaign would do
      aiida-ionconduct query campaigns                          the campaigns of the profile
      aiida-ionconduct show PK                                  a result, and whether it can be trusted

    A node is given by its PK, its UUID or its label, as in verdi. This completes commands and PKs in bash:

    \b
      eval "$(_AIIDA_IONCONDUCT_COMPLETE=bash_source aiida-ionconduct)"
    """
