"""`DatasetData`: frames in and out, attributes, and frames that are refused."""

import hashlib
import io

import ase.io
import numpy as np
import pytest
from aiida import orm
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.readers.label_keys import LabelKeys


def frame(energy=-5.0, forces=0.25, symbols='LiO', info=None, **results):
    """Return a frame with its labels; a label that is None is left out."""
    atoms = Atoms(symbols, positions=[[0, 0, 0.1], [0, 0, 2]], cell=[[4, 0, 0], [1, 5, 0], [0, 0, 6]], pbc=True)
    atoms.info.update(info or {})
    if forces is not None:
        results['forces'] = np.full((2, 3), forces)
    if energy is not None:
        results['energy'] = energy
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture
def frames():
    """Return labelled frames of two sources, temperatures and compositions."""
    rng = np.random.default_rng(0)
    return [
        frame(-5.123456789, forces, symbols, {'source': source, 'temperature_K': T, 'run': 'T900'})
        for forces, symbols, source, T in (
            (rng.normal(size=(2, 3)), 'LiO', 'aimd', 900.0),
            (rng.normal(size=(2, 3)), 'SiO', 'aimd', 600.0),
            (rng.normal(size=(2, 3)), 'LiO', 'rattled', 900.0),
        )
    ]


def test_frames_come_back_as_they_were(frames, aiida_profile_clean):
    node = orm.load_node(DatasetData.from_frames(frames).store().pk)
    for before, after in zip(frames, node.get_frames(), strict=True):
        assert after.info == before.info
        assert after.symbols.get_chemical_formula() == before.symbols.get_chemical_formula()
        assert after.get_potential_energy() == pytest.approx(before.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(after.get_forces(), before.get_forces(), atol=1e-7)
        np.testing.assert_allclose(after.positions, before.positions, atol=1e-7)
        np.testing.assert_allclose(after.cell, before.cell, atol=1e-7)


def test_attributes_describe_the_frames(frames, aiida_profile_clean):
    node = orm.load_node(DatasetData.from_frames(frames).store().pk)
    assert (node.n_frames, node.elements) == (3, ['Li', 'O', 'Si'])
    attributes = node.base.attributes.all
    assert attributes['temperatures_K'] == [600.0, 900.0]
    assert attributes['sources'] == {'aimd': 2, 'rattled': 1}
    assert attributes['has_stress'] is False
    assert attributes['sha256'] == hashlib.sha256(node.get_content(mode='rb')).hexdigest()


def test_a_file_is_kept_byte_by_byte(tmp_path):
    path = tmp_path / 'mine.xyz'
    ase.io.write(path, [frame(stress=np.zeros(6))], format='extxyz')
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        node = DatasetData(source)
        assert node.get_content(mode='rb') == path.read_bytes()
        assert node.base.attributes.get('has_stress')
        assert node.base.attributes.get('sources') == {'unknown': 1}


def test_all_frames_hold_the_same_properties():
    """Nequip refuses frames that differ in their properties; a stress is kept if all frames have it."""
    rich, poor = frame(stress=np.ones(6), free_energy=-5.0), frame()
    mixed = DatasetData.from_frames([rich, poor])
    assert {tuple(sorted(kept.calc.results)) for kept in mixed.get_frames()} == {('energy', 'forces')}
    assert mixed.base.attributes.get('has_stress') is False
    (alone,) = DatasetData.from_frames([rich]).get_frames()
    np.testing.assert_allclose(alone.get_stress(), 1.0)
    assert 'stress' in rich.calc.results


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        ([], 'the dataset has no frames'),
        ([frame(), frame(forces=None)], 'frame 1 of the dataset has no forces: label it with DFT first'),
        ([frame(energy=None)], 'frame 0 of the dataset has no energy: label it with DFT first'),
        ([frame(), frame(forces=np.inf)], 'frame 1 of the dataset has a value in its forces that is not finite'),
        ([frame(energy=np.nan)], 'frame 0 of the dataset has a value in its energy that is not finite'),
        ([Atoms('Li')], 'frame 0 of the dataset has no energy'),
    ],
)
def test_bad_frames_are_refused(frames, message):
    with pytest.raises(ValueError, match=message):
        DatasetData.from_frames(frames)


def test_a_file_of_positions_alone_is_refused(tmp_path):

    path = tmp_path / 'positions.xyz'
    ase.io.write(path, Atoms('LiO', positions=[[0, 0, 0], [0, 0, 2]], cell=[4, 4, 4], pbc=True), format='extxyz')
    with pytest.raises(ValueError, match='frame 0 of the dataset has no energy'):
        DatasetData(path)


@pytest.mark.parametrize('content', [b'', b'no frames here', b'\x00\xff\xfe', b'2\n\nLi 0 0 0\n'])
def test_a_file_of_another_kind_is_refused(content):
    with pytest.raises(ValueError, match=r'not a readable extended-XYZ file|no frames'):
        DatasetData(io.BytesIO(content))


def test_files_of_others_are_converted_with_a_note(tmp_path, aiida_profile_clean):
    """Sources and temperatures that are no words and numbers had ended in a traceback."""
    frames = [frame(info={'source': source, 'temperature_K': '300 K'}) for source in (1, 'aimd')]
    for number, atoms in enumerate(frames):
        atoms.info['dft_energy'] = atoms.calc.results['energy'] + number
        atoms.arrays['dft_forces'] = atoms.calc.results['forces']
        atoms.calc = None
    ase.io.write(tmp_path / 'mine.xyz', frames, format='extxyz')
    node = orm.load_node(DatasetData(tmp_path / 'mine.xyz').store().pk)
    assert [atoms.get_potential_energy() for atoms in node.get_frames()] == [-5.0, -4.0]
    assert node.base.attributes.get('sources') == {'1': 1, 'aimd': 1}
    assert node.base.attributes.get('temperatures_K') == [300.0]
    assert node.notes[0] == 'the energy of the frames is `dft_energy`.'
    with pytest.raises(ValueError, match='no frame has the energy under the name `vasp`'):
        DatasetData(tmp_path / 'mine.xyz', keys=LabelKeys(energy='vasp'))
