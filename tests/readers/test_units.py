"""Units of length: positions in bohr or nm, and files that hold no positions, are refused or named."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.units import Bohr

from aiida_ionconduct.readers import ReadingOptions, read_runs
from salt_files import EXTXYZ, Salt, atoms, lammps_dump, npz, salt, xyz

RUN = salt(40, seed=1)


def ipi_comment(head: str, unit: str = '{atomic_unit}', quantity: str = 'positions') -> str:
    """Return a comment of i-PI with a cubic cell in atomic units; ``{n}`` stands for the step."""
    edge = f'{20 / Bohr:.10f}'
    return (
        f'# {head}: {edge} {edge} {edge} 90.0 90.0 90.0 Traj: {quantity}{unit} Step: {{n}} Bead: 0 cell{{atomic_unit}}'
    )


def written(path: Path, comment: str, positions: np.ndarray) -> Path:
    """Return the path of an XYZ file."""
    path.write_text(xyz(RUN, lambda frame: comment.replace('{n}', str(100 * frame)), positions=positions))
    return path


@pytest.fixture
def structure(tmp_path: Path) -> Path:
    """Return the path of the first frame as a structure."""
    ase.io.write(tmp_path / 'start.extxyz', atoms(RUN))
    return tmp_path / 'start.extxyz'


@pytest.mark.parametrize(
    'comment', [ipi_comment('CELL(abcABC)'), ipi_comment('CELL{abcABC}'), ipi_comment('CELL(abcABC)', unit='')]
)
def test_atomic_units_of_ipi(tmp_path: Path, comment: str):
    """Positions and cells of i-PI in atomic units, also where the unit is not written, become Å."""
    (run,) = read_runs([written(tmp_path / 'run.xyz', comment, RUN.positions / Bohr)], ReadingOptions(timestep_fs=1.0))
    np.testing.assert_allclose(np.diff(run.positions, axis=0), np.diff(RUN.positions, axis=0), atol=1e-6)
    assert run.cell is not None
    np.testing.assert_allclose(run.cell, RUN.cell, atol=1e-6)


@pytest.mark.parametrize('quantity', ['velocities', 'forces', 'momenta'])
def test_other_quantities_of_ipi(tmp_path: Path, quantity: str):
    """A file of velocities or forces is refused; it looks like a file of positions."""
    path = written(tmp_path / 'run.xyz', ipi_comment('CELL(abcABC)', quantity=quantity), RUN.positions)
    with pytest.raises(ValueError, match=f'holds {quantity}.* no positions'):
        read_runs([path], ReadingOptions(timestep_fs=1.0))


@pytest.mark.parametrize(('unit', 'length'), [('bohr', Bohr), ('nm', 10.0)])
def test_positions_in_another_unit_than_the_structure(tmp_path: Path, structure: Path, unit: str, length: float):
    """Positions in bohr or nm without a word are found by the structure."""
    path = written(tmp_path / 'run.xyz', 'i = {n}', RUN.positions / length)
    with pytest.raises(ValueError, match=f'if its positions are in {unit}.*in Å'):
        read_runs([path], ReadingOptions(dt_ps=0.1, structure=structure))


def test_cell_of_another_unit_than_the_structure(tmp_path: Path, structure: Path):
    """A dump in bohr (units electron) is found by the volume of its cell."""
    path = tmp_path / 'run.lammpstrj'
    path.write_text(lammps_dump(Salt(positions=RUN.positions / Bohr, lengths=RUN.lengths / Bohr, symbols=RUN.symbols)))
    with pytest.raises(ValueError, match=r'6\.75 times the volume'):
        read_runs([path], ReadingOptions(timestep_fs=1.0, structure=structure))


def test_cell_too_small_for_its_atoms(tmp_path: Path):
    """Positions and a cell in nm are refused also without a structure."""
    path = tmp_path / 'run.npz'
    path.write_bytes(npz(RUN, positions=RUN.positions / 10, cell=RUN.cell / 10))
    with pytest.raises(ValueError, match='seems to be in nm'):
        read_runs([path], ReadingOptions())


def test_atoms_on_top_of_each_other(tmp_path: Path):
    """Numbers as small as velocities are read with a warning."""
    path = tmp_path / 'run.extxyz'
    path.write_text(xyz(RUN, EXTXYZ, positions=0.01 * RUN.positions))
    (run,) = read_runs([path], ReadingOptions(dt_ps=0.1))
    assert any(note.startswith('WARNING: in the first frame of run.extxyz') for note in run.notes)
    path.write_text(xyz(RUN, EXTXYZ))
    (run,) = read_runs([path], ReadingOptions(dt_ps=0.1))
    assert not any(note.startswith('WARNING') for note in run.notes)
