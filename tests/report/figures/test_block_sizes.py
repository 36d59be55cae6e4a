"""The figure of block sizes."""

import numpy as np
import pytest

from aiida_ionconduct.report.figures.block_sizes import block_sizes
from aiida_ionconduct.studies.block_size import block_size_study


@pytest.fixture(scope='module')
def study():
    """Return the study of four seeds of ions that walk at random."""
    rng = np.random.default_rng(0)
    seeds = [
        np.concatenate((np.cumsum(rng.normal(0, 0.4, (801, 4, 3)), axis=0), np.zeros((801, 4, 3))), axis=1)
        for _ in range(4)
    ]
    charges = {'Li': 1, 'Cl': -1}
    return block_size_study(seeds, ['Li'] * 4 + ['Cl'] * 4, charges, 20 * np.eye(3), temperature_K=900.0, dt_ps=0.1)


def test_a_panel_for_each_block_length_and_a_panel_of_all_numbers(study):
    """Every number stands in the last panel, and the scale shows all of them."""
    figure = block_sizes(study.curves, study.rows)
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    assert titles == ['blocks of 20 ps', 'blocks of 40 ps', 'blocks of 80 ps', 'slopes']
    for axes in figure.axes[:3]:
        assert [line.get_label() for line in axes.lines] == [
            'full, block', 'full, simple', 'tracer, block', 'tracer, simple'
        ]  # fmt: skip
    heights = sorted(y for bars in figure.axes[3].containers for y in bars.lines[0].get_ydata())
    expected = sorted(row['sigma_S_per_cm'] for row in study.rows)
    np.testing.assert_allclose(np.array(heights) / heights[0], np.array(expected) / expected[0])
    low, high = figure.axes[0].get_ylim()
    assert all(low <= height <= high for height in heights)
