"""How the nodes look in a notebook: well-formed HTML with the numbers of the node, and no needless reading."""

import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.data import AllegroModelData, ConductivityData, DatasetData, IonTrajectoryData
from aiida_ionconduct.data.display import bars, card, interval, plot


def parts(html):
    """Return the rows of the table, and the root of the drawing or None."""
    root = ET.fromstring(html)
    rows = [tuple(''.join(cell.itertext()) for cell in row) for row in root.iter('tr')]
    return rows, next(root.iter('svg'), None)


def test_conductivity(aiida_profile):
    """The numbers that there are, with a curve on logarithmic axes."""
    node = ConductivityData({'lag_ps': np.geomspace(0.1, 10, 50), 'msd_A2': np.geomspace(0.2, 20, 50)})
    node.base.attributes.set_many(
        {
            'temperature_K': 900.0,
            'sigma_full_S_per_cm': 0.0123,
            'sigma_full_stderr': 0.002,
            'sigma_full_ci95': [0.008, 0.018],
            'n_seeds': 4,
            'total_time_ps': 80.0,
            'warnings': ['a <small> cell'],
        }
    )
    rows, drawing = parts(node._repr_html_())
    assert rows == [
        ('Temperature', '900 K'),
        ('σ, full', '0.0123 ± 0.002 S/cm, 95 % [0.008, 0.018]'),
        ('MD', '4 seeds, 80 ps together'),
        ('Warning', 'a <small> cell'),
    ]
    # A power law is a straight line on logarithmic axes, from corner to corner.
    points = [tuple(map(float, point.split(','))) for point in drawing.find('polyline').get('points').split()]
    x, y = np.array(points).T
    assert (x[0], y[0], x[-1], y[-1]) == (6.0, 114.0, 254.0, 6.0)
    np.testing.assert_allclose(np.diff(y) / np.diff(x), -108 / 248, rtol=0.05)
    assert 'pk' in node.store()._repr_html_()


def test_conductivity_without_a_number(aiida_profile):
    node = ConductivityData()
    node.base.attributes.set_many(
        {'temperature_K': 300.0, 'sigma_full_S_per_cm': None, 'sigma_full_upper_S_per_cm': 2e-4}
    )
    rows, drawing = parts(node._repr_html_())
    assert ('σ, full', 'no number, below 0.0002 S/cm') in rows
    assert drawing is None


def test_trajectory_reads_no_positions(aiida_profile, monkeypatch):
    thermo = np.column_stack((np.arange(5) * 100, 900 + np.arange(5)))
    node = IonTrajectoryData(
        np.zeros((5, 3, 3)),
        np.zeros((5, 2, 3)),
        thermo,
        symbols=['Li', 'Li', 'O'],
        species=['Li', 'O'],
        cell=np.diag([4.0, 5.0, 6.0]),
        temperature_K=900.0,
        timestep_fs=1.0,
        frame_interval_ps=0.1,
        com_interval_ps=0.1,
        seed=3,
        thermo_columns=['step', 'temperature_K'],
    ).store()
    read, get_array = [], IonTrajectoryData.get_array
    monkeypatch.setattr(IonTrajectoryData, 'get_array', lambda self, name: read.append(name) or get_array(self, name))
    rows, drawing = parts(node._repr_html_())
    assert ('Composition', 'Li2O, 3 atoms') in rows
    assert ('Length', '0.4 ps, 5 frames every 100 fs') in rows
    assert ('Seed', '3') in rows
    assert drawing.get('aria-label') == 'Temperature (K) against time (ps): 0 to 0.4, from 900 to 904'
    assert set(read) == {'thermo'}


def test_dataset(aiida_profile):
    """Frames by source, with bars of proportional lengths."""
    frames = []
    for source in ('aimd', 'aimd', 'rattled'):
        atoms = Atoms('LiO', positions=[[0, 0, 0], [0, 0, 2]], cell=[4, 4, 4], pbc=True, info={'source': source})
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.zeros((2, 3)))
        frames.append(atoms)
    rows, drawing = parts(DatasetData.from_frames(frames)._repr_html_())
    assert rows[:3] == [('Frames', '3'), ('… from aimd', '2'), ('… from rattled', '1')]
    widths = [float(bar.get('width')) for bar in drawing.iter('rect')]
    assert widths[0] == 2 * widths[1]


def test_model_is_not_opened(aiida_profile, monkeypatch):
    """The page of a model needs its attributes alone; its file, here no archive at all, is not opened."""
    metrics = {'test_forces_mae_eV_per_A': 0.05, 'test_forces_mae_by_element': {'Li': 0.02, 'O': 0.06}}
    described = {'type_names': ['Li', 'O'], 'r_max': 4.5, 'metrics': metrics}
    node = AllegroModelData(io.BytesIO(b'no archive'), 'model.nequip.zip', **described).store()
    monkeypatch.setattr(type(node.base.repository), 'open', lambda *args, **kwargs: pytest.fail('the file was opened'))
    rows, drawing = parts(node._repr_html_())
    assert ('Elements', 'Li, O') in rows
    assert ('Force MAE', '50 meV/Å') in rows
    assert [text.text for text in drawing.iter('text')] == ['Li', '20', 'O', '60']


def test_nothing_to_draw_gives_nothing():
    assert plot('y', [1, 2], [np.nan, 1.0]) == ''
    assert plot('y', [1, 2], [-1.0, 1.0], logarithmic=True) == ''
    assert bars('none', {}) == ''
    assert interval(None, 1.0, None) is None
    assert re.search('&lt;script&gt;', card('<script>', []))
