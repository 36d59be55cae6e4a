"""One page that compares several campaigns: their numbers in one figure and table, and what differs in their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiida_ionconduct.report.figures import campaign as figures
from aiida_ionconduct.report.figures.svg import CAMPAIGN_COLOURS, PALETTE
from aiida_ionconduct.report.graph.campaign import Campaign, collect
from aiida_ionconduct.report.graph.inputs import differences
from aiida_ionconduct.report.numbers import MISSING, format_estimate, format_interval
from aiida_ionconduct.report.page.campaign import Drawing, fill, write
from aiida_ionconduct.report.tables.rows import QUANTITIES, arrhenius_rows, warnings
from aiida_ionconduct.report.tables.text import campaign_verdict

if TYPE_CHECKING:
    from aiida import orm

MOST_CAMPAIGNS = len(CAMPAIGN_COLOURS)


def write_comparison(nodes: Sequence[orm.WorkChainNode], path: str | Path) -> Path:
    """Write the page that compares campaigns.

    :param nodes: two to :data:`MOST_CAMPAIGNS` process nodes of :class:`ConductivityWorkChain`, in their order there.
    :param path: the file to write; its folder is made.
    :returns: the file written.
    :raises ValueError: for fewer or more, or one twice.
    """
    if not 2 <= len(nodes) <= MOST_CAMPAIGNS or len({node.pk for node in nodes}) < len(nodes):
        raise ValueError(f'{len(nodes)} campaigns: give 2 to {MOST_CAMPAIGNS}, each once.')
    return write(render(name_apart([collect(node) for node in nodes])), path)


def name_apart(campaigns: Sequence[Campaign]) -> dict[str, Campaign]:
    """Return campaigns by a name that tells them apart: the formula, and the primary key."""
    return {f'{one.composition.get("formula", "campaign")} ({one.process["pk"]})': one for one in campaigns}


def render(campaigns: Mapping[str, Campaign]) -> str:
    """Return the page as HTML.

    :param campaigns: by name, as :func:`name_apart` gives them.
    """
    colours = {**PALETTE, **{f'campaign-{index}': pair for index, pair in enumerate(CAMPAIGN_COLOURS)}}
    return fill(
        'comparison.html.j2',
        colours,
        _drawings(campaigns),
        campaigns=campaigns,
        verdicts={name: campaign_verdict(one) for name, one in campaigns.items()},
        conductivities=conductivity_table(campaigns),
        fits={name: arrhenius_rows(one.arrhenius) for name, one in campaigns.items()},
        warnings=shared_warnings(campaigns),
        differences=differences([{**one.versions, **one.inputs} for one in campaigns.values()]),
    )


def shared_warnings(campaigns: Mapping[str, Campaign]) -> dict[str, list[str]]:
    """Return the campaigns that each warning is about."""
    about: dict[str, list[str]] = {}
    for name, one in campaigns.items():
        for text in warnings(one.attributes, one.arrhenius):
            about.setdefault(text, []).append(name)
    return about


def conductivity_table(campaigns: Mapping[str, Campaign]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return temperature, quantity, and for each campaign the value with its standard error and its 95 % interval."""
    by_temperature = [{one['temperature_K']: one for one in campaign.attributes} for campaign in campaigns.values()]
    rows = []
    for temperature in sorted({temperature for one in by_temperature for temperature in one}):
        for label, key, stderr, interval, unit in QUANTITIES:
            cells = []
            for campaign in by_temperature:
                one = campaign.get(temperature, {})
                value, known = one.get(key), one.get(interval)
                ends = format_interval(known, scale_of=value) if known else ''
                cells.append((format_estimate(value, one.get(stderr)) if one else MISSING, ends))
            rows.append((f'{temperature:g} K', f'{label} ({unit})' if unit else label, cells))
    return rows


def _drawings(campaigns: Mapping[str, Campaign]) -> Iterator[Drawing]:
    points = {name: one.attributes for name, one in campaigns.items()}
    if any(one.get('sigma_full_S_per_cm') for attributes in points.values() for one in attributes):
        lines = {
            name: figures.fit_line([one.temperature_K for one in campaign.conductivities], campaign.arrhenius)
            for name, campaign in campaigns.items()
            if campaign.conductivities
        }
        yield Drawing(
            'arrhenius',
            'Full conductivities',
            'With 95 % intervals; each line is the fit of a campaign with its 95 % band.',
            figures.compared(points, lines, 'sigma_full_S_per_cm', 'sigma_full_ci95'),
            _columns(points, 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_ci95'),
        )
    if any(one.get('haven_ratio') for attributes in points.values() for one in attributes):
        yield Drawing(
            'haven',
            'Haven ratios',
            'Tracer over full conductivity, with 95 % intervals.',
            figures.compared(points, {}, 'haven_ratio', 'haven_ratio_ci95', against='temperature'),
            _columns(points, 'haven_ratio', 'haven_ratio_stderr', 'haven_ratio_ci95'),
        )


def _columns(points: Mapping[str, Sequence[Mapping]], value: str, stderr: str, interval: str) -> dict[str, list]:
    rows = [(name, one) for name, attributes in points.items() for one in attributes]
    ends = [one.get(interval) or (None, None) for _, one in rows]
    return {
        'campaign': [name for name, _ in rows],
        'temperature_K': [one['temperature_K'] for _, one in rows],
        value: [one.get(value) for _, one in rows],
        stderr: [one.get(stderr) for _, one in rows],
        'low': [low for low, _ in ends],
        'high': [high for _, high in ends],
    }
