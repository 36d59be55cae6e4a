"""The Haven ratio of a campaign against temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiida_ionconduct.report.figures.colours import FULL, GUIDE
from aiida_ionconduct.report.figures.style import GUIDE_DASHES, bars, canvas, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def haven_ratio(ratios: Mapping[str, Any]) -> Figure:
    """Draw the Haven ratio against the temperature with its standard errors, and 1, where ions move independently.

    :param ratios: as :func:`aiida_ionconduct.studies.temperatures.haven_ratios` returns them.
    """
    figure, axes = canvas(xlabel='Temperature (K)', ylabel='Haven ratio')
    axes.axhline(1, color=GUIDE, linewidth=1, linestyle=GUIDE_DASHES)
    columns = (ratios[name] for name in ('temperatures_K', 'values', 'stderrs'))
    bars(axes, *columns, color=FULL, marker='o', label='Haven ratio', capsize=2.5)
    mean, stderr = ratios['mean'], ratios['mean_stderr']
    if mean is not None:
        axes.axhspan(mean - stderr, mean + stderr, color=FULL, alpha=0.14, linewidth=0)
    axes.set_ylim(bottom=0)
    return figure
