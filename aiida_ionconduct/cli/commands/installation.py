"""`aiida-ionconduct setup`, `doctor` and `clean`: the machine, not the results."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

from aiida_ionconduct.cli.nodes import open_profile
from aiida_ionconduct.cli.options import PROFILE
from aiida_ionconduct.cli.words import echo


@click.command('setup')
@click.option('-p', '--profile', default='ionconduct', show_default=True, help='The profile to create or to complete.')
@click.option(
    '-w',
    '--workers',
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help='The number of workers that the daemon starts with.',
)
@click.option(
    '--cache',
    type=click.Path(file_okay=False, path_type=Path),
    envvar='AIIDA_IONCONDUCT_CACHE',
    default=Path('~/.cache/aiida-ionconduct').expanduser(),
    show_default=True,
    show_envvar=True,
    help='The folder where downloaded pseudopotentials are kept.',
)
@click.option(
    '--postgres',
    metavar='postgresql://USER:PASSWORD@HOST:PORT/DATABASE',
    envvar='AIIDA_IONCONDUCT_POSTGRES',
    show_envvar=True,
    help='The address of an empty PostgreSQL database, for many jobs; needs --rabbitmq as well.',
)
@click.option(
    '--rabbitmq',
    metavar='amqp://USER:PASSWORD@HOST:PORT',
    envvar='AIIDA_IONCONDUCT_RABBITMQ',
    show_envvar=True,
    help='The address of a RabbitMQ broker; needs --postgres as well.',
)
@click.option(
    '--site',
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='A YAML file that describes further computers and codes.',
)
def setup_command(**options: Any) -> None:
    """Make everything a calculation needs: profile, computers, codes, pseudopotentials, daemon.

    What exists already is left as it is, so the command can be repeated. The profile is created in the AiiDA
    configuration that the environment variable AIIDA_PATH names. Without further options it uses SQLite and the
    ZeroMQ broker, which need no server; --postgres and --rabbitmq name the servers of a production profile. Give
    addresses with passwords by the environment variables, because other users can see a command line.

    \b
      aiida-ionconduct setup
      aiida-ionconduct setup --profile production --workers 4 --site cluster.yaml
    """
    # AiiDA warns of this as soon as it is imported, and the first line printed below says it again.
    warnings.filterwarnings('ignore', message='Creating AiiDA configuration folder')
    from aiida_ionconduct.cli.setup import SetupError, SetupOptions, run_steps

    try:
        for name, state in run_steps(SetupOptions(**options)):
            echo(f'{name:<48s} {state}')
    except SetupError as exception:
        raise click.ClickException(str(exception)) from exception


@click.command('doctor')
@PROFILE
@click.option('--jobs/--no-jobs', default=True, show_default=True, help='Whether to run every code with a tiny input.')
@click.option(
    '--timeout', default=600.0, show_default=True, metavar='SECONDS', help='How long to wait for these jobs to end.'
)
def doctor_command(*, profile: str | None, jobs: bool, timeout: float) -> None:
    """Check everything that a calculation needs, and say how to mend what is wrong.

    The exit status is 1 if there is an error. The job of a code that works is deleted from the profile again; the job
    of a code that fails is kept for a look.

    \b
      aiida-ionconduct doctor
      aiida-ionconduct doctor --no-jobs
    """
    open_profile(profile)
    from tabulate import tabulate

    from aiida_ionconduct.cli.doctor import ERROR, examine

    rows = list(examine(jobs, timeout))
    echo(tabulate(rows, headers=('', 'state', 'found', 'what to do'), maxcolwidths=[None, None, 60, 60]))
    raise SystemExit(any(row.state == ERROR for row in rows))


@click.command('clean')
@PROFILE
@click.option(
    '--older-than',
    default=0.0,
    show_default=True,
    metavar='DAYS',
    help='Take only jobs that ended at least this many days ago.',
)
@click.option('--apply', is_flag=True, help='Remove the folders; without this option they are only counted.')
def clean_command(*, profile: str | None, older_than: float, apply: bool) -> None:
    """Remove the remote folders of jobs that ended well and whose results are stored.

    These are LAMMPS runs, trainings, and the jobs of pw.x of this package's work chains. Without --apply nothing is
    removed. Jobs that failed, that were cut short or that have not ended keep their folders, and so do jobs of pw.x and
    trainings whose work chain has not ended.

    \b
      aiida-ionconduct clean
      aiida-ionconduct clean --older-than 30 --apply
    """
    open_profile(profile)
    from aiida_ionconduct.cli.clean import clean, remote_folders

    folders = remote_folders(older_than)
    for folder in folders:
        if folder.reason:
            echo(f'{folder.job.process_label}<{folder.job.pk}> stays: {folder.reason}.')
    total = 0
    for label, number, n_bytes in clean([folder for folder in folders if not folder.reason], apply=apply):
        total += number
        echo(f'{label}: {number} folders, {n_bytes / 1e6:.1f} MB {"removed" if apply else "can be removed"}')
    if not total:
        echo('Nothing to remove.')
    elif not apply:
        echo('Nothing was removed: --apply removes these folders.')
