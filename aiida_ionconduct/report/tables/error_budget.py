"""The error budget: what is known of every error of the conductivities, and which command makes the rest known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida_ionconduct.report.number_format import format_number
from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.sampling.statement import ATTRIBUTE
from aiida_ionconduct.studies.potentials import potential_scatter

COLUMNS = ('Source of error', 'Size', 'In the intervals', 'From, or how to know it')
NOT_KNOWN, IN, OUT = 'not known', 'yes', 'no'

Row = tuple[str, str, str, str]


def error_budget_rows(data: Campaign) -> list[Row]:
    """Return source, size, whether the intervals include it, and what it is known from or how it can be known.

    :return: no row without a conductivity.
    """
    if not data.conductivities:
        return []
    return [
        _statistics(data.attributes),
        _orderings(data.attributes),
        _cell_size(data),
        _potential(data),
        _functional(data.error_sources, data.attributes),
        _labels(data),
    ]


def _statistics(conductivities: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of the finite length and number of runs."""
    parts, known = [], False
    for attributes in conductivities:
        sigma = attributes.get('sigma_full_S_per_cm')
        stderr = attributes.get('sigma_full_seeds_stderr', attributes.get('sigma_full_stderr'))
        known = known or bool(sigma and stderr)
        parts.append(_at(attributes, f'{stderr / sigma:.2g}' if sigma and stderr else 'no number'))
    runs = '; '.join(
        _at(attributes, f'{attributes.get("n_seeds")} seeds, {format_number(attributes.get("total_time_ps"))} ps')
        for attributes in conductivities
    )
    return ('Finite runs (relative standard error of σ)', '; '.join(parts), IN if known else OUT, runs)


def _orderings(conductivities: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of the scatter between orderings of a disordered crystal."""
    label = 'Ordering of a disordered crystal'
    known = [
        _at(attributes, f'{attributes["sigma_full_orderings_stderr"] / attributes["sigma_full_S_per_cm"]:.2g}')
        for attributes in conductivities
        if attributes.get('sigma_full_orderings_stderr') is not None and attributes.get('sigma_full_S_per_cm')
    ]
    if known:
        counts = sorted({attributes['n_orderings'] for attributes in conductivities if attributes.get('n_orderings')})
        return (label, '; '.join(known), IN, f'{" to ".join(map(str, counts))} orderings')
    advice = 'the runs start from one ordering; of a crystal with disorder: aiida-ionconduct launch --orderings 4 …'
    return (label, NOT_KNOWN, OUT, advice)


def _cell_size(data: Campaign) -> Row:
    """Return the row of the size of the cell, from the studies of this material in the profile."""
    label, studies = 'Size of the cell', data.error_sources.get('sizes', [])
    if not studies:
        advice = (
            'not studied: run a larger cell (min_image_distance_A in the protocol), then aiida-ionconduct study sizes '
            'PK PK, each the conductivity of a cell'
        )
        return (label, NOT_KNOWN, OUT, advice)
    sizes = '; '.join(
        f'{study["temperature_K"]:g} K: {study["answer"]}'
        + ('' if study.get('difference') is None else f', {study["difference"]:+.2g}')
        for study in studies
    )
    return (label, sizes, OUT, '; '.join(f'study {study["pk"]}: {study["reason"]}' for study in studies))


def _potential(data: Campaign) -> Row:
    """Return the row of the potential: the scatter between potentials, else the errors of the forces."""
    label, scatter = 'Potential', []
    for temperature, values in data.error_sources.get('potentials', {}).items():
        if len(values) > 1:
            known = potential_scatter(*zip(*values, strict=True))
            scatter.append(
                f'{temperature} K: {known.scatter:.2g} among {known.n} potentials (runs alone: {known.runs:.2g}); of '
                f'the potential {known.between:.2g}, at most {known.between_upper:.2g}'
            )
    if scatter:
        return (label, '; '.join(scatter), OUT, 'conductivities of this material in this profile')
    error = data.training.get('test_forces_rmse_eV_per_A')
    # Without a committee, the study needs seeds; where a potential was given, there are no frames to train others on.
    command = 'study potentials PK --training-seeds 2,3' if data.training else 'launch --model FILE --temperatures …'
    advice = f'the same production with potentials of other training seeds: aiida-ionconduct {command}'
    if error is None:
        return (label, NOT_KNOWN, OUT, advice)
    force = f'forces: {format_number(1000 * error, unit="meV/Å")} (RMSE)'
    return (label, force, OUT, f'held-out frames; not converted into an error of σ: {advice}')


def _functional(sources: Mapping[str, Any], conductivities: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of the approximation of DFT, which is stated and not estimated."""
    label, names = 'Density functional', sources.get('functionals', [])
    if any(attributes.get(ATTRIBUTE) for attributes in conductivities):
        return (label, NOT_KNOWN, OUT, 'that of the pretrained potential; not estimated')
    if not names:
        return (label, NOT_KNOWN, OUT, 'labels or potential were given: see where they come from; not estimated')
    return (label, ', '.join(names), OUT, 'stated, not estimated: compare with a measured conductivity')


def _labels(data: Campaign) -> Row:
    """Return the row of what the potential was trained on."""
    teachers = sorted({name for attributes in data.attributes for name in attributes.get(ATTRIBUTE) or []})
    if teachers:
        advice = 'no DFT was done: aiida-ionconduct launch --protocol overnight … labels frames with DFT'
        return ('Level of the labels', f'pretrained potential {", ".join(teachers)}', OUT, advice)
    if data.training:
        given = data.error_sources.get('given_labels')
        return ('Level of the labels', 'as in the given training set' if given else 'DFT', OUT, 'the training set')
    return ('Level of the labels', NOT_KNOWN, OUT, 'the potential was given, or the trajectories')


def _at(attributes: Mapping[str, Any], text: str) -> str:
    return f'{attributes["temperature_K"]:g} K: {text}'
