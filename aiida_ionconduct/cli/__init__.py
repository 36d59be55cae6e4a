"""The command line: ``aiida-ionconduct``. AiiDA is imported inside the commands, so that ``--help`` is quick."""

import warnings
from pathlib import Path

import click

from aiida_ionconduct import __version__


@click.group(context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__)
def cli():
    """Ionic conductivities with an error bar, every step in AiiDA's provenance graph."""


@cli.command('setup')
@click.option('-p', '--profile', default='ionconduct', show_default=True, help='Profile to create or complete.')
@click.option('-w', '--workers', default=2, show_default=True, type=click.IntRange(1), help='Daemon workers.')
@click.option(
    '--cache',
    type=click.Path(file_okay=False, path_type=Path),
    envvar='AIIDA_IONCONDUCT_CACHE',
    default=Path('~/.cache/aiida-ionconduct').expanduser(),
    show_default=True,
    show_envvar=True,
    help='Where downloaded pseudopotentials are kept.',
)
def setup_command(profile, workers, cache):
    """Make everything a calculation needs: profile, computer, codes, pseudopotentials, daemon.

    What exists already is left as it is, so the command can be repeated. The profile is created in the AiiDA
    configuration that the environment variable AIIDA_PATH names, and uses SQLite and the ZeroMQ broker: no server.
    """
    # AiiDA says so as soon as it is imported, and the first line printed below says it again.
    warnings.filterwarnings('ignore', message='Creating AiiDA configuration folder')
    from .setup import SetupError, run_steps

    try:
        for name, state in run_steps(profile, workers, cache):
            click.echo(f'{name:<48s} {state}')
    except SetupError as exception:
        raise click.ClickException(str(exception)) from exception


@cli.command('report')
@click.argument('pk', metavar='PK')
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path('conductivity.html'),
    show_default=True,
    help='The HTML page to write.',
)
@click.option('-p', '--profile', help='Profile to read from; the default profile if not given.')
def report_command(pk, output, profile):
    """Print the results of the ConductivityWorkChain PK (or UUID) and write them as an HTML page."""
    from aiida import load_profile, orm
    from aiida.common.exceptions import NotExistent

    load_profile(profile)
    from aiida_ionconduct.report.collect import collect
    from aiida_ionconduct.report.page import write_page
    from aiida_ionconduct.report.text import summary_tables

    try:
        node = orm.load_node(pk)
    except NotExistent as exception:
        raise click.BadParameter(f'no node {pk} in this profile.', param_hint='PK') from exception
    if node.process_type != 'aiida.workflows:ionconduct.conductivity':
        raise click.BadParameter(f'node {pk} is a {node.node_type}, not a ConductivityWorkChain.', param_hint='PK')
    click.echo(summary_tables(collect(node)))
    click.echo(f'Page written: {write_page(node, output)}')
