"""From stored trajectories to conductivities: the transport analysis as calculation functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase.formula import Formula

from aiida_ionconduct.calculations.functions.trajectories import temperature_trend
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.density import density, participation
from aiida_ionconduct.labels import ordering_of_seed, seeds_of_orderings
from aiida_ionconduct.sampling.statement import ATTRIBUTE, no_dft
from aiida_ionconduct.studies.orderings import OrderingScatter, ordering_scatter
from aiida_ionconduct.studies.temperatures import haven_ratios, order_change, prefactor, transition
from aiida_ionconduct.transport import (
    TransportResult,
    analyse,
    arrhenius,
    choose_framework,
    mobile_positions,
    spectrum_from_centres_of_mass,
)
from aiida_ionconduct.transport.estimators import MIN_FRAMES
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.result import MAX_RELATIVE_HALF_WIDTH, half_width_over_value
from aiida_ionconduct.transport.temperature import temperature_attributes

# Runs at several temperatures are compared if their lengths differ by less than this share: in a longer run the ions
# get to more places.
SAME_LENGTH = 0.05
FILLED = ('filled_share', 'filled_share_stderr')
FILLED_FRAMES = 2000  # of each seed, evenly spread


@calcfunction
def analyse_trajectories(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> ConductivityData:
    """Return the full and tracer conductivity from all seeds at one temperature.

    The conductivity is computed with the mean temperature that the runs really had, where they have stored it; the
    attribute ``temperature_K`` is the temperature that was asked for.

    :param parameters: ``charges`` by chemical symbol, ``mobile`` (a symbol or a list), and any other argument of
        :func:`aiida_ionconduct.transport.analyse`; ``discard_ps`` is left out of the beginning of every run, and
        ``n_orderings`` is the number of orderings over which the seeds are spread.
    :param trajectories: one run per seed, by the label of the run, such as ``T1200_seed1``.
    :return: the conductivity, which states its seeds and composition.
    """
    runs = [trajectories[label] for label in sorted(trajectories)]
    first, settings = runs[0], parameters.get_dict()
    n_orderings, discard_ps = settings.pop('n_orderings', 0), settings.pop('discard_ps', 0.0)
    n_discarded = round(discard_ps / first.frame_interval_ps)
    seeds = [run.base.attributes.get('seed') for run in runs]
    measured = _measured_temperature(runs, seeds, discard_ps)
    result = analyse(
        [run.positions[n_discarded:] for run in runs],
        first.symbols,
        cell=_mean_cell([run.cell for run in runs]),
        temperature_K=measured.get('measured_temperature_K', first.temperature_K),
        dt_ps=first.frame_interval_ps,
        **settings,
    )
    result.curves.update(_fine_spectrum(runs, result, settings.get('charges'), discard_ps))
    attributes = ordering_attributes(result, seeds, n_orderings) if n_orderings > 1 else {}
    formula = Formula.from_list(first.symbols)
    warnings = [*attributes.pop('warnings', result.warnings), *measured.pop('temperature_warnings', [])]
    teachers = sorted({name for run in runs for name in run.base.attributes.get(ATTRIBUTE, [])})
    node = ConductivityData.from_result(
        result,
        temperature_K=first.temperature_K,
        warnings=warnings,
        **measured,
        composition=f'{formula:metal}',
        reduced_composition=f'{formula.reduce()[0]:metal}',
        seeds=seeds,
        **attributes,
        **filled_share(runs, settings.get('mobile', 'Li'), settings.get('framework')),
    )
    if teachers:
        node.base.attributes.set_many(
            {ATTRIBUTE: teachers, 'warnings': [no_dft(teachers), *node.base.attributes.get('warnings')]}
        )
    return node


def _fine_spectrum(
    runs: Sequence[IonTrajectoryData], result: TransportResult, charges: Any, discard_ps: float
) -> dict[str, np.ndarray]:
    """Return the full conductivity against frequency from the centres of mass, where they are finer than the frames."""
    first = runs[0]
    interval = first.base.attributes.get('com_interval_ps', first.frame_interval_ps)
    if not (result.charged and isinstance(charges, Mapping) and interval < first.frame_interval_ps):
        return {}
    centres = [run.centres_of_mass[round(discard_ps / interval) :] for run in runs]
    if min(map(len, centres)) < MIN_FRAMES:
        return {}
    return spectrum_from_centres_of_mass(
        centres,
        first.base.attributes.get('species'),
        counts=Counter(first.symbols),
        charges=charges,
        volume_A3=result.facts['volume_A3'],
        temperature_K=result.facts['temperature_K'],
        dt_ps=interval,
    )


def _mean_cell(cells: list[np.ndarray]) -> np.ndarray:
    """Return the first cell, scaled to the mean volume: orderings that are relaxed differ in volume by about 1 %.

    :param cells: (3, 3) each, Å.
    """
    volumes = [abs(np.linalg.det(cell)) for cell in cells]
    return np.asarray(cells[0] * (np.mean(volumes) / volumes[0]) ** (1 / 3))


def ordering_attributes(result: TransportResult, seeds: list[int], n_orderings: int) -> dict[str, Any]:
    """Return the attributes of a conductivity whose seeds start from several orderings of a disordered crystal.

    The errors and intervals have the scatter between orderings in them.

    :param result: of all runs together.
    :param seeds: of the runs, in their order.
    """
    orderings = [ordering_of_seed(seed, n_orderings) for seed in seeds]
    used = {label: numbers for label, numbers in seeds_of_orderings(seeds, n_orderings).items() if numbers}
    attributes: dict[str, Any] = {'n_orderings': len(used), 'orderings': used}
    warnings = list(result.warnings)
    values = _values_of_runs(result, len(seeds))
    for name, (value, samples) in values.items():
        scatter = ordering_scatter(
            samples, orderings, mean=value.value or 0.0, stderr=value.stderr or 0.0, dof=value.dof
        )
        if scatter is None:
            continue
        interval = scatter.interval(0.95)
        attributes |= {
            f'{name}_stderr': scatter.stderr,
            f'{name}_ci95': list(interval),
            f'{name}_seeds_stderr': value.stderr,
            f'{name}_orderings_stderr': math.sqrt(max(scatter.stderr**2 - (value.stderr or 0.0) ** 2, 0.0)),
            f'{name}_scatter_orderings': scatter.between,
            f'{name}_scatter_orderings_dof': scatter.between_dof,
            f'{name}_scatter_seeds': scatter.within,
            f'{name}_scatter_seeds_dof': scatter.within_dof,
            f'{name}_orderings_p_value': scatter.p_value,
        }
        if name == 'sigma_full':
            is_known = half_width_over_value(value.value or 1.0, interval) < MAX_RELATIVE_HALF_WIDTH
            attributes |= {
                'sigma_full_dof': scatter.dof,
                'sigma_full_seeds_dof': value.dof,
                'sigma_full_upper_S_per_cm': interval[1],
                'converged': is_known and result.plateau,
            }
            warnings += _ordering_warnings(scatter, value.value or 1.0, attributes)
    if len(used) < 2:
        warnings.append('the runs that ended well have one ordering: how far the conductivity depends on it is unknown')
    elif result.sigma_full.value is None:
        warnings.append('without a number, nothing is known of the scatter between orderings')
    elif 'sigma_full' not in values:
        warnings.append(
            'the runs are of unequal length: the scatter between orderings is not known, and the error is that of the '
            'seeds alone'
        )
    return {**attributes, 'warnings': warnings}


def _values_of_runs(result: TransportResult, n_seeds: int) -> dict[str, tuple[Estimate, list[float]]]:
    """Return the estimates that have a value, each with the value of every run, by the stem of the attributes."""
    full, tracer = result.sigma_full, result.sigma_tracer
    values: dict[str, tuple[Estimate, list[float]]] = {}
    runs = {}
    estimates = {'sigma_full': full, 'sigma_tracer': tracer} if result.charged else {}
    if not result.species:  # of several mobile species, each has a diffusivity of its own
        estimates['diffusivity'] = result.diffusivity
    for name, estimate in estimates.items():
        blocks = np.asarray(estimate.diagnostics['blocks'])
        if estimate.value is not None and len(blocks) == n_seeds:
            runs[name] = blocks.mean(axis=1)
            values[name] = (estimate, runs[name].tolist())
    haven = result.haven_ratio
    if (
        haven is not None
        and haven.value is not None
        and full.value
        and tracer.value
        and {*runs} >= {'sigma_full', 'sigma_tracer'}
    ):
        # To first order in the deviations of a run, as a ratio of two short runs is far from normal.
        ratios = haven.value * (1 + runs['sigma_tracer'] / tracer.value - runs['sigma_full'] / full.value)
        values['haven_ratio'] = (haven, ratios.tolist())
    return values


def _ordering_warnings(scatter: OrderingScatter, value: float, attributes: dict[str, Any]) -> list[str]:
    """Return what a reader has to know of the scatter between orderings of the full conductivity."""
    warnings = []
    if scatter.within is None:
        warnings.append(
            'each ordering has one seed: the scatter between orderings cannot be told from that between seeds'
        )
    share, seeds = attributes['sigma_full_orderings_stderr'], attributes['sigma_full_seeds_stderr'] or 0.0
    if share > seeds:
        warnings.append(
            f'most of the error comes from the orderings ({share / value:.0%} of σ; {seeds / value:.0%} from the '
            'seeds): more orderings lower it, longer runs do not'
        )
    return warnings


def _measured_temperature(
    runs: Sequence[IonTrajectoryData], seeds: Sequence[int | None], discard_ps: float
) -> dict[str, Any]:
    """Return what is known of the temperature that the runs had; nothing if one of them has not stored it."""
    trends = [temperature_trend(run, discard_ps) for run in runs]
    known = [temperature for temperature in trends if temperature is not None]
    if len(known) < len(runs):
        return {}
    constant_energy = all(run.base.attributes.get('ensemble', 'NVE') == 'NVE' for run in runs)
    return temperature_attributes(runs[0].temperature_K, known, seeds, constant_energy=constant_energy)


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

    The temperatures are those that the runs really had, with their errors, where they are known. A temperature
    without a number enters with its upper bound.

    :param conductivities: one per temperature, under any label.
    :return: what :func:`aiida_ionconduct.transport.arrhenius` returns, with the prefactor and its interval, and
        ``transition``, ``order_change`` and ``haven_ratio`` of :mod:`aiida_ionconduct.studies.temperatures`.
    """
    results = sorted((node.base.attributes.all for node in conductivities.values()), key=lambda a: a['temperature_K'])
    columns = ('sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    temperatures = [result.get('measured_temperature_K', result['temperature_K']) for result in results]
    points = [temperatures, *([result[column] for result in results] for column in columns)]
    haven = [[result[column] for result in results] for column in ('haven_ratio', 'haven_ratio_stderr')]
    temperature_stderrs = [result.get('measured_temperature_stderr', 0.0) for result in results]
    bounds = [result.get('sigma_full_upper_S_per_cm') or None for result in results]
    fit = arrhenius(*points, uppers=bounds, temperature_stderrs_K=temperature_stderrs)
    changes: dict[str, Any] = {'transition': transition(*points), 'order_change': _sublattice_change(results)}
    warnings = [*fit['warnings'], *(change['warning'] for change in changes.values() if change['warning'])]
    teachers = sorted({name for result in results for name in result.get(ATTRIBUTE, [])})
    if teachers:
        changes[ATTRIBUTE] = teachers
        warnings.insert(0, no_dft(teachers))
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
