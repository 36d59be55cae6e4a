"""The figure of the Haven ratio."""

from aiida_ionconduct.report.figures.haven_ratio import haven_ratio
from aiida_ionconduct.studies.temperatures import haven_ratios


def test_ratios_are_drawn_as_given():
    (axes,) = haven_ratio(haven_ratios([600.0, 800.0], [0.5, 0.6], [0.05, 0.05])).axes
    assert axes.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.6]
