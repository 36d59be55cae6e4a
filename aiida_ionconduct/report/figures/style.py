"""The style of all figures, and the parts that several of them draw: bands, error bars, legends, axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from aiida_ionconduct.report.figures.colours import INK, MUTED, RULE
from aiida_ionconduct.report.figures.interactive import Curve, mark
from aiida_ionconduct.report.number_format import superscript

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    'font.size': 8.5,
    'axes.edgecolor': MUTED,
    'axes.labelcolor': INK,
    'axes.linewidth': 0.7,
    'axes.spines.right': False,
    'axes.spines.top': False,
    'grid.color': RULE,
    'grid.linewidth': 0.5,
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.unicode_minus': True,
    'text.color': INK,
    'xtick.color': MUTED,
    'ytick.color': MUTED,
    'xtick.labelcolor': MUTED,
    'ytick.labelcolor': MUTED,
    'xtick.minor.visible': False,
    'ytick.minor.visible': False,
    'lines.linewidth': 1.5,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'figure.constrained_layout.use': True,
    'mathtext.default': 'regular',
}
SIZE = (4.5, 3.1)
"""In inches: the drawing keeps its text size on a phone and grows on a wide page."""
SMALL = (3.9, 3.5)
MARKERS = 'osD^vPX<>p'
GUIDE_DASHES = (0, (4, 2))
"""The dashes of lines that guide the eye, as Matplotlib takes them."""
REFERENCE_DASHES = (0, (3, 2))
"""The dashes of curves that another curve is compared with."""

P = ParamSpec('P')
Value = TypeVar('Value')


def styled(function: Callable[P, Value]) -> Callable[P, Value]:
    """Run a figure function in the report's style, leaving the user's own settings alone."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Value:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def canvas(size: tuple[float, float] = SIZE, **labels: str) -> tuple[Figure, Axes]:
    """Return a figure with one panel.

    :param labels: ``xlabel`` and ``ylabel``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    axes = figure.subplots()
    axes.set(**labels)
    return figure, axes


def finite(x: ArrayLike, value: ArrayLike, stderr: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows that can be drawn: ``x`` is positive, and the value finite; a missing error becomes zero."""
    x, value, stderr = (np.array(column, dtype=float) for column in (x, value, stderr))
    known = np.isfinite(x) & np.isfinite(value) & (x > 0)
    return x[known], value[known], np.nan_to_num(stderr[known], posinf=0.0)


def band(axes: Axes, x: np.ndarray, value: np.ndarray, stderr: np.ndarray, *, color: str, **style: Any) -> Curve:
    """Draw a curve with a band of one standard error.

    :param style: ``label``, and what Matplotlib takes for a line.
    """
    # On a logarithmic axis a band that reaches zero would have no lower edge: it ends at a thousandth.
    low = np.where(
        (value > 0) & (stderr < 1e3 * np.abs(value)), np.maximum(value - stderr, value / 1000), value - stderr
    )
    area = axes.fill_between(x, low, value + stderr, color=color, alpha=0.2, linewidth=0)
    (line,) = axes.plot(x, value, color=color, **style)
    linestyle = style.get('linestyle', '-')
    return mark(axes, (area, line), x, value, stderr=stderr, label=style['label'], colour=color, line=linestyle)


def bars(
    axes: Axes,
    x: ArrayLike,
    value: ArrayLike,
    stderr: ArrayLike | None = None,
    *,
    color: str,
    marker: str,
    label: str,
    interval: ArrayLike | None = None,
    **style: Any,
) -> Curve:
    """Draw points with error bars: one standard error, or the ends of an interval (2, N).

    :param style: what Matplotlib takes for markers and bars.
    """
    value = np.asarray(value, dtype=float)
    errors = stderr if interval is None else np.abs(np.asarray(interval) - value)
    points, caps, lines = axes.errorbar(x, value, errors, fmt=marker, color=color, label=label, **style)
    artists = [artist for artist in (points, *caps, *lines) if artist is not None]
    glyph = f'hollow {marker}' if style.get('markerfacecolor') == 'none' else marker
    return mark(
        axes, artists, x, value, stderr=stderr, interval=interval, label=label, colour=color, line=None, marker=glyph
    )


def legend(axes: Axes, by_label: bool = False, **options: Any) -> None:
    """Draw the legend of a panel where there is something to name.

    :param by_label: whether the entries are sorted.
    :param options: what Matplotlib takes for a legend.
    """
    entries = list(zip(*axes.get_legend_handles_labels(), strict=True))
    if entries:
        entries = sorted(entries, key=lambda entry: entry[1]) if by_label else entries
        axes.legend(*zip(*entries, strict=True), **options)


def log_scales(axes: Axes) -> None:
    """Make both axes logarithmic."""
    axes.set(xscale='log', yscale='log')
    power_ticks(axes.xaxis)
    power_ticks(axes.yaxis)


def power_ticks(axis: Axis) -> None:
    """Write the numbers of a logarithmic axis as plain characters: mathematical text does not survive as SVG text.

    To be called when all is drawn: an axis of less than a decade and a half has numbers in between.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high < 30 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axis.set_minor_formatter(NullFormatter())


def power_of(highest: float) -> int:
    """Return the power of ten to take out of a linear axis; 0 where its numbers are read well as they are."""
    power = math.floor(math.log10(highest)) if highest > 0 else 0
    return 0 if power in (-1, 0, 1, 2) else power


def scale_in_label(axes: Axes, name: str, unit: str, highest: float) -> None:
    """Put the power of ten of a linear axis into its label."""
    from matplotlib.ticker import FuncFormatter

    if power := power_of(highest):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value / 10.0**power:g}'))
        axes.set_ylabel(f'{name} (10{superscript(power)} {unit})')


LABEL_WIDTH = 0.08
"""The width of the name of a temperature, as a part of the width of a figure."""


def temperature_axis(axes: Axes, temperatures_K: Sequence[float]) -> None:
    """Name the temperatures on top of an Arrhenius plot, leaving out names that would lie on the name before."""
    top = axes.secondary_xaxis('top')
    distinct = sorted(set(temperatures_K))
    places = [1000 / temperature for temperature in distinct]
    apart = LABEL_WIDTH * (max(places) - min(places))
    names, last = [], np.inf
    for temperature, place in zip(distinct, places, strict=True):  # from the right to the left
        names.append(f'{temperature:g} K' if last - place >= apart else '')
        last = place if names[-1] else last
    top.set_xticks(places, names)
    top.tick_params(length=3, labelsize=7.5, colors=MUTED)
    top.spines['top'].set_visible(False)


def _power(value: float) -> str:
    if not value > 0 or 1e-3 <= value <= 1e3:
        return f'{value:g}'
    exponent = int(np.floor(np.log10(value * 1.000001)))
    mantissa = round(value / 10.0**exponent)
    return f'10{superscript(exponent)}' if mantissa == 1 else f'{mantissa} × 10{superscript(exponent)}'
