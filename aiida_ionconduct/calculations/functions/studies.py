"""What stored trajectories and conductivities mean: studies as calculation functions, never new dynamics."""

from __future__ import annotations

import pathlib
import tempfile

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms

from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.density import density, find_sites, jump_statistics, participation, percolation
from aiida_ionconduct.density import write_cube as write_cube_file
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.studies.finite_size import finite_size
from aiida_ionconduct.studies.lyapunov import MEANING, divergence
from aiida_ionconduct.transport import mobile_positions

DENSITY_SETTINGS = ('spacing_A', 'separation_A', 'core_A')


def one_state(trajectories: dict[str, IonTrajectoryData]) -> list[IonTrajectoryData]:
    """Return the runs in the order of their labels, which must be of one state.

    :raises ValueError: if atoms, cell, temperature or the interval between frames differ.
    """
    runs = [trajectories[label] for label in sorted(trajectories)]
    if not runs:
        raise ValueError('no trajectories were given.')
    for name in ('symbols', 'cell', 'temperature_K', 'frame_interval_ps'):
        if any(run.base.attributes.get(name) != runs[0].base.attributes.get(name) for run in runs):
            raise ValueError(f'the trajectories differ in {name}: choose those of one temperature and cell.')
    return runs


@calcfunction
def compare_block_sizes(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> orm.ArrayData:
    """Return the block-size study of all seeds at one temperature: its curves as arrays, the rest as attributes.

    :param parameters: ``charges``, ``mobile``, ``block_ps`` of
        :func:`aiida_ionconduct.studies.block_size.block_size_study`.
    """
    runs = one_state(trajectories)
    study = block_size_study(
        [run.positions for run in runs],
        runs[0].symbols,
        cell=runs[0].cell,
        temperature_K=runs[0].temperature_K,
        dt_ps=runs[0].frame_interval_ps,
        **parameters.get_dict(),
    )
    node = orm.ArrayData({name.replace('.', '_'): curve for name, curve in study.curves.items()})
    node.base.attributes.set_many(
        {
            'rows': study.rows,
            'converged': study.converged,
            'statement': study.statement,
            'temperature_K': runs[0].temperature_K,
            'n_seeds': len(runs),
        }
    )
    return node


@calcfunction
def mobile_density(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> dict:
    """Return where the mobile ions of all seeds at one temperature are, and how they get from site to site.

    :param parameters: ``mobile``, and any of ``spacing_A`` of the grid, ``separation_A`` of sites, ``core_A`` of a
        site.
    :return: ``density``: ArrayData with ``density`` (nx, ny, nz) in 1/Å³, ``sites_A``, ``occupancy``, ``residence_ps``,
        their errors, and ``jumps`` (sites, sites); ``cube``: the density as a Gaussian cube file; ``statistics``: Dict
        with percolation along each axis, residence time, jump length, and the share of the cell that the ions fill.
    :raises ValueError: for an unknown parameter.
    """
    settings = parameters.get_dict()
    mobile = settings.pop('mobile', 'Li')
    if unknown := sorted(set(settings) - set(DENSITY_SETTINGS)):
        raise ValueError(f'unknown parameters {", ".join(unknown)}: choose from mobile, {", ".join(DENSITY_SETTINGS)}.')
    runs = one_state(trajectories)
    first = runs[0]
    seeds = [mobile_positions(run.positions, first.symbols, mobile) for run in runs]
    spacing = {key: settings[key] for key in ('spacing_A',) if key in settings}
    values = density(seeds, first.cell, **spacing)
    sites = find_sites(values, first.cell, **{key: settings[key] for key in ('separation_A',) if key in settings})
    core = {key: settings[key] for key in ('core_A',) if key in settings}
    jumps = jump_statistics(seeds, sites, first.cell, first.frame_interval_ps, **core)
    node = orm.ArrayData(
        {
            'density': values,
            'sites_A': jumps.sites,
            'occupancy': jumps.occupancy,
            'occupancy_stderr': jumps.occupancy_stderr,
            'residence_ps': jumps.residence_ps,
            'residence_stderr': jumps.residence_stderr,
            'jumps': jumps.jumps,
        }
    )
    node.base.attributes.set_many(
        {'temperature_K': first.temperature_K, 'mobile': mobile, 'cell': first.cell.tolist(), 'symbols': first.symbols}
    )
    shares = [participation(density([seed], first.cell, **spacing)) for seed in seeds]
    statistics = {
        'temperature_K': first.temperature_K,
        'n_seeds': len(runs),
        'n_sites': len(sites),
        'n_jumps': int(jumps.stays.sum()),
        'percolation': percolation(values, first.temperature_K),
        'filled_share': float(np.mean(shares)),
        'filled_share_stderr': float(np.std(shares, ddof=1) / len(shares) ** 0.5) if len(shares) > 1 else None,
        **{
            name: getattr(jumps, name)
            for name in (
                'mean_residence_ps',
                'mean_residence_stderr',
                'jump_length_A',
                'back_jumps',
                'diffusivity_A2_per_ps',
                'warnings',
            )
        },
    }
    framework = Atoms(first.symbols, first.positions[0].astype(float), cell=first.cell, pbc=True)
    return {'density': node, 'cube': cube_file(values, framework), 'statistics': orm.Dict(statistics)}


def cube_file(values: np.ndarray, atoms: Atoms) -> orm.SinglefileData:
    """Return a density as a node that holds a Gaussian cube file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'density.cube'
        write_cube_file(path, values, atoms)
        return orm.SinglefileData(path)


@calcfunction
def compare_twins(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> dict:
    """Return how twin runs part, and their Lyapunov exponent.

    :param parameters: ``momentum_epsilon``, which is only stated again.
    :param trajectories: ``reference_…`` and ``twin_…``, equal behind.
    """
    names = {label.partition('_')[2] for label in trajectories}
    pairs = [name for name in sorted(names) if {f'reference_{name}', f'twin_{name}'} <= trajectories.keys()]
    if not pairs:
        raise ValueError('no run has a twin: label them `reference_…` and `twin_…`.')
    sides = {side: [trajectories[f'{side}_{name}'] for name in pairs] for side in ('reference', 'twin')}
    one_state({f'{side}_{index}': run for side, runs in sides.items() for index, run in enumerate(runs)})
    dt_ps = sides['reference'][0].frame_interval_ps
    found = divergence(*([run.positions for run in sides[side]] for side in ('reference', 'twin')), dt_ps)
    curves = orm.ArrayData({'time_ps': found.time_ps, 'difference_A': found.difference_A})
    numbers = {key: value for key, value in found._asdict().items() if key not in ('time_ps', 'difference_A')}
    result = {
        **parameters.get_dict(),
        **numbers,
        'temperature_K': sides['reference'][0].temperature_K,
        'n_pairs': len(pairs),
        'meaning': MEANING,
    }
    return {'divergence': curves, 'lyapunov': orm.Dict(result)}


@calcfunction
def compare_sizes(**conductivities: ConductivityData) -> orm.Dict:
    """Return the finite-size study of conductivities at one temperature, one for each cell.

    :raises ValueError: if temperatures or compositions differ.
    """
    results = [node.base.attributes.all for node in conductivities.values()]
    for name in ('temperature_K', 'reduced_composition'):
        if len({one[name] for one in results}) > 1:
            raise ValueError(f'the conductivities differ in {name}: choose those of one state.')
    results.sort(key=lambda one: one['n_atoms'])
    columns = ('n_atoms', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    found = finite_size(*([one[column] for one in results] for column in columns))
    return orm.Dict({**found, 'temperature_K': results[0]['temperature_K']})
