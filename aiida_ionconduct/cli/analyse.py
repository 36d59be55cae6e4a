"""Stored runs or plain files into conductivities: what ``aiida-ionconduct analyse`` does."""

from __future__ import annotations

import pathlib
import sys

import numpy as np

from aiida_ionconduct.readers import Trajectory, read_trajectory
from aiida_ionconduct.structures.checks import check_charges
from aiida_ionconduct.transport import analyse

SETTINGS = {'block_ps': 'block', 'lag_ps': 'cve', 'fit_ps': 'einstein'}
"""Settings of an estimator, and the one they imply."""


def estimator_settings(estimator: str | None, length_ps: float, **settings) -> dict:
    """Return the arguments of :func:`aiida_ionconduct.transport.analyse` that choose the estimator; empty for none.

    :param length_ps: of a run, into which the settings must fit.
    :raises ValueError: for the setting of another estimator, or one that does not fit.
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
    found = estimator or next(iter(implied), None)
    return {**({'estimator': found} if found else {}), **given}


# Nodes ---------------------------------------------------------------------------------------------------------------


def analyse_nodes(nodes, temperature, mobile, charges, discard_ps, estimator, block_ps, lag_ps, fit_ps, **files):
    """Analyse stored runs, temperature by temperature, as calculation functions.

    :param files: options for files, which must be empty.
    :return: :class:`~aiida_ionconduct.report.graph.campaign.Campaign` with the new conductivities and their
        Arrhenius line.
    :raises ValueError: for nodes without trajectories or bad settings, saying what to do.
    """
    from aiida import orm

    from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
    from aiida_ionconduct.report.graph.campaign import Campaign, collect_conductivity

    if given := [f'--{name.replace("_", "-")}' for name, value in files.items() if value]:
        raise ValueError(f'only for files, as stored runs know what they are: {", ".join(given)}.')
    made = []
    for _, (runs, before) in sorted(runs_by_temperature(nodes, temperature).items()):
        first = next(iter(runs.values()))
        settings = estimator_settings(
            estimator, first.length_ps - discard_ps, block_ps=block_ps, lag_ps=lag_ps, fit_ps=fit_ps
        )
        kept = {name: value for name, value in before.items() if not (settings and name in ('estimator', *SETTINGS))}
        own = {'mobile': mobile or before.get('mobile', 'Li')}
        own['charges'] = charges_of(first.symbols, {**before.get('charges', {}), **dict(charges)})
        own |= {'discard_ps': discard_ps} if discard_ps else {}
        made.append(analyse_trajectories(orm.Dict({**kept, **own, **settings}), **runs))
    with_number = {f'T{one.temperature_K:g}'.replace('.', '_'): one for one in made if numbered(one)}
    fit = fit_arrhenius(**with_number).get_dict() if len(with_number) > 1 else {}
    return Campaign({'state': 'finished'}, conductivities=[collect_conductivity(one) for one in made], arrhenius=fit)


def numbered(conductivity) -> bool:
    """Whether a conductivity has a number."""
    return conductivity.base.attributes.get('sigma_full_S_per_cm') is not None


def runs_by_temperature(nodes, temperature: float | None) -> dict[float, tuple[dict, dict]]:
    """Return the runs by label, and the parameters of their analysis before, where there was one, by temperature.

    :raises ValueError: if a node has no runs, or there is none at the temperature.
    """
    from aiida import orm
    from aiida.common.links import LinkType

    from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
    from aiida_ionconduct.queries import trajectories_of

    found: dict[float, tuple[dict, dict]] = {}
    for node in nodes:
        results, runs = [], {}
        if isinstance(node, ConductivityData):
            results = [node]
        elif isinstance(node, IonTrajectoryData):
            runs = {f'run_{node.pk:08d}': node}
        elif isinstance(node, orm.ProcessNode):
            results = node.base.links.get_outgoing(ConductivityData).all_nodes()
            if not results:
                links = node.base.links.get_outgoing(IonTrajectoryData, LinkType.RETURN).all()
                runs = {link.link_label.removeprefix('trajectories__'): link.node for link in links}
        for result in results:
            parameters = result.creator.inputs.parameters.get_dict() if result.creator else {}
            found.setdefault(result.temperature_K, ({}, parameters))[0].update(trajectories_of(result))
        for label, run in runs.items():
            found.setdefault(run.temperature_K, ({}, {}))[0][label] = run
        if not runs and not any(trajectories_of(result) for result in results):
            raise ValueError(f'node {node.pk} has no trajectories to analyse, or they were not exported with it.')
    chosen = {T: one for T, one in found.items() if temperature is None or abs(T - temperature) < 0.5}
    if not chosen:
        raise ValueError(
            f'there are no runs at {temperature:g} K, but at {", ".join(f"{T:g}" for T in sorted(found))} K.'
        )
    return chosen


# Files ---------------------------------------------------------------------------------------------------------------


def analyse_files(
    paths, temperature, mobile, charges, discard_ps, timestep_fs, dt_ps, masses, types, structure, file_format,
    estimator, **settings,
):  # fmt: skip
    """Analyse files, each a velocity seed at one temperature; no profile is needed.

    :return: :class:`~aiida_ionconduct.report.graph.campaign.Campaign` with one conductivity.
    :raises ValueError: for files that cannot be read, do not fit each other, or lack what no option gives.
    """
    from aiida_ionconduct.report.graph.campaign import Campaign, Conductivity

    runs = [read_trajectory(path, file_format, types) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        for note in run.notes:
            print(f'{path}: {note}', file=sys.stderr)
    symbols, cell = symbols_and_cell(runs, structure)
    temperatures = [temperature if temperature is not None else run.temperature_K for run in runs]
    if None in temperatures or np.ptp(temperatures) > 0.5:
        known = ', '.join('unknown' if T is None else f'{T:g} K' for T in temperatures)
        raise ValueError(f'the temperature of the files must be one ({known}): give --temperature.')
    intervals = [dt_ps or run.interval_ps(timestep_fs) for run in runs]
    if None in intervals:
        raise ValueError(
            'the time between two frames is not known: give --dt-ps, or --timestep-fs where steps are numbered.'
        )
    if np.ptp(intervals) > 1e-6 * intervals[0]:
        raise ValueError(
            f'the files have frames at different intervals: {", ".join(f"{one:g}" for one in intervals)} ps.'
        )
    first = round(discard_ps / intervals[0])
    shortest = min(len(run.positions) for run in runs)
    if len({len(run.positions) for run in runs}) > 1:
        print(f'the runs differ in length: all are cut to {shortest} frames.', file=sys.stderr)
    result = analyse(
        [run.positions[first:shortest] for run in runs],
        symbols,
        charges_of(symbols, dict(charges)),
        cell,
        temperature_K=float(temperatures[0]),
        dt_ps=intervals[0],
        mobile=mobile or 'Li',
        masses=dict(masses) or None,
        **estimator_settings(estimator, (shortest - 1 - first) * intervals[0], **settings),
    )
    return Campaign({'state': 'finished'}, conductivities=[Conductivity(result.attributes(), result.curves)])


def symbols_and_cell(runs: list[Trajectory], structure: pathlib.Path | None) -> tuple[list[str], np.ndarray]:
    """Return what the files or the structure say, checked against each other.

    :raises ValueError: if something is missing or differs.
    """
    symbols, cell = runs[0].symbols, runs[0].cell
    if structure is not None:
        import ase.io

        atoms = ase.io.read(structure)
        symbols, cell = symbols or list(atoms.symbols), atoms.cell.array if cell is None else cell
    for name, value in (('symbols', symbols), ('cell', cell)):
        if value is None:
            raise ValueError(
                f'the file states no {name}: give --structure FILE'
                + (', or --types for the types of a LAMMPS dump.' if name == 'symbols' else '.')
            )
    for run in runs:
        if run.positions.shape[1] != len(symbols) or (run.symbols and run.symbols != symbols):
            raise ValueError('the files, or the structure, do not hold the same atoms in the same order.')
        if run.cell is not None and not np.allclose(run.cell, cell, rtol=0.01):
            raise ValueError('the files have different cells.')
    return symbols, cell


def charges_of(symbols: list[str], charges: dict[str, int]) -> dict[str, int]:
    """Return the integer charges, those not given being the usual ones.

    :raises ValueError: as :func:`~aiida_ionconduct.structures.checks.check_charges`.
    """
    from ase import Atoms

    return check_charges(Atoms(symbols), charges)
