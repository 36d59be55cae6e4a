"""`verdi data ionconduct.…`: what verdi has for data types, for ours; thin, over the commands of this package."""

import click

from aiida_ionconduct.cli.commands.archives import export_command
from aiida_ionconduct.cli.commands.model import model_export, model_list, model_show
from aiida_ionconduct.cli.commands.query import conductivities
from aiida_ionconduct.cli.commands.results import show_command
from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import PROFILE, Node, of_kind, open_profile
from aiida_ionconduct.cli.tables import TABLE, print_frame


@click.group('ionconduct.conductivity', cls=Group)
def conductivity():
    """Conductivities of aiida-ionconduct."""


conductivity.add_command(conductivities, 'list')
conductivity.add_command(show_command, 'show')
conductivity.add_command(export_command, 'export')


@click.group('ionconduct.model', cls=Group)
def model():
    """Allegro potentials of aiida-ionconduct."""


model.add_command(model_list, 'list')
model.add_command(model_show, 'show')
model.add_command(model_export, 'export')


@click.group('ionconduct.trajectory', cls=Group)
def trajectory():
    """Ion trajectories of aiida-ionconduct."""


trajectory.add_command(show_command, 'show')


@trajectory.command('list')
@TABLE
@PROFILE
def trajectory_list(profile, **table):
    """List all trajectories."""
    open_profile(profile)
    from aiida_ionconduct import queries

    shown = ('pk', 'temperature_K', 'seed', 'length_ps', 'n_frames', 'n_atoms', 'ensemble', 'job')
    print_frame(queries.trajectories(), shown, **table)


@trajectory.command('export')
@click.argument('node', type=Node('ionconduct.trajectory'), metavar='PK')
@click.option('-o', '--output', default='trajectory.extxyz', show_default=True, type=click.Path(dir_okay=False))
@click.option('--stride', default=1, show_default=True, type=click.IntRange(1), help='Every how manieth frame.')
@PROFILE
def trajectory_export(node, output, stride, profile):
    """Write a trajectory as extended XYZ, unwrapped."""
    open_profile(profile)
    from aiida_ionconduct.data import IonTrajectoryData

    n_frames = of_kind(node, IonTrajectoryData, 'is no trajectory').write_extxyz(output, stride)
    click.echo(f'Written: {output}, {n_frames} frames')


@click.group('ionconduct.dataset', cls=Group)
def dataset():
    """Training sets of aiida-ionconduct."""


dataset.add_command(show_command, 'show')


@dataset.command('list')
@TABLE
@PROFILE
def dataset_list(profile, **table):
    """List all training sets."""
    open_profile(profile)
    from aiida_ionconduct import queries

    print_frame(queries.datasets(), ('pk', 'label', 'elements', 'n_frames', 'sources', 'created'), **table)


@dataset.command('export')
@click.argument('node', type=Node('ionconduct.dataset'), metavar='PK')
@click.option('-o', '--output', default='dataset.extxyz', show_default=True, type=click.Path(dir_okay=False))
@PROFILE
def dataset_export(node, output, profile):
    """Write a training set as extended XYZ."""
    open_profile(profile)
    from aiida_ionconduct.data import DatasetData

    content = of_kind(node, DatasetData, 'is no training set').get_content(mode='rb')
    with open(output, 'wb') as handle:
        handle.write(content)
    click.echo(f'Written: {output}')
