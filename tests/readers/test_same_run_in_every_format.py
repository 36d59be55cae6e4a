"""One run in every format, wrapped and unwrapped, with rows in any order: the same positions, symbols and times."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import salt_files as files
from aiida_ionconduct.readers import ReadingOptions, read_runs

ATOMIC_NUMBERS = {'Li': 3, 'Cl': 17}


def ase_file(path, run, **options):
    """Write a file by ASE, with wrapped positions."""
    ase.io.write(path, [files.atoms(run, frame) for frame in range(len(run.positions))], **options)


def extxyz(properties, positions=None, **options):
    """Return a function that writes an extended XYZ; ``positions`` chooses them, and the id is the last column."""

    def write(path, run, shuffled):
        chosen = None if positions is None else positions(run)
        comment = f'{{lattice}} Properties={properties}:id:I:1 pbc="T T T"'
        path.write_text(
            files.xyz(run, comment, positions=chosen, columns=lambda _, atom: f' {atom + 1}', shuffled=shuffled)
        )

    return write


def dump(columns, **settings):
    """Return a function that writes a dump."""

    def write(path, run, shuffled):
        path.write_text(files.lammps_dump(run, columns, shuffled=shuffled, **settings))

    return write


TYPED = {'types': ['Li', 'Cl'], 'timestep_fs': 1.0}
STEPS = {'timestep_fs': 1.0}
INTERVAL = {'dt_ps': 0.1}
POS = 'species:S:1:pos:R:3'
# Name: the name of the file, what writes it, the options that it needs, and whether the rows may be in any order.
WRITERS = {
    'xu yu zu': ('a.lammpstrj', dump('id type xu yu zu'), TYPED, True),
    'xsu ysu zsu': ('a.lammpstrj', dump('id element xsu ysu zsu'), STEPS, True),
    'x y z': ('a.lammpstrj', dump('id type x y z'), {**TYPED, 'wrapped': True}, True),
    'x y z ix iy iz': ('a.lammpstrj', dump('id type x y z ix iy iz'), TYPED, True),
    'xs ys zs': ('a.lammpstrj', dump('id element xs ys zs'), STEPS, True),
    'xs ys zs ix iy iz': ('a.lammpstrj', dump('id element xs ys zs ix iy iz'), STEPS, True),
    'without id': ('a.lammpstrj', dump('element xu yu zu'), STEPS, False),
    'extxyz, unwrapped': ('a.extxyz', extxyz(POS), {**INTERVAL, 'wrapped': False}, True),
    'extxyz, wrapped': ('a.extxyz', extxyz(POS, lambda run: run.wrapped()), INTERVAL, True),
    'extxyz, [-L/2, L/2)': ('a.extxyz', extxyz(POS, lambda run: run.wrapped(-0.5)), INTERVAL, True),
    'GPUMD': ('a.xyz', lambda path, run, _: path.write_text(files.gpumd_xyz(run)), {}, False),
    'i-PI': ('a.xyz', lambda path, run, _: path.write_text(files.ipi_xyz(run)), {**INTERVAL, 'wrapped': False}, False),
    'XDATCAR, wrapped': ('XDATCAR', lambda path, run, _: path.write_text(files.xdatcar(run)), INTERVAL, False),
    'XDATCAR, unwrapped': (
        'XDATCAR',
        lambda path, run, _: path.write_text(files.xdatcar(run, wrapped=False)),
        {**INTERVAL, 'wrapped': False},
        False,
    ),
    'npz, unwrapped': ('a.npz', lambda path, run, _: path.write_bytes(files.npz(run)), {'wrapped': False}, False),
    'npz, wrapped': (
        'a.npz',
        lambda path, run, _: path.write_bytes(files.npz(run, positions=run.wrapped())),
        {'wrapped': True},
        False,
    ),
    'trajectory of ASE': ('a.traj', lambda path, run, _: ase_file(path, run), {**INTERVAL, 'wrapped': True}, False),
    'extxyz of ASE': ('a.extxyz', lambda path, run, _: ase_file(path, run), {**INTERVAL, 'wrapped': True}, False),
    'XDATCAR of ASE': (
        'XDATCAR',
        lambda path, run, _: ase_file(path, run, format='vasp-xdatcar'),
        {**INTERVAL, 'wrapped': True},
        False,
    ),
}


@pytest.mark.parametrize('name', WRITERS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31),
    edges=st.tuples(*[st.floats(9, 30)] * 3),
    n_frames=st.integers(30, 80),
    shuffled=st.booleans(),
)
def test_same_numbers(tmp_path, name, seed, edges, n_frames, shuffled):
    """Displacements, symbols, cell and interval are those of the arrays that the file was written from."""
    file_name, write, given_options, any_order = WRITERS[name]
    run = files.salt(n_frames, seed=seed, n_pairs=8)
    lengths = np.tile(np.round(edges, 6), (n_frames, 1))
    run = replace(run, positions=run.positions * lengths[0] / 20, lengths=lengths)
    path = tmp_path / file_name
    write(path, run, shuffled and any_order)
    (trajectory,) = read_runs([path], ReadingOptions(temperature_K=600.0, **given_options))
    assert trajectory.symbols == list(run.symbols)
    assert trajectory.dt_ps == pytest.approx(0.1, rel=1e-6)
    np.testing.assert_allclose(trajectory.cell, run.cell, atol=1e-4)
    moved = trajectory.positions - trajectory.positions[0]
    np.testing.assert_allclose(moved, run.positions - run.positions[0], atol=2e-4 if name == 'i-PI' else 1e-5)
