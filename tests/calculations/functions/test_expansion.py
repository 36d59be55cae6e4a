"""A structure in the mean cell of runs at constant pressure."""

import numpy as np
import pytest
from aiida import orm
from ase import Atoms

from aiida_ionconduct.calculations.functions.expansion import expand_structure
from aiida_ionconduct.lammps.script import CELL_THERMO
from aiida_ionconduct.lammps.structure import lammps_rotation

CELL = np.array([[0.0, 4.0, 0.3], [5.0, 0.1, 0.0], [1.0, 0.5, 6.0]])[[1, 0, 2]]
PARAMETERS = {'temperature_K': 900.0, 'interval_ps': 0.05}


@pytest.fixture
def crystal():
    """A triclinic crystal in an orientation that LAMMPS does not take."""
    scaled = np.random.default_rng(1).uniform(0, 1, (4, 3))
    return Atoms('Li2O2', scaled_positions=scaled, cell=CELL if np.linalg.det(CELL) > 0 else CELL[[1, 0, 2]], pbc=True)


@pytest.fixture
def segment(crystal):
    """Return a function that makes the thermodynamic columns of rows in which the cell is stretched by a factor."""

    def make(factor, n_rows=20, noise=1e-4, seed=0):
        rng = np.random.default_rng(seed)
        cell = crystal.cell.array @ lammps_rotation(crystal.cell.array) * factor
        values = [cell[0, 0], cell[1, 1], cell[2, 2], cell[1, 0], cell[2, 0], cell[2, 1]]
        columns = dict(zip(CELL_THERMO.values(), values, strict=True)) | {'temperature_K': 900.0, 'pressure_bar': 0.0}
        return orm.ArrayData({name: value + noise * rng.normal(size=n_rows) for name, value in columns.items()})

    return make


def test_atoms_keep_their_fractional_coordinates(crystal, segment, aiida_profile):
    """The mean cell is in the orientation of the structure, with the atoms in the order of the structure."""
    made = expand_structure(orm.StructureData(ase=crystal), orm.Dict(PARAMETERS), seed1_segment_000=segment(1.02))
    expanded = made['cell'].get_ase()
    np.testing.assert_allclose(expanded.cell.array, 1.02 * crystal.cell.array, atol=1e-3)
    np.testing.assert_allclose(expanded.get_scaled_positions(), crystal.get_scaled_positions(), atol=1e-9)
    assert str(expanded.symbols) == str(crystal.symbols)
    assert made['expansion']['volume_expansion_percent'] == pytest.approx(100 * (1.02**3 - 1), abs=0.05)
    assert (made['expansion']['temperature_K'], made['expansion']['seeds']) == (900.0, ['seed1'])


def test_segments_of_a_run_are_joined_and_seeds_are_averaged(crystal, segment, aiida_profile):
    """The long second segment of seed 1 makes its first segment equilibration; seed 2 weighs as much as it is long."""
    thermo = {
        'seed1_segment_000': segment(1.0, n_rows=20),
        'seed1_segment_001': segment(1.02, n_rows=200, seed=1),
        'seed2_segment_000': segment(1.04, n_rows=201, seed=2),
    }
    made = expand_structure(orm.StructureData(ase=crystal), orm.Dict(PARAMETERS), **thermo)
    numbers = made['expansion']
    assert numbers['equilibration_ps'][0] >= 20 * 0.05 - 1e-9
    assert numbers['length_expansions_percent'] == pytest.approx([3.0] * 3, abs=0.15)
    assert numbers['volume_stderr_A3'] > 0.02 * numbers['volume_A3'], 'the seeds disagree by 6 % of the volume'


def test_provenance(crystal, segment, aiida_profile):
    """The cell comes from the runs: a function with their columns among its inputs has made it."""
    thermo = segment(1.02)
    made = expand_structure(orm.StructureData(ase=crystal), orm.Dict(PARAMETERS), seed1_segment_000=thermo)
    assert made['cell'].creator.inputs.seed1_segment_000.uuid == thermo.uuid
