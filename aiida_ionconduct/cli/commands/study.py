"""Studies of what is stored: `aiida-ionconduct study …`. AiiDA is imported inside the commands."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import CAMPAIGN, PROFILE, Node, of_kind, open_profile
from aiida_ionconduct.cli.words import Pairs

NODES = click.argument('nodes', nargs=-1, required=True, metavar='PK…', type=Node(CAMPAIGN))
FOLDER = click.option(
    '-o', '--output', type=click.Path(file_okay=False, path_type=Path), default=Path('study'), show_default=True,
    help='Folder of the figures.',
)  # fmt: skip
PURPOSE = 'has nothing for this study'
TEMPERATURE = click.option('--temperature', type=float, help='In K; needed where the runs are at several.')


@click.group('study', cls=Group)
def study_command():
    """Studies of stored trajectories and conductivities: calculation functions, never new dynamics.

    PK is an IonTrajectoryData, or a work chain with trajectories in its outputs (or of its children).
    """


@study_command.command('blocks')
@NODES
@click.option(
    '--blocks', metavar='PS,PS,…', help='Lengths of the blocks; a quarter, a half and a whole run if not given.'
)
@click.option('--mobile', default='Li', show_default=True, help='The mobile ion.')
@click.option('--charges', type=Pairs(int), multiple=True, metavar='SYMBOL=CHARGE', help='Where not the usual ones.')
@TEMPERATURE
@FOLDER
@PROFILE
def blocks_command(nodes, blocks, mobile, charges, temperature, output, profile):
    """Block sizes: full against tracer conductivity, block against simple method, running curves, converged or not.

    \b
      aiida-ionconduct study blocks PK --temperature 1200 --blocks 85,170,340
    """
    open_profile(profile)
    runs = load_runs(nodes, temperature)
    from aiida import orm
    from ase import Atoms

    from aiida_ionconduct.calculations.functions.studies import compare_block_sizes
    from aiida_ionconduct.report.figures.studies import block_sizes
    from aiida_ionconduct.report.tables.studies import block_sizes_text
    from aiida_ionconduct.structures import check_charges
    from aiida_ionconduct.studies.block_size import block_frames

    first = next(iter(runs.values()))
    parameters = {'charges': check_charges(Atoms(first.symbols), dict(charges)), 'mobile': mobile}
    if blocks:
        parameters['block_ps'] = [float(word) for word in blocks.split(',')]
        # Refused here, a block that does not fit leaves no process behind.
        block_frames(parameters['block_ps'], first.base.attributes.get('n_frames'), first.frame_interval_ps)
    node = compare_block_sizes(orm.Dict(parameters), **runs)
    click.echo(block_sizes_text(node.base.attributes.all))
    curves = {name: node.get_array(name) for name in node.get_arraynames()}
    name = f'block-sizes-{node.base.attributes.get("temperature_K"):g}K'
    save(block_sizes(curves, node.base.attributes.get('rows')), output, name, node)


@study_command.command('density')
@NODES
@click.option('--mobile', default='Li', show_default=True, help='The mobile ion.')
@click.option('--spacing', default=0.3, show_default=True, help='Of the grid, in Å.')
@click.option('--core', default=0.8, show_default=True, help="Radius of a site's core, in Å.")
@TEMPERATURE
@FOLDER
@PROFILE
def density_command(nodes, mobile, spacing, core, temperature, output, profile):
    """Where the ions are: superposition, density as a cube file and isosurfaces, percolation, sites and jumps.

    \b
      aiida-ionconduct study density PK --temperature 1200 --spacing 0.3
    """
    open_profile(profile)
    runs = load_runs(nodes, temperature)
    import numpy as np
    from aiida import orm

    from aiida_ionconduct.calculations.functions.studies import mobile_density
    from aiida_ionconduct.transport import mobile_positions
    from aiida_ionconduct.report.figures.studies import isosurfaces, superposition
    from aiida_ionconduct.report.tables.studies import density_text

    made = mobile_density(orm.Dict({'mobile': mobile, 'spacing_A': spacing, 'core_A': core}), **runs)
    numbers = made['statistics'].get_dict()
    click.echo(density_text(numbers))
    name, first = f'density-{numbers["temperature_K"]:g}K', next(iter(runs.values()))
    output.mkdir(parents=True, exist_ok=True)
    (output / f'{name}.cube').write_text(made['cube'].get_content())
    click.echo(f'Written: {output / name}.cube')
    is_mobile = np.array(first.symbols) == mobile
    moving = np.concatenate([mobile_positions(run.positions, first.symbols, mobile) for run in runs.values()])
    save(
        superposition(moving, first.positions[0, ~is_mobile], first.cell),
        output,
        f'superposition-{name}',
        made['density'],
    )
    save(isosurfaces(made['density'].get_array('density'), first.cell), output, f'isosurfaces-{name}', made['density'])


@study_command.command('sizes')
@NODES
@PROFILE
def sizes_command(nodes, profile):
    """Cell sizes: is the conductivity that of the infinite crystal? PK… are ConductivityData, one for each cell.

    \b
      aiida-ionconduct study sizes PK PK PK
    """
    open_profile(profile)
    from aiida_ionconduct.calculations.functions.studies import compare_sizes
    from aiida_ionconduct.data import ConductivityData
    from aiida_ionconduct.report.tables.studies import sizes_text
    from aiida_ionconduct.studies.finite_size import check_sizes

    found = {f'size_{index:02d}': of_kind(node, ConductivityData, PURPOSE) for index, node in enumerate(nodes)}
    check_sizes([one.base.attributes.get('n_atoms') for one in found.values()])
    click.echo(sizes_text(compare_sizes(**found).get_dict()))


@study_command.command('twins')
@click.argument('node', metavar='PK', type=Node('aiida.workflows:ionconduct.twins'))
@FOLDER
@PROFILE
def twins_command(node, output, profile):
    """Lyapunov study: how fast twin runs part. PK is a finished TwinsWorkChain.

    \b
      aiida-ionconduct study twins PK
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.report.figures.studies import divergence
    from aiida_ionconduct.report.tables.studies import twins_text

    outputs = of_kind(node, orm.WorkChainNode, PURPOSE).outputs
    if 'lyapunov' not in outputs:
        raise click.BadParameter(f'node {node.pk} is no finished TwinsWorkChain.', param_hint='PK')
    found = outputs.lyapunov.get_dict()
    click.echo(twins_text(found))
    curves = [outputs.divergence.get_array(name) for name in ('time_ps', 'difference_A')]
    save(divergence(*curves, found), output, 'divergence', outputs.divergence)


def load_runs(nodes, temperature):
    """Return the trajectories by label, of one temperature.

    :raises click.ClickException: where there are none, or several temperatures.
    """
    from aiida import orm

    from aiida_ionconduct.data import IonTrajectoryData

    runs = {}
    for node in nodes:
        of_kind(node, (IonTrajectoryData, orm.WorkChainNode), PURPOSE)
        for one in [node] if isinstance(node, IonTrajectoryData) else trajectories_of(node):
            runs[one.pk] = one
    if temperature is not None:
        runs = {pk: run for pk, run in runs.items() if abs(run.temperature_K - temperature) < 1e-6}
    found = sorted({run.temperature_K for run in runs.values()})
    if len(found) != 1:
        listed = ', '.join(f'{T:g}' for T in found) or 'none'
        raise click.ClickException(
            f'trajectories at one temperature are needed, found: {listed} K; choose by --temperature.'
        )
    return {f'run_{index:03d}': run for index, (_, run) in enumerate(sorted(runs.items()))}


def trajectories_of(node):
    """Return the trajectories that a work chain has in its outputs."""
    from aiida.common.links import LinkType

    links = node.base.links.get_outgoing(link_type=LinkType.RETURN)
    return [link.node for link in links if link.link_label.startswith('trajectories__')]


def save(figure, folder: Path, name: str, node) -> None:
    """Write a figure as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ('png', 'svg'):
        figure.savefig(folder / f'{name}.{suffix}', dpi=200)
    click.echo(f'Written: {folder / name}.png and .svg, from node {node.pk}')
