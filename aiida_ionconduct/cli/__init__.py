"""The command line: ``aiida-ionconduct``. A command's module is imported when it is asked for, AiiDA when it runs."""

import click

from aiida_ionconduct import __version__
from aiida_ionconduct.cli.groups import LazyGroup

MODULES = {
    'analyse': ('analyse',),
    'archives': ('export', 'import'),
    'installation': ('clean', 'doctor', 'setup'),
    'launch': ('launch',),
    'model': ('model',),
    'query': ('query',),
    'results': ('report', 'show', 'status'),
    'structures': ('alloy', 'structures'),
    'study': ('study',),
}
"""The modules below :mod:`aiida_ionconduct.cli.commands`, and what they hold."""


@click.group(
    cls=LazyGroup,
    commands_in={name: f'{__name__}.commands.{module}' for module, names in MODULES.items() for name in names},
    context_settings={'help_option_names': ['-h', '--help']},
)
@click.version_option(__version__)
@click.option('--traceback', is_flag=True, help='Where did it go wrong? For bug reports.')
def cli(traceback):
    """Ionic conductivities with an error bar, every step in AiiDA's provenance graph.

    \b
      aiida-ionconduct launch --structure cell.cif --dry-run    what a campaign would do
      aiida-ionconduct query campaigns                          what there is
      aiida-ionconduct show PK                                  a result, and whether it can be trusted

    PK is a number, a UUID or a label, as for verdi. Completion of commands and PKs in bash:

    \b
      eval "$(_AIIDA_IONCONDUCT_COMPLETE=bash_source aiida-ionconduct)"
    """
