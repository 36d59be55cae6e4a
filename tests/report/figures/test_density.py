"""The figures of densities and positions."""

import numpy as np
import pytest
from mpl_toolkits.mplot3d import art3d

from aiida_ionconduct.report.figures.density import isosurfaces, superposition

TRICLINIC = np.array([[6.0, 0.0, 0.0], [2.0, 7.0, 0.0], [0.0, 1.0, 8.0]])


def test_superposed_dots_lie_in_the_cell_and_are_not_more_than_asked_for():
    positions = np.random.default_rng(0).normal(0, 30, (500, 3, 3))
    figure = superposition(positions, np.zeros((2, 3)), TRICLINIC, most=300)
    assert [axes.get_title(loc='left') for axes in figure.axes] == ['along a', 'along b', 'along c']
    for axes in figure.axes:
        dots, _, outline = axes.lines
        assert len(dots.get_xdata()) <= 303
        corners = np.column_stack((outline.get_xdata(), outline.get_ydata()))
        basis = np.array([corners[1], corners[3]])
        scaled = np.column_stack((dots.get_xdata(), dots.get_ydata())) @ np.linalg.inv(basis)
        assert ((scaled > -1e-9) & (scaled < 1 + 1e-9)).all()


def test_the_isosurface_of_a_ball_lies_where_the_density_has_its_value(monkeypatch):
    pytest.importorskip('skimage', reason='scikit-image draws the surfaces')
    n, cell = 24, 9 * np.eye(3)
    axis = (np.arange(n) - n / 2) * 9 / n
    density = np.exp(-(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2) / (2 * 1.2**2))
    drawn = []

    class Recorded(art3d.Poly3DCollection):
        def __init__(self, triangles, **kwargs):
            drawn.append(triangles)
            super().__init__(triangles, **kwargs)

    monkeypatch.setattr(art3d, 'Poly3DCollection', Recorded)
    figure = isosurfaces(density, cell, shares=[0.5])
    (triangles,) = drawn
    radii = np.linalg.norm(triangles.reshape(-1, 3) - 4.5, axis=1)
    # The picture is smoothed by one grid step.
    expected = np.sqrt(2 * np.log(2) * (1.2**2 + (9 / n) ** 2))
    assert radii.mean() == pytest.approx(expected, rel=0.02)
    assert radii.std() < 0.02
    assert '50%' in figure.axes[0].get_title()
