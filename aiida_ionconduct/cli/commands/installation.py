"""`aiida-ionconduct setup`, `doctor` and `clean`: the machine, not the results."""

import warnings
from pathlib import Path

import click

from aiida_ionconduct.cli.nodes import open_profile


@click.command('setup')
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
@click.option(
    '--postgres',
    metavar='postgresql://USER:PASSWORD@HOST:PORT/DATABASE',
    envvar='AIIDA_IONCONDUCT_POSTGRES',
    show_envvar=True,
    help='An empty database, for many jobs.',
)
@click.option(
    '--rabbitmq',
    metavar='amqp://USER:PASSWORD@HOST:PORT',
    envvar='AIIDA_IONCONDUCT_RABBITMQ',
    show_envvar=True,
    help='The broker that goes with it.',
)
@click.option(
    '--site',
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='YAML file with further computers and codes.',
)
def setup_command(**settings):
    """Make everything a calculation needs: profile, computers, codes, pseudopotentials, daemon.

    What exists already is left as it is, so the command can be repeated. The profile is created in the AiiDA
    configuration that the environment variable AIIDA_PATH names. It uses SQLite and the ZeroMQ broker, which need no
    server, or PostgreSQL and RabbitMQ where these are given; passwords are better given by the environment, as
    others see a command line.

    \b
      aiida-ionconduct setup
      aiida-ionconduct setup --profile farm --workers 4 --site cluster.yaml
    """
    # AiiDA says so as soon as it is imported, and the first line printed below says it again.
    warnings.filterwarnings('ignore', message='Creating AiiDA configuration folder')
    from aiida_ionconduct.cli.setup import Settings, SetupError, run_steps

    try:
        for name, state in run_steps(Settings(**settings)):
            click.echo(f'{name:<48s} {state}')
    except SetupError as exception:
        raise click.ClickException(str(exception)) from exception


@click.command('doctor')
@click.option('-p', '--profile', help='Profile to look at; the default profile if not given.')
@click.option('--jobs/--no-jobs', default=True, show_default=True, help='Run every code with a tiny input.')
@click.option('--timeout', default=600.0, show_default=True, help='Seconds for these jobs.')
def doctor_command(profile, jobs, timeout):
    """Look at everything that a calculation needs, and say what to do about what is wrong.

    The exit status is 1 if something is. The jobs are deleted again from the profile when they have done what they
    should.

    \b
      aiida-ionconduct doctor
      aiida-ionconduct doctor --no-jobs
    """
    open_profile(profile)
    from tabulate import tabulate

    from aiida_ionconduct.cli.doctor import ERROR, examine

    rows = list(examine(jobs, timeout))
    click.echo(tabulate(rows, headers=('', 'state', 'found', 'what to do'), maxcolwidths=[None, None, 60, 60]))
    raise SystemExit(any(row.state == ERROR for row in rows))


@click.command('clean')
@click.option('-p', '--profile', help='Profile to look at; the default profile if not given.')
@click.option('--older-than', default=0.0, metavar='DAYS', help='Only runs that ended so many days ago.')
@click.option('--apply', is_flag=True, help='Remove them; without this they are only counted.')
def clean_command(profile, older_than, apply):
    """Remove the remote folders of LAMMPS runs that ended well and whose trajectories are stored.

    Without --apply nothing is removed. Runs that failed, that were cut or that run keep their folders.

    \b
      aiida-ionconduct clean
      aiida-ionconduct clean --older-than 30 --apply
    """
    open_profile(profile)
    from aiida_ionconduct.cli.clean import clean, folders

    found = folders(older_than)
    for one in found:
        if one.reason:
            click.echo(f'LammpsMdCalculation<{one.job.pk}> stays: {one.reason}.')
    total = 0
    for label, number, n_bytes in clean([one for one in found if not one.reason], apply):
        total += number
        click.echo(f'{label}: {number} folders, {n_bytes / 1e6:.1f} MB {"removed" if apply else "can be removed"}')
    if not total:
        click.echo('Nothing to remove.')
    elif not apply:
        click.echo('Nothing was removed; with --apply they are.')
