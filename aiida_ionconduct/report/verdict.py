"""Whether the numbers of a campaign can be trusted, by a rule that is written down here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiida_ionconduct.report.number_format import (
    MISSING,
    format_estimate,
    format_interval,
    format_number,
    format_percent,
)
from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.sampling.statement import ATTRIBUTE
from aiida_ionconduct.transport.result import MAX_RELATIVE_HALF_WIDTH, half_width_over_value
from aiida_ionconduct.transport.verdict import diffusion

DEMONSTRATION_PROTOCOL = 'quickstart'

Level = Literal['converged', 'not converged', 'demonstration', 'screening', 'no number', 'running', 'failed']
State = Literal['running', 'failed', 'finished']
SENTENCES: dict[Level, str] = {
    'converged': 'The numbers meet every criterion below.',
    'not converged': 'The numbers are not converged: read them only with their intervals.',
    'demonstration': (
        'This shows that the machinery works; the numbers are not converged and not a statement about the material.'
    ),
    'screening': (
        'No DFT was done: these are the numbers of a potential that imitates a pretrained potential, and nothing has '
        'checked them for this material.'
    ),
    'no number': 'The campaign ended without a conductivity.',
    'running': 'The campaign is still running; what is below is what it has so far.',
    'failed': 'The campaign stopped before its end; what was computed up to there is below.',
}


@dataclass(frozen=True)
class Criterion:
    """A condition for trust; ``passed`` is None where it is not known."""

    label: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Verdict:
    """Whether the numbers can be trusted (``level``, ``sentence``), what they are, and why.

    ``numbers`` holds temperature, full conductivity and its 95 % interval or upper bound as text.
    """

    level: Level
    sentence: str
    numbers: list[tuple[str, str, str]] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)
    evidence: list[tuple[str, str]] = field(default_factory=list)


def campaign_verdict(data: Campaign) -> Verdict:
    """Return the verdict on a campaign."""
    return verdict(
        data.attributes,
        validation=data.validation,
        protocol=data.process.get('protocol'),
        training=data.training,
        state=data.process['state'],
    )


def verdict(
    conductivities: Sequence[Mapping[str, Any]],
    *,
    validation: Mapping[str, Any] | None = None,
    protocol: str | None = None,
    training: Mapping[str, Any] | None = None,
    state: State = 'finished',
) -> Verdict:
    """Decide what the numbers of a campaign are worth.

    They are converged when, at every temperature, the 95 % half-width of the full conductivity is below
    :data:`~aiida_ionconduct.transport.result.MAX_RELATIVE_HALF_WIDTH` of its value and the motion is diffusive, when
    the potential passed its validation, when the protocol was not the demonstration, and when the potential has learnt
    from DFT. What is not known does not count as passed.

    :param conductivities: flat attributes, a mapping for each temperature, as
        :meth:`aiida_ionconduct.transport.TransportResult.attributes` gives them.
    :param validation: with ``passed``.
    :param training: with ``n_train``, for the evidence.
    """
    criteria = [
        _precision(conductivities),
        _diffusive(conductivities),
        _validated(validation),
        Criterion(
            'A protocol for production',
            protocol != DEMONSTRATION_PROTOCOL if protocol else None,
            protocol or 'not stated',
        ),
    ]
    teachers = sorted({name for attributes in conductivities for name in attributes.get(ATTRIBUTE) or []})
    if teachers:
        criteria.append(Criterion('Trained on DFT', False, f'no DFT was done; labels of {", ".join(teachers)}'))
    level: Level
    if state != 'finished':
        level = state
    elif protocol == DEMONSTRATION_PROTOCOL:
        level = 'demonstration'
    elif not any(attributes.get('sigma_full_S_per_cm') for attributes in conductivities):
        level = 'no number'
    elif teachers:
        level = 'screening'
    else:
        level = 'converged' if all(criterion.passed for criterion in criteria) else 'not converged'
    numbers = [(f'{attributes["temperature_K"]:g} K', *_number(attributes)) for attributes in conductivities]
    return Verdict(level, SENTENCES[level], numbers, criteria, _evidence(conductivities, training))


def _number(attributes: Mapping[str, Any]) -> tuple[str, str]:
    value, bound = attributes.get('sigma_full_S_per_cm'), attributes.get('sigma_full_upper_S_per_cm')
    if value is None:
        return 'no number', '' if bound is None else f'below {format_number(bound, 2)} S/cm at 97.5 %'
    estimate = format_estimate(value, attributes.get('sigma_full_stderr'), 'S/cm')
    interval = attributes.get('sigma_full_ci95')
    return estimate, f'95 % {format_interval(interval, "S/cm", value)}' if interval else ''


def relative_half_width(attributes: Mapping[str, Any]) -> float | None:
    """Return the relative 95 % half-width of the full conductivity at one temperature, None without a number."""
    sigma, interval = attributes.get('sigma_full_S_per_cm'), attributes.get('sigma_full_ci95')
    return half_width_over_value(sigma, interval) if sigma and interval else None


def _precision(conductivities: Sequence[Mapping[str, Any]]) -> Criterion:
    widths = [relative_half_width(attributes) for attributes in conductivities]
    passed = bool(widths) and all(width is not None and width < MAX_RELATIVE_HALF_WIDTH for width in widths)
    label = f'95 % half-width of σ below {format_percent(MAX_RELATIVE_HALF_WIDTH)} at every temperature'
    return Criterion(label, passed, _per_temperature(conductivities, [format_percent(width) for width in widths]))


def _diffusive(conductivities: Sequence[Mapping[str, Any]]) -> Criterion:
    texts = [_exponent(attributes) for attributes in conductivities]
    passed = bool(conductivities) and all(diffusive_answer(attributes) == 'yes' for attributes in conductivities)
    return Criterion('Diffusive at every temperature', passed, _per_temperature(conductivities, texts))


def diffusive_answer(attributes: Mapping[str, Any]) -> str:
    """Return whether the motion at one temperature is diffusive, in words."""
    resolved = attributes.get('diffusive')
    plateau = attributes.get('plateau_tracer', attributes.get('plateau'))
    return MISSING if resolved is None else diffusion(resolved=resolved, plateau=plateau is not False)


def _exponent(attributes: Mapping[str, Any]) -> str:
    answer, beta = diffusive_answer(attributes), attributes.get('beta')
    return answer if beta is None else f'{answer}, β = {format_estimate(beta, attributes.get("beta_stderr"))}'


def _validated(validation: Mapping[str, Any] | None) -> Criterion:
    passed = (validation or {}).get('passed')
    failed = [
        check.get('label', check.get('name')) for check in (validation or {}).get('checks', []) if not check['passed']
    ]
    left_out = len((validation or {}).get('not_asked') or [])
    beside = f', {left_out} comparisons with AIMD not asked' if left_out else ''
    detail = {True: f'all checks passed{beside}', False: f'failed: {", ".join(failed)}', None: 'not validated'}[passed]
    return Criterion('The potential passed its validation', passed, detail)


def _per_temperature(conductivities: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> str:
    pairs = zip(conductivities, texts, strict=True)
    return ', '.join(f'{attributes["temperature_K"]:g} K: {text}' for attributes, text in pairs) or 'no conductivity'


def _evidence(conductivities: Sequence[Mapping[str, Any]], training: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what else the trust rests on: training frames, MD length per seed."""
    seeds = [
        f'{attributes["n_seeds"]} × {attributes["total_time_ps"] / attributes["n_seeds"]:.3g} ps'
        for attributes in conductivities
        if attributes.get('n_seeds') and attributes.get('total_time_ps')
    ]
    n_train = (training or {}).get('n_train')
    rows = [('Training frames', str(n_train))] if n_train else []
    if len(seeds) == len(conductivities) and seeds:
        rows.append(('MD per temperature (seeds × length)', _per_temperature(conductivities, seeds)))
    return rows
