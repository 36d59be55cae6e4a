"""`aiida-ionconduct analyse` on files as strangers write them: the right number, or what is wrong and what to do.

Each case is a set of files and a command as a user would type it. The number of a right case is held against
`transport.analyse` on the arrays that the files were written from. Where a refusal advises another command, that
command is run too.
"""

import json
import re
import shlex
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from click.testing import CliRunner

import salt_files as files
from aiida_ionconduct.cli import cli
from aiida_ionconduct.transport import analyse

RUN = files.salt()
OTHER_SEED = files.salt(seed=1)
LONG = files.salt(400)
LAMMPS = '-T 600 --timestep-fs 1 --types Li,Cl'
STEPS = [100 * frame for frame in range(len(RUN.positions))]


def run_command(command):
    """Return the result of a command line as it is typed, without `aiida-ionconduct`."""
    return CliRunner().invoke(cli, shlex.split(command), catch_exceptions=True)


def conductivities(command):
    """Return the results of an `analyse` command that must work."""
    result = run_command(f'analyse {command} --format json')
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(command):
    """Return what a command says that must be refused with a message."""
    result = run_command(f'analyse {command}')
    assert result.exit_code in (1, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert 'Traceback' not in result.output
    assert 'Aborted' not in result.output
    return re.sub(r'\s+', ' ', result.output)


def reference(*runs, **options):
    """Return the result of the library on the arrays."""
    settings = {'temperature_K': runs[0].temperature_K, 'dt_ps': runs[0].dt_ps, 'unwrapped': True, **options}
    positions = [run.positions for run in runs]
    return analyse(positions, list(runs[0].symbols), {'Li': 1, 'Cl': -1}, runs[0].cell, **settings).attributes()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Change into an empty folder, and return a function that writes files there."""
    monkeypatch.chdir(tmp_path)
    ase.io.write('licl.extxyz', files.atoms(RUN), columns=['symbols', 'positions'])

    def write(contents):
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def mixed_order(run):
    """Return the frames with Li and Cl in turns."""
    order = np.arange(64).reshape(2, 32).T.ravel()
    return order, [run.symbols[index] for index in order]


def one_type_swaps(text):
    """Return a dump in which atoms 1 and 64 change their types in the second half."""
    head, middle, tail = text.partition('ITEM: TIMESTEP\n10000\n')
    tail = re.sub(r'^1 1 ', '1 9 ', tail, flags=re.MULTILINE)
    tail = re.sub(r'^64 2 ', '64 1 ', tail, flags=re.MULTILINE)
    return head + middle + re.sub(r'^1 9 ', '1 2 ', tail, flags=re.MULTILINE)


# Name of the case: the files, and the command; the run is RUN and the number that of the library.
RIGHT = {
    'time in ps, with units': (
        {'a.lammpstrj': files.lammps_dump(RUN, times=[0.1 * k for k in range(200)], units='metal')},
        'a.lammpstrj -T 600 --types Li,Cl',
    ),
    'time in fs, with units': (
        {'a.lammpstrj': files.lammps_dump(RUN, times=STEPS, units='real')},
        'a.lammpstrj -T 600 --types Li,Cl',
    ),
    'time in fs, no units, but the time step': (
        {'a.lammpstrj': files.lammps_dump(RUN, times=STEPS)},
        f'a.lammpstrj {LAMMPS}',
    ),
    'time in ps, no units, but the time step': (
        {'a.lammpstrj': files.lammps_dump(RUN, times=[0.1 * k for k in range(200)])},
        f'a.lammpstrj {LAMMPS}',
    ),
    'rows shuffled, with id': (
        {'a.lammpstrj': files.lammps_dump(RUN, shuffled=True)},
        f'a.lammpstrj {LAMMPS}',
    ),
    'no id, rows in one order': (
        {'a.lammpstrj': files.lammps_dump(RUN, 'type xu yu zu')},
        f'a.lammpstrj {LAMMPS}',
    ),
    'extxyz with id, rows shuffled': (
        {
            'a.extxyz': files.xyz(
                RUN,
                '{lattice} Properties=species:S:1:pos:R:3:id:I:1 pbc="T T T"',
                columns=lambda frame, atom: f' {atom + 1}',
                shuffled=True,
            )
        },
        'a.extxyz -T 600 --dt-ps 0.1',
    ),
    'element column all C, with --types': (
        {'a.lammpstrj': files.lammps_dump(RUN, 'id type element xu yu zu', words={'element': ['C'] * 64})},
        f'a.lammpstrj {LAMMPS}',
    ),
    'type labels in the column type': (
        {'a.lammpstrj': files.lammps_dump(RUN, words={'type': RUN.symbols})},
        'a.lammpstrj -T 600 --timestep-fs 1',
    ),
    'type labels in the column typelabel': (
        {'a.lammpstrj': files.lammps_dump(RUN, 'id typelabel xu yu zu', words={'typelabel': RUN.symbols})},
        'a.lammpstrj -T 600 --timestep-fs 1',
    ),
    'data file of LAMMPS as structure': (
        {'a.lammpstrj': files.lammps_dump(RUN), 'conf.data': files.lammps_data(RUN)},
        'a.lammpstrj -T 600 --timestep-fs 1 --structure conf.data',
    ),
    'wrapped into [-L/2, L/2)': (
        {'a.extxyz': files.xyz(RUN, files.EXTXYZ, positions=RUN.wrapped(-0.5))},
        'a.extxyz -T 600 --dt-ps 0.1',
    ),
    'wrapped dump, given as such': (
        {'a.lammpstrj': files.lammps_dump(RUN, 'id type x y z')},
        f'a.lammpstrj {LAMMPS} --wrapped',
    ),
    'unwrapped extxyz, given as such': (
        {'a.extxyz': files.xyz(RUN, files.EXTXYZ)},
        'a.extxyz -T 600 --dt-ps 0.1 --unwrapped',
    ),
    'GPUMD': ({'dump.xyz': files.gpumd_xyz(RUN)}, 'dump.xyz -T 600'),
    'npz without a cell': (
        {'a.npz': files.npz(RUN, cell=None, positions=RUN.wrapped())},
        'a.npz --structure licl.extxyz',
    ),
    'XDATCAR numbered 1, 2, 3, with --dt-ps': ({'XDATCAR': files.xdatcar(RUN)}, 'XDATCAR -T 600 --dt-ps 0.1'),
    'XDATCAR numbered 1, 2, 3, with --nblock': (
        {'XDATCAR': files.xdatcar(RUN)},
        'XDATCAR -T 600 --timestep-fs 1 --nblock 100',
    ),
    'XDATCAR numbered by steps': (
        {'XDATCAR': files.xdatcar(RUN, numbers=[100 * (k + 1) for k in range(200)])},
        'XDATCAR -T 600 --timestep-fs 1',
    ),
    'XDATCAR with stars': (
        {'XDATCAR': files.xdatcar(RUN, numbers=[100 * k + 990_000 if k < 100 else '******' for k in range(200)])},
        'XDATCAR -T 600 --dt-ps 0.1',
    ),
    'XDATCAR that leaves the cell': (
        {'XDATCAR': files.xdatcar(RUN, wrapped=False)},
        'XDATCAR -T 600 --dt-ps 0.1',
    ),
    'XDATCAR of VASP 6.4': (
        {'XDATCAR': files.xdatcar(RUN, species='Li_sv/b2a8 Cl/94a1', title='unknown system')},
        'XDATCAR -T 600 --dt-ps 0.1',
    ),
    'XDATCAR of VASP 4': (
        {'XDATCAR': files.xdatcar(RUN, species=None)},
        'XDATCAR -T 600 --dt-ps 0.1 --types Li,Cl',
    ),
    'species Li+ and Cl-': (
        {'a.extxyz': files.xyz(RUN, files.EXTXYZ, species=['Li+'] * 32 + ['Cl-'] * 32)},
        'a.extxyz -T 600 --dt-ps 0.1',
    ),
    'numeric species': (
        {'a.extxyz': files.xyz(RUN, '{lattice} Properties=species:S:1:pos:R:3', species=[3] * 32 + [17] * 32)},
        'a.extxyz -T 600 --dt-ps 0.1',
    ),
    'atomic numbers in Z': (
        {'a.extxyz': files.xyz(RUN, '{lattice} Properties=Z:I:1:pos:R:3', species=[3] * 32 + [17] * 32)},
        'a.extxyz -T 600 --dt-ps 0.1',
    ),
    'quoted Properties': (
        {'a.xyz': files.xyz(RUN, '{lattice} Properties="species:S:1:pos:R:3" pbc="T T T"')},
        'a.xyz -T 600 --dt-ps 0.1',
    ),
    'CP2K': ({'cp2k-pos-1.xyz': files.cp2k_xyz(RUN)}, 'cp2k-pos-1.xyz -T 600 --structure licl.extxyz'),
    'i-PI in Å': ({'a.xyz': files.ipi_xyz(RUN)}, 'a.xyz -T 600 --dt-ps 0.1'),
    'i-PI in bohr': ({'a.xyz': files.ipi_xyz(RUN, 'atomic_unit')}, 'a.xyz -T 600 --timestep-fs 1'),
    'one species X, with --structure': (
        {'a.xyz': files.xyz(RUN, files.EXTXYZ, species=['X'] * 64)},
        'a.xyz -T 600 --dt-ps 0.1 --structure licl.extxyz',
    ),
    'dump xyz of LAMMPS with types': (
        {'a.xyz': files.xyz(RUN, lambda frame: f'Atoms. Timestep: {100 * frame}', species=[1] * 32 + [2] * 32)},
        'a.xyz -T 600 --timestep-fs 1 --types Li,Cl --structure licl.extxyz',
    ),
    'segments of one run': (
        {
            'b.lammpstrj': files.lammps_dump(RUN[120:], steps=STEPS[120:]),
            'a.lammpstrj': files.lammps_dump(RUN[:120], steps=STEPS[:120]),
        },
        f'a.lammpstrj b.lammpstrj {LAMMPS}',
    ),
    'segments of one run, wrapped': (
        {
            'a.lammpstrj': files.lammps_dump(RUN[:120], 'id type x y z'),
            'b.lammpstrj': files.lammps_dump(RUN[120:], 'id type x y z', steps=STEPS[120:]),
        },
        f'b.lammpstrj a.lammpstrj {LAMMPS}',
    ),
    'segments that overlap': (
        {
            'a.lammpstrj': files.lammps_dump(RUN[:120]),
            'b.lammpstrj': files.lammps_dump(RUN[100:], steps=STEPS[100:]),
        },
        f'a.lammpstrj b.lammpstrj {LAMMPS}',
    ),
    'two XDATCARs of one run in one file': (
        {'XDATCAR': files.xdatcar(RUN[:80]) + files.xdatcar(RUN[80:])},
        'XDATCAR -T 600 --dt-ps 0.1',
    ),
    'steps numbered anew': (
        {'a.lammpstrj': files.lammps_dump(RUN, steps=STEPS[:100] + STEPS[:100])},
        f'a.lammpstrj {LAMMPS}',
    ),
    'lines that end as on Windows': (
        {'dump.xyz': files.gpumd_xyz(RUN).replace('\n', '\r\n')},
        'dump.xyz -T 600',
    ),
    'species in capitals': (
        {'a.extxyz': files.xyz(RUN, files.EXTXYZ, species=['LI'] * 32 + ['CL'] * 32)},
        'a.extxyz -T 600 --dt-ps 0.1',
    ),
    'restart that repeats frames': (
        {'a.lammpstrj': files.lammps_dump(RUN[[*range(120), *range(100, 200)]], steps=STEPS[:120] + STEPS[100:])},
        f'a.lammpstrj {LAMMPS}',
    ),
    'one file for each frame': (
        {f'dump.{step}': files.lammps_dump(RUN[k : k + 1], steps=[step]) for k, step in enumerate(STEPS)},
        f'{" ".join(f"dump.{step}" for step in STEPS)} {LAMMPS}',
    ),
    'minimisation frame first, discarded': (
        {'a.lammpstrj': files.lammps_dump(RUN[[0, *range(200)]], steps=[0, *(57 + step for step in STEPS)])},
        f'a.lammpstrj {LAMMPS} --discard-ps 0.05',
    ),
    'charges as the message names them': (
        {'a.lammpstrj': files.lammps_dump(RUN)},
        f'a.lammpstrj {LAMMPS} --charges Li=1 Cl=-1',
    ),
}


@pytest.mark.parametrize('case', RIGHT)
def test_right_number(here, case):
    """The conductivity is that of the arrays, within the rounding of the file."""
    contents, command = RIGHT[case]
    here(contents)
    (conductivity,) = conductivities(command)
    expected = reference(RUN)
    for name in ('sigma_full_S_per_cm', 'sigma_tracer_S_per_cm'):
        assert conductivity[name] == pytest.approx(expected[name], rel=1e-3), name


HOPS = files.hopping_salt()
ROWS = [np.r_[order[order < 32], order[order >= 32]] for order in files.orders(len(RUN.positions), 64, True)]
SHUFFLED = replace(RUN, positions=np.array([x[rows] for x, rows in zip(RUN.positions, ROWS, strict=True)]))
GAP = [step if frame < 100 else step + 30_000 for frame, step in enumerate(STEPS)]
LOG = sorted({int(1.6**k) for k in range(20)} | {0})
ORDER, MIXED = mixed_order(RUN)

# Name of the case: the files, the command, what the refusal says, and the advised command that gives the number of RUN.
REFUSED = {
    'time without units': (
        {'a.lammpstrj': files.lammps_dump(RUN, times=STEPS)},
        'a.lammpstrj -T 600 --types Li,Cl',
        'TIME has no unit.*--timestep-fs',
        f'a.lammpstrj {LAMMPS}',
    ),
    'time against the time step': (
        {'a.lammpstrj': files.lammps_dump(RUN, times=STEPS, units='real')},
        'a.lammpstrj -T 600 --types Li,Cl --timestep-fs 2',
        r'0\.1.*0\.2|0\.2.*0\.1',
        None,
    ),
    'time against --dt-ps': (
        {'a.lammpstrj': files.lammps_dump(RUN)},
        f'a.lammpstrj {LAMMPS} --dt-ps 1',
        '--dt-ps',
        None,
    ),
    'extxyz time against --dt-ps': ({'dump.xyz': files.gpumd_xyz(RUN)}, 'dump.xyz -T 600 --dt-ps 1', '--dt-ps', None),
    'XDATCAR numbered 1, 2, 3': (
        {'XDATCAR': files.xdatcar(RUN)},
        'XDATCAR -T 600 --timestep-fs 1',
        'NBLOCK.*--dt-ps|--dt-ps.*NBLOCK',
        'XDATCAR -T 600 --dt-ps 0.1',
    ),
    'log-spaced frames': (
        {'a.lammpstrj': files.lammps_dump(RUN[: len(LOG)], steps=LOG)},
        f'a.lammpstrj {LAMMPS}',
        'equally spaced',
        None,
    ),
    'log-spaced frames with --dt-ps': (
        {'a.lammpstrj': files.lammps_dump(RUN[: len(LOG)], steps=LOG)},
        'a.lammpstrj -T 600 --types Li,Cl --dt-ps 0.1',
        'equally spaced',
        None,
    ),
    'a hole': (
        {'a.lammpstrj': files.lammps_dump(RUN, steps=GAP)},
        f'a.lammpstrj {LAMMPS}',
        'equally spaced.*frame (99|100)',
        None,
    ),
    'a hole with --dt-ps': (
        {'a.lammpstrj': files.lammps_dump(RUN, steps=GAP)},
        'a.lammpstrj -T 600 --types Li,Cl --dt-ps 0.1',
        'equally spaced.*frame (99|100)',
        None,
    ),
    'minimisation frame first': (
        {'a.lammpstrj': files.lammps_dump(RUN[[0, *range(200)]], steps=[0, *(57 + step for step in STEPS)])},
        f'a.lammpstrj {LAMMPS}',
        'equally spaced.*--discard-ps',
        f'a.lammpstrj {LAMMPS} --discard-ps 0.05',
    ),
    'two runs in one file': (
        {
            'a.lammpstrj': files.lammps_dump(RUN[:150], steps=STEPS[:150])
            + files.lammps_dump(OTHER_SEED[100:], steps=STEPS[100:])
        },
        f'a.lammpstrj {LAMMPS}',
        'step',
        None,
    ),
    'no id, rows shuffled': (
        {'a.lammpstrj': files.lammps_dump(RUN, 'type xu yu zu', shuffled=True)},
        f'a.lammpstrj {LAMMPS}',
        'sort id',
        None,
    ),
    'extxyz without id, rows of one species shuffled': (
        {'a.extxyz': files.xyz(SHUFFLED, files.EXTXYZ)},
        'a.extxyz -T 600 --dt-ps 0.1',
        'change places',
        None,
    ),
    'two runs in one XDATCAR': (
        {'XDATCAR': files.xdatcar(RUN[:80]) + files.xdatcar(OTHER_SEED[:80])},
        'XDATCAR -T 600 --dt-ps 0.1',
        'two runs',
        None,
    ),
    'types against the species of an XDATCAR': (
        {'XDATCAR': files.xdatcar(RUN)},
        'XDATCAR -T 600 --dt-ps 0.1 --types Cl,Li',
        'leave out --types',
        'XDATCAR -T 600 --dt-ps 0.1',
    ),
    'an id changes its type': (
        {'a.lammpstrj': one_type_swaps(files.lammps_dump(RUN))},
        f'a.lammpstrj {LAMMPS}',
        'id 1 .*frame 100|frame 100.*id 1 ',
        None,
    ),
    'types against the structure': (
        {'a.lammpstrj': files.lammps_dump(RUN)},
        'a.lammpstrj -T 600 --timestep-fs 1 --types Cl,Li --structure licl.extxyz',
        '--types.*--structure|--structure.*--types',
        f'a.lammpstrj {LAMMPS} --structure licl.extxyz',
    ),
    'types against the column element': (
        {'a.lammpstrj': files.lammps_dump(RUN, 'id type element xu yu zu')},
        'a.lammpstrj -T 600 --timestep-fs 1 --types Cl,Li',
        '--types',
        'a.lammpstrj -T 600 --timestep-fs 1',
    ),
    'structure in another order': (
        {
            'a.lammpstrj': files.lammps_dump(RUN),
            'mixed.xyz': files.xyz(RUN[:1], files.EXTXYZ, positions=RUN.positions[:1, ORDER], species=MIXED),
        },
        'a.lammpstrj -T 600 --timestep-fs 1 --structure mixed.xyz',
        'order',
        None,
    ),
    'structure of other atoms': (
        {'a.lammpstrj': files.lammps_dump(RUN), 'cl.xyz': '1\nLattice="9 0 0 0 9 0 0 0 9"\nCl 0 0 0\n'},
        'a.lammpstrj -T 600 --timestep-fs 1 --structure cl.xyz',
        'atoms',
        None,
    ),
    'structure of no known format': (
        {'a.lammpstrj': files.lammps_dump(RUN), 'notes.txt': 'a, b, c'},
        'a.lammpstrj -T 600 --timestep-fs 1 --structure notes.txt',
        'notes.txt',
        None,
    ),
    'coarse frames of a wrapped run': (
        {'XDATCAR': files.xdatcar(HOPS)},
        'XDATCAR -T 600 --dt-ps 5',
        r'frames too far apart.*every 0\.\d+ ps',
        None,
    ),
    'plain XYZ without a cell': (
        {'cp2k.xyz': files.cp2k_xyz(RUN)},
        'cp2k.xyz -T 600',
        '--structure',
        'cp2k.xyz -T 600 --structure licl.extxyz',
    ),
    'XDATCAR of VASP 4 without symbols': (
        {'XDATCAR': files.xdatcar(RUN, species=None)},
        'XDATCAR -T 600 --dt-ps 0.1',
        '--types|--structure',
        'XDATCAR -T 600 --dt-ps 0.1 --structure licl.extxyz',
    ),
    'junk that is called .gz': (
        {'a.lammpstrj.gz': bytes.fromhex('1f8b086a756e6b')},
        f'a.lammpstrj.gz {LAMMPS}',
        'a.lammpstrj.gz',
        None,
    ),
    'empty file': ({'a.lammpstrj': ''}, f'a.lammpstrj {LAMMPS}', 'a.lammpstrj', None),
    'temperature against the files': ({'a.npz': files.npz(RUN)}, 'a.npz -T 900', '600', 'a.npz'),
    'time to discard below zero': ({'a.npz': files.npz(RUN)}, 'a.npz --discard-ps -5', '--discard-ps', None),
    'everything discarded': ({'a.npz': files.npz(RUN)}, 'a.npz --discard-ps 50', '--discard-ps|discard', None),
    'interval of zero': ({'a.npz': files.npz(RUN)}, 'a.npz --dt-ps 0', '--dt-ps', None),
    'no known format': ({'a.foo': 'nothing'}, 'a.foo -T 600', '--file-format', None),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refusal_with_advice_that_works(here, case):
    """The message names what is wrong; the command that it advises gives the right number."""
    contents, command, says, advised = REFUSED[case]
    here(contents)
    message = refusal(command)
    assert re.search(says, message), message
    if advised:
        (conductivity,) = conductivities(advised)
        assert conductivity['sigma_full_S_per_cm'] == pytest.approx(reference(RUN)['sigma_full_S_per_cm'], rel=1e-3)


@pytest.mark.parametrize('suffix', files.COMPRESS)
def test_compressed(here, suffix):
    """A compressed dump gives the same number."""
    here({f'a.lammpstrj.{suffix}': files.COMPRESS[suffix](files.lammps_dump(RUN).encode())})
    (conductivity,) = conductivities(f'a.lammpstrj.{suffix} {LAMMPS}')
    assert conductivity['sigma_full_S_per_cm'] == pytest.approx(reference(RUN)['sigma_full_S_per_cm'], rel=1e-3)


def test_truncated_gzip(here):
    """Of a compressed dump that was cut, the whole frames count, and the user is told; or it is refused."""
    packed = files.COMPRESS['gz'](files.lammps_dump(LONG).encode())
    here({'a.lammpstrj.gz': packed[: len(packed) // 2]})
    result = run_command(f'analyse a.lammpstrj.gz {LAMMPS}')
    assert 'Aborted' not in result.output
    assert re.search('cut|truncated|ends|incomplete', result.output), result.output
    assert isinstance(result.exception, SystemExit) or result.exception is None
    if result.exit_code == 0:
        (conductivity,) = conductivities(f'a.lammpstrj.gz {LAMMPS}')
        assert 100 < conductivity['n_frames'] < 300


def test_exact_conductivity(here):
    """The exact value, n q² D / (V k T) = 0.06197 S/cm, lies in the interval of a longer run."""
    here({'a.lammpstrj': files.lammps_dump(files.salt(1500, seed=2), 'id type x y z', digits=7)})
    (conductivity,) = conductivities(f'a.lammpstrj {LAMMPS}')
    low, high = conductivity['sigma_tracer_ci95']
    assert low < 0.06197 < high


def test_hops_of_an_unwrapped_run(here):
    """Truly unwrapped positions of fast ions in a small cell are taken as they are."""
    here({'a.lammpstrj': files.lammps_dump(HOPS, steps=[5000 * k for k in range(400)])})
    (conductivity,) = conductivities(f'a.lammpstrj {LAMMPS}')
    assert conductivity['sigma_full_S_per_cm'] == pytest.approx(reference(HOPS)['sigma_full_S_per_cm'], rel=1e-3)


def test_cell_is_the_mean_over_all_frames(here):
    """Of an NVT and an NPT XDATCAR in one file, the volume is the mean over all frames."""
    lengths = np.where(np.arange(200)[:, None] < 80, 20.0, 21.0) * np.ones(3)
    run = replace(RUN, positions=RUN.positions * lengths[:, None] / 20, lengths=lengths)
    here({'XDATCAR': files.xdatcar(run, headers=(0, 80))})
    (conductivity,) = conductivities('XDATCAR -T 600 --dt-ps 0.1')
    assert conductivity['volume_A3'] == pytest.approx((80 * 20**3 + 120 * 21**3) / 200, rel=3e-3)


def test_two_temperatures_are_two_results(here):
    """Files that state 600 K and 900 K are analysed one temperature after the other."""
    here({'600.npz': files.npz(RUN), '900.npz': files.npz(OTHER_SEED, temperature_K=900.0)})
    results = conductivities('600.npz 900.npz')
    assert [result['temperature_K'] for result in results] == [600, 900]
    assert [result['n_seeds'] for result in results] == [1, 1]


def test_segments_are_one_seed(here):
    """Two segments of one run are not two independent seeds."""
    here({'a.lammpstrj': files.lammps_dump(RUN[:120]), 'b.lammpstrj': files.lammps_dump(RUN[120:], steps=STEPS[120:])})
    (conductivity,) = conductivities(f'a.lammpstrj b.lammpstrj {LAMMPS}')
    assert conductivity['n_seeds'] == 1


def test_unequal_seeds_are_whole_or_it_is_said(here):
    """Of seeds of 400 and 60 frames nothing is dropped, or the result says what."""
    here({'a.npz': files.npz(LONG), 'b.npz': files.npz(OTHER_SEED[:60])})
    (conductivity,) = conductivities('a.npz b.npz')
    said = json.dumps([conductivity.get('warnings'), conductivity.get('assumptions')])
    assert re.search(r'\b60\b|5\.9 ps|cut|length', said), said


def test_assumptions_are_stated(here):
    """The time between frames, the order of the atoms, the wrapping and the cell are in the output and in the JSON."""
    here({'a.lammpstrj': files.lammps_dump(RUN, 'id type x y z')})
    (conductivity,) = conductivities(f'a.lammpstrj {LAMMPS}')
    stated = json.dumps(conductivity['assumptions'])
    printed = run_command(f'analyse a.lammpstrj {LAMMPS}').output
    for subject in ('time between frames', 'order of atoms', 'wrapping', 'cell'):
        assert subject in stated
        assert subject in printed
