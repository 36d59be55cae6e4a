"""Curves of a figure that the page can switch and read off: where they lie in the drawing, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 400
"""Of one curve that can be read off; the drawing itself has all."""
GLYPHS = {'hollow s': '□', 'o': '●', 's': '■', 'D': '◆', '^': '▲', 'v': '▼', 'P': '✚', '.': '●'}


@dataclass
class Curve:
    """One curve: its artists, which are switched together with those of the same label, and what it shows."""

    label: str
    axes: Axes
    artists: list[Artist]
    x: np.ndarray
    y: np.ndarray
    stderr: np.ndarray | None
    interval: np.ndarray | None
    colour: str
    line: str | None
    marker: str | None
    name: str
    reads: np.ndarray


def mark(
    axes: Axes, label: str, artists: Sequence[Artist], x, y, stderr=None, *, colour, interval=None, line='-',
    marker=None, name=None, reads=None,
) -> None:  # fmt: skip
    """Note that some artists are one curve of a figure.

    :param stderr: standard errors of ``y``, of one length with it; None where there are none.
    :param interval: or the ends of 95 % intervals, (2, N).
    :param line: Matplotlib's style of line; None for markers alone.
    :param name: what is read off, where the label stands for several curves.
    :param reads: the numbers that are read off, where the curve is drawn elsewhere than at ``y``.
    """
    figure = axes.get_figure()
    figure.curves = [
        *getattr(figure, 'curves', []),
        Curve(
            label,
            axes,
            list(artists),
            np.asarray(x, dtype=float),
            np.asarray(y, dtype=float),
            None if stderr is None else np.asarray(stderr, dtype=float),
            None if interval is None else np.asarray(interval, dtype=float),
            colour,
            line,
            marker,
            name or label,
            np.asarray(y if reads is None else reads, dtype=float),
        ),
    ]


def label_artists(figure: Figure) -> list[str]:
    """Give the artists of every curve an id for the SVG, such as ``curve2-0``; return the labels by number."""
    labels = list(dict.fromkeys(curve.label for curve in getattr(figure, 'curves', [])))
    counts = dict.fromkeys(labels, 0)
    for curve in getattr(figure, 'curves', []):
        for artist in curve.artists:
            artist.set_gid(f'curve{labels.index(curve.label)}-{counts[curve.label]}')
            counts[curve.label] += 1
    return labels


def legend(figure: Figure) -> list[dict]:
    """Return number, label, colour, kind of line and glyph of every curve, once each label."""
    entries = {}
    for curve in getattr(figure, 'curves', []):
        line = None if curve.line is None else 'solid' if curve.line == '-' else 'dashed'
        entry = {'label': curve.label, 'colour': curve.colour, 'line': line, 'glyph': GLYPHS.get(curve.marker or '')}
        entries.setdefault(curve.label, entry)
    return [{'number': number, **entry} for number, entry in enumerate(entries.values())]


def readings(figure: Figure) -> list[dict]:
    """Return, for each panel, its box and the points of its curves in the units of the drawing, with their numbers.

    To be called when the figure has been drawn, as the layout is made then.
    """
    points_per_pixel, height = 72 / figure.dpi, 72 * figure.get_figheight()
    labels = list(dict.fromkeys(curve.label for curve in getattr(figure, 'curves', [])))
    panels: dict[int, dict] = {}
    for curve in getattr(figure, 'curves', []):
        box = curve.axes.bbox.extents * points_per_pixel
        panel = panels.setdefault(
            id(curve.axes),
            {
                'box': _rounded([box[0], height - box[3], box[2], height - box[1]]),
                'x': curve.axes.get_xlabel(),
                'y': curve.axes.get_ylabel(),
                'curves': [],
            },
        )
        chosen = slice(None, None, max(1, -(-len(curve.x) // MOST_POINTS)))
        x, y = curve.x[chosen], curve.y[chosen]
        with np.errstate(all='ignore'):  # a point off a logarithmic axis has no place
            place = curve.axes.transData.transform(np.column_stack((x, y))) * points_per_pixel
        known = np.isfinite(place).all(axis=1) & (np.abs(place) < 1e5).all(axis=1)
        panel['curves'].append(
            {
                'number': labels.index(curve.label),
                'name': curve.name,
                'left': _rounded(place[known, 0]),
                'top': _rounded(height - place[known, 1]),
                'x': _significant(x[known]),
                'y': _significant(curve.reads[chosen][known]),
                'stderr': None if curve.stderr is None else _significant(curve.stderr[chosen][known]),
                'interval': None
                if curve.interval is None
                else [_significant(end[chosen][known]) for end in curve.interval],
                'follows': curve.line is not None,
            }
        )
    return list(panels.values())


def _rounded(values) -> list[float]:
    return [round(float(value), 1) for value in values]


def _significant(values) -> list[float]:
    return [float(f'{value:.4g}') if np.isfinite(value) else None for value in values]
