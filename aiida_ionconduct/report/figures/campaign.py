"""The figures of a campaign: plain functions from arrays and dicts to Matplotlib figures. Nothing of AiiDA.

Matplotlib is imported on first use, so that importing the report costs the command line nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiida_ionconduct.report.figures.interactive import mark
from aiida_ionconduct.report.figures.svg import CAMPAIGN_COLOURS, ELEMENT_COLOURS, PALETTE, temperature_colours
from aiida_ionconduct.report.numbers import format_number, superscript
from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE, FULL, TRACER, GUIDE = (
    PALETTE[name][0] for name in ('ink', 'muted', 'rule', 'full', 'tracer', 'guide')
)
STYLE = {
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
MARKERS = 'osD^vP'
LEARNING = (('train_loss', 'Training loss', 1, FULL), ('val_force', 'Validation force MAE (meV/Å)', 1000, TRACER))
"""What the learning curves show: start of the column's name, label, scale, colour."""


def styled(function: Callable) -> Callable:
    """Run a figure function in the report's style, leaving the user's own settings alone."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


@styled
def displacement(curves: Mapping[float, Mapping], quantity: str = 'msd') -> Figure:
    """Draw the mean squared (charge) displacement against the lag, log-log, with a band of one standard error.

    :param curves: by temperature (K): ``lag_ps`` and, for ``msd``, ``msd_A2`` and ``msd_stderr``; for ``charge_msd``,
        ``charge_msd_e2A2`` and ``charge_msd_stderr``.
    """
    name, label = {
        'msd': ('msd_A2', 'Mean squared displacement (Å²)'),
        'charge_msd': ('charge_msd_e2A2', 'Mean squared charge displacement (e² Å²)'),
    }[quantity]
    figure, axes = _canvas(xlabel='Lag (ps)', ylabel=label)
    colours = temperature_colours(curves)
    tops = []
    for temperature, curve in sorted(curves.items()):
        lag, value, stderr = _positive(curve['lag_ps'], curve[name], curve[f'{quantity}_stderr'])
        _band(axes, lag, value, stderr, color=colours[temperature], label=f'{temperature:g} K')
        tops.extend([(lag[-1], value[-1])] if len(lag) else [])
    _log_scales(axes)
    if tops:
        lag, value = max(tops, key=lambda top: top[1])
        axes.plot([lag / 8, lag], [2.2 * value / 8, 2.2 * value], color=GUIDE, linewidth=1, linestyle=(0, (4, 2)))
        axes.annotate(
            'slope 1',
            (lag / 8**0.5, 2.2 * value / 8**0.5),
            (-6, 4),
            textcoords='offset points',
            ha='right',
            color=MUTED,
            fontsize=7.5,
        )
    _legend(axes, reverse=True, loc='lower right')
    return figure


@styled
def exponent(curves: Mapping[float, Mapping], lags_ps: Mapping[float, float] | None = None) -> Figure:
    """Draw beta = d ln MSD / d ln t against the lag with a band of one standard error; 1 is diffusion.

    :param curves: by temperature (K): ``lag_ps``, ``beta``, ``beta_stderr``.
    :param lags_ps: the lag that was chosen, by temperature, marked by a point.
    """
    figure, axes = _canvas(xlabel='Lag (ps)', ylabel='β = d ln MSD / d ln t')
    colours = temperature_colours(curves)
    axes.axhline(1, color=GUIDE, linewidth=1, linestyle=(0, (4, 2)))
    for temperature, curve in sorted(curves.items()):
        lag, value, stderr = _finite(curve['lag_ps'], curve['beta'], curve['beta_stderr'])
        _band(axes, lag, value, stderr, color=colours[temperature], label=f'{temperature:g} K')
        chosen = (lags_ps or {}).get(temperature)
        if chosen and len(lag):
            height = np.interp(chosen, lag, value)
            figure.curves[-1].artists += axes.plot([chosen], [height], 'o', color=colours[temperature], markersize=5)
    axes.set_xscale('log')
    _power_ticks(axes.xaxis)
    axes.set_ylim(-0.1, 2.1)
    _legend(axes, reverse=True, loc='upper right')
    return figure


@styled
def running_conductivity(curves: Mapping, lags_ps: Mapping[str, float] | None = None) -> Figure:
    """Draw the full and tracer conductivity from the slope at each lag, with bands of one standard error.

    The scan over lags with the estimator itself is drawn as points with error bars; the chosen lags as vertical lines.

    :param curves: of one temperature, names as in :attr:`aiida_ionconduct.transport.TransportResult.curves`.
    :param lags_ps: the chosen lag by ``full`` and ``tracer``.
    """
    figure, axes = _canvas(xlabel='Lag (ps)', ylabel='Conductivity (S/cm)')
    ends = [0.0]
    for kind, colour, linestyle, marker in (('full', FULL, '-', 'o'), ('tracer', TRACER, '--', 's')):
        value_name, stderr_name = f'sigma_{kind}_S_per_cm', f'sigma_{kind}_stderr'
        running = _finite(curves['lag_ps'], curves[f'running_{value_name}'], curves[f'running_{stderr_name}'])
        scan = _finite(curves['plateau_lag_ps'], curves[f'plateau_{value_name}'], curves[f'plateau_{stderr_name}'])
        _band(axes, *running, color=colour, linestyle=linestyle, label=f'{kind}, running slope')
        bars = {'color': colour, 'marker': marker, 'markersize': 3.5, 'elinewidth': 0.9}
        _bars(axes, *scan, **bars, label=f'{kind}, estimator')
        if chosen := (lags_ps or {}).get(kind):
            label = f'{kind}, chosen lag {chosen:.3g} ps'
            line = axes.axvline(chosen, color=colour, linewidth=0.9, linestyle=linestyle, alpha=0.6, label=label)
            figure.curves[-1].artists.append(line)
        for lag, value, stderr in (running, scan):
            late = lag > np.max(curves['lag_ps']) / 10
            ends += [*(value - stderr)[late], *(value + stderr)[late]]
    axes.set_xscale('log')
    _power_ticks(axes.xaxis)
    # The ballistic rise at short lags would squeeze the plateau: the scale is that of the last decade of lags.
    axes.set_ylim(min(ends), 1.2 * max(ends) or None)
    _scale_in_label(axes, 'Conductivity', 'S/cm', max(ends))
    _legend(axes, by_label=True, loc='lower left', bbox_to_anchor=(0, 1), ncols=2, fontsize=7.5)
    return figure


@styled
def parity(
    reference: np.ndarray, predicted: np.ndarray, label: str, unit: str, groups: Sequence[str] | None = None
) -> Figure:
    """Draw predictions against references; the mean absolute error stands in the legend.

    :param reference: shape (N,) or (N, 3), in eV/atom or eV/Å; the legend's errors are in the same unit times 1000.
    :param groups: N chemical symbols: one colour and one error each.
    """
    figure, axes = _canvas(size=SMALL, xlabel=f'DFT {label} ({unit})', ylabel=f'Allegro {label} ({unit})')
    reference, predicted = np.asarray(reference, dtype=float), np.asarray(predicted, dtype=float)
    names = np.asarray(groups if groups is not None else ['all'] * len(reference))
    both = np.concatenate([reference.ravel(), predicted.ravel()])
    margin = 0.04 * np.ptp(both) or 1e-3
    limits = (both.min() - margin, both.max() + margin)
    axes.plot(limits, limits, color=GUIDE, linewidth=1, zorder=1)
    colours = [FULL] if groups is None else ELEMENT_COLOURS
    for index, name in enumerate(sorted(set(names))):
        chosen = names == name
        error = 1000 * np.abs(predicted[chosen] - reference[chosen]).mean()
        marker = MARKERS[index % len(MARKERS)]
        text = f'MAE {format_number(error)} m{unit}'
        points = reference[chosen].ravel(), predicted[chosen].ravel()
        dots = axes.scatter(
            *points,
            s=12,
            marker=marker,
            linewidths=0,
            alpha=0.65,
            color=colours[index % len(colours)],
            rasterized=reference.size > 500,
            zorder=2,
            label=text if groups is None else f'{name}: {text}',
        )
        mark(axes, dots.get_label(), [dots], *points, colour=colours[index % len(colours)], line=None, marker=marker)
    axes.set(xlim=limits, ylim=limits, aspect='equal')
    _legend(axes, loc='upper left', markerscale=1.5)
    figure.set_dpi(200)
    return figure


@styled
def learning_curves(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the training loss and the validation force error against the epoch, each on its own logarithmic axis.

    :param curves: ``epoch``, and any of ``train_loss…`` and ``val_force…`` (eV/Å); None where not recorded.
    """
    from matplotlib.figure import Figure

    shown = [
        (name, label, scale, colour)
        for start, label, scale, colour in LEARNING
        if (name := next((column for column in curves if column.startswith(start)), None))
    ]
    figure = Figure(figsize=SMALL)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, label, scale, colour) in zip(panels, shown, strict=True):
        value = scale * np.array(curves[name], dtype=float)
        epoch, known = np.array(curves['epoch']), np.isfinite(value) & (value > 0)
        (line,) = axes.plot(epoch[known], value[known], color=colour, marker='.' if known.sum() < 20 else None)
        mark(axes, label, [line], epoch[known], value[known], colour=colour)
        axes.set_yscale('log')
        axes.set_title(label, fontsize=8.5, loc='left', color=INK)
        _power_ticks(axes.yaxis)
    panels[-1].set_xlabel('Epoch')
    return figure


@styled
def arrhenius(points: Sequence[Mapping], line: Mapping | None = None) -> Figure:
    """Draw the conductivities against the inverse temperature with 95 % error bars and the fitted line with its band.

    :param points: dicts with ``temperature_K`` and ``sigma_full_S_per_cm``, ``sigma_full_ci95``, and the same for
        ``tracer``; a point without a number is left out.
    :param line: ``temperature_K``, ``sigma``, ``low``, ``high``: arrays of one length, as :func:`fit_line` gives them.
    """
    figure, axes = _canvas(xlabel='1000 K / T', ylabel='Conductivity (S/cm)')
    if line:
        inverse = 1000 / np.asarray(line['temperature_K'])
        label, ends = 'Arrhenius fit, 95 % band', (line['low'], line['high'])
        band = axes.fill_between(inverse, *ends, color=FULL, alpha=0.14, linewidth=0)
        (curve,) = axes.plot(inverse, line['sigma'], color=FULL, linewidth=1.1, label=label)
        mark(axes, label, [band, curve], inverse, line['sigma'], interval=ends, colour=FULL)
    for kind, colour, marker in (('full', FULL, 'o'), ('tracer', TRACER, 's')):
        known = [point for point in points if point.get(f'sigma_{kind}_S_per_cm')]
        if not known:
            continue
        sigma = np.array([point[f'sigma_{kind}_S_per_cm'] for point in known])
        interval = np.array([point[f'sigma_{kind}_ci95'] for point in known])
        # An interval that reaches zero has no lower end on this axis: the bar goes down to a thousandth.
        low = np.maximum(interval[:, 0], sigma / 1000)
        inverse = [1000 / point['temperature_K'] for point in known]
        style = {'color': colour, 'marker': marker, 'markersize': 4.5, 'elinewidth': 1.1, 'capsize': 2.5}
        _bars(axes, inverse, sigma, interval=[low, interval[:, 1]], label=kind, **style)
    axes.set_yscale('log')
    _power_ticks(axes.yaxis)
    _temperature_axis(axes, [point['temperature_K'] for point in points])
    _legend(axes, loc='lower left' if line else 'best')
    return figure


@styled
def compared(
    points: Mapping[str, Sequence[Mapping]],
    lines: Mapping[str, Mapping | None],
    value: str,
    interval: str,
    against: str = 'inverse',
) -> Figure:
    """Draw one quantity of several campaigns against the temperature: ``inverse`` and logarithmic, or linear.

    :param points: flat attributes of conductivities by campaign.
    :param lines: by campaign, as :func:`fit_line` gives them.
    :param value: name of the attribute that is drawn, and ``interval`` of its 95 % interval.
    """
    inverse = against == 'inverse'
    labels = ('1000 K / T', 'Conductivity (S/cm)') if inverse else ('Temperature (K)', 'Haven ratio')
    figure, axes = _canvas(xlabel=labels[0], ylabel=labels[1])
    if not inverse:
        axes.axhline(1, color=GUIDE, linewidth=1, linestyle=(0, (4, 2)))
    temperatures = [one['temperature_K'] for attributes in points.values() for one in attributes]
    shift = 0.015 * (max(temperatures) - min(temperatures)) or 1.0  # side by side where the temperature is the same
    for index, (name, attributes) in enumerate(points.items()):
        colour, marker = CAMPAIGN_COLOURS[index][0], MARKERS[index]
        if line := lines.get(name):
            x, ends = 1000 / np.asarray(line['temperature_K']), (line['low'], line['high'])
            band = axes.fill_between(x, *ends, color=colour, alpha=0.12, linewidth=0)
            (curve,) = axes.plot(x, line['sigma'], color=colour, linewidth=1)
            mark(axes, name, [band, curve], x, line['sigma'], interval=ends, colour=colour, name=f'{name}, fit')
        known = [one for one in attributes if one.get(value) and one.get(interval)]
        if not known:
            continue
        numbers, ends = np.array([one[value] for one in known]), np.array([one[interval] for one in known]).T
        # An interval that reaches zero has no lower end on a logarithmic axis: the bar goes down to a thousandth.
        ends[0] = np.maximum(ends[0], numbers / 1000) if inverse else ends[0]
        place = np.array([one['temperature_K'] for one in known])
        place = 1000 / place if inverse else place + shift * (index - (len(points) - 1) / 2)
        style = {'color': colour, 'marker': marker, 'markersize': 4.5, 'elinewidth': 1.1, 'capsize': 2.5}
        _bars(axes, place, numbers, interval=ends, label=name, **style)
    if inverse:
        axes.set_yscale('log')
        _power_ticks(axes.yaxis)
        _temperature_axis(axes, temperatures)
    else:
        axes.set_ylim(bottom=0)
    _legend(axes, loc='best')
    return figure


def fit_line(temperatures_K: Sequence[float], fit: Mapping) -> dict[str, np.ndarray] | None:
    """Return the Arrhenius line sigma T = A exp(-Ea/kT) with its 95 % band, a little beyond the temperatures.

    :param fit: as :func:`aiida_ionconduct.transport.arrhenius` returns it.
    :returns: ``temperature_K``, ``sigma``, ``low``, ``high``; None where there was nothing to fit.
    """
    energy, covariance = fit.get('activation_energy_eV'), fit.get('covariance')
    if energy is None or covariance is None:
        return None
    low, high = fit['activation_energy_ci95']
    quantile = (high - low) / 2 / fit['activation_energy_stderr']
    inverse = 1 / np.asarray(temperatures_K, dtype=float)
    margin = 0.08 * np.ptp(inverse)
    grid = 1 / np.linspace(inverse.min() - margin, inverse.max() + margin, 60)
    design = np.column_stack((np.ones_like(grid), -1 / (BOLTZMANN_EV_PER_K * grid)))
    half_width = quantile * np.sqrt(np.einsum('ij,jk,ik->i', design, covariance, design))
    line = np.exp(design @ [fit['ln_prefactor'], energy]) / grid
    return {'temperature_K': grid, 'sigma': line, 'low': line * np.exp(-half_width), 'high': line * np.exp(half_width)}


def _canvas(size=SIZE, **labels) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    axes = figure.subplots()
    axes.set(**labels)
    return figure, axes


def _finite(x, value, stderr) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows that can be drawn; an error that is missing is drawn as none."""
    x, value, stderr = (np.array(column, dtype=float) for column in (x, value, stderr))
    known = np.isfinite(x) & np.isfinite(value) & (x > 0)
    return x[known], value[known], np.nan_to_num(stderr[known], posinf=0.0)


def _positive(x, value, stderr) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = _finite(x, value, stderr)
    return tuple(column[columns[1] > 0] for column in columns)


def _band(axes: Axes, x, value, stderr, color: str, **kwargs) -> None:
    # On a logarithmic axis a band that reaches zero would have no lower edge: it ends at a thousandth.
    low = np.where(
        (value > 0) & (stderr < 1e3 * np.abs(value)), np.maximum(value - stderr, value / 1000), value - stderr
    )
    band = axes.fill_between(x, low, value + stderr, color=color, alpha=0.2, linewidth=0)
    (line,) = axes.plot(x, value, color=color, **kwargs)
    mark(axes, kwargs['label'], (band, line), x, value, stderr, colour=color, line=kwargs.get('linestyle', '-'))


def _bars(axes: Axes, x, value, stderr=None, *, color: str, marker: str, label: str, interval=None, **kwargs) -> None:
    """Draw points with error bars: one standard error, or the ends of an interval (2, N)."""
    value = np.asarray(value, dtype=float)
    errors = stderr if interval is None else np.abs(np.asarray(interval) - value)
    found = axes.errorbar(x, value, errors, fmt=marker, color=color, label=label, **kwargs)
    artists = [one for one in (found[0], *found[1], *found[2]) if one is not None]
    glyph = f'hollow {marker}' if kwargs.get('markerfacecolor') == 'none' else marker
    mark(axes, label, artists, x, value, stderr, colour=color, interval=interval, line=None, marker=glyph)


def _legend(axes: Axes, by_label: bool = False, **kwargs) -> None:
    entries = list(zip(*axes.get_legend_handles_labels(), strict=True))
    if entries:
        entries = sorted(entries, key=lambda entry: entry[1]) if by_label else entries
        axes.legend(*zip(*entries, strict=True), **kwargs)


def _log_scales(axes: Axes) -> None:
    axes.set(xscale='log', yscale='log')
    _power_ticks(axes.xaxis)
    _power_ticks(axes.yaxis)


def _power_ticks(axis) -> None:
    """Write the numbers of a logarithmic axis as plain characters: mathematical text does not survive as SVG text.

    To be called when all is drawn: an axis of less than a decade and a half has numbers in between.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high < 30 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    if not value > 0 or 1e-3 <= value <= 1e3:
        return f'{value:g}'
    exponent = int(np.floor(np.log10(value * 1.000001)))
    mantissa = round(value / 10.0**exponent)
    return f'10{superscript(exponent)}' if mantissa == 1 else f'{mantissa} × 10{superscript(exponent)}'


def _scale_in_label(axes: Axes, name: str, unit: str, highest: float) -> None:
    """Put the power of ten of a linear axis into its label."""
    from matplotlib.ticker import FuncFormatter

    power = int(np.floor(np.log10(highest))) if highest > 0 else 0
    if power in (-1, 0, 1, 2):
        return
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value / 10.0**power:g}'))
    axes.set_ylabel(f'{name} (10{superscript(power)} {unit})')


def _temperature_axis(axes: Axes, temperatures_K: Sequence[float]) -> None:
    """Name the temperatures on top of an Arrhenius plot."""
    top = axes.secondary_xaxis('top')
    distinct = sorted(set(temperatures_K))
    top.set_xticks([1000 / temperature for temperature in distinct], [f'{temperature:g} K' for temperature in distinct])
    top.tick_params(length=3, labelsize=7.5, colors=MUTED)
    top.spines['top'].set_visible(False)
