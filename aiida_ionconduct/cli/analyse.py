"""Stored runs or plain files into conductivities: what ``aiida-ionconduct analyse`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.readers import Trajectory, read_trajectory
from aiida_ionconduct.structures.checks import check_charges
from aiida_ionconduct.transport import analyse

if TYPE_CHECKING:
    from aiida import orm
    from ase import Atoms

    from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
    from aiida_ionconduct.readers import TrajectoryFormat
    from aiida_ionconduct.report.result import Campaign

Pairs = Sequence[tuple[str, Any]]
"""Values by chemical symbol, as the command line gives them."""

SETTINGS = {'block_ps': 'block', 'lag_ps': 'cve', 'fit_ps': 'einstein'}
"""Settings, and the estimator that each of them belongs to."""


def estimator_settings(estimator: str | None, length_ps: float, **settings: Any) -> dict[str, Any]:
    """Return the arguments of :func:`aiida_ionconduct.transport.analyse` that choose the estimator.

    :param estimator: its name; None for the estimator that the settings belong to.
    :param length_ps: of a run, into which the settings must fit.
    :param settings: named as in :data:`SETTINGS`; None for a setting that was not given.
    :return: empty, if neither an estimator nor a setting was given.
    :raises ValueError: for the setting of another estimator, or a setting that does not fit.
    """
    given = {name: list(value) if name == 'fit_ps' else value for name, value in settings.items() if value}
    implied = {SETTINGS[name] for name in given}
    if len(implied | ({estimator} if estimator and given else set())) > 1:
        owners = ', '.join(f'{name} of {SETTINGS[name]}' for name in given)
        raise ValueError(f'settings must be of one estimator, and of the one that is chosen: {owners}.')
    for name, value in given.items():
        longest = max(np.atleast_1d(value))
        if not 0 < longest < length_ps:
            raise ValueError(f'{name} {longest:g} does not fit into runs of {length_ps:g} ps: choose it below that.')
    chosen = estimator or next(iter(implied), None)
    return {**({'estimator': chosen} if chosen else {}), **given}


# Nodes ---------------------------------------------------------------------------------------------------------------


def analyse_nodes(
    nodes: Sequence[orm.Node],
    *,
    temperature: float | None,
    mobile: str | None,
    charges: Pairs,
    discard_ps: float,
    estimator: str | None,
    **settings: Any,
) -> Campaign:
    """Analyse stored runs, temperature by temperature, as calculation functions.

    :param temperature: in K, the only one to analyse; None for all.
    :param settings: of :func:`estimator_settings`.
    :return: the new conductivities and their Arrhenius line.
    :raises ValueError: for nodes without trajectories or bad settings, saying what to do.
    """
    from aiida import orm

    from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
    from aiida_ionconduct.labels import temperature_label
    from aiida_ionconduct.report.graph.campaign import collect_conductivity
    from aiida_ionconduct.report.result import Campaign

    conductivities = []
    for _, (runs, before) in sorted(runs_by_temperature(nodes, temperature).items()):
        first = next(iter(runs.values()))
        chosen = estimator_settings(estimator, first.length_ps - discard_ps, **settings)
        kept = {name: value for name, value in before.items() if not (chosen and name in ('estimator', *SETTINGS))}
        own = {'mobile': mobile or before.get('mobile', 'Li')}
        own['charges'] = charges_of(first.symbols, {**before.get('charges', {}), **dict(charges)})
        own |= {'discard_ps': discard_ps} if discard_ps else {}
        conductivities.append(analyse_trajectories(orm.Dict({**kept, **own, **chosen}), **runs))
    with_number = {temperature_label(node.temperature_K): node for node in conductivities if has_number(node)}
    return Campaign(
        {'state': 'finished'},
        conductivities=[collect_conductivity(node) for node in conductivities],
        arrhenius=fit_arrhenius(**with_number).get_dict() if len(with_number) > 1 else {},
    )


def has_number(conductivity: ConductivityData) -> bool:
    """Whether a conductivity has a number, rather than an upper bound alone."""
    return conductivity.base.attributes.get('sigma_full_S_per_cm') is not None


def runs_by_temperature(
    nodes: Sequence[orm.Node], temperature: float | None
) -> dict[float, tuple[dict[str, IonTrajectoryData], dict[str, Any]]]:
    """Return the runs by label, and the parameters of their previous analysis if there was one, by temperature in K.

    :param temperature: in K, the only one to return; None for all.
    :raises ValueError: if a node has no runs, or there is none at the temperature.
    """
    from aiida_ionconduct.queries import trajectories_of

    groups: dict[float, tuple[dict[str, IonTrajectoryData], dict[str, Any]]] = {}
    for node in nodes:
        conductivities, runs = _results_of(node)
        for conductivity in conductivities:
            creator = conductivity.creator
            parameters = creator.inputs.parameters.get_dict() if creator else {}
            stored = trajectories_of(conductivity)
            groups.setdefault(conductivity.temperature_K, ({}, parameters))[0].update(stored)
            runs |= stored
        for label, run in runs.items():
            groups.setdefault(run.temperature_K, ({}, {}))[0][label] = run
        if not runs:
            raise ValueError(f'node {node.pk} has no trajectories to analyse, or they were not exported with it.')
    chosen = {T: group for T, group in groups.items() if temperature is None or abs(T - temperature) < 0.5}
    if not chosen:
        known = ', '.join(f'{T:g}' for T in sorted(groups))
        raise ValueError(f'there are no runs at {temperature:g} K, but at {known} K.')
    return chosen


def _results_of(node: orm.Node) -> tuple[list[ConductivityData], dict[str, IonTrajectoryData]]:
    """Return the conductivities of a node or, where it has none, its runs by label."""
    from aiida import orm
    from aiida.common.links import LinkType

    from aiida_ionconduct.data import ConductivityData, IonTrajectoryData

    if isinstance(node, ConductivityData):
        return [node], {}
    if isinstance(node, IonTrajectoryData):
        return [], {f'run_{node.pk:08d}': node}
    if not isinstance(node, orm.ProcessNode):
        return [], {}
    results = node.base.links.get_outgoing(ConductivityData).all_nodes()
    if results:
        return cast('list[ConductivityData]', results), {}
    links = node.base.links.get_outgoing(IonTrajectoryData, LinkType.RETURN).all()
    runs = {link.link_label.removeprefix('trajectories__'): link.node for link in links}
    return [], cast('dict[str, IonTrajectoryData]', runs)


# Files ---------------------------------------------------------------------------------------------------------------


def analyse_files(
    paths: Sequence[Path],
    *,
    temperature: float | None,
    mobile: str | None,
    charges: Pairs,
    discard_ps: float,
    estimator: str | None,
    timestep_fs: float | None,
    dt_ps: float | None,
    masses: Pairs,
    types: list[str] | None,
    structure: Path | None,
    file_format: TrajectoryFormat | None,
    **settings: Any,
) -> Campaign:
    """Analyse files, each of a velocity seed at the same temperature; no profile is needed.

    :param temperature: in K, where the files do not state it.
    :param timestep_fs: MD time step, where the files number their frames by steps.
    :param dt_ps: time between two frames, where the files do not state it.
    :param masses: symbols and masses in u that are not the standard masses.
    :param types: chemical symbols of the types of LAMMPS dumps.
    :param structure: file with the symbols and the cell that the files do not state.
    :param settings: of :func:`estimator_settings`.
    :return: a campaign with this conductivity alone.
    :raises ValueError: for files that cannot be read, do not fit each other, or lack what no option gives.
    """
    from aiida_ionconduct.report.result import Campaign, Conductivity

    runs = [read_trajectory(path, file_format, types) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        for note in run.notes:
            echo(f'{path}: {note}', err=True)
    symbols, cell = symbols_and_cell(runs, structure)
    interval_ps = _interval_ps(runs, dt_ps, timestep_fs)
    temperature_K = _temperature_K(runs, temperature)
    first = round(discard_ps / interval_ps)
    shortest = min(len(run.positions) for run in runs)
    if len({len(run.positions) for run in runs}) > 1:
        echo(f'the runs differ in length: all are cut to {shortest} frames.', err=True)
    result = analyse(
        [run.positions[first:shortest] for run in runs],
        symbols,
        charges_of(symbols, dict(charges)),
        cell,
        temperature_K=temperature_K,
        dt_ps=interval_ps,
        mobile=mobile or 'Li',
        masses=dict(masses) or None,
        **estimator_settings(estimator, (shortest - 1 - first) * interval_ps, **settings),
    )
    return Campaign({'state': 'finished'}, conductivities=[Conductivity(result.attributes(), result.curves)])


def _temperature_K(runs: Sequence[Trajectory], given: float | None) -> float:
    """Return the temperature of all runs."""
    temperatures = [run.temperature_K if given is None else given for run in runs]
    known = [T for T in temperatures if T is not None]
    if len(known) < len(runs) or np.ptp(known) > 0.5:
        listed = ', '.join('unknown' if T is None else f'{T:g} K' for T in temperatures)
        raise ValueError(f'the temperature of the files must be one ({listed}): give --temperature.')
    return float(known[0])


def _interval_ps(runs: Sequence[Trajectory], dt_ps: float | None, timestep_fs: float | None) -> float:
    """Return the time between two frames of all runs."""
    intervals = [interval for run in runs if (interval := dt_ps or run.interval_ps(timestep_fs)) is not None]
    if len(intervals) < len(runs):
        raise ValueError(
            'the time between two frames is not known: give --dt-ps, or --timestep-fs where steps are numbered.'
        )
    if np.ptp(intervals) > 1e-6 * intervals[0]:
        listed = ', '.join(f'{interval:g}' for interval in intervals)
        raise ValueError(f'the files have frames at different intervals: {listed} ps.')
    return intervals[0]


def symbols_and_cell(runs: list[Trajectory], structure: Path | None) -> tuple[list[str], np.ndarray]:
    """Return the symbols and the cell (3, 3) in Å that the files or the structure state, checked against each other.

    :raises ValueError: if the symbols or the cell are missing or differ.
    """
    symbols, cell = runs[0].symbols, runs[0].cell
    if structure is not None:
        import ase.io

        atoms = cast('Atoms', ase.io.read(structure))
        symbols, cell = symbols or list(atoms.symbols), atoms.cell.array if cell is None else cell
    if symbols is None:
        raise ValueError(
            'the file states no symbols: give --structure FILE, or --types for the types of a LAMMPS dump.'
        )
    if cell is None:
        raise ValueError('the file states no cell: give --structure FILE.')
    for run in runs:
        if run.positions.shape[1] != len(symbols) or (run.symbols and run.symbols != symbols):
            raise ValueError('the files, or the structure, do not hold the same atoms in the same order.')
        if run.cell is not None and not np.allclose(run.cell, cell, rtol=0.01):
            raise ValueError('the files have different cells.')
    return symbols, cell


def charges_of(symbols: list[str], charges: Mapping[str, float]) -> dict[str, float]:
    """Return the charges: the given charges and, of other elements, the usual oxidation states.

    :raises ValueError: as :func:`~aiida_ionconduct.structures.checks.check_charges`.
    """
    from ase import Atoms

    return check_charges(Atoms(symbols), charges)
