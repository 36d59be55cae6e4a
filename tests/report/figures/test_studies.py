"""The figures of the studies: what is drawn is what was handed over."""

import numpy as np
import pytest
from mpl_toolkits.mplot3d import art3d

from aiida_ionconduct.report.figures.studies import block_sizes, divergence, haven_ratio, isosurfaces, superposition
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.studies.temperatures import haven_ratios


@pytest.fixture(scope='module')
def study():
    rng = np.random.default_rng(0)
    seeds = [
        np.concatenate((np.cumsum(rng.normal(0, 0.4, (801, 4, 3)), axis=0), np.zeros((801, 4, 3))), axis=1)
        for _ in range(4)
    ]
    charges = {'Li': 1, 'Cl': -1}
    return block_size_study(seeds, ['Li'] * 4 + ['Cl'] * 4, charges, 20 * np.eye(3), temperature_K=900.0, dt_ps=0.1)


def test_block_sizes(study):
    """A panel for each block length and one of all numbers, every number with its error bar."""
    figure = block_sizes(study.curves, study.rows)
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    assert titles == ['blocks of 20 ps', 'blocks of 40 ps', 'blocks of 80 ps', 'slopes']
    for axes in figure.axes[:3]:
        assert [line.get_label() for line in axes.lines] == [
            'full, block', 'full, simple', 'tracer, block', 'tracer, simple'
        ]  # fmt: skip
    heights = sorted(y for one in figure.axes[3].containers for y in one.lines[0].get_ydata())
    expected = sorted(row['sigma_S_per_cm'] for row in study.rows)
    np.testing.assert_allclose(np.array(heights) / heights[0], np.array(expected) / expected[0])
    low, high = figure.axes[0].get_ylim()
    assert all(low <= height <= high for height in heights)


def test_divergence():
    time = 0.1 * np.arange(100)
    curves = 1e-5 * np.exp(np.minimum(time, 6))[None] * np.array([[1.0], [1.1]])
    found = {'exponent_per_ps': 1.0, 'stderr': 0.05, 'windows_ps': [[1.0, 5.0], [1.0, 5.0]]}
    (axes,) = divergence(time, curves, found).axes
    assert axes.get_yscale() == 'log'
    assert len(axes.lines) == 3
    fitted = axes.lines[2]
    slope = np.polyfit(fitted.get_xdata(), np.log(fitted.get_ydata()), 1)[0]
    assert slope == pytest.approx(1.0)
    assert fitted.get_label() == 'λ = (1.000 ± 0.050) /ps'
    nothing = {'exponent_per_ps': None, 'stderr': None, 'windows_ps': []}
    assert len(divergence(time, curves, nothing).axes[0].lines) == 2


def test_haven_ratio():
    found = haven_ratios([600.0, 800.0], [0.5, 0.6], [0.05, 0.05])
    (axes,) = haven_ratio(found).axes
    assert axes.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.6]


TRICLINIC = np.array([[6.0, 0.0, 0.0], [2.0, 7.0, 0.0], [0.0, 1.0, 8.0]])


def test_superposition():
    """All dots are inside the outline of the cell, in each of three views; not more than asked for."""
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


def test_isosurfaces(monkeypatch):
    """The surface of a ball of density lies where the density has its value."""
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
