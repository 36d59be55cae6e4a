"""Rows on the Arrhenius fit: activation energy, prefactor and the extrapolation to 300 K."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_ionconduct.report.number_format import format_estimate, format_interval, format_number

EXTRAPOLATION_WARNING = (
    'An extrapolation far below the simulated temperatures: it assumes one mechanism with one activation energy '
    'all the way.'
)


def arrhenius_rows(fit: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return label, value ± standard error, 95 % interval of the activation energy, the prefactor and σ at 300 K.

    :param fit: as :func:`aiida_ionconduct.transport.arrhenius` returns it; without an activation energy there is no
        row.
    """
    energy, prefactor = fit.get('activation_energy_eV'), fit.get('prefactor_S_K_per_cm')
    if energy is None:
        return []
    rows = [
        (
            'Activation energy (eV)',
            format_estimate(energy, fit.get('activation_energy_stderr')),
            format_interval(fit.get('activation_energy_ci95'), scale_of=energy),
        )
    ]
    if prefactor:
        interval = format_interval(fit.get('prefactor_ci95'))
        rows.append(('Prefactor of σT (S K/cm)', format_number(prefactor, 2), interval))
    rows.append(
        (
            'σ at 300 K, extrapolated (S/cm)',
            format_number(fit.get('extrapolated_300K_S_per_cm'), 2),
            format_interval(fit.get('extrapolated_300K_ci95')),
        )
    )
    return rows
