"""The curves of a result as CSV files."""

import csv

import numpy as np

from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.report.tables.curves import write_curves


def test_the_spectrum_is_a_file_of_its_own(make_conductivity, tmp_path):
    """Columns of unequal length are filled up; a result of an earlier version has no spectrum and no such file."""
    result, earlier = make_conductivity(1200), make_conductivity(800)
    result.curves |= {
        'spectrum_full_frequency_THz': np.array([0.1, 0.2, 0.4]),
        'spectrum_sigma_full_S_per_cm': np.array([1.0, 2.0, 3.0]),
        'spectrum_tracer_frequency_THz': np.array([0.1, 0.2]),
        'spectrum_sigma_tracer_S_per_cm': np.array([4.0, 5.0]),
    }
    paths = write_curves(Campaign({}, conductivities=[earlier, result]), tmp_path)
    names = ['displacements_800K.csv', 'plateau_800K.csv', 'displacements_1200K.csv', 'plateau_1200K.csv']
    assert [path.name for path in paths] == [*names, 'spectrum_1200K.csv']
    header, *rows = csv.reader((tmp_path / 'spectrum_1200K.csv').open())
    assert header == [name for name in result.curves if name.startswith('spectrum_')]
    assert rows == [['0.1', '1.0', '0.1', '4.0'], ['0.2', '2.0', '0.2', '5.0'], ['0.4', '3.0', '', '']]
    assert not any('spectrum' in name for name in next(csv.reader((tmp_path / names[2]).open())))
