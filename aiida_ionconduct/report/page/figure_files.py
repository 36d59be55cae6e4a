"""The figures of a page as files, for talks and papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aiida_ionconduct.report.measured import beside
from aiida_ionconduct.report.page.campaign_figures import campaign_drawings
from aiida_ionconduct.report.page.comparison import comparison_drawings, formulas, name_apart
from aiida_ionconduct.report.page.downloads import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiida import orm

    from aiida_ionconduct.report.measured import Measured
    from aiida_ionconduct.report.page.template import Drawing

DPI = 200


def write_figures_of(node: orm.WorkChainNode, folder: Path) -> list[Path]:
    """Write every figure of the page of a campaign.

    :param node: the process node of a :class:`ConductivityWorkChain`.
    :param folder: as for :func:`write_figures`.
    """
    from aiida_ionconduct.report.graph.campaign import collect
    from aiida_ionconduct.report.graph.details import collect_details

    data = collect(node)
    data.details = collect_details(node)
    return write_figures(campaign_drawings(data), folder)


def write_figures_comparing(
    nodes: Sequence[orm.WorkChainNode], folder: Path, measured: Sequence[Measured] = ()
) -> list[Path]:
    """Write every figure of the page that compares campaigns.

    :param nodes: process nodes of :class:`ConductivityWorkChain`.
    :param folder: as for :func:`write_figures`.
    :param measured: measured conductivities of any materials.
    """
    from aiida_ionconduct.report.graph.campaign import collect

    campaigns = name_apart([collect(node) for node in nodes])
    matches, _ = beside(measured, formulas(campaigns))
    return write_figures(comparison_drawings(campaigns, matches), folder)


def write_figures(drawings: Iterable[Drawing], folder: Path) -> list[Path]:
    """Write figures as SVG and, where Matplotlib has drawn them, as PNG, with their numbers as CSV.

    :param folder: is made.
    :return: the files, which are called as the figures are on the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [path for drawing in drawings for path in _write(drawing, folder)]


def _write(drawing: Drawing, folder: Path) -> list[Path]:
    """Write a figure and its numbers."""
    svg, png, numbers = (folder / f'{drawing.name}.{suffix}' for suffix in ('svg', 'png', 'csv'))
    numbers.write_text(csv_text(drawing.columns), encoding='utf-8')
    if isinstance(drawing.figure, str):
        svg.write_text(drawing.figure, encoding='utf-8')
        return [svg, numbers]
    for path in (svg, png):
        drawing.figure.savefig(path, dpi=DPI)
    return [svg, png, numbers]
