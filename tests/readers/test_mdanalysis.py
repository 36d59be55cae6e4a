"""DCD, XTC, TRR and H5MD, which MDAnalysis reads: the run that was written, or the extra that is missing."""

import sys

import numpy as np
import pytest

import salt_files as files
from aiida_ionconduct.readers import ReadingOptions, read_runs

RUN = files.salt(40, n_pairs=8)
STRUCTURE = files.xyz(RUN[:1], files.EXTXYZ, positions=RUN.wrapped()[:1])


def write(path, run, positions):
    """Write a trajectory, with MDAnalysis, that moves by 0.1 ps from frame to frame."""
    import MDAnalysis

    universe = MDAnalysis.Universe.empty(len(run.symbols), trajectory=True)
    options = {'.dcd': {'dt': run.dt_ps}, '.h5md': {'lengthunit': 'Angstrom', 'timeunit': 'ps'}}.get(path.suffix, {})
    with MDAnalysis.Writer(str(path), n_atoms=len(run.symbols), **options) as writer:
        for frame, x in enumerate(positions):
            universe.atoms.positions = x
            universe.dimensions = [*run.lengths[frame], 90, 90, 90]
            universe.trajectory.ts.time = frame * run.dt_ps
            universe.trajectory.ts.data['step'] = 100 * frame
            writer.write(universe.atoms)


@pytest.mark.parametrize('suffix', ['.dcd', '.xtc', '.trr', '.h5md'])
@pytest.mark.parametrize('wrapped', [True, False])
def test_run_is_read(tmp_path, suffix, wrapped):
    """Displacements, cell and time are those that were written, to the rounding of the format; DCD tells no time."""
    path, structure = tmp_path / f'run{suffix}', tmp_path / 'salt.extxyz'
    structure.write_text(STRUCTURE)
    write(path, RUN, RUN.wrapped() if wrapped else RUN.positions)
    dt_ps = 0.1 if suffix == '.dcd' else None
    options = ReadingOptions(temperature_K=600.0, structure=structure, wrapped=wrapped, dt_ps=dt_ps)
    (run,) = read_runs([path], options)
    moved = run.positions - run.positions[0]
    np.testing.assert_allclose(moved, RUN.positions - RUN.positions[0], atol=0.02)
    np.testing.assert_allclose(run.cell, RUN.cell, atol=1e-3)
    assert run.symbols == list(RUN.symbols)
    assert run.dt_ps == pytest.approx(0.1, rel=1e-3)


def test_missing_package_is_named(tmp_path, monkeypatch):
    """Without MDAnalysis, the message says what to install."""
    path = tmp_path / 'run.dcd'
    path.write_bytes(b'T\0\0\0CORD')
    monkeypatch.setitem(sys.modules, 'MDAnalysis', None)
    with pytest.raises(ValueError, match=r'aiida-ionconduct\[formats\]'):
        read_runs([path], ReadingOptions(temperature_K=600.0, dt_ps=0.1))


@pytest.mark.parametrize('suffix', ['.dcd', '.xtc', '.trr', '.h5md'])
def test_junk_is_refused(tmp_path, suffix):
    """A file that is none of the formats its name says is refused with a ValueError."""
    path = tmp_path / f'run{suffix}'
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ValueError, match='run'):
        read_runs([path], ReadingOptions(temperature_K=600.0, dt_ps=0.1))


def test_h5md_without_units(tmp_path):
    """A file without units is in Å by assumption, and its times count only if an option agrees with them."""
    import h5py

    path, structure = tmp_path / 'run.h5md', tmp_path / 'salt.extxyz'
    structure.write_text(STRUCTURE)
    write(path, RUN, RUN.positions)
    with h5py.File(path, 'a') as file:
        names = []
        file.visit(names.append)
        for item in map(file.get, names):
            item.attrs.pop('unit', None)
    with pytest.raises(ValueError, match='has no unit'):
        read_runs([path], ReadingOptions(temperature_K=600.0, structure=structure))
    (run,) = read_runs([path], ReadingOptions(temperature_K=600.0, structure=structure, dt_ps=0.1))
    np.testing.assert_allclose(run.positions - run.positions[0], RUN.positions - RUN.positions[0], atol=0.02)
    assert 'unit of length' in [row.subject for row in run.assumptions]


@pytest.mark.parametrize('kept', ['Angstrom', 'ps'])
def test_h5md_with_some_units(tmp_path, kept):
    """A file that states the unit of lengths or of times alone is refused, as its lengths may be in any unit."""
    import h5py

    path, structure = tmp_path / 'run.h5md', tmp_path / 'salt.extxyz'
    structure.write_text(STRUCTURE)
    write(path, RUN, RUN.positions)
    with h5py.File(path, 'a') as file:
        names = []
        file.visit(names.append)
        for item in map(file.get, names):
            if item.attrs.get('unit', kept) != kept:
                item.attrs.pop('unit')
    with pytest.raises(ValueError, match='but not for both'):
        read_runs([path], ReadingOptions(temperature_K=600.0, structure=structure, dt_ps=0.1))
