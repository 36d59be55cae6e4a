"""`verdi data ionconduct.…`: list, show and export for the data types of this package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_ionconduct.cli.commands.archives import export_command
from aiida_ionconduct.cli.commands.model import model_export, model_list, model_show
from aiida_ionconduct.cli.commands.query import conductivities
from aiida_ionconduct.cli.commands.results import show_command
from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import Node, of_kind, open_profile
from aiida_ionconduct.cli.options import PROFILE
from aiida_ionconduct.cli.tables import TABLE, print_frame
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from aiida import orm


@click.group('ionconduct.conductivity', cls=Group)
def conductivity() -> None:
    """List, show and export conductivities of aiida-ionconduct."""


conductivity.add_command(conductivities, 'list')
conductivity.add_command(show_command, 'show')
conductivity.add_command(export_command, 'export')


@click.group('ionconduct.model', cls=Group)
def model() -> None:
    """List, show and export Allegro potentials of aiida-ionconduct."""


model.add_command(model_list, 'list')
model.add_command(model_show, 'show')
model.add_command(model_export, 'export')


@click.group('ionconduct.trajectory', cls=Group)
def trajectory() -> None:
    """List, show and export ion trajectories of aiida-ionconduct."""


trajectory.add_command(show_command, 'show')


@trajectory.command('list')
@TABLE
@PROFILE
def trajectory_list(*, profile: str | None, **table: Any) -> None:
    """List all trajectories."""
    open_profile(profile)
    from aiida_ionconduct import queries

    shown = ('pk', 'temperature_K', 'seed', 'length_ps', 'n_frames', 'n_atoms', 'ensemble', 'job')
    print_frame(queries.trajectories(), shown, **table)


@trajectory.command('export')
@click.argument('node', type=Node('ionconduct.trajectory'), metavar='PK')
@click.option(
    '-o',
    '--output',
    default='trajectory.extxyz',
    show_default=True,
    type=click.Path(dir_okay=False),
    help='The file to write.',
)
@click.option(
    '--stride', default=1, show_default=True, type=click.IntRange(1), help='Write only every STRIDE-th frame.'
)
@PROFILE
def trajectory_export(*, node: orm.Node, output: str, stride: int, profile: str | None) -> None:
    """Write a trajectory as extended XYZ, unwrapped."""
    open_profile(profile)
    from aiida_ionconduct.data import IonTrajectoryData

    n_frames = of_kind(node, IonTrajectoryData, 'is not a trajectory').write_extxyz(output, stride)
    echo(f'Written: {output}, {n_frames} frames')


@click.group('ionconduct.dataset', cls=Group)
def dataset() -> None:
    """List, show and export training sets of aiida-ionconduct."""


dataset.add_command(show_command, 'show')


@dataset.command('list')
@TABLE
@PROFILE
def dataset_list(*, profile: str | None, **table: Any) -> None:
    """List all training sets."""
    open_profile(profile)
    from aiida_ionconduct import queries

    print_frame(queries.datasets(), ('pk', 'label', 'elements', 'n_frames', 'sources', 'created'), **table)


@dataset.command('export')
@click.argument('node', type=Node('ionconduct.dataset'), metavar='PK')
@click.option(
    '-o',
    '--output',
    default=Path('dataset.extxyz'),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help='The file to write.',
)
@PROFILE
def dataset_export(*, node: orm.Node, output: Path, profile: str | None) -> None:
    """Write a training set as extended XYZ."""
    open_profile(profile)
    from aiida_ionconduct.data import DatasetData

    output.write_bytes(of_kind(node, DatasetData, 'is not a training set').get_content(mode='rb'))
    echo(f'Written: {output}')
