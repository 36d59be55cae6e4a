"""Curves of a figure that the page can switch and read off: where they lie in the drawing, and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST_POINTS = 400
"""The most points of a curve that can be read off; the drawing itself has all points."""
GLYPHS = {'hollow s': '□', 'o': '●', 's': '■', 'D': '◆', '^': '▲', 'v': '▼', 'P': '✚', '.': '●'}


@dataclass
class Curve:
    """A curve and what it shows; the artists of all curves with the same label are switched together."""

    label: str
    axes: Axes
    artists: list[Artist]
    x: np.ndarray
    y: np.ndarray
    stderr: np.ndarray | None
    interval: np.ndarray | None
    colour: str
    line: Any
    marker: str | None
    name: str
    reads: np.ndarray


def curves_of(figure: Figure | SubFigure | None) -> list[Curve]:
    """Return the curves that were noted for a figure; the list grows with :func:`mark`."""
    curves: list[Curve] = vars(figure).setdefault('curves', [])
    return curves


def mark(
    axes: Axes,
    artists: Iterable[Artist],
    x: ArrayLike,
    y: ArrayLike,
    *,
    label: str,
    colour: str,
    stderr: ArrayLike | None = None,
    interval: ArrayLike | None = None,
    line: Any = '-',
    marker: str | None = None,
    name: str | None = None,
    reads: ArrayLike | None = None,
) -> Curve:
    """Note that some artists are one curve of a figure, and return the curve.

    :param stderr: standard errors of ``y``, of the same length; None where there are none.
    :param interval: or the ends of 95 % intervals, (2, N).
    :param line: Matplotlib's style of line; None for markers alone.
    :param name: what is read off, where the label stands for several curves.
    :param reads: the numbers that are read off, where the curve is drawn at other heights.
    """
    curve = Curve(
        label=label,
        axes=axes,
        artists=list(artists),
        x=np.asarray(x, dtype=float),
        y=np.asarray(y, dtype=float),
        stderr=None if stderr is None else np.asarray(stderr, dtype=float),
        interval=None if interval is None else np.asarray(interval, dtype=float),
        colour=colour,
        line=line,
        marker=marker,
        name=name or label,
        reads=np.asarray(y if reads is None else reads, dtype=float),
    )
    curves_of(axes.get_figure()).append(curve)
    return curve


def label_artists(figure: Figure) -> list[str]:
    """Give the artists of every curve an id for the SVG, such as ``curve2-0``; return the labels by number."""
    labels = _labels(figure)
    counts = dict.fromkeys(labels, 0)
    for curve in curves_of(figure):
        for artist in curve.artists:
            artist.set_gid(f'curve{labels.index(curve.label)}-{counts[curve.label]}')
            counts[curve.label] += 1
    return labels


def legend(figure: Figure) -> list[dict[str, Any]]:
    """Return number, label, colour, kind of line and glyph of the curves; every label once."""
    entries: dict[str, dict[str, Any]] = {}
    for curve in curves_of(figure):
        line = None if curve.line is None else 'solid' if curve.line == '-' else 'dashed'
        entry = {'label': curve.label, 'colour': curve.colour, 'line': line, 'glyph': GLYPHS.get(curve.marker or '')}
        entries.setdefault(curve.label, entry)
    return [{'number': number, **entry} for number, entry in enumerate(entries.values())]


def readings(figure: Figure) -> list[dict[str, Any]]:
    """Return, for each panel, its box and the points of its curves in the units of the drawing, with their numbers.

    To be called when the figure has been drawn: drawing makes the layout.
    """
    points_per_pixel, height = 72 / figure.dpi, 72 * figure.get_figheight()
    labels = _labels(figure)
    panels: dict[int, dict[str, Any]] = {}
    for curve in curves_of(figure):
        left, bottom, right, top = np.asarray(curve.axes.bbox.extents) * points_per_pixel
        panel = panels.setdefault(
            id(curve.axes),
            {
                'box': _rounded([left, height - top, right, height - bottom]),
                'x': curve.axes.get_xlabel(),
                'y': curve.axes.get_ylabel(),
                'curves': [],
            },
        )
        points = _points(curve, points_per_pixel, height)
        panel['curves'].append({'number': labels.index(curve.label), 'name': curve.name, **points})
    return list(panels.values())


def _points(curve: Curve, points_per_pixel: float, height: float) -> dict[str, Any]:
    """Return the places and the numbers of the points of a curve that can be read off.

    :param height: of the figure, in points.
    """
    chosen = slice(None, None, max(1, -(-len(curve.x) // MOST_POINTS)))
    x, y = curve.x[chosen], curve.y[chosen]
    with np.errstate(all='ignore'):  # a point off a logarithmic axis has no place
        place = curve.axes.transData.transform(np.column_stack((x, y))) * points_per_pixel
    known = np.isfinite(place).all(axis=1) & (np.abs(place) < 1e5).all(axis=1)
    interval = curve.interval
    return {
        'left': _rounded(place[known, 0]),
        'top': _rounded(height - place[known, 1]),
        'x': _significant(x[known]),
        'y': _significant(curve.reads[chosen][known]),
        'stderr': None if curve.stderr is None else _significant(curve.stderr[chosen][known]),
        'interval': None if interval is None else [_significant(end[chosen][known]) for end in interval],
        'follows': curve.line is not None,
    }


def _labels(figure: Figure) -> list[str]:
    return list(dict.fromkeys(curve.label for curve in curves_of(figure)))


def _rounded(values: Sequence[float] | np.ndarray) -> list[float]:
    return [round(float(value), 1) for value in values]


def _significant(values: np.ndarray) -> list[float | None]:
    return [float(f'{value:.4g}') if np.isfinite(value) else None for value in values]
