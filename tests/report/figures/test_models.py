"""The figure of a study of models."""

import numpy as np

from aiida_ionconduct.report.figures.models import models
from model_study import table

from .drawn import lines_by_label


def test_points_and_front():
    """Settings that failed are left out; the front goes through the settings that nothing beats."""
    lines = lines_by_label(models(table()['rows'], limit=0.05))
    front = lines['Pareto front']
    np.testing.assert_allclose(front.get_xydata(), [(50, 80), (100, 60)])
    assert front.axes.get_xscale() == front.axes.get_yscale() == 'log'


def test_a_study_without_numbers_is_drawn():
    assert models([]).axes
