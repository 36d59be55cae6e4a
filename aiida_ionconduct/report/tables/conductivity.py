"""Rows on conductivities: σ, Haven ratio and diffusion coefficient, what they rest on, and warnings about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiida_ionconduct.report.number_format import MISSING, format_estimate, format_interval, format_number
from aiida_ionconduct.report.verdict import diffusive_answer


class Quantity(NamedTuple):
    """A quantity that every conductivity has: its label and unit, and the attributes with its numbers."""

    label: str
    value: str
    stderr: str
    interval: str
    unit: str

    @property
    def title(self) -> str:
        """The label with the unit."""
        return f'{self.label} ({self.unit})' if self.unit else self.label


QUANTITIES = (
    Quantity('σ, full', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_ci95', 'S/cm'),
    Quantity('σ, tracer', 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr', 'sigma_tracer_ci95', 'S/cm'),
    Quantity('Haven ratio', 'haven_ratio', 'haven_ratio_stderr', 'haven_ratio_ci95', ''),
    Quantity('D, tracer', 'diffusivity_cm2_per_s', 'diffusivity_stderr', 'diffusivity_ci95', 'cm²/s'),
)


def conductivity_rows(attributes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return label, value ± standard error, 95 % interval for the quantities at one temperature.

    :param attributes: as :meth:`aiida_ionconduct.transport.TransportResult.attributes` returns them.
    """
    rows = []
    for quantity in _quantities(attributes):
        value = attributes.get(quantity.value)
        estimate = format_estimate(value, attributes.get(quantity.stderr))
        rows.append((quantity.title, estimate, format_interval(attributes.get(quantity.interval), scale_of=value)))
    return rows


def _quantities(attributes: Mapping[str, Any]) -> list[Quantity]:
    """Return the quantities at one temperature; of several mobile species, those of each."""
    species = str(attributes.get('mobile', '')).split(',')
    if len(species) < 2:
        return list(QUANTITIES)
    of_each = (
        Quantity('D, tracer', 'diffusivity_cm2_per_s', 'diffusivity_stderr', 'diffusivity_ci95', 'cm²/s'),
        Quantity('σ, tracer', 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr', 'sigma_tracer_ci95', 'S/cm'),
        Quantity('Transference number', 'transference', 'transference_stderr', 'transference_ci95', ''),
    )
    return [
        *QUANTITIES[:3],
        *(
            Quantity(
                f'{kind.label}, {symbol}',
                f'{kind.value}_{symbol}',
                f'{kind.stderr}_{symbol}',
                f'{kind.interval}_{symbol}',
                kind.unit,
            )
            for symbol in species
            for kind in of_each
        ),
    ]


def onsager_rows(attributes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return pair of species, value ± standard error, 95 % interval of the Onsager coefficients at one temperature.

    :return: nothing without the coefficients; a dash for the intervals of results of earlier versions.
    """
    matrix, stderrs, intervals = (attributes.get(f'onsager_{name}') for name in ('S_per_cm', 'stderr', 'ci95'))
    if not matrix or not stderrs:
        return []
    return [
        (
            f'{first}–{second}',
            format_estimate(matrix[i][j], stderrs[i][j]),
            format_interval(intervals[i][j], scale_of=matrix[i][j]) if intervals else MISSING,
        )
        for i, first in enumerate(attributes['species'])
        for j, second in enumerate(attributes['species'])
        if i <= j
    ]


def assumption_rows(conductivities: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return subject, value and source of what the results rest on, each row once.

    :return: a row that does not hold for all temperatures has its temperatures with the subject.
    """
    temperatures: dict[tuple[str, str, str], list[str]] = {}
    for attributes in conductivities:
        for row in attributes.get('assumptions') or []:
            key = (row['subject'], row['value'], row['source'])
            temperatures.setdefault(key, []).append(f'{attributes["temperature_K"]:g} K')
    return [
        (subject if len(where) == len(conductivities) else f'{subject}, {", ".join(where)}', value, source)
        for (subject, value, source), where in temperatures.items()
    ]


def note_texts(conductivities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the notes on how the files were read, each once."""
    return list(dict.fromkeys(note for attributes in conductivities for note in attributes.get('notes') or []))


def sampling_rows(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the numbers at one temperature rest on: seeds, MD length, whether the motion is diffusive."""
    lags = ' / '.join(f'{lag:.3g}' for lag in chosen_lags(attributes).values())
    return [
        *temperature_rows(attributes),
        ('Diffusive', diffusive_answer(attributes)),
        ('Lag, full / tracer', f'{lags} ps' if lags else MISSING),
        ('β, tracer', format_estimate(attributes.get('beta'), attributes.get('beta_stderr'))),
        ('Seeds', str(attributes.get('n_seeds', MISSING))),
        ('MD, all seeds', format_number(attributes.get('total_time_ps'), unit='ps')),
        *ordering_rows(attributes),
        ('Estimator', str(attributes.get('estimator', MISSING))),
        ('Frame', str(attributes.get('frame', MISSING))),
    ]


def ordering_rows(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how σ scatters between orderings and between the seeds of an ordering; nothing for a single ordering."""
    sigma = attributes.get('sigma_full_S_per_cm')
    if not attributes.get('n_orderings'):
        return []
    rows = [('Orderings', str(attributes['n_orderings']))]
    if not sigma or attributes.get('sigma_full_orderings_stderr') is None:
        return rows
    for label, name in (('σ between orderings', 'orderings'), ('σ between seeds', 'seeds')):
        scatter, dof = attributes[f'sigma_full_scatter_{name}'], attributes[f'sigma_full_scatter_{name}_dof']
        text = MISSING if scatter is None else f'± {100 * scatter / sigma:.2g} % ({dof} degrees of freedom)'
        rows.append((label, text))
    seeds, orderings = (
        f'{100 * (attributes[f"sigma_full_{name}_stderr"] or 0.0) / sigma:.2g} %' for name in ('seeds', 'orderings')
    )
    rows.append(('Error of σ', f'{seeds} from seeds, {orderings} from orderings'))
    p_value = attributes.get('sigma_full_orderings_p_value')
    return [*rows, *([] if p_value is None else [('p, orderings alike', f'{p_value:.2g}')])]


def disorder_rows(disorder: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return label, electrostatic and DFT energy above the lowest (meV per atom), and seeds of each ordering.

    :param disorder: as :func:`~aiida_ionconduct.calculations.functions.structures.describe_orderings` returns it.
    """
    columns = []
    for name in ('electrostatic_energy_eV', 'dft_energy_eV'):
        energies = [row[name] for row in disorder.values()]
        known = [energy for energy in energies if energy is not None]
        columns.append(
            [
                MISSING if energy is None else f'{1000 * (energy - min(known)) / row["n_atoms"]:.3g}'
                for energy, row in zip(energies, disorder.values(), strict=True)
            ]
        )
    labels = [label.removeprefix('ordering_').lstrip('0') for label in disorder]
    seeds = [', '.join(map(str, row['seeds'])) or MISSING for row in disorder.values()]
    return list(zip(labels, *columns, seeds, strict=True))


def temperature_rows(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the measured temperature of all seeds, and mean and drift of each; nothing where it was not measured."""
    mean = attributes.get('measured_temperature_K')
    if mean is None:
        return []
    pairs = zip(attributes['seed_temperatures_K'], attributes['seed_temperatures_stderr'], strict=True)
    drifts = zip(
        attributes['seed_temperature_drifts_K_per_ps'], attributes['seed_temperature_drifts_stderr'], strict=True
    )
    return [
        ('T, measured', format_estimate(mean, attributes.get('measured_temperature_stderr'), 'K')),
        ('T of the seeds (K)', '; '.join(format_estimate(*pair) for pair in pairs)),
        ('Drift of T (K/ps)', '; '.join(format_estimate(*pair) for pair in drifts)),
    ]


def chosen_lags(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return the lag that was chosen for ``full`` and for ``tracer``, ps, where there is one."""
    lags = {'full': attributes.get('lag_ps'), 'tracer': attributes.get('lag_tracer_ps', attributes.get('lag_ps'))}
    return {kind: lag for kind, lag in lags.items() if lag is not None}


def warning_texts(conductivities: Sequence[Mapping[str, Any]], fit: Mapping[str, Any]) -> list[str]:
    """Return the warnings of all temperatures and of the Arrhenius fit.

    :return: each text once, with the temperatures that it holds for.
    """
    temperatures: dict[str, list[str]] = {}
    for attributes in conductivities:
        for text in attributes.get('warnings') or []:
            temperatures.setdefault(text, []).append(f'{attributes["temperature_K"]:g} K')
    texts = [f'{", ".join(where)}: {text}' for text, where in temperatures.items()]
    return [*texts, *(f'Arrhenius fit: {text}' for text in fit.get('warnings') or [])]
