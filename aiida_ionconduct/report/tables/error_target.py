"""Rows on a campaign with a target: the errors it reached, how each temperature ended, and what was decided when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida_ionconduct.labels import read_temperature
from aiida_ionconduct.report.number_format import format_number, format_percent


def target_rows(outcome: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return temperature, how it ended, the error reached, and the MD spent and needed.

    :param outcome: of the campaign; empty without a target.
    """
    rows = []
    for label, state in outcome.get('temperatures', {}).items():
        error = format_percent(state['relative_error'])
        if state['relative_error'] is None:
            error = f'no number, below {format_number(state["upper_bound"], 2)} S/cm'
        needed = f', {format_number(state["predicted_md_ns"], 2)} predicted' if state['predicted_md_ns'] else ''
        md = f'{format_number(state["md_ns"])}{needed}'
        rows.append((f'{read_temperature(label):g} K', state['ending'] or state['action'], error, md))
    return rows


def decision_rows(decisions: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    """Return round, temperature, relative error, decision and reasons.

    :param decisions: of the rounds in order.
    """
    return [
        (
            str(decision['round']),
            f'{read_temperature(label):g} K',
            format_percent(plan['relative_error']),
            plan['ending'] or f'{plan["action"]}: {plan["n_seeds"]} × {format_number(plan["length_ps"], unit="ps")}',
            '; '.join(plan['reasons']),
        )
        for decision in decisions
        for label, plan in decision['temperatures'].items()
    ]
