"""How nodes look in a notebook: a small table and a drawing in plain SVG, from attributes and arrays alone."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from aiida import orm
from numpy.typing import ArrayLike

WIDTH, HEIGHT, MARGIN = 260, 120, 6
MOST_POINTS = 120
STROKES = ('#0b6670', '#b35a00')


def card(title: str, rows: Iterable[tuple[str, object]], drawing: str = '') -> str:
    """Return a table of labels and values under a title, with a drawing beside it; rows with None are left out."""
    cells = ''.join(
        f'<tr><th scope="row" style="text-align: left; font-weight: normal; opacity: 0.75">{html.escape(label)}</th>'
        f'<td style="text-align: left">{html.escape(str(value))}</td></tr>'
        for label, value in rows
        if value is not None
    )
    return (
        '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: center">'
        '<table><caption style="text-align: left; caption-side: top">'
        f'<b>{html.escape(title)}</b></caption>{cells}</table>{drawing}</div>'
    )


def node_title(node: orm.Node) -> str:
    """Return class and identifier of a node."""
    return f'{type(node).__name__} {f"pk {node.pk}" if node.is_stored else "(not stored)"} {str(node.uuid)[:8]}'


def plot(label: str, x: ArrayLike, *columns: ArrayLike, logarithmic: bool = False) -> str:
    """Return curves over one axis as a small SVG, with the ends of both axes in words.

    :param label: what is drawn, also for screen readers.
    :param x: (points,).
    :param columns: (points,) each.
    :param logarithmic: both axes; points that are not positive are left out.
    :return: empty if fewer than two points are left.
    """
    table = np.array([x, *columns], dtype=float)
    known = np.isfinite(table).all(axis=0)
    if logarithmic:
        known &= (table > 0).all(axis=0)
    if known.sum() < 2:
        return ''
    chosen = np.flatnonzero(known)
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_POINTS)).astype(int))]
    abscissa, *curves = table[:, chosen]
    scale = np.log if logarithmic else np.asarray
    y_low, y_high = min(curve.min() for curve in curves), max(curve.max() for curve in curves)

    def place(values: np.ndarray, low: float, high: float, length: int) -> np.ndarray:
        """Return where values lie between the ends of an axis of a length in pixels."""
        start, end = scale(low), scale(high)
        return MARGIN + (length - 2 * MARGIN) * (scale(values) - start) / ((end - start) or 1.0)

    lines = []
    for curve, stroke in zip(curves, STROKES, strict=False):
        horizontal = place(abscissa, abscissa[0], abscissa[-1], WIDTH)
        vertical = HEIGHT - place(curve, y_low, y_high, HEIGHT)
        points = ' '.join(f'{left:.1f},{down:.1f}' for left, down in zip(horizontal, vertical, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="1.6"/>')
    text = html.escape(
        f'{label}: {short(abscissa[0])} to {short(abscissa[-1])}, from {short(y_low)} to {short(y_high)}'
    )
    frame = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="currentColor" stroke-opacity="0.25"/>'
    return _figure(text, text, HEIGHT, frame + ''.join(lines))


def bars(label: str, values: Mapping[str, float]) -> str:
    """Return named numbers as horizontal bars in a small SVG; empty without a positive number."""
    highest = max(values.values(), default=0)
    if not highest > 0:
        return ''
    text = html.escape(f'{label}: ' + ', '.join(f'{name} {short(value)}' for name, value in values.items()))
    rows = ''.join(
        f'<text x="0" y="{20 * index + 14}" font-size="12" fill="currentColor">{html.escape(name[:14])}</text>'
        f'<rect x="90" y="{20 * index + 4}" width="{110 * value / highest:.1f}" height="12" fill="{STROKES[0]}"/>'
        f'<text x="{95 + 110 * value / highest:.1f}" y="{20 * index + 14}" font-size="12" fill="currentColor">'
        f'{short(value)}</text>'
        for index, (name, value) in enumerate(values.items())
    )
    return _figure(html.escape(label), text, 20 * len(values), rows)


def _figure(caption: str, description: str, height: int, content: str) -> str:
    """Return an SVG with a caption, and a description for screen readers."""
    return (
        f'<figure style="margin: 0"><svg role="img" aria-label="{description}" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}"><title>{description}</title>{content}</svg>'
        f'<figcaption style="font-size: 0.85em; opacity: 0.75; max-width: {WIDTH}px">{caption}</figcaption></figure>'
    )


def short(value: float | None) -> str:
    """Return a number to three figures."""
    if value is None or not math.isfinite(value):
        return '–'
    return f'{value:.0f}' if 1e3 <= abs(value) < 1e5 else f'{value:.3g}'


def interval(value: float | None, stderr: float | None, ends: Sequence[float] | None, unit: str = '') -> str | None:
    """Return a value with its standard error and 95 % interval; None without a value."""
    if value is None:
        return None
    error = '' if stderr is None else f' ± {stderr:.2g}'
    within = '' if ends is None else f', 95 % [{short(ends[0])}, {short(ends[1])}]'
    return f'{short(value)}{error} {unit}'.rstrip() + within
