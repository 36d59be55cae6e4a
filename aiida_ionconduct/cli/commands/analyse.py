"""`aiida-ionconduct analyse`: the transport analysis of stored runs, with other settings, or of plain files."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import click

from aiida_ionconduct.choices import ESTIMATORS
from aiida_ionconduct.cli.nodes import Node, open_profile
from aiida_ionconduct.cli.options import CHARGES, LAYOUT, PROFILE, given_options
from aiida_ionconduct.cli.words import Pairs, Symbols, echo
from aiida_ionconduct.readers import TrajectoryFormat

POSITIVE = click.FloatRange(min=0, min_open=True)
FILE_OPTIONS = ('timestep_fs', 'dt_ps', 'masses', 'types', 'structure', 'file_format')
"""Parameters that only files take."""


@click.command('analyse')
@click.argument('sources', nargs=-1, required=True, metavar='PK…|FILE…')
@click.option(
    '--estimator',
    type=click.Choice(ESTIMATORS),
    help='The estimator of the conductivity. [default: the estimator that the settings below belong to, else auto]',
)
@click.option('--block-ps', type=POSITIVE, help='The length of the blocks in ps, for the estimator `block`.')
@click.option('--lag-ps', type=POSITIVE, help='The lag in ps, for the estimator `cve`.')
@click.option(
    '--fit-ps',
    type=POSITIVE,
    nargs=2,
    metavar='FROM TO',
    help='The range of lags in ps that is fitted, for the estimator `einstein`.',
)
@click.option(
    '--discard-ps',
    type=click.FloatRange(min=0),
    default=0.0,
    help='The time in ps that is left out at the beginning of every run.',
)
@click.option(
    '--mobile',
    metavar='SYMBOL',
    help='The chemical symbol of the mobile ion. [default: as in the previous analysis of a node, else Li]',
)
@CHARGES
@click.option(
    '-T',
    '--temperature',
    type=POSITIVE,
    help='The temperature in K: for files, where the files do not state it; for nodes, the only one to analyse.',
)
@click.option(
    '--timestep-fs', type=POSITIVE, help='Files: the MD time step in fs, for dumps that number their frames by steps.'
)
@click.option(
    '--dt-ps', type=POSITIVE, help='Files: the time between two frames in ps, where the files do not state it.'
)
@click.option(
    '--masses',
    type=Pairs(float),
    multiple=True,
    metavar='SYMBOL=MASS',
    help='Files: a mass in u that is not the standard mass; repeat the option for other elements.',
)
@click.option(
    '--types', type=Symbols(), metavar='Li,P,S', help='Files: the symbols of the types 1, 2, … of a LAMMPS dump.'
)
@click.option(
    '--structure',
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Files: a structure with the symbols and the cell that a trajectory does not state, in any format that ASE '
    'reads and with the atoms in the same order.',
)
@click.option(
    '--file-format',
    type=click.Choice(typing.get_args(TrajectoryFormat)),
    help='Files: the format. [default: recognised by the name and the first bytes]',
)
@LAYOUT
@PROFILE
@click.pass_context
def analyse_command(
    ctx: click.Context, *, sources: tuple[str, ...], layout: str, profile: str | None, **settings: Any
) -> None:
    """Analyse stored runs with other settings, or trajectory files, for which no profile is needed.

    PK is a campaign, a ConductivityData or a trajectory. Its runs are analysed again at each temperature, and each
    result is stored as a node; this takes seconds and runs no engine. FILE is a LAMMPS dump (text or binary), an
    extended XYZ, XDATCAR or npz file (positions, symbols, cell). Several files are velocity seeds at one temperature.

    \b
      aiida-ionconduct analyse PK --block-ps 170
      aiida-ionconduct analyse PK --temperature 900 --estimator cve
      aiida-ionconduct analyse seed1.lammpstrj seed2.lammpstrj --temperature 900 --timestep-fs 1
      aiida-ionconduct analyse run.npz --temperature 600 --dt-ps 0.1 --charges P=5 --charges S=-2 --format json
    """
    from aiida_ionconduct.cli.analyse import analyse_files, analyse_nodes
    from aiida_ionconduct.report.tables.terminal import summary_tables

    are_files = [Path(source).is_file() for source in sources]
    if all(are_files):
        campaign = analyse_files([Path(source) for source in sources], **settings)
    elif any(are_files) or any(Path(source).suffix for source in sources):
        missing = [source for source, is_file in zip(sources, are_files, strict=True) if not is_file]
        raise click.BadParameter(f'there is no file {", ".join(missing)}.', param_hint='FILE')
    else:
        if given := [option for name, option in given_options(ctx).items() if name in FILE_OPTIONS]:
            raise click.ClickException(f'only for files, as stored runs know what they are: {", ".join(given)}.')
        open_profile(profile)
        parameter = next(param for param in ctx.command.params if param.name == 'sources')
        nodes = [Node().convert(source, parameter, ctx) for source in sources]
        campaign = analyse_nodes(nodes, **{name: value for name, value in settings.items() if name not in FILE_OPTIONS})
    if layout == 'json':
        rows = [
            {'pk': conductivity.pk, 'uuid': conductivity.uuid, **conductivity.attributes}
            for conductivity in campaign.conductivities
        ]
        echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    echo(summary_tables(campaign, judged=False))
    if stored := [f'{result.temperature_K:g} K: {result.pk}' for result in campaign.conductivities if result.pk]:
        echo(f'\nStored as ConductivityData, {", ".join(stored)}.')
