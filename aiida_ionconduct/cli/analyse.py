"""Stored runs into conductivities, and what ``aiida-ionconduct analyse`` does for runs and files alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_charges

if TYPE_CHECKING:
    from aiida import orm

    from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
    from aiida_ionconduct.report.result import Campaign

Pairs = Sequence[tuple[str, Any]]
"""Values by chemical symbol, as the command line gives them."""

COLUMN = 'column'
"""What is given instead of charges to take them from the files."""

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
    mobile: Sequence[str] | None,
    charges: Pairs,
    discard_ps: float,
    estimator: str | None,
    framework: Sequence[str] | None = None,
    **settings: Any,
) -> Campaign:
    """Analyse stored runs, temperature by temperature, as calculation functions.

    :param temperature: in K, the only one to analyse; None for all.
    :param mobile: the mobile species; by default those of the previous analysis, else Li.
    :param charges: by symbol where they are not those of the previous analysis or the usual ones.
    :param framework: species that tracers are followed against, none for the barycentric frame; found by default.
    :param settings: of :func:`estimator_settings`.
    :return: the new conductivities and their Arrhenius line.
    :raises ValueError: for nodes without trajectories or bad settings, saying what to do.
    """
    from aiida import orm

    from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
    from aiida_ionconduct.labels import temperature_label
    from aiida_ionconduct.report.graph.campaign import collect_conductivity
    from aiida_ionconduct.report.result import Campaign

    given = {name: float(value) for name, value in charges if name != COLUMN}
    if len(given) < len(charges):
        raise ValueError('--charges column is for files: stored runs hold no charges of atoms. Give --charges Li=1 …')
    conductivities = []
    for _, (runs, before) in sorted(runs_by_temperature(nodes, temperature).items()):
        first = next(iter(runs.values()))
        shortest = min(run.length_ps for run in runs.values())
        if discard_ps >= shortest:
            raise ValueError(f'--discard-ps {discard_ps:g} leaves nothing of a run of {shortest:g} ps.')
        chosen = estimator_settings(estimator, first.length_ps - discard_ps, **settings)
        kept = {name: value for name, value in before.items() if not (chosen and name in ('estimator', *SETTINGS))}
        own: dict[str, Any] = {'mobile': before.get('mobile', 'Li')}
        if mobile:
            own['mobile'] = mobile[0] if len(mobile) == 1 else list(mobile)
        own['charges'] = charges_of(first.symbols, {**before.get('charges', {}), **given})
        own |= {'discard_ps': discard_ps} if discard_ps else {}
        own |= {} if framework is None else {'framework': list(framework)}
        conductivities.append(analyse_trajectories(orm.Dict({**kept, **own, **chosen}), **runs))
    by_label = {temperature_label(node.temperature_K): node for node in conductivities}
    with_number = sum(has_number(node) for node in conductivities)
    return Campaign(
        {'state': 'finished'},
        conductivities=[collect_conductivity(node) for node in conductivities],
        arrhenius=fit_arrhenius(**by_label).get_dict() if with_number > 1 else {},
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


def charges_of(symbols: list[str], charges: Mapping[str, float]) -> dict[str, float]:
    """Return the charges by symbol: the given charges and, of other elements, the usual oxidation states.

    :raises ValueError: as :func:`~aiida_ionconduct.structures.checks.check_charges`.
    """
    from ase import Atoms

    if not any(charge % 1 for charge in charges.values()):
        return dict(check_charges(Atoms(symbols), charges))
    species = list(dict.fromkeys(symbols))
    if absent := sorted(set(charges) - set(species)):
        raise ValueError(f'charges are given for {", ".join(absent)}, which the runs do not contain.')
    known = {**OXIDATION_STATES, **charges}
    if unknown := [symbol for symbol in species if symbol not in known]:
        raise ValueError(
            f'no charge is known for {", ".join(unknown)}: give it, for instance --charges {unknown[0]}=3.'
        )
    return {symbol: float(known[symbol]) for symbol in species}
