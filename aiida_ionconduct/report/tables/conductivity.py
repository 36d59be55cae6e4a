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
        ('Diffusive', diffusive_answer(attributes)),
        ('Lag, full / tracer', f'{lags} ps' if lags else MISSING),
        ('β, tracer', format_estimate(attributes.get('beta'), attributes.get('beta_stderr'))),
        ('Seeds', str(attributes.get('n_seeds', MISSING))),
        ('MD, all seeds', format_number(attributes.get('total_time_ps'), unit='ps')),
        ('Estimator', str(attributes.get('estimator', MISSING))),
        ('Frame', str(attributes.get('frame', MISSING))),
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
