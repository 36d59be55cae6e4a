"""`aiida-ionconduct analyse`: the transport analysis of stored runs, with other settings, or of plain files."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_ionconduct.choices import ESTIMATORS
from aiida_ionconduct.cli.nodes import Node, open_profile
from aiida_ionconduct.cli.options import LAYOUT, PROFILE, given_options
from aiida_ionconduct.cli.words import Charges, Pairs, PairsOption, Symbols, echo
from aiida_ionconduct.readers import TrajectoryFormat

if TYPE_CHECKING:
    from aiida_ionconduct.report.result import Campaign

POSITIVE = click.FloatRange(min=0, min_open=True)
READING = ('timestep_fs', 'dt_ps', 'nblock', 'types', 'structure', 'file_format', 'wrapped')
"""Parameters that say how files are read."""
FILE_OPTIONS = (*READING, 'masses', 'csv', 'page')
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
    type=Symbols(),
    metavar='SYMBOL,…',
    help='The chemical symbol of the mobile ion, or of several, such as Li,Na. [default: as in the previous analysis '
    'of a node, else Li]',
)
@click.option(
    '--framework',
    type=Symbols(),
    metavar='SYMBOL,…',
    help='The species relative to which tracers move, or none for the centre of mass of all atoms. [default: the '
    'species that do not diffuse]',
)
@click.option(
    '--charges',
    cls=PairsOption,
    type=Charges(),
    multiple=True,
    metavar='SYMBOL=CHARGE',
    help='Oxidation states that are not the usual ones, such as Ge=4 S=-2; for files also charges that are not whole '
    'numbers, or the word column for those in the file.',
)
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
    '--nblock',
    type=click.IntRange(min=1),
    help='Files: the number of MD steps between two frames (NBLOCK of VASP), together with --timestep-fs.',
)
@click.option(
    '--wrapped/--unwrapped',
    default=None,
    help='Files: positions are folded into the cell, or are not. [default: as the columns or the format say]',
)
@click.option(
    '--masses',
    cls=PairsOption,
    type=Pairs(float),
    multiple=True,
    metavar='SYMBOL=MASS',
    help='Files: masses in u that are not the standard masses, such as H=2.014.',
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
@click.option(
    '--csv',
    type=click.Path(file_okay=False, path_type=Path),
    metavar='FOLDER',
    help='Files: a folder for CSV files of the displacements and running conductivities, also along x, y and z, and of '
    'the conductivity against frequency.',
)
@click.option(
    '--page',
    type=click.Path(dir_okay=False, path_type=Path),
    metavar='FILE',
    help='Files: a file for the result as an HTML page with figures.',
)
@PROFILE
@click.pass_context
def analyse_command(
    ctx: click.Context, *, sources: tuple[str, ...], layout: str, profile: str | None, **settings: Any
) -> None:
    """Analyse stored runs with other settings, or trajectory files, for which no profile is needed.

    PK is a campaign, a ConductivityData or a trajectory. Its runs are analysed again at each temperature, and each
    result is stored as a node; this takes seconds and runs no engine. FILE is a LAMMPS dump (text or binary), an
    extended XYZ, XDATCAR, npz file (positions, symbols, cell), or anything that ASE reads. Several files are velocity
    seeds, at each temperature that they state.

    \b
      aiida-ionconduct analyse PK --block-ps 170
      aiida-ionconduct analyse PK --temperature 900 --estimator cve
      aiida-ionconduct analyse seed1.lammpstrj seed2.lammpstrj --temperature 900 --timestep-fs 1
      aiida-ionconduct analyse run.npz --temperature 600 --dt-ps 0.1 --charges P=5 S=-2 --format json
    """
    from aiida_ionconduct.report.tables.terminal import summary_tables

    if settings['framework'] == ['none']:
        settings['framework'] = []
    are_files = [Path(source).is_file() for source in sources]
    if all(are_files):
        campaign = _of_files([Path(source) for source in sources], **settings)
    elif any(are_files) or any(Path(source).suffix for source in sources):
        missing = [source for source, is_file in zip(sources, are_files, strict=True) if not is_file]
        raise click.BadParameter(f'there is no file {", ".join(missing)}.', param_hint='FILE')
    else:
        if given := [option for name, option in given_options(ctx).items() if name in FILE_OPTIONS]:
            raise click.ClickException(f'only for files, as stored runs know what they are: {", ".join(given)}.')
        from aiida_ionconduct.cli.analyse import analyse_nodes

        open_profile(profile)
        parameter = next(param for param in ctx.command.params if param.name == 'sources')
        nodes = [Node().convert(source, parameter, ctx) for source in sources]
        campaign = analyse_nodes(nodes, **{name: value for name, value in settings.items() if name not in FILE_OPTIONS})
    if layout == 'json':
        rows = [
            {
                'pk': conductivity.pk,
                'uuid': conductivity.uuid,
                **conductivity.attributes,
                **({'arrhenius': campaign.arrhenius} if campaign.arrhenius else {}),
            }
            for conductivity in campaign.conductivities
        ]
        echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    echo(summary_tables(campaign, judged=False))
    if written := [str(path) for path in (settings['csv'], settings['page']) if path is not None]:
        echo(f'\nWritten: {", ".join(written)}')
    if stored := [f'{result.temperature_K:g} K: {result.pk}' for result in campaign.conductivities if result.pk]:
        echo(f'\nStored as ConductivityData, {", ".join(stored)}.')


def _of_files(
    paths: list[Path],
    *,
    temperature: float | None,
    discard_ps: float,
    csv: Path | None,
    page: Path | None,
    **settings: Any,
) -> Campaign:
    """Analyse files, and write the curves and the page that were asked for."""
    from aiida_ionconduct.cli.files import analyse_files
    from aiida_ionconduct.readers import ReadingOptions

    reading = {name: settings.pop(name) for name in READING}
    options = ReadingOptions(temperature_K=temperature, discard_ps=discard_ps, **reading)
    campaign = analyse_files(paths, options, axes=csv is not None, **settings)
    if csv is not None:
        from aiida_ionconduct.report.tables.curves import write_curves

        write_curves(campaign, csv)
    if page is not None:
        from aiida_ionconduct.report.page.campaign import render
        from aiida_ionconduct.report.page.template import write

        write(render(campaign), page)
    return campaign
