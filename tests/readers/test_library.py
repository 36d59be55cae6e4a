"""Formats that libraries read, and the files of cp.x."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr

from aiida_ionconduct.readers import ReadingOptions, read_runs
from salt import CELL, SYMBOLS, walk


@pytest.fixture
def structure(tmp_path):
    """Return the path of the first frame as a structure."""
    ase.io.write(tmp_path / 'start.vasp', Atoms(SYMBOLS, walk()[0], cell=CELL, pbc=True))
    return tmp_path / 'start.vasp'


def test_ase_trajectory(tmp_path):
    """A .traj file is read by ASE, and a note says so."""
    ase.io.write(tmp_path / 'run.traj', [Atoms(SYMBOLS, x, cell=CELL, pbc=True) for x in walk()])
    [run] = read_runs([tmp_path / 'run.traj'], ReadingOptions(dt_ps=0.1))
    np.testing.assert_allclose(run.positions, walk())
    assert (run.symbols, run.notes[0].startswith('read by ASE')) == (SYMBOLS, True)


@pytest.mark.parametrize(('name', 'gap', 'options'), [('time_fs', 100.0, {}), ('step', 100, {'timestep_fs': 1.0})])
def test_times_of_an_ase_trajectory(tmp_path, name, gap, options):
    """Times and steps in the frames of ASE are used, and compared with the options."""
    frames = [Atoms(SYMBOLS, x, cell=CELL, pbc=True, info={name: gap * frame}) for frame, x in enumerate(walk())]
    ase.io.write(tmp_path / 'run.traj', frames)
    (run,) = read_runs([tmp_path / 'run.traj'], ReadingOptions(**options))
    assert run.dt_ps == pytest.approx(0.1)
    with pytest.raises(ValueError, match=f'{name} of the frames.*--dt-ps'):
        read_runs([tmp_path / 'run.traj'], ReadingOptions(timestep_fs=1.0, dt_ps=0.2))


def test_cpx(tmp_path, structure):
    """Positions of cp.x are in bohr, its times in ps, its cells columns of vectors."""

    def block(number, rows):
        return f'{100 * number:8d} {0.1 * number:.6f}\n' + ''.join(' {} {} {}\n'.format(*row) for row in rows)

    (tmp_path / 'salt.pos').write_text(''.join(block(k, x / Bohr) for k, x in enumerate(walk())))
    (tmp_path / 'salt.cel').write_text(''.join(block(k, CELL.T / Bohr) for k in range(60)))
    [run] = read_runs([tmp_path / 'salt.pos'], ReadingOptions(structure=structure))
    np.testing.assert_allclose(run.positions, walk())
    np.testing.assert_allclose(run.cell, CELL)
    assert run.dt_ps == pytest.approx(0.1)


def test_mdanalysis_missing(tmp_path, structure, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'MDAnalysis', None)
    (tmp_path / 'run.dcd').write_bytes(b'CORD')
    with pytest.raises(ValueError, match=r'aiida-ionconduct\[formats\]'):
        read_runs([tmp_path / 'run.dcd'], ReadingOptions(structure=structure, dt_ps=0.1))


def test_file_that_ase_cannot_read(tmp_path):
    (tmp_path / 'run.traj').write_bytes(b'- of Ulmnonsense')
    with pytest.raises(ValueError, match='cannot be read by ASE'):
        read_runs([tmp_path / 'run.traj'], ReadingOptions(dt_ps=0.1, file_format='ase'))
