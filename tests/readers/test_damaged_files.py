"""Files that were cut or damaged: frames that are whole, or a ValueError that names the file; never anything else."""

import io
import resource
import signal

import ase.io
import numpy as np
import pytest
from ase.io.trajectory import TrajectoryWriter
from ase.units import Bohr

import salt_files as files
from aiida_ionconduct.readers import ReadingOptions, read_runs

N_FRAMES = 6
RUN = files.salt(N_FRAMES, n_pairs=4)
LONGEST_S = 10
"""Time in s that one read may take; a file of a few kB is read in some ms."""
MEMORY = 2**30
"""Bytes that a read may ask for, numbers in the file notwithstanding."""
TYPED = {'types': ['Li', 'Cl'], 'timestep_fs': 1.0}
INTERVAL = {'dt_ps': 0.1}
STRUCTURE = {'structure': 'start.extxyz'}
"""The first frame, which is written beside files that name no symbols or no cell."""
PYTHON_WORDS = ('could not convert', 'invalid literal', 'cannot reshape', 'not enough values', "'utf-8' codec")
"""How messages of Python and NumPy begin, which tell a user nothing about the file."""
HUGE = (b'9999999999999', b'-1', b'1e308', b'nan', b'inf', b'0', b'4294967297', b'1e-320', b'\xff\xfe', b'**')


def cpx(run):
    """Return positions in bohr with the step and the time in ps, as cp.x writes them."""
    return ''.join(
        f'{100 * frame:8d} {frame * run.dt_ps:.6f}\n' + ''.join(' {:.8f} {:.8f} {:.8f}\n'.format(*row) for row in rows)
        for frame, rows in enumerate(run.positions / Bohr)
    )


def ase_trajectory(run):
    """Return the file of ASE's own binary format."""
    buffer = io.BytesIO()
    with TrajectoryWriter(buffer) as writer:
        for frame in range(len(run.positions)):
            writer.write(files.atoms(run, frame, wrapped=False))
        return buffer.getvalue()


TEXT = {
    'lammps': ('a.lammpstrj', files.lammps_dump(RUN), TYPED),
    'lammps with time': (
        'a.lammpstrj',
        files.lammps_dump(RUN, 'id element xs ys zs', times=[0.1 * k for k in range(N_FRAMES)], units='metal'),
        {},
    ),
    'extxyz': (
        'a.extxyz',
        files.xyz(
            RUN,
            '{lattice} Properties=species:S:1:pos:R:3:id:I:1 pbc="T T T"',
            columns=lambda _, atom: f' {atom + 1}',
        ),
        {**INTERVAL, 'wrapped': False},
    ),
    'gpumd': ('a.xyz', files.gpumd_xyz(RUN), {}),
    'i-PI': ('a.xyz', files.ipi_xyz(RUN), {**INTERVAL, 'wrapped': False}),
    'xdatcar': ('XDATCAR', files.xdatcar(RUN), INTERVAL),
    'CP2K': ('a.xyz', files.cp2k_xyz(RUN), {**STRUCTURE, 'wrapped': False}),
    'cp.x': ('a.pos', cpx(RUN), STRUCTURE),
}
PACKED = {
    'npz': ('a.npz', files.npz(RUN), {'wrapped': False}),
    'traj': ('a.traj', ase_trajectory(RUN), {**INTERVAL, 'wrapped': False}),
    'gz': ('a.lammpstrj.gz', files.COMPRESS['gz'](files.lammps_dump(RUN).encode()), TYPED),
    'bz2': ('a.lammpstrj.bz2', files.COMPRESS['bz2'](files.lammps_dump(RUN).encode()), TYPED),
    'xz': ('a.lammpstrj.xz', files.COMPRESS['xz'](files.lammps_dump(RUN).encode()), TYPED),
}
FORMATS = {**{name: (path, text.encode(), options) for name, (path, text, options) in TEXT.items()}, **PACKED}


@pytest.fixture(autouse=True)
def limits():
    """Limit the memory, and end a read that hangs."""

    def too_long(*_):
        raise TimeoutError(f'reading took more than {LONGEST_S} s')

    before = resource.getrlimit(resource.RLIMIT_AS)
    with open('/proc/self/statm') as handle:
        used = int(handle.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    handler = signal.signal(signal.SIGALRM, too_long)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    resource.setrlimit(resource.RLIMIT_AS, before)


def read_damaged(path, content, options):
    """Return the runs of a file, or none if it is refused with a ValueError that says something."""
    path.write_bytes(content)
    if 'structure' in options:
        options = {**options, 'structure': path.parent / options['structure']}
        if not options['structure'].exists():
            ase.io.write(options['structure'], files.atoms(RUN))
    signal.alarm(LONGEST_S)
    try:
        runs, refusal = read_runs([path], ReadingOptions(temperature_K=600.0, **options)), None
    except ValueError as error:
        runs, refusal = [], str(error)
    finally:
        signal.alarm(0)
    assert refusal is None or (' ' in refusal and not refusal.startswith(PYTHON_WORDS)), refusal
    for run in runs:
        assert run.positions.ndim == 3
        assert np.isfinite(run.positions).all()
        assert run.positions.shape[1] == len(run.symbols)
        assert run.dt_ps > 0
    return runs


def read_prefixes(folder, name, ends):
    """Read the beginnings of a file, and check that the frames are whole and the first ones of the run."""
    file_name, content, options = FORMATS[name]
    n_read = []
    for end in ends:
        for run in read_damaged(folder / file_name, content[:end], options):
            n_read.append(len(run.positions))
            moved, expected = run.positions - run.positions[0], RUN.positions - RUN.positions[0]
            assert n_read[-1] <= N_FRAMES
            np.testing.assert_allclose(moved, expected[: len(moved)], atol=1e-4, err_msg=f'{name}, {end} bytes')
    if name in TEXT:
        assert set(n_read) >= set(range(2, N_FRAMES)), 'whole frames of a file that was cut were lost'


def damaged(content, rng):
    """Return a content with one to three random injuries."""
    for _ in range(rng.integers(1, 4)):
        if not content:
            break
        kind = rng.integers(8)
        at = int(rng.integers(len(content)))
        lines = content.splitlines(keepends=True)
        line = int(rng.integers(len(lines)))
        words = lines[line].split(b' ')
        if kind == 0:
            content = content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]
        elif kind == 1:
            content = content[:at] + content[at + int(rng.integers(1, 200)) :]
        elif kind == 2:
            content = b''.join(lines[: line + 1] + lines[line:])
        elif kind == 3:
            content = b''.join(lines[:line] + lines[line + 1 :])
        elif kind == 4:
            content = content[:at] + b'\0' * int(rng.integers(1, 50)) + content[at:]
        elif kind == 5:
            words[int(rng.integers(len(words)))] = HUGE[int(rng.integers(len(HUGE)))]
            content = b''.join([*lines[:line], b' '.join(words), *lines[line + 1 :]])
        elif kind == 6:
            content = content[:at]
        else:
            other = int(rng.integers(len(lines)))
            lines[line], lines[other] = lines[other], lines[line]
            content = b''.join(lines)
    return content


def read_corruptions(folder, name, seeds):
    """Read a file with random injuries, one for each seed."""
    file_name, content, options = FORMATS[name]
    for seed in seeds:
        try:
            read_damaged(folder / file_name, damaged(content, np.random.default_rng(seed)), options)
        except Exception as error:
            raise AssertionError(f'{name}, corruption {seed}: {error!r}') from error


@pytest.mark.parametrize('name', FORMATS)
def test_prefixes(tmp_path, name):
    """A sample of the beginnings of a file, ends of lines among them."""
    content = FORMATS[name][1]
    lines = np.cumsum([len(line) for line in content.splitlines(keepends=True)])
    sample = np.linspace(0, len(content) - 1, 60).astype(int)
    read_prefixes(tmp_path, name, sorted({*lines[-40:].tolist(), *lines[::7].tolist(), *sample.tolist()}))


@pytest.mark.parametrize('name', FORMATS)
def test_corruptions(tmp_path, name):
    """A hundred random corruptions."""
    read_corruptions(tmp_path, name, range(100))


@pytest.mark.slow
@pytest.mark.parametrize('name', FORMATS)
def test_every_prefix(tmp_path, name):
    """Every beginning of a file."""
    read_prefixes(tmp_path, name, range(len(FORMATS[name][1])))


@pytest.mark.slow
@pytest.mark.parametrize('name', FORMATS)
def test_thousand_corruptions(tmp_path, name):
    """A thousand random corruptions."""
    read_corruptions(tmp_path, name, range(100, 1100))
