"""Colours that can be told apart."""

from aiida_ionconduct.report.figures.colours import PALETTE, colour_variables, temperature_colours


def test_temperature_colours_run_from_cold_to_hot_and_differ():
    colours = temperature_colours([1200, 600, 900, 900])
    assert list(colours) == [600, 900, 1200]
    assert temperature_colours([600, 1200])[600] == colours[600]
    variables = colour_variables(range(300, 1500, 100))
    assert len({light for light, _ in variables.values()}) == len(PALETTE) + 12
