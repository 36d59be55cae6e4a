"""SVG that belongs to a page: it scales, follows the page's colours, and is readable by a screen reader."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from aiida_ionconduct.report.figures.interactive import label_artists

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Name -> (light, dark). Figures are drawn in the light colours; inline, each becomes a CSS variable.
# All of full/tracer and the elements differ in lightness as well as in hue.
PALETTE = {
    'ink': ('#1b2430', '#e4e8ee'),
    'muted': ('#5b6675', '#9ba6b5'),
    'rule': ('#d4dae2', '#3a4350'),
    'full': ('#0b6670', '#4fc3c9'),
    'tracer': ('#b35a00', '#f0a04b'),
    'guide': ('#8791a0', '#77828f'),
}
TEMPERATURE_ANCHORS = (('#243a9c', '#8e2490', '#dd4a62'), ('#8fa6ff', '#cf8be8', '#ff9f92'))
"""Cold to hot, light and dark: lightness rises along both."""
CAMPAIGN_COLOURS = (
    ('#0b6670', '#4fc3c9'),
    ('#b35a00', '#f0a04b'),
    ('#5b3fa8', '#b3a1f2'),
    ('#a12a5e', '#f08ab8'),
    ('#4b6b12', '#a9cc5c'),
    ('#1b4f9c', '#7fb2f5'),
)
"""Light and dark; each campaign has a marker of its own as well."""
ELEMENT_COLOURS = ('#3d6fb6', '#d1773a', '#4a9a6f', '#b0508e', '#8d8a2d', '#6b6f78')
"""In the middle of the lightness scale, since the dots of a parity plot are pixels and cannot follow the page."""


def temperature_colours(temperatures_K) -> dict[float, str]:
    """Return the light colour of every temperature, cold to hot."""
    return {temperature: light for temperature, (light, _) in _temperature_pairs(temperatures_K).items()}


def colour_variables(temperatures_K) -> dict[str, tuple[str, str]]:
    """Return all colours of a page: name -> (light, dark)."""
    pairs = _temperature_pairs(temperatures_K).values()
    return {**PALETTE, **{f'temperature-{index}': pair for index, pair in enumerate(pairs)}}


def _temperature_pairs(temperatures_K) -> dict[float, tuple[str, str]]:
    ordered = sorted(set(temperatures_K))
    positions = np.linspace(0, 1, len(ordered)) if len(ordered) != 1 else np.array([0.5])
    columns = [_gradient(anchors, positions) for anchors in TEMPERATURE_ANCHORS]
    return dict(zip(ordered, zip(*columns, strict=True), strict=True))


def _gradient(anchors, positions) -> list[str]:
    channels = np.array([[int(anchor[start : start + 2], 16) for start in (1, 3, 5)] for anchor in anchors])
    knots = np.linspace(0, 1, len(anchors))
    mixed = np.stack([np.interp(positions, knots, channel) for channel in channels.T], axis=1)
    return ['#' + ''.join(f'{round(value):02x}' for value in row) for row in mixed]


def figure_to_svg(figure: Figure, name: str, title: str, description: str, colours: dict[str, tuple[str, str]]) -> str:
    """Return a Matplotlib figure as inline SVG.

    :param name: unique on the page; it prefixes all ids of the drawing.
    :param title: read out as the figure's name, ``description`` after it.
    :param colours: as :func:`colour_variables` gives them.
    """
    import matplotlib

    stream = io.StringIO()
    label_artists(figure)
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': name}):
        figure.savefig(stream, format='svg', metadata={'Date': None}, transparent=True)
    return embed(stream.getvalue(), name, title, description, colours)


def in_page_colours(text: str, colours: dict[str, tuple[str, str]]) -> str:
    """Return a text with every light colour replaced by the variable that follows the page."""
    for variable, (light, _) in colours.items():
        text = text.replace(light, f'var(--{variable})')
    return text


def embed(svg: str, name: str, title: str, description: str, colours: dict[str, tuple[str, str]] | None = None) -> str:
    """Make a free-standing SVG document part of a page: no prologue, own ids, scaling, named, in the page's colours.

    Its natural width is kept in the CSS variable ``--width``, for drawings that are not to grow with the page.
    """
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>|<!--.*?-->', '', svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf'\1{name}-', svg)
    svg = in_page_colours(svg, colours or {})
    opening, rest = svg.split('>', 1)
    width = re.search(r'\swidth="([^"]*)"', opening)[1]
    opening = re.sub(r'\s(width|height)="[^"]*"', '', opening)
    label = (
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(description)}</desc>'
    )
    return f'{opening} style="--width: {width}" role="img" aria-labelledby="{name}-title {name}-desc">{label}{rest}'
