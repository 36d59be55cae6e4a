"""From stored trajectories to conductivities: the transport analysis as calculation functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase.formula import Formula

from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.density import density, participation
from aiida_ionconduct.studies.temperatures import haven_ratios, order_change, prefactor, transition
from aiida_ionconduct.transport import analyse, arrhenius, choose_framework, mobile_positions

# Runs at several temperatures are compared if their lengths differ by less than this share: in a longer run the ions
# get to more places.
SAME_LENGTH = 0.05
FILLED = ('filled_share', 'filled_share_stderr')
FILLED_FRAMES = 2000  # of each seed, evenly spread


@calcfunction
def analyse_trajectories(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> ConductivityData:
    """Return the full and tracer conductivity from all seeds at one temperature.

    :param parameters: ``charges`` by chemical symbol, ``mobile`` (a symbol or a list), and any other argument of
        :func:`aiida_ionconduct.transport.analyse`; ``discard_ps`` is left out of the beginning of every run.
    :param trajectories: one run per seed, by the label of the run, such as ``T1200_seed1``.
    :return: the conductivity, which states its seeds and composition.
    """
    runs = [trajectories[label] for label in sorted(trajectories)]
    first, settings = runs[0], parameters.get_dict()
    n_discarded = round(settings.pop('discard_ps', 0.0) / first.frame_interval_ps)
    result = analyse(
        [run.positions[n_discarded:] for run in runs],
        first.symbols,
        cell=first.cell,
        temperature_K=first.temperature_K,
        dt_ps=first.frame_interval_ps,
        **settings,
    )
    formula = Formula.from_list(first.symbols)
    return ConductivityData.from_result(
        result,
        composition=f'{formula:metal}',
        reduced_composition=f'{formula.reduce()[0]:metal}',
        seeds=[run.base.attributes.get('seed') for run in runs],
        **filled_share(runs, settings.get('mobile', 'Li'), settings.get('framework')),
    )


def filled_share(
    runs: list[IonTrajectoryData], mobile: str | list[str], framework: list[str] | None = None
) -> dict[str, float | None]:
    """Return the share of the cell that the mobile ions fill, a measure of their order, and its error over seeds."""
    symbols, species = runs[0].symbols, [mobile] if isinstance(mobile, str) else mobile
    if set(symbols) <= set(species):
        return {'filled_share': None, 'filled_share_stderr': None}
    frames = [run.positions[:: max(1, len(run.positions) // FILLED_FRAMES)] for run in runs]
    framework = choose_framework(frames, symbols, species, framework=framework)
    shares = [
        participation(density([mobile_positions(positions, symbols, species, framework)], run.cell))
        for run, positions in zip(runs, frames, strict=True)
    ]
    stderr = float(np.std(shares, ddof=1) / len(shares) ** 0.5) if len(shares) > 1 else None
    return {'filled_share': float(np.mean(shares)), 'filled_share_stderr': stderr}


@calcfunction
def fit_arrhenius(**conductivities: ConductivityData) -> orm.Dict:
    """Fit ln(sigma T) against 1/T, each temperature weighted by its error, and test whether one line is enough.

    :param conductivities: one per temperature, under any label.
    :return: what :func:`aiida_ionconduct.transport.arrhenius` returns, with the prefactor and its interval, and
        ``transition``, ``order_change`` and ``haven_ratio`` of :mod:`aiida_ionconduct.studies.temperatures`.
    """
    results = sorted((node.base.attributes.all for node in conductivities.values()), key=lambda a: a['temperature_K'])
    columns = ('temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    points = [[result[column] for result in results] for column in columns]
    haven = [[result[column] for result in results] for column in ('haven_ratio', 'haven_ratio_stderr')]
    fit = arrhenius(*points)
    changes = {'transition': transition(*points), 'order_change': _sublattice_change(results)}
    warnings = [*fit['warnings'], *(change['warning'] for change in changes.values() if change['warning'])]
    further = {**changes, 'haven_ratio': haven_ratios(points[0], *haven)}
    return orm.Dict({**fit, **prefactor(fit), **further, 'warnings': warnings})


def _sublattice_change(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return whether the order of the mobile ions changes between two temperatures; runs must be equally long.

    :param results: attributes of conductivities.
    """
    known = [result for result in results if result.get('filled_share_stderr') is not None]
    lengths = [result['total_time_ps'] / result['n_seeds'] for result in known]
    if lengths and max(lengths) > (1 + SAME_LENGTH) * min(lengths):
        known = []
    temperatures, shares, stderrs = ([result[name] for result in known] for name in ('temperature_K', *FILLED))
    return order_change(temperatures, shares, stderrs)
