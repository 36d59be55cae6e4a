"""How our nodes look in a notebook: a small table and a drawing in plain SVG, from attributes and arrays alone."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

WIDTH, HEIGHT, MARGIN = 260, 120, 6
MOST_POINTS = 120
STROKES = ('#0b6670', '#b35a00')


def card(title: str, rows: Iterable[tuple[str, object]], drawing: str = '') -> str:
    """Return a table of labels and values under a title, with a drawing beside it; what is None is left out."""
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


def node_title(node) -> str:
    """Return class and identifier of a node."""
    return f'{type(node).__name__} {f"pk {node.pk}" if node.is_stored else "(not stored)"} {str(node.uuid)[:8]}'


def plot(label: str, x: Sequence[float], *columns: Sequence[float], logarithmic: bool = False) -> str:
    """Return curves over one axis as a small SVG, with the ends of both axes in words.

    :param label: what is drawn; it is also read out.
    :param logarithmic: both axes; points that are not positive are left out.
    """
    x, columns = np.asarray(x, dtype=float), [np.asarray(column, dtype=float) for column in columns]
    known = np.isfinite(x) & np.all([np.isfinite(column) for column in columns], axis=0)
    if logarithmic:
        known &= (x > 0) & np.all([column > 0 for column in columns], axis=0)
    if known.sum() < 2:
        return ''
    chosen = np.flatnonzero(known)
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_POINTS)).astype(int))]
    x, columns = x[chosen], [column[chosen] for column in columns]
    scale = np.log if logarithmic else np.asarray
    y_low, y_high = min(column.min() for column in columns), max(column.max() for column in columns)

    def place(values, low, high, length):
        low, high = scale(low), scale(high)
        return MARGIN + (length - 2 * MARGIN) * (scale(values) - low) / ((high - low) or 1.0)

    lines = []
    for column, stroke in zip(columns, STROKES, strict=False):
        left, up = place(x, x[0], x[-1], WIDTH), HEIGHT - place(column, y_low, y_high, HEIGHT)
        points = ' '.join(f'{one:.1f},{other:.1f}' for one, other in zip(left, up, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="1.6"/>')
    text = html.escape(f'{label}: {short(x[0])} to {short(x[-1])}, from {short(y_low)} to {short(y_high)}')
    frame = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="currentColor" stroke-opacity="0.25"/>'
    return _figure(text, text, HEIGHT, frame + ''.join(lines))


def bars(label: str, values: Mapping[str, float]) -> str:
    """Return named numbers as horizontal bars in a small SVG; nothing without any."""
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
