"""What stored trajectories and conductivities mean: the studies as calculation functions, without new dynamics."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms

from aiida_ionconduct.calculations.functions.trajectories import mean_temperature_K
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.density import density, find_sites, jump_statistics, participation, percolation
from aiida_ionconduct.density import write_cube as write_cube_file
from aiida_ionconduct.labels import temperature_label
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.studies.finite_size import finite_size
from aiida_ionconduct.studies.lyapunov import MEANING, divergence
from aiida_ionconduct.studies.potentials import potential_scatter
from aiida_ionconduct.transport import choose_framework, mobile_positions

DENSITY_SETTINGS = ('spacing_A', 'separation_A', 'core_A')
BY_SITE = ('occupancy', 'occupancy_stderr', 'residence_ps', 'residence_stderr', 'jumps')
OVER_SITES = (
    'mean_residence_ps',
    'mean_residence_stderr',
    'jump_length_A',
    'back_jumps',
    'diffusivity_A2_per_ps',
    'warnings',
)
"""What is stored of :class:`aiida_ionconduct.density.JumpStatistics`: arrays by site, and numbers over all sites."""


def _runs_of_one_state(trajectories: Mapping[str, IonTrajectoryData]) -> list[IonTrajectoryData]:
    """Return runs in the order of their labels, and refuse runs of different states.

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
    :param trajectories: one run per seed, under any labels.
    :return: arrays and attributes named as in :class:`aiida_ionconduct.studies.block_size.BlockSizeStudy`.
    """
    runs = _runs_of_one_state(trajectories)
    study = block_size_study(
        [run.positions for run in runs],
        runs[0].symbols,
        cell=runs[0].cell,
        temperature_K=mean_temperature_K(runs),
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
def mobile_density(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> dict[str, Any]:
    """Return where the mobile ions of all seeds at one temperature are, and how they get from site to site.

    :param parameters: ``mobile``, and any of ``spacing_A`` of the grid, ``separation_A`` of sites, ``core_A`` of a
        site.
    :param trajectories: one run per seed, under any labels.
    :return: ``density``: ArrayData with ``density`` (nx, ny, nz) in 1/Å³, ``sites_A``, ``occupancy``, ``residence_ps``,
        their errors, and ``jumps`` (sites, sites); ``cube``: the density as a Gaussian cube file; ``statistics``: Dict
        with percolation along each axis, residence time, jump length, and the share of the cell that the ions fill.
    :raises ValueError: for an unknown parameter.
    """
    settings = parameters.get_dict()
    mobile = settings.pop('mobile', 'Li')
    if unknown := sorted(set(settings) - set(DENSITY_SETTINGS)):
        raise ValueError(f'unknown parameters {", ".join(unknown)}: choose from mobile, {", ".join(DENSITY_SETTINGS)}.')
    runs = _runs_of_one_state(trajectories)
    first = runs[0]
    spacing, separation, core = ({key: settings[key]} if key in settings else {} for key in DENSITY_SETTINGS)
    at_rest = choose_framework([run.positions for run in runs], first.symbols, [mobile])
    seeds = [mobile_positions(run.positions, first.symbols, mobile, at_rest) for run in runs]
    values = density(seeds, first.cell, **spacing)
    sites = find_sites(values, first.cell, **separation)
    jumps = jump_statistics(seeds, sites, first.cell, first.frame_interval_ps, **core)
    node = orm.ArrayData(
        {'density': values, 'sites_A': jumps.sites, **{name: getattr(jumps, name) for name in BY_SITE}}
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
        **{name: getattr(jumps, name) for name in OVER_SITES},
    }
    framework = Atoms(first.symbols, first.positions[0].astype(float), cell=first.cell, pbc=True)
    return {'density': node, 'cube': _cube_file(values, framework), 'statistics': orm.Dict(statistics)}


def _cube_file(values: np.ndarray, atoms: Atoms) -> orm.SinglefileData:
    """Return a density as a node that holds a Gaussian cube file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'density.cube'
        write_cube_file(path, values, atoms)
        return orm.SinglefileData(path)


@calcfunction
def compare_twins(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> dict[str, Any]:
    """Return how twin runs part, and their Lyapunov exponent.

    :param parameters: ``momentum_epsilon`` and whatever else is to be stated with the result.
    :param trajectories: labelled ``reference_…`` and ``twin_…``, the two runs of a pair with the same ending.
    :return: ``divergence``: ArrayData with ``time_ps`` and ``difference_A``; ``lyapunov``: Dict with the other fields
        of :class:`aiida_ionconduct.studies.lyapunov.Divergence`.
    :raises ValueError: if no run has a twin, or the runs are not of one state.
    """
    names = {label.partition('_')[2] for label in trajectories}
    pairs = [name for name in sorted(names) if {f'reference_{name}', f'twin_{name}'} <= trajectories.keys()]
    if not pairs:
        raise ValueError('no run has a twin: label them `reference_…` and `twin_…`.')
    references, twins = ([trajectories[f'{side}_{name}'] for name in pairs] for side in ('reference', 'twin'))
    first = references[0]
    _runs_of_one_state({str(index): run for index, run in enumerate([*references, *twins])})
    result = divergence(
        [run.positions for run in references], [run.positions for run in twins], first.frame_interval_ps
    )
    curves = orm.ArrayData({'time_ps': result.time_ps, 'difference_A': result.difference_A})
    numbers = {key: value for key, value in result._asdict().items() if key not in ('time_ps', 'difference_A')}
    described = {
        **parameters.get_dict(),
        **numbers,
        'temperature_K': first.temperature_K,
        'n_pairs': len(pairs),
        'meaning': MEANING,
    }
    return {'divergence': curves, 'lyapunov': orm.Dict(described)}


@calcfunction
def compare_sizes(**conductivities: ConductivityData) -> orm.Dict:
    """Return the finite-size study of conductivities at one temperature.

    :param conductivities: one for each cell, under any labels.
    :return: what :func:`aiida_ionconduct.studies.finite_size.finite_size` returns, with ``temperature_K``.
    :raises ValueError: if temperatures or compositions differ.
    """
    results: list[dict[str, Any]] = [node.base.attributes.all for node in conductivities.values()]
    for name in ('temperature_K', 'reduced_composition'):
        if len({result[name] for result in results}) > 1:
            raise ValueError(f'the conductivities differ in {name}: choose those of one state.')
    results.sort(key=lambda result: result['n_atoms'])
    columns = ('n_atoms', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    study = finite_size(*([result[column] for result in results] for column in columns))
    return orm.Dict({**study, 'temperature_K': results[0]['temperature_K']})


@calcfunction
def compare_potentials(**conductivities: ConductivityData) -> orm.Dict:
    """Return how conductivities of one cell scatter between potentials, by temperature.

    :param conductivities: one for each potential and temperature, under any labels.
    :return: by the label of the temperature, ``T1200``, the fields of
        :class:`aiida_ionconduct.studies.potentials.PotentialScatter`, with ``n_without`` potentials that have no
        number; None for a temperature at which fewer than two have one.
    :raises ValueError: if the cells differ in composition or size.
    """
    results: list[dict[str, Any]] = [node.base.attributes.all for node in conductivities.values()]
    for name in ('reduced_composition', 'n_atoms'):
        if len({result[name] for result in results}) > 1:
            raise ValueError(f'the conductivities differ in {name}: choose those of one cell.')
    columns = ('sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    scatters: dict[str, Any] = {}
    for T in sorted({result['temperature_K'] for result in results}):
        here = [result for result in results if result['temperature_K'] == T]
        rows: list[list[Any]] = [[result.get(column) for column in columns] for result in here]
        known = [row for row in rows if all(row) and row[0] > 0]
        scatter = potential_scatter(*zip(*known, strict=True)) if len(known) > 1 else None
        scatters[temperature_label(T)] = scatter and {**scatter._asdict(), 'n_without': len(rows) - len(known)}
    return orm.Dict(scatters)
