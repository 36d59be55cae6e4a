"""One page that compares several campaigns: their numbers in one figure and table, and what differs in their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_ionconduct.report.figures.arrhenius import Line, fit_line
from aiida_ionconduct.report.figures.colours import CAMPAIGN_COLOURS, PALETTE
from aiida_ionconduct.report.figures.comparison import compared
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.graph.inputs import differences
from aiida_ionconduct.report.measured import Measured, beside
from aiida_ionconduct.report.number_format import MISSING, format_estimate, format_interval, format_number
from aiida_ionconduct.report.page.downloads import Columns
from aiida_ionconduct.report.page.template import Drawing, fill, write
from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.report.tables.arrhenius import arrhenius_rows
from aiida_ionconduct.report.tables.conductivity import QUANTITIES, Quantity, warning_texts
from aiida_ionconduct.report.verdict import campaign_verdict
from aiida_ionconduct.transport.arrhenius import line_at

if TYPE_CHECKING:
    from aiida import orm

MOST_CAMPAIGNS = len(CAMPAIGN_COLOURS)
UPPER = 'sigma_full_upper_S_per_cm'
"""The upper bound of a full conductivity, where there is no number."""
Points = Mapping[str, Sequence[Mapping[str, Any]]]
"""The attributes of the conductivities of each campaign, by its name."""


def write_comparison(nodes: Sequence[orm.WorkChainNode], path: str | Path, measured: Sequence[Measured] = ()) -> Path:
    """Write the page that compares campaigns.

    :param nodes: two to :data:`MOST_CAMPAIGNS` process nodes of :class:`ConductivityWorkChain`, in the order of the
        page; with measured conductivities, a single node suffices.
    :param path: the file to write; its folder is made.
    :param measured: measured conductivities, shown beside the campaigns of the same composition.
    :return: the file written.
    :raises ValueError: if there are fewer or more nodes, or the same node twice.
    """
    fewest = 1 if measured else 2
    if not fewest <= len(nodes) <= MOST_CAMPAIGNS or len({node.pk for node in nodes}) < len(nodes):
        raise ValueError(f'{len(nodes)} campaigns: give {fewest} to {MOST_CAMPAIGNS}, each once.')
    return write(render(name_apart([collect(node) for node in nodes]), measured), path)


def name_apart(campaigns: Sequence[Campaign]) -> dict[str, Campaign]:
    """Return campaigns by a name that tells them apart: the formula, and the primary key."""
    return {f'{data.composition.get("formula", "campaign")} ({data.process["pk"]})': data for data in campaigns}


def render(campaigns: Mapping[str, Campaign], measured: Sequence[Measured] = ()) -> str:
    """Return the page as HTML.

    :param campaigns: by name, as :func:`name_apart` gives them.
    :param measured: measured conductivities of any materials.
    """
    matches, unmatched = beside(measured, formulas(campaigns))
    colours = {**PALETTE, **{f'campaign-{index}': pair for index, pair in enumerate(CAMPAIGN_COLOURS)}}
    return fill(
        'comparison.html.j2',
        colours,
        comparison_drawings(campaigns, matches),
        campaigns=campaigns,
        verdicts={name: campaign_verdict(data) for name, data in campaigns.items()},
        conductivities=conductivity_table(campaigns),
        fits={name: arrhenius_rows(data.arrhenius) for name, data in campaigns.items()},
        measured=measured_table(campaigns, matches),
        unmatched=unmatched,
        warnings=_shared_warnings(campaigns),
        differences=differences([{**data.versions, **data.inputs} for data in campaigns.values()]),
    )


def formulas(campaigns: Mapping[str, Campaign]) -> dict[str, str]:
    """Return the formula of each campaign, which is empty as long as it is not known."""
    return {name: data.composition.get('formula', '') for name, data in campaigns.items()}


def _shared_warnings(campaigns: Mapping[str, Campaign]) -> dict[str, list[str]]:
    """Return the names of the campaigns that each warning is about."""
    names: dict[str, list[str]] = {}
    for name, data in campaigns.items():
        for text in warning_texts(data.attributes, data.arrhenius):
            names.setdefault(text, []).append(name)
    return names


def conductivity_table(campaigns: Mapping[str, Campaign]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return temperature, quantity, and for each campaign the value with its standard error and its 95 % interval."""
    by_temperature = [
        {attributes['temperature_K']: attributes for attributes in data.attributes} for data in campaigns.values()
    ]
    return [
        (
            f'{temperature:g} K',
            quantity.title,
            [_cell(results.get(temperature), quantity) for results in by_temperature],
        )
        for temperature in sorted({temperature for results in by_temperature for temperature in results})
        for quantity in QUANTITIES
    ]


def _cell(attributes: Mapping[str, Any] | None, quantity: Quantity) -> tuple[str, str]:
    if attributes is None:
        return MISSING, ''
    value, interval = attributes.get(quantity.value), attributes.get(quantity.interval)
    ends = format_interval(interval, scale_of=value) if interval else ''
    return format_estimate(value, attributes.get(quantity.stderr)), ends


def measured_table(
    campaigns: Mapping[str, Campaign], measured: Mapping[str, Sequence[Measured]]
) -> list[tuple[str, ...]]:
    """Return material, temperature, measured conductivity, campaign, the fit there, its interval, and the source."""
    return [
        (
            row.material,
            f'{row.temperature_K:g} K',
            format_number(row.sigma_S_per_cm, 2),
            name,
            *_computed_at(row.temperature_K, campaigns[name].arrhenius),
            row.source or MISSING,
        )
        for name, rows in measured.items()
        for row in rows
    ]


def _computed_at(temperature_K: float, fit: Mapping[str, Any]) -> tuple[str, str]:
    """Return the conductivity of the fitted line at a temperature, and its 95 % interval."""
    if fit.get('activation_energy_eV') is None:
        return MISSING, ''
    line = line_at(fit, [temperature_K])
    value, low, high = (float(line[name][0]) for name in ('sigma', 'low', 'high'))
    return format_number(value, 2), format_interval([low, high])


def _extension(campaign: Campaign, measured: Sequence[Measured]) -> Line | None:
    """Return the fitted line from the computed temperatures to measured ones beyond them."""
    if campaign.arrhenius.get('activation_energy_eV') is None or not measured:
        return None
    computed = [1 / result.temperature_K for result in campaign.conductivities]
    wanted = [1 / row.temperature_K for row in measured]
    ends = (min(computed), max(wanted)) if max(wanted) > max(computed) else (min(wanted), max(computed))
    return line_at(campaign.arrhenius, 1 / np.linspace(*ends, 60))


def comparison_drawings(
    campaigns: Mapping[str, Campaign], measured: Mapping[str, Sequence[Measured]]
) -> Iterator[Drawing]:
    """Return the figures of the page.

    :param measured: by campaign, as :func:`~aiida_ionconduct.report.measured.beside` returns them.
    """
    points = {name: data.attributes for name, data in campaigns.items()}
    if _any_has(points, 'sigma_full_S_per_cm'):
        lines = {
            name: fit_line([result.temperature_K for result in data.conductivities], data.arrhenius)
            for name, data in campaigns.items()
            if data.conductivities
        }
        yield Drawing(
            'arrhenius',
            'Full conductivities',
            'With 95 % intervals; each line is the fit of a campaign with its 95 % band. Triangles that point down are '
            'upper bounds.'
            + (' Stars are measured; dashed lines extrapolate the fits to them.' if any(measured.values()) else ''),
            compared(
                points,
                lines,
                value='sigma_full_S_per_cm',
                interval='sigma_full_ci95',
                upper=UPPER,
                measured=measured,
                extensions={
                    name: line for name, data in campaigns.items() if (line := _extension(data, measured.get(name, ())))
                },
            ),
            {
                **_columns(points, 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_ci95'),
                UPPER: [attributes.get(UPPER) for results in points.values() for attributes in results],
            },
        )
    if _any_has(points, 'sigma_tracer_S_per_cm'):
        yield Drawing(
            'tracer',
            'Tracer conductivities',
            'The Nernst–Einstein approximation, with 95 % intervals: known better than the full conductivity, and not '
            'the same.',
            compared(points, {}, value='sigma_tracer_S_per_cm', interval='sigma_tracer_ci95'),
            _columns(points, 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr', 'sigma_tracer_ci95'),
        )
    if _any_has(points, 'haven_ratio'):
        yield Drawing(
            'haven',
            'Haven ratios',
            'Tracer over full conductivity, with 95 % intervals.',
            compared(points, {}, value='haven_ratio', interval='haven_ratio_ci95', against='temperature'),
            _columns(points, 'haven_ratio', 'haven_ratio_stderr', 'haven_ratio_ci95'),
        )


def _any_has(points: Points, name: str) -> bool:
    return any(attributes.get(name) for results in points.values() for attributes in results)


def _columns(points: Points, value: str, stderr: str, interval: str) -> Columns:
    rows = [(name, attributes) for name, results in points.items() for attributes in results]
    ends = [attributes.get(interval) or (None, None) for _, attributes in rows]
    return {
        'campaign': [name for name, _ in rows],
        'temperature_K': [attributes['temperature_K'] for _, attributes in rows],
        value: [attributes.get(value) for _, attributes in rows],
        stderr: [attributes.get(stderr) for _, attributes in rows],
        'low': [low for low, _ in ends],
        'high': [high for _, high in ends],
    }
