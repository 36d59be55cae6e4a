"""The rows of the tables, written once for the page and for the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aiida_ionconduct.report.numbers import MISSING, format_estimate, format_interval, format_number, format_percent
from aiida_ionconduct.report.verdict import diffusive_answer

# Label, key of the value, key of its error, key of its interval, unit.
QUANTITIES = (
    ('σ, full', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_ci95', 'S/cm'),
    ('σ, tracer', 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr', 'sigma_tracer_ci95', 'S/cm'),
    ('Haven ratio', 'haven_ratio', 'haven_ratio_stderr', 'haven_ratio_ci95', ''),
    ('D, tracer', 'diffusivity_cm2_per_s', 'diffusivity_stderr', 'diffusivity_ci95', 'cm²/s'),
)
EXTRAPOLATION_WARNING = (
    'An extrapolation far below the simulated temperatures: it assumes one mechanism with one activation energy '
    'all the way.'
)


def conductivity_rows(one: Mapping) -> list[tuple[str, str, str]]:
    """Return label, value ± standard error, 95 % interval for the quantities at one temperature.

    :param one: flat attributes as of :meth:`aiida_ionconduct.transport.TransportResult.attributes`.
    """
    rows = []
    for label, key, stderr, interval, unit in QUANTITIES:
        value = one.get(key)
        label = f'{label} ({unit})' if unit else label
        rows.append(
            (label, format_estimate(value, one.get(stderr)), format_interval(one.get(interval), scale_of=value))
        )
    return rows


def sampling_rows(one: Mapping) -> list[tuple[str, str]]:
    """Return what the numbers at one temperature rest on: seeds, MD length, whether the motion is diffusive."""
    lags = chosen_lags(one)
    texts = [f'{lag:.3g}' for lag in lags.values()]
    return [
        ('Diffusive', diffusive_answer(one)),
        ('Lag, full / tracer', f'{" / ".join(texts)} ps' if texts else MISSING),
        ('β, tracer', format_estimate(one.get('beta'), one.get('beta_stderr'))),
        ('Seeds', str(one.get('n_seeds', MISSING))),
        ('MD, all seeds', format_number(one.get('total_time_ps'), unit='ps')),
        ('Estimator', str(one.get('estimator', MISSING))),
        ('Frame', str(one.get('frame', MISSING))),
    ]


def chosen_lags(one: Mapping) -> dict[str, float]:
    """Return the lag that was chosen for ``full`` and for ``tracer``, ps, where there is one."""
    lags = {'full': one.get('lag_ps'), 'tracer': one.get('lag_tracer_ps', one.get('lag_ps'))}
    return {kind: lag for kind, lag in lags.items() if lag is not None}


def arrhenius_rows(fit: Mapping) -> list[tuple[str, str, str]]:
    """Return label, value ± standard error, 95 % interval of activation energy and σ at 300 K, if there is a fit."""
    energy, room = fit.get('activation_energy_eV'), fit.get('extrapolated_300K_S_per_cm')
    if energy is None:
        return []
    return [
        (
            'Activation energy (eV)',
            format_estimate(energy, fit.get('activation_energy_stderr')),
            format_interval(fit.get('activation_energy_ci95'), scale_of=energy),
        ),
        *(
            [
                (
                    'Prefactor of σT (S K/cm)',
                    format_number(fit['prefactor_S_K_per_cm'], 2),
                    format_interval(fit.get('prefactor_ci95')),
                )
            ]
            if fit.get('prefactor_S_K_per_cm')
            else []
        ),
        (
            'σ at 300 K, extrapolated (S/cm)',
            format_number(room, 2),
            format_interval(fit.get('extrapolated_300K_ci95')),
        ),
    ]


def precision_rows(outcome: Mapping) -> list[tuple[str, str, str, str]]:
    """Return temperature, how it ended, the error reached, and the MD spent and needed, of a campaign with a target."""
    rows = []
    for label, one in outcome.get('temperatures', {}).items():
        error = format_percent(one['relative_error'])
        if one['relative_error'] is None:
            error = f'no number, below {format_number(one["upper_bound"], 2)} S/cm'
        needed = f', {format_number(one["predicted_md_ns"], 2)} predicted' if one['predicted_md_ns'] else ''
        temperature = f'{label.removeprefix("T").replace("_", ".")} K'
        rows.append((temperature, one['ending'] or one['action'], error, f'{format_number(one["md_ns"])}{needed}'))
    return rows


def validation_rows(validation: Mapping) -> list[tuple[str, str, str, bool]]:
    """Return label, value, what is allowed, and whether it passed, for every check of the gate."""
    rows = []
    for check in validation.get('checks', []):
        unit, limit = check.get('unit') or '', check.get('limit')
        if isinstance(limit, (list, tuple)):
            low, high = limit
            at_least, between = f'at least {format_number(low, unit=unit)}', f'{format_number(low)} to '
            allowed = at_least if high is None else between + format_number(high, unit=unit)
        else:
            allowed = MISSING if limit is None else f'at most {format_number(limit, unit=unit)}'
        label = check.get('label') or check['name']
        rows.append((label, format_number(check.get('value'), unit=unit), allowed, bool(check['passed'])))
    return rows


def validation_table(validation: Mapping) -> tuple[list[str], list[tuple[str, list[tuple[str, str, bool] | None]]]]:
    """Return the gate with a column for each temperature, so that it stays short.

    :return: the temperatures; and rows of a label and, for each temperature, value, what is allowed and whether it
        passed, or None; a check that is of no temperature has a single such cell.
    """
    cells: dict[str, dict[str, tuple[str, str, bool]]] = {}
    for label, *cell in validation_rows(validation):
        found = re.fullmatch(r'(.*), ([\d.]+) K', label)
        name, temperature = found.groups() if found else (label, '')
        cells.setdefault(name, {})[temperature] = tuple(cell)
    columns = sorted({one for row in cells.values() for one in row if one}, key=float)
    return columns, [
        (name, [row['']] if '' in row else [row.get(column) for column in columns]) for name, row in cells.items()
    ]


def error_rows(training: Mapping) -> list[tuple[str, str, str]]:
    """Return what is predicted, and mean absolute and root-mean-square errors on held-out frames, where known."""
    kinds = [
        ('Energy', 'energy_{}_eV_per_atom', 1000, 'meV/atom'),
        ('Forces', 'forces_{}_eV_per_A', 1000, 'meV/Å'),
        ('Stress', 'stress_{}_eV_per_A3', 1000, 'meV/Å³'),
    ]
    rows = [
        (label, *(training.get(f'test_{key.format(kind)}') for kind in ('mae', 'rmse')), scale, unit)
        for label, key, scale, unit in kinds
    ]
    by_element = [training.get(f'test_forces_{kind}_by_element') or {} for kind in ('mae', 'rmse')]
    for symbol, mae in by_element[0].items():
        rows.append((f'Forces on {symbol}', mae, by_element[1].get(symbol), 1000, 'meV/Å'))
    return [
        (label, *(format_number(None if value is None else scale * value, unit=unit) for value in values))
        for label, *values, scale, unit in rows
        if values[0] is not None
    ]


def source_words(sources: Mapping[str, int]) -> str:
    """Return how many frames of a training set come from where, in words."""
    words = {'aimd': 'AIMD', 'rattled': 'rattled cells'}
    texts = {source: words.get(source) or re.sub('_(.+)$', r' in round \1', source) for source in sources}
    return ', '.join(f'{count} {texts[source]}' for source, count in sources.items())


def decision_rows(decisions: Sequence[Mapping]) -> list[tuple[str, str, str, str, str]]:
    """Return round, temperature, relative error, decision and reasons, of a campaign with a target."""
    return [
        (
            str(one['round']),
            f'{label.removeprefix("T").replace("_", ".")} K',
            format_percent(plan['relative_error']),
            plan['ending'] or f'{plan["action"]}: {plan["n_seeds"]} × {format_number(plan["length_ps"], unit="ps")}',
            '; '.join(plan['reasons']),
        )
        for one in decisions
        for label, plan in one['temperatures'].items()
    ]


def density_rows(statistics: Mapping) -> list[tuple[str, str]]:
    """Return label and value of what a density study says about sites, jumps and paths at one temperature."""
    paths = [
        f'{axis}: {format_number(one["barrier_eV"], 2, "eV")}' if one['percolates'] else f'{axis}: none seen'
        for axis, one in statistics['percolation'].items()
    ]
    share = 100 * statistics['filled_share']
    error = statistics['filled_share_stderr']
    residence = format_estimate(statistics['mean_residence_ps'], statistics['mean_residence_stderr'], 'ps')
    return [
        ('Paths through the crystal, thinnest place', ', '.join(paths)),
        ('Sites', str(statistics['n_sites'])),
        ('Jumps seen', str(statistics['n_jumps'])),
        ('Residence time', residence),
        ('Jump length', format_number(statistics['jump_length_A'], unit='Å')),
        ('Share of the cell the ions fill', f'{format_estimate(share, None if error is None else 100 * error)} %'),
    ]


def warnings(conductivities: Sequence[Mapping], arrhenius: Mapping) -> list[str]:
    """Return the warnings of all temperatures, each text once, with the temperatures it holds for, and of the fit."""
    where: dict[str, list[str]] = {}
    for one in conductivities:
        for text in one.get('warnings') or []:
            where.setdefault(text, []).append(f'{one["temperature_K"]:g} K')
    texts = [f'{", ".join(temperatures)}: {text}' for text, temperatures in where.items()]
    return [*texts, *(f'Arrhenius fit: {text}' for text in arrhenius.get('warnings') or [])]
