"""Storing and reading a trajectory: IonTrajectoryData against aiida-lammps' LammpsTrajectory, same frames, same run.

LAMMPS itself writes the frames, as binary for one and as text for the other. aiida-lammps keeps the text in the
retrieved folder beside the node, as its calculation does; of ours the dump is retrieved for the time of parsing only.
"""

import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from tabulate import tabulate

from lib.argon_frames import N_ATOMS, write_frames
from lib.programs import load_new_profile

N_FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
TARGET_SPEED, TARGET_BYTES = 50.0, 0.25
DUMPS = """
dump binary all custom 1 trajectory.bin xu yu zu
dump_modify binary sort id
dump text all custom 1 trajectory.txt id type element x y z
dump_modify text sort id element Ar
"""


def size(folder: pathlib.Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def measure(repository: pathlib.Path, store: Callable, read: Callable) -> tuple[float, float, int, np.ndarray]:
    """Return the seconds of storing and of reading, the bytes stored, and the positions."""
    before = size(repository)
    start = time.perf_counter()
    pk = store()
    stored = time.perf_counter()
    positions = read(pk)
    total = float(positions.sum(dtype=float))  # every page of the file is read
    assert np.isfinite(total)
    return stored - start, time.perf_counter() - stored, size(repository) - before, positions


def ours(folder: pathlib.Path) -> tuple[Callable, Callable]:
    """Return what stores and what reads an :class:`IonTrajectoryData`."""
    from aiida import orm

    from aiida_ionconduct.data import IonTrajectoryData
    from aiida_ionconduct.lammps.dump import read_dump
    from aiida_ionconduct.parsers.lammps_md import rotated

    def store():
        dump = read_dump(folder / 'trajectory.bin')
        centres = dump.values.mean(axis=1)[:, None]
        thermo = np.column_stack([dump.steps, np.zeros((len(dump.steps), 5))])
        attributes = {'temperature_K': 50.0, 'timestep_fs': 2.0, 'frame_interval_ps': 0.002, 'com_interval_ps': 0.002}
        return IonTrajectoryData(
            rotated(dump.values, np.eye(3)), centres, thermo, symbols=['Ar'] * N_ATOMS, species=['Ar'],
            cell=np.eye(3).tolist(), seed=1, thermo_columns=['step', *'abcde'], **attributes,
        ).store().pk  # fmt: skip

    return store, lambda pk: orm.load_node(pk).positions


def theirs(folder: pathlib.Path) -> tuple[Callable, Callable]:
    """Return what stores and what reads a ``LammpsTrajectory``."""
    from aiida import orm
    from aiida_lammps.data.trajectory import LammpsTrajectory
    from aiida_lammps.parsers.parse_raw import parse_step

    def store():
        retrieved = orm.FolderData()
        retrieved.base.repository.put_object_from_file(str(folder / 'trajectory.txt'), 'trajectory.txt')
        retrieved.store()
        with retrieved.base.repository.open('trajectory.txt', 'r') as handle:
            return LammpsTrajectory(handle).store().pk

    def read(pk):
        steps = (parse_step(text.decode().splitlines()) for text in orm.load_node(pk).iter_step_strings())
        return np.array([[step.atom_fields[axis] for axis in 'xyz'] for step in steps], dtype=float).swapaxes(1, 2)

    return store, read


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_frames(folder, N_FRAMES, 50.0, DUMPS)
        load_new_profile(folder)
        repository = next((folder / '.aiida' / 'repository').glob('*'))
        rows, results = [], {}
        for label, peer in (('aiida-ionconduct', ours), ('aiida-lammps', theirs)):
            stored, read, n_bytes, positions = measure(repository, *peer(folder))
            results[label] = (stored + read, n_bytes, positions)
            rows.append((label, f'{stored:.2f} s', f'{read:.2f} s', f'{n_bytes / 1e6:.1f} MB'))
        (seconds, n_bytes, positions), (their_seconds, their_bytes, reference) = results.values()
        assert positions.shape == reference.shape == (N_FRAMES, N_ATOMS, 3)
        inside = np.abs(positions[0] - reference[0]).max() < 1e-3  # later on, the text is wrapped into the box
        assert inside
        print(f'{N_FRAMES} frames of {N_ATOMS} atoms\n')
        print(tabulate(rows, headers=('', 'store', 'read', 'in the repository')))
    ratio, share = their_seconds / seconds, n_bytes / their_bytes
    met = [ratio >= TARGET_SPEED, share <= TARGET_BYTES]
    print(f'bytes: {share:.2f} of theirs, target {TARGET_BYTES}')
    print(f'RESULT trajectory_speedup={ratio:.0f} target={TARGET_SPEED:.0f} {"met" if all(met) else "missed"}')
    sys.exit(not all(met))


if __name__ == '__main__':
    main()
