"""Reading LAMMPS dumps, extended XYZ and XDATCAR: `aiida-ionconduct analyse` against ASE, same files, same run.

LAMMPS itself writes the dump, of 132 atoms with image flags; ASE writes a part of its frames in the other formats. What
is timed is all that `analyse` does before the analysis: reading, finding out who is who, unwrapping, the checks. Both
readers give the same positions.
"""

import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import ase.io
import numpy as np
from ase import Atoms
from tabulate import tabulate

from aiida_ionconduct.readers import ReadingOptions, Trajectory, read_runs
from lib.argon_frames import N_ATOMS, write_frames

N_FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
N_OTHER = min(N_FRAMES, 2_000)
REPEATS = 3
TARGETS = {'lammps': 20.0, 'extxyz': 10.0, 'xdatcar': 5.0}
"""How many times faster than ASE every format must be read."""
FILES = {'lammps': 'trajectory.lammpstrj', 'extxyz': 'trajectory.extxyz', 'xdatcar': 'XDATCAR'}
ASE_FORMATS = {'lammps': 'lammps-dump-text', 'extxyz': 'extxyz', 'xdatcar': 'vasp-xdatcar'}
OPTIONS = ReadingOptions(dt_ps=0.002, temperature_K=300.0)
DUMP = """
dump text all custom 1 trajectory.lammpstrj id type element x y z ix iy iz
dump_modify text sort id element Ar
"""


def best(read: Callable, repeats: int) -> tuple[float, object]:
    """Return the shortest of some reading times, and what was read."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        trajectory = read()
        times.append(time.perf_counter() - start)
    return min(times), trajectory


def compare(ours: Trajectory, frames: list[Atoms]) -> None:
    """Check that both readers give the same positions; ASE leaves them wrapped: whole cells do not count."""
    assert ours.positions.shape == (len(frames), N_ATOMS, 3)
    steps = (ours.positions - np.array([frame.positions for frame in frames])) @ np.linalg.inv(ours.cell)
    shift = steps[0] - np.rint(steps[0])
    assert np.abs(shift - shift[0]).max() < 1e-6, 'positions relative to each other differ'
    wrapped = steps - shift[0]
    assert np.abs(wrapped - np.rint(wrapped)).max() < 1e-6


def main():
    """Write the files, read each of them twice, print the table."""
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_frames(folder, N_FRAMES, 300.0, DUMP)
        for label, file_name in FILES.items():
            path = folder / file_name
            if label != 'lammps':
                frames = ase.io.read(folder / FILES['lammps'], f':{N_OTHER}', format=ASE_FORMATS['lammps'])
                bare = [Atoms(f'Ar{N_ATOMS}', frame.positions, cell=frame.cell, pbc=True) for frame in frames]
                ase.io.write(path, bare, format=ASE_FORMATS[label])
            our_s, (ours,) = best(lambda path=path: read_runs([path], OPTIONS), REPEATS)
            ase_s, frames = best(
                lambda path=path, label=label: ase.io.read(path, ':', format=ASE_FORMATS[label]), REPEATS
            )
            compare(ours, frames)
            size = path.stat().st_size / 1e6
            ratios[label] = ase_s / our_s
            rows += [
                (label, f'{len(frames)}', f'{size:.0f} MB', who, f'{s:.2f} s', f'{size / s:.0f} MB/s')
                for who, s in (('aiida-ionconduct', our_s), ('ASE', ase_s))
            ]
    print(f'Frames of {N_ATOMS} atoms\n')
    print(tabulate(rows, headers=('', 'frames', 'size', '', 'read', '')))
    print()
    missed = [label for label, ratio in ratios.items() if ratio < TARGETS[label]]
    values = ' '.join(f'{label}_speedup={ratio:.0f} target={TARGETS[label]:.0f}' for label, ratio in ratios.items())
    print(f'RESULT {values} {"missed: " + ", ".join(missed) if missed else "met"}')
    sys.exit(bool(missed))


if __name__ == '__main__':
    main()
