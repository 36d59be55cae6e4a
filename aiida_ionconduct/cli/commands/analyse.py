"""`aiida-ionconduct analyse`: the transport analysis of stored runs, with other settings, or of plain files."""

from pathlib import Path
from typing import get_args

import click

from aiida_ionconduct.choices import ESTIMATORS
from aiida_ionconduct.cli.nodes import PROFILE, Node, open_profile
from aiida_ionconduct.cli.words import Pairs, Symbols
from aiida_ionconduct.readers import TrajectoryFormat


@click.command('analyse')
@click.argument('sources', nargs=-1, required=True, metavar='PK…|FILE…')
@click.option('--estimator', type=click.Choice(ESTIMATORS), help='Default: auto, or block with --block-ps.')
@click.option('--block-ps', type=float, help='Length of the blocks of the estimator `block`.')
@click.option('--lag-ps', type=float, help='Lag of the estimator `cve`.')
@click.option('--fit-ps', type=float, nargs=2, metavar='FROM TO', help='Lags fitted by the estimator `einstein`.')
@click.option('--discard-ps', type=float, default=0.0, help='Leave out so much of the beginning of every run.')
@click.option('--mobile', help='The mobile ion. Default: Li, or that of the analysis before.')
@click.option(
    '--charges', type=Pairs(int), multiple=True, metavar='SYMBOL=CHARGE', help='Oxidation states where not the usual.'
)
@click.option('-T', '--temperature', type=float, help='In K. Of files that do not state it; of nodes, to choose.')
@click.option('--timestep-fs', type=float, help='Files: MD time step, for dumps that number steps.')
@click.option('--dt-ps', type=float, help='Files: time between two frames, where it is not known from the file.')
@click.option('--masses', type=Pairs(float), multiple=True, metavar='SYMBOL=MASS', help='Files: where not standard.')
@click.option('--types', type=Symbols(), metavar='Li,P,S', help='Files: symbols of the types 1, 2, … of a dump.')
@click.option(
    '--structure',
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Files: symbols and cell, where the trajectory has none; anything ASE reads, atoms in the same order.',
)
@click.option(
    '--file-format', type=click.Choice(get_args(TrajectoryFormat)), help='Files: default by name and first bytes.'
)
@click.option('-f', '--format', 'layout', type=click.Choice(('text', 'json')), default='text', show_default=True)
@PROFILE
@click.pass_context
def analyse_command(ctx, sources, layout, profile, **settings):
    """Analyse runs again, with other settings; or trajectory files, for which no profile is needed.

    PK is a campaign, a ConductivityData or a trajectory: its runs are analysed anew, at each temperature, as a node.
    That takes seconds and no engine. FILE is a LAMMPS dump (text or binary), extended XYZ, XDATCAR or npz (positions,
    symbols, cell); several files are several velocity seeds at one temperature.

    \b
      aiida-ionconduct analyse PK --block-ps 170
      aiida-ionconduct analyse PK --temperature 900 --estimator cve
      aiida-ionconduct analyse seed1.lammpstrj seed2.lammpstrj --temperature 900 --timestep-fs 1
      aiida-ionconduct analyse run.npz --temperature 600 --dt-ps 0.1 --charges P=5 --charges S=-2 --format json
    """
    from aiida_ionconduct.cli.analyse import analyse_files, analyse_nodes
    from aiida_ionconduct.report.tables.text import summary_tables

    are_files = [Path(source).is_file() for source in sources]
    if all(are_files):
        data = analyse_files([Path(source) for source in sources], **settings)
    elif any(are_files) or any(Path(source).suffix for source in sources):
        missing = [source for source, is_file in zip(sources, are_files, strict=True) if not is_file]
        raise click.BadParameter(f'there is no file {", ".join(missing)}.', param_hint='FILE')
    else:
        open_profile(profile)
        parameter = next(one for one in ctx.command.params if one.name == 'sources')
        data = analyse_nodes([Node().convert(source, parameter, ctx) for source in sources], **settings)
    if layout == 'json':
        import json

        found = [{'pk': one.pk, 'uuid': one.uuid, **one.attributes} for one in data.conductivities]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    click.echo(summary_tables(data, judged=False))
    if stored := [f'{one.temperature_K:g} K: {one.pk}' for one in data.conductivities if one.pk]:
        click.echo(f'\nStored as ConductivityData, {", ".join(stored)}.')
