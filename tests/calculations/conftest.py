"""Small nodes that the calculations take."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.data.model import remember_made_here


@pytest.fixture
def make_model(tmp_path):
    """Return a function that makes a model node; nothing reads the file."""

    def model(filename='model.nequip.zip', type_names=('Li', 'O', 'P'), r_max=4.5):
        (tmp_path / filename).write_bytes(b'not a model')
        node = AllegroModelData(tmp_path / filename, type_names=list(type_names), r_max=r_max)
        remember_made_here(node.sha256)
        return node

    return model


@pytest.fixture(scope='session')
def make_frame():
    """Return a function that makes a labelled frame; its energy tells it from the others."""

    def frame(energy=-1.0, symbols='LiOP', force=0.1, **info):
        atoms = Atoms(symbols, positions=1.7 * np.arange(3 * len(Atoms(symbols))).reshape(-1, 3) / 3, info=info)
        atoms.set_cell([6, 6, 6])
        atoms.pbc = True
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.full((len(atoms), 3), force))
        return atoms

    return frame


@pytest.fixture(scope='session')
def make_dataset(make_frame):
    """Return a function that makes a data set of frames with one composition."""
    return lambda symbols='LiOP', n_frames=2: DatasetData.from_frames([make_frame(i, symbols) for i in range(n_frames)])
