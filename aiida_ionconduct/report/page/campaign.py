"""The HTML page of one campaign: self-contained, one file, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_ionconduct.report.figures.colours import colour_variables
from aiida_ionconduct.report.figures.provenance import draw
from aiida_ionconduct.report.figures.svg import embed
from aiida_ionconduct.report.page.campaign_figures import campaign_drawings
from aiida_ionconduct.report.page.downloads import json_uri
from aiida_ionconduct.report.page.template import fill, write
from aiida_ionconduct.report.result import Campaign, StageRun
from aiida_ionconduct.report.tables.arrhenius import EXTRAPOLATION_WARNING, arrhenius_rows
from aiida_ionconduct.report.tables.conductivity import (
    assumption_rows,
    conductivity_rows,
    disorder_rows,
    note_texts,
    onsager_rows,
    sampling_rows,
    warning_texts,
)
from aiida_ionconduct.report.tables.costs import COLUMNS, FROM_WALL_TIMES, SPEED_COLUMNS, cost_rows, speed_rows
from aiida_ionconduct.report.tables.error_budget import COLUMNS as BUDGET_COLUMNS
from aiida_ionconduct.report.tables.error_budget import error_budget_rows
from aiida_ionconduct.report.tables.error_target import decision_rows, target_rows
from aiida_ionconduct.report.tables.expansion import expansion_rows, expansion_texts
from aiida_ionconduct.report.tables.potential import error_rows, source_words, validation_table
from aiida_ionconduct.report.tables.studies import density_rows
from aiida_ionconduct.report.verdict import campaign_verdict
from aiida_ionconduct.structures.site_table import cell_text

if TYPE_CHECKING:
    from aiida import orm

TABLES = (
    arrhenius_rows,
    assumption_rows,
    cell_text,
    conductivity_rows,
    cost_rows,
    decision_rows,
    density_rows,
    disorder_rows,
    error_budget_rows,
    error_rows,
    expansion_rows,
    expansion_texts,
    note_texts,
    onsager_rows,
    sampling_rows,
    source_words,
    speed_rows,
    target_rows,
    validation_table,
    warning_texts,
)
"""The functions that the template calls, by their names."""


def write_page(node: orm.WorkChainNode, path: str | Path) -> Path:
    """Write the page of a campaign, finished or not.

    :param node: the process node of a :class:`ConductivityWorkChain`.
    :param path: the file to write; its folder is made.
    :return: the file written.
    """
    from aiida_ionconduct.report.graph.campaign import collect
    from aiida_ionconduct.report.graph.details import collect_details

    data = collect(node)
    data.details = collect_details(node)
    return write(render(data), path)


def render(data: Campaign) -> str:
    """Return the page of a campaign as HTML.

    :param data: as :func:`aiida_ionconduct.report.graph.campaign.collect` returns it; an empty field leaves its
        section out.
    """
    return fill(
        'campaign.html.j2',
        colour_variables(result.temperature_K for result in data.conductivities),
        campaign_drawings(data),
        data=data,
        verdict=campaign_verdict(data),
        graph=_graph(data),
        timeline=_timeline(data.stages),
        json=json_uri(data),
        extrapolation_warning=EXTRAPOLATION_WARNING,
        budget_columns=BUDGET_COLUMNS,
        cost_columns=COLUMNS,
        speed_columns=SPEED_COLUMNS,
        from_wall_times=FROM_WALL_TIMES,
        **{function.__name__: function for function in TABLES},
    )


def _graph(data: Campaign) -> str | None:
    """Return the provenance drawing; None without stages or without Graphviz on this machine."""
    import graphviz

    if not data.stages:
        return None
    try:
        svg = draw(data.stages, data.flows)
    except graphviz.ExecutableNotFound:
        return None
    titles = ', '.join(stage.title for stage in data.stages)
    return embed(
        svg,
        'provenance',
        title='Provenance of this campaign',
        description=f'Stages in order: {titles}. The table below lists their jobs.',
    )


def _timeline(stages: Sequence[StageRun]) -> list[dict[str, Any]]:
    """Return the stages with the place of their bar on a common time axis, in percent."""
    total = max([stage.start_s + stage.wall_time_s for stage in stages], default=0) or 1
    return [
        {'stage': stage, 'left': 100 * stage.start_s / total, 'width': max(0.6, 100 * stage.wall_time_s / total)}
        for stage in stages
    ]
