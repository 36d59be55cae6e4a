"""SVG that belongs to a page: it scales, follows the page's colours, and is readable by a screen reader."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

from aiida_ionconduct.report.figures.colours import Variables
from aiida_ionconduct.report.figures.interactive import label_artists

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_to_svg(figure: Figure, name: str, *, title: str, description: str, colours: Variables) -> str:
    """Return a Matplotlib figure as inline SVG; the parameters are those of :func:`embed`."""
    import matplotlib

    stream = io.StringIO()
    label_artists(figure)
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': name}):
        figure.savefig(stream, format='svg', metadata={'Date': None}, transparent=True)
    return embed(stream.getvalue(), name, title=title, description=description, colours=colours)


def in_page_colours(text: str, colours: Variables) -> str:
    """Return a text with every light colour replaced by the variable that follows the page."""
    for variable, (light, _) in colours.items():
        text = text.replace(light, f'var(--{variable})')
    return text


def embed(svg: str, name: str, *, title: str, description: str, colours: Variables | None = None) -> str:
    """Make a free-standing SVG document part of a page: no prologue, own ids, scaling, named, in the page's colours.

    Its natural width is kept in the CSS variable ``--width``, for drawings that must not grow with the page.

    :param name: unique on the page; it prefixes all ids of the drawing.
    :param title: read out as the name of the figure.
    :param description: read out after the title.
    :param colours: all colours of the page; None leaves the colours as they are.
    """
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>|<!--.*?-->', '', svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf'\1{name}-', svg)
    svg = in_page_colours(svg, colours or {})
    opening, rest = svg.split('>', 1)
    (width,) = re.findall(r'\swidth="([^"]*)"', opening)
    opening = re.sub(r'\s(width|height)="[^"]*"', '', opening)
    label = (
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(description)}</desc>'
    )
    return f'{opening} style="--width: {width}" role="img" aria-labelledby="{name}-title {name}-desc">{label}{rest}'
