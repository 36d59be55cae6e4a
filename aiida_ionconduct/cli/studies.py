"""Studies of what is stored: `aiida-ionconduct study …`. AiiDA is imported inside the commands."""

from __future__ import annotations

from pathlib import Path

import click

from .words import Pairs

NODES = click.argument('nodes', nargs=-1, required=True, metavar='PK…')
PROFILE = click.option('-p', '--profile', help='Profile to read from; the default profile if not given.')
FOLDER = click.option(
    '-o', '--output', type=click.Path(file_okay=False, path_type=Path), default=Path('study'), show_default=True,
    help='Folder of the figures.',
)  # fmt: skip
TEMPERATURE = click.option('--temperature', type=float, help='In K; needed where the runs are at several.')


@click.group('study')
def study():
    """Studies of stored trajectories and conductivities: calculation functions, never new dynamics.

    PK is an IonTrajectoryData, or a work chain with trajectories in its outputs (or of its children).
    """


@study.command('blocks')
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
    """Block sizes: full against tracer conductivity, block against simple method, running curves, converged or not."""
    runs, orm = load_runs(nodes, temperature, profile)
    from ase import Atoms
    from tabulate import tabulate

    from aiida_ionconduct.calculations.functions.studies import compare_block_sizes
    from aiida_ionconduct.report.study_figures import block_sizes
    from aiida_ionconduct.structures import check_charges

    first = next(iter(runs.values()))
    parameters = {'charges': check_charges(Atoms(first.symbols), dict(charges)), 'mobile': mobile}
    if blocks:
        parameters['block_ps'] = [float(word) for word in blocks.split(',')]
    node = compute(compare_block_sizes, orm.Dict(parameters), **runs)
    rows, attributes = node.base.attributes.get('rows'), node.base.attributes
    table = [
        (f'{row["block_ps"]:g}', row['quantity'], row['method'], row['n_blocks'], f'{row["sigma_S_per_cm"]:.3g}',
         f'{row["stderr"]:.2g}', '[{:.2g}, {:.2g}]'.format(*row['ci95']),
         f'{row["beta"]:.2f} ± {row["beta_stderr"]:.2f}')
        for row in rows
    ]  # fmt: skip
    headers = ('block (ps)', 'σ', 'method', 'blocks', 'S/cm', 'std. error', '95 % interval', 'β')
    click.echo(tabulate(table, headers=headers, disable_numparse=True))
    click.echo('\n' + '\n'.join(attributes.get('statement')))
    curves = {name: node.get_array(name) for name in node.get_arraynames()}
    save(block_sizes(curves, rows), output, f'block-sizes-{attributes.get("temperature_K"):g}K', node)


@study.command('density')
@NODES
@click.option('--mobile', default='Li', show_default=True, help='The mobile ion.')
@click.option('--spacing', default=0.3, show_default=True, help='Of the grid, in Å.')
@click.option('--core', default=0.8, show_default=True, help="Radius of a site's core, in Å.")
@TEMPERATURE
@FOLDER
@PROFILE
def density_command(nodes, mobile, spacing, core, temperature, output, profile):
    """Where the ions are: superposition, density as a cube file and isosurfaces, percolation, sites and jumps."""
    runs, orm = load_runs(nodes, temperature, profile)
    import numpy as np

    from aiida_ionconduct.calculations.functions.studies import mobile_density
    from aiida_ionconduct.density import mobile_positions
    from aiida_ionconduct.report.study_figures import isosurfaces, superposition

    made = compute(mobile_density, orm.Dict({'mobile': mobile, 'spacing_A': spacing, 'core_A': core}), **runs)
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


def density_text(numbers: dict) -> str:
    """Return the numbers of a density as lines."""
    lines = []
    for axis, one in numbers['percolation'].items():
        text = f'percolates, barrier {one["barrier_eV"]:.2f} eV' if one['percolates'] else 'no path seen'
        lines.append(f'along {axis}: {text}')
    lines.append(f'{numbers["n_sites"]} sites, {numbers["n_jumps"]} jumps')
    if numbers['n_jumps']:
        lines.append(
            f'residence time {numbers["mean_residence_ps"]:.3g} ± {numbers["mean_residence_stderr"]:.2g} ps, '
            f'jump length {numbers["jump_length_A"]:.3g} Å'
        )
    lines.append(f'the ions fill {numbers["filled_share"]:.1%} of the cell')
    return '\n'.join([*lines, *numbers['warnings']])


@study.command('sizes')
@NODES
@PROFILE
def sizes_command(nodes, profile):
    """Cell sizes: is the conductivity that of the infinite crystal? PK… are ConductivityData, one for each cell."""
    from aiida import load_profile, orm

    load_profile(profile)
    from aiida_ionconduct.calculations.functions.studies import compare_sizes
    from aiida_ionconduct.data import ConductivityData

    found = {f'size_{index:02d}': load(pk, ConductivityData, orm) for index, pk in enumerate(nodes)}
    result = compute(compare_sizes, **found).get_dict()
    click.echo(f'{result["answer"]}: {result["reason"]}')
    if result['sigma_S_per_cm'] is not None:
        low, high = result['ci95']
        click.echo(f'σ = {result["sigma_S_per_cm"]:.3g} ± {result["stderr"]:.2g} S/cm, 95 % [{low:.3g}, {high:.3g}]')


@study.command('twins')
@click.argument('node', metavar='PK')
@FOLDER
@PROFILE
def twins_command(node, output, profile):
    """Lyapunov study: how fast twin runs part. PK is a finished TwinsWorkChain."""
    from aiida import load_profile, orm

    load_profile(profile)
    from aiida_ionconduct.report.study_figures import divergence

    outputs = load(node, orm.WorkChainNode, orm).outputs
    if 'lyapunov' not in outputs:
        raise click.BadParameter(f'node {node} is no finished TwinsWorkChain.', param_hint='PK')
    found = outputs.lyapunov.get_dict()
    if found['exponent_per_ps'] is not None:
        error = '' if found['stderr'] is None else f' ± {found["stderr"]:.2g}'
        click.echo(f'λ = {found["exponent_per_ps"]:.4g}{error} /ps from {found["n_pairs"]} pairs')
    click.echo('\n'.join([*found['warnings'], found['meaning']]))
    curves = [outputs.divergence.get_array(name) for name in ('time_ps', 'difference_A')]
    save(divergence(*curves, found), output, 'divergence', outputs.divergence)


def load_runs(nodes, temperature, profile):
    """Return the trajectories by label, of one temperature, and AiiDA's ``orm``.

    :raises click.ClickException: where there are none, or several temperatures.
    """
    from aiida import load_profile, orm

    load_profile(profile)
    from aiida_ionconduct.data import IonTrajectoryData

    runs = {}
    for pk in nodes:
        node = load(pk, (IonTrajectoryData, orm.WorkChainNode), orm)
        for one in [node] if isinstance(node, IonTrajectoryData) else trajectories_of(node, orm):
            runs[one.pk] = one
    if temperature is not None:
        runs = {pk: run for pk, run in runs.items() if abs(run.temperature_K - temperature) < 1e-6}
    found = sorted({run.temperature_K for run in runs.values()})
    if len(found) != 1:
        listed = ', '.join(f'{T:g}' for T in found) or 'none'
        raise click.ClickException(
            f'trajectories at one temperature are needed, found: {listed} K; choose by --temperature.'
        )
    return {f'run_{index:03d}': run for index, (_, run) in enumerate(sorted(runs.items()))}, orm


def trajectories_of(node, orm):
    """Return the trajectories that a work chain has in its outputs."""
    from aiida.common.links import LinkType

    links = node.base.links.get_outgoing(link_type=LinkType.RETURN)
    return [link.node for link in links if link.link_label.startswith('trajectories__')]


def load(pk, kinds, orm):
    """Return a node of some kinds.

    :raises click.BadParameter: if there is none.
    """
    from aiida.common.exceptions import NotExistent

    try:
        node = orm.load_node(pk)
    except (NotExistent, ValueError) as exception:
        raise click.BadParameter(f'no node {pk} in this profile.', param_hint='PK') from exception
    if not isinstance(node, kinds):
        raise click.BadParameter(
            f'node {pk} is a {type(node).__name__}, which has nothing for this study.', param_hint='PK'
        )
    return node


def compute(function, *args, **kwargs):
    """Run a calculation function, bad input as a message of the command."""
    try:
        return function(*args, **kwargs)
    except ValueError as exception:
        raise click.ClickException(str(exception)) from exception


def save(figure, folder: Path, name: str, node) -> None:
    """Write a figure as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ('png', 'svg'):
        figure.savefig(folder / f'{name}.{suffix}', dpi=200)
    click.echo(f'Written: {folder / name}.png and .svg, from node {node.pk}')
