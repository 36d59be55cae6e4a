"""Studies of what is stored, and of models: `aiida-ionconduct study …`. AiiDA is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_ionconduct.choices import ESTIMATORS
from aiida_ionconduct.cli.commands.study_models import models_command
from aiida_ionconduct.cli.commands.study_potentials import potentials_command
from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import CAMPAIGN, Node, of_kind, open_profile
from aiida_ionconduct.cli.options import CHARGES, MOBILE, PROFILE
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiida import orm
    from matplotlib.figure import Figure

    from aiida_ionconduct.data import IonTrajectoryData

NODES = click.argument('nodes', nargs=-1, required=True, metavar='PK…', type=Node(CAMPAIGN))
FOLDER = click.option(
    '-o', '--output', type=click.Path(file_okay=False, path_type=Path), default=Path('study'), show_default=True,
    help='The folder for the figures.',
)  # fmt: skip
PURPOSE = 'has nothing for this study'
TEMPERATURE = click.option(
    '--temperature', type=float, help='The temperature in K; needed where there are runs at several temperatures.'
)


@click.group('study', cls=Group)
def study_command() -> None:
    """Study stored trajectories and conductivities, the settings of a potential, or potentials of other seeds.

    The results are stored as nodes. PK is an IonTrajectoryData, or a work chain with trajectories among its outputs.
    """


study_command.add_command(models_command)
study_command.add_command(potentials_command)


@study_command.command('blocks')
@NODES
@click.option(
    '--blocks',
    metavar='PS,PS,…',
    help='The lengths of the blocks in ps. [default: a quarter, a half and the whole of a run]',
)
@MOBILE
@CHARGES
@TEMPERATURE
@FOLDER
@PROFILE
def blocks_command(
    *,
    nodes: tuple[orm.Node, ...],
    blocks: str | None,
    mobile: str,
    charges: list[tuple[str, int]],
    temperature: float | None,
    output: Path,
    profile: str | None,
) -> None:
    """Compare block sizes: full and tracer conductivity by blocks and by whole runs, and whether they converge.

    \b
      aiida-ionconduct study blocks PK --temperature 1200 --blocks 85,170,340
    """
    open_profile(profile)
    runs = load_runs(nodes, temperature)
    from aiida import orm
    from ase import Atoms

    from aiida_ionconduct.calculations.functions.studies import compare_block_sizes
    from aiida_ionconduct.report.figures.block_sizes import block_sizes
    from aiida_ionconduct.report.tables.studies import block_sizes_text
    from aiida_ionconduct.structures import check_charges
    from aiida_ionconduct.studies.block_size import block_frames

    first = next(iter(runs.values()))
    parameters: dict[str, Any] = {'charges': check_charges(Atoms(first.symbols), dict(charges)), 'mobile': mobile}
    if blocks:
        lengths_ps = [float(word) for word in blocks.split(',')]
        # Refused here, a block that does not fit leaves no process behind.
        block_frames(lengths_ps, first.base.attributes.get('n_frames'), first.frame_interval_ps)
        parameters['block_ps'] = lengths_ps
    node = compare_block_sizes(orm.Dict(parameters), **runs)
    echo(block_sizes_text(node.base.attributes.all))
    curves = {name: node.get_array(name) for name in node.get_arraynames()}
    name = f'block-sizes-{node.base.attributes.get("temperature_K"):g}K'
    save(block_sizes(curves, node.base.attributes.get('rows')), output, name, node)


@study_command.command('density')
@NODES
@MOBILE
@click.option('--spacing', default=0.3, show_default=True, help='The spacing of the grid in Å.')
@click.option('--core', default=0.8, show_default=True, help="The radius of a site's core in Å.")
@TEMPERATURE
@FOLDER
@PROFILE
def density_command(
    *,
    nodes: tuple[orm.Node, ...],
    mobile: str,
    spacing: float,
    core: float,
    temperature: float | None,
    output: Path,
    profile: str | None,
) -> None:
    """Show where the ions are: their density as a cube file and isosurfaces, percolation, sites and jumps.

    \b
      aiida-ionconduct study density PK --temperature 1200 --spacing 0.3
    """
    open_profile(profile)
    runs = load_runs(nodes, temperature)
    import numpy as np
    from aiida import orm

    from aiida_ionconduct.calculations.functions.studies import mobile_density
    from aiida_ionconduct.report.figures.density import isosurfaces, superposition
    from aiida_ionconduct.report.tables.studies import density_text
    from aiida_ionconduct.transport import choose_framework, mobile_positions

    made = mobile_density(orm.Dict({'mobile': mobile, 'spacing_A': spacing, 'core_A': core}), **runs)
    numbers = made['statistics'].get_dict()
    echo(density_text(numbers))
    name, first = f'density-{numbers["temperature_K"]:g}K', next(iter(runs.values()))
    output.mkdir(parents=True, exist_ok=True)
    (output / f'{name}.cube').write_text(made['cube'].get_content())
    echo(f'Written: {output / name}.cube')
    is_mobile = np.array(first.symbols) == mobile
    at_rest = choose_framework([run.positions for run in runs.values()], first.symbols, [mobile])
    moving = np.concatenate([mobile_positions(run.positions, first.symbols, mobile, at_rest) for run in runs.values()])
    save(
        superposition(moving, first.positions[0, ~is_mobile], first.cell),
        output,
        f'superposition-{name}',
        made['density'],
    )
    save(isosurfaces(made['density'].get_array('density'), first.cell), output, f'isosurfaces-{name}', made['density'])


@study_command.command('sizes')
@NODES
@FOLDER
@PROFILE
def sizes_command(*, nodes: tuple[orm.Node, ...], output: Path, profile: str | None) -> None:
    """Extrapolate the conductivities of cells of different sizes to the infinite crystal.

    Each PK is a ConductivityData of a cell of another size.

    \b
      aiida-ionconduct study sizes PK PK PK
    """
    open_profile(profile)
    from aiida_ionconduct.calculations.functions.studies import compare_sizes
    from aiida_ionconduct.data import ConductivityData
    from aiida_ionconduct.report.figures.estimates import cell_sizes
    from aiida_ionconduct.report.tables.studies import sizes_text
    from aiida_ionconduct.studies.finite_size import check_sizes

    conductivities = {f'size_{index:02d}': of_kind(node, ConductivityData, PURPOSE) for index, node in enumerate(nodes)}
    check_sizes([conductivity.base.attributes.get('n_atoms') for conductivity in conductivities.values()])
    study = compare_sizes(**conductivities)
    echo(sizes_text(study.get_dict()))
    rows = sorted((node.base.attributes.all for node in conductivities.values()), key=lambda row: row['n_atoms'])
    save(cell_sizes(rows, study.get_dict()), output, f'cell-sizes-{study["temperature_K"]:g}K', study)


@study_command.command('estimators')
@click.argument('node', metavar='PK', type=Node(CAMPAIGN, 'ionconduct.conductivity'))
@click.option(
    '--estimator',
    'estimators',
    type=click.Choice(ESTIMATORS),
    multiple=True,
    default=('auto', 'multivariate'),
    show_default=True,
    help='An estimator; give the option once for each.',
)
@TEMPERATURE
@FOLDER
@PROFILE
def estimators_command(
    *, node: orm.Node, estimators: tuple[str, ...], temperature: float | None, output: Path, profile: str | None
) -> None:
    """Compare estimators of the conductivity on the same runs; auto is the default of every analysis.

    PK is a campaign or a ConductivityData.

    \b
      aiida-ionconduct study estimators PK --temperature 1200
      aiida-ionconduct study estimators PK --temperature 1200 --estimator auto --estimator cve --estimator multivariate
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.cli.analyse import analyse_nodes, runs_by_temperature
    from aiida_ionconduct.report.figures.estimates import estimates
    from aiida_ionconduct.report.tables.studies import estimates_text, estimator_title

    temperatures_K = sorted(runs_by_temperature([node], temperature))
    if len(temperatures_K) > 1:
        listed = ', '.join(f'{T:g}' for T in temperatures_K)
        raise click.ClickException(f'runs at one temperature are needed, found: {listed} K; choose by --temperature.')
    settings: dict[str, Any] = {'temperature': temperature, 'mobile': None, 'charges': (), 'discard_ps': 0.0}
    results = [analyse_nodes([node], estimator=name, **settings).conductivities[0] for name in estimators]
    rows = [
        {**result.attributes, 'estimator': estimator_title(name, result.attributes['estimator'])}
        for name, result in zip(estimators, results, strict=True)
    ]
    echo(estimates_text(rows))
    save(estimates(rows), output, f'estimators-{temperatures_K[0]:g}K', orm.load_node(results[-1].pk))


@study_command.command('twins')
@click.argument('node', metavar='PK', type=Node('aiida.workflows:ionconduct.twins'))
@FOLDER
@PROFILE
def twins_command(*, node: orm.Node, output: Path, profile: str | None) -> None:
    """Show how fast twin runs part, as a Lyapunov exponent. PK is a finished TwinsWorkChain.

    \b
      aiida-ionconduct study twins PK
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.report.figures.twins import divergence
    from aiida_ionconduct.report.tables.studies import twins_text

    outputs = of_kind(node, orm.WorkChainNode, PURPOSE).outputs
    if 'lyapunov' not in outputs:
        raise click.BadParameter(f'node {node.pk} is not a finished TwinsWorkChain.', param_hint='PK')
    lyapunov = outputs.lyapunov.get_dict()
    echo(twins_text(lyapunov))
    time_ps, difference_A = (outputs.divergence.get_array(name) for name in ('time_ps', 'difference_A'))
    save(divergence(time_ps, difference_A, lyapunov), output, 'divergence', outputs.divergence)


def load_runs(nodes: Sequence[orm.Node], temperature: float | None) -> dict[str, IonTrajectoryData]:
    """Return the trajectories at a temperature, by labels that are made here.

    :param nodes: trajectories, or work chains that have trajectories among their outputs.
    :param temperature: in K; None where the trajectories have a single temperature.
    :raises click.ClickException: where there are no trajectories, or several temperatures.
    """
    from aiida import orm

    from aiida_ionconduct.data import IonTrajectoryData

    runs: dict[int | None, IonTrajectoryData] = {}
    for node in nodes:
        if isinstance(node, IonTrajectoryData):
            runs[node.pk] = node
        else:
            runs |= {run.pk: run for run in trajectories_of(of_kind(node, orm.WorkChainNode, PURPOSE))}
    if temperature is not None:
        runs = {pk: run for pk, run in runs.items() if abs(run.temperature_K - temperature) < 1e-6}
    temperatures_K = sorted({run.temperature_K for run in runs.values()})
    if len(temperatures_K) != 1:
        listed = ', '.join(f'{T:g}' for T in temperatures_K) or 'none'
        raise click.ClickException(
            f'trajectories at one temperature are needed, found: {listed} K; choose by --temperature.'
        )
    return {f'run_{index:03d}': run for index, (_, run) in enumerate(sorted(runs.items()))}


def trajectories_of(node: orm.WorkChainNode) -> list[IonTrajectoryData]:
    """Return the trajectories that a work chain has in its outputs."""
    from aiida.common.links import LinkType

    from aiida_ionconduct.data import IonTrajectoryData

    outputs = node.base.links.get_outgoing(IonTrajectoryData, LinkType.RETURN, 'trajectories__%').all_nodes()
    return [run for run in outputs if isinstance(run, IonTrajectoryData)]


def save(figure: Figure, folder: Path, name: str, node: orm.Node) -> None:
    """Write a figure as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ('png', 'svg'):
        figure.savefig(folder / f'{name}.{suffix}', dpi=200)
    echo(f'Written: {folder / name}.png and .svg, from node {node.pk}')
