"""The templates of the pages, filled: figures become inline SVG with a legend, a download and readings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from aiida_ionconduct.report.figures.colours import Variables
from aiida_ionconduct.report.figures.interactive import legend, readings
from aiida_ionconduct.report.figures.svg import embed, figure_to_svg, in_page_colours
from aiida_ionconduct.report.number_format import format_duration
from aiida_ionconduct.report.page.downloads import Columns, csv_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Drawing:
    """A figure with what stands around it, and the numbers it shows as columns.

    The figure is of Matplotlib, or an SVG document. ``alt`` is what a screen reader says of the figure; the caption by
    default. A wide drawing takes the whole page.
    """

    name: str
    title: str
    caption: str
    figure: Figure | str
    columns: Columns
    wide: bool = False
    alt: str = ''


def fill(template: str, colours: Variables, drawings: Iterable[Drawing], **variables: Any) -> str:
    """Fill a template with drawings and with everything else that it shows.

    :param template: the name of a file in ``templates``.
    :param colours: all colours of the page.
    :param variables: what the template uses, by name.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('aiida_ionconduct.report.page'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(duration=format_duration, formula=_subscripts)
    shown, numbers = [], {}
    for drawing in drawings:
        shown.append(_on_page(drawing, colours))
        numbers[drawing.name] = [] if isinstance(drawing.figure, str) else readings(drawing.figure)
    return environment.get_template(template).render(colours=colours, drawings=shown, readings=numbers, **variables)


def write(html: str, path: str | Path) -> Path:
    """Write a page, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding='utf-8')
    return path


def _on_page(drawing: Drawing, colours: Variables) -> dict[str, Any]:
    """Return what the template shows of a drawing; the page's own legend replaces the legends of the figure.

    The page's legend switches curves, and it wraps on a narrow screen.
    """
    figure = drawing.figure
    if isinstance(figure, str):
        description = drawing.alt or drawing.caption
        svg = embed(figure, drawing.name, title=drawing.title, description=description, colours=colours)
        return _shown(drawing, svg, [])
    titles = {drawing.title, *(axes.get_title(loc='left') for axes in figure.axes)}
    entries = [
        {**entry, 'colour': in_page_colours(entry['colour'], colours)}
        for entry in legend(figure)
        if entry['label'] not in titles
    ]
    if entries:
        _drop_legends(figure)
    svg = figure_to_svg(
        figure, drawing.name, title=drawing.title, description=drawing.alt or drawing.caption, colours=colours
    )
    return _shown(drawing, svg, entries)


def _shown(drawing: Drawing, svg: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what stands around a drawing, with the SVG in the page's colours and the entries of its legend."""
    return {
        'name': drawing.name,
        'title': drawing.title,
        'caption': drawing.caption,
        'wide': drawing.wide,
        'legend': entries,
        'csv': csv_uri(drawing.columns),
        'svg': svg,
    }


def _drop_legends(figure: Figure) -> None:
    for legend_box in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        if legend_box is not None:
            legend_box.remove()


def _subscripts(formula: str) -> Markup:
    """Set the counts of a formula lower: Li7PO4."""
    return Markup(re.sub(r'(?<=[A-Za-z)])(\d+)', r'<sub>\1</sub>', str(escape(formula))))
