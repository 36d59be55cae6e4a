"""The time between frames: every source of it is compared, and frames at unequal times are refused."""

import numpy as np
import pytest

from aiida_ionconduct.readers import ReadingOptions, read_runs
from salt import TYPES, dump, walk, xdatcar, xyz


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a text to a file and reads the runs in it."""

    def read_text(text, name='run.lammpstrj', **options):
        (tmp_path / name).write_text(text)
        types = {'types': TYPES} if name.endswith('lammpstrj') else {}
        return read_runs([tmp_path / name], ReadingOptions(**{**types, **options}))[0]

    return read_text


def source_of_time(run):
    """Return the value and the source of the time between frames, as it is printed."""
    return next((row.value, row.source) for row in run.assumptions if row.subject == 'time between frames')


FS = 100.0 * np.arange(60)


@pytest.mark.parametrize('options', [{'timestep_fs': 1.0}, {'dt_ps': 0.1}, {'timestep_fs': 1.0, 'dt_ps': 0.1}])
@pytest.mark.parametrize('unit', [1.0, 1e-3], ids=['fs', 'ps'])
def test_time_without_units(read, options, unit):
    """Whether ITEM: TIME is in fs or in ps follows from the steps or the option."""
    run = read(dump(walk(), times=unit * FS), **options)
    assert run.dt_ps == pytest.approx(0.1)
    assert f'ITEM: TIME in {"fs" if unit == 1 else "ps"}' in source_of_time(run)[1]


def test_time_without_units_alone(read):
    """ITEM: TIME without units is not taken as ps: the message asks for an option."""
    with pytest.raises(ValueError, match=r'ITEM: TIME has no unit \(ps or fs\). Give --dt-ps, or --timestep-fs'):
        read(dump(walk(), times=FS))


@pytest.mark.parametrize(
    ('head', 'options', 'says'),
    [
        (
            'ITEM: UNITS\nreal',
            {'timestep_fs': 2.0},
            r'0\.2 ps by ITEM: TIMESTEP × --timestep-fs, but 0\.1 ps by ITEM: TIME',
        ),
        ('ITEM: UNITS\nmetal', {'dt_ps': 0.1}, r'100 ps by ITEM: TIME, but 0\.1 ps by --dt-ps'),
        ('', {'timestep_fs': 2.0}, r'0\.2 ps by .* but ITEM: TIME differs by 100'),
        ('ITEM: UNITS\nreal', {'timestep_fs': 1.0, 'dt_ps': 0.2}, r'0\.1 ps by .* but 0\.2 ps by --dt-ps'),
    ],
)
def test_times_that_contradict(read, head, options, says):
    """Two sources that differ are refused, and both are named."""
    with pytest.raises(ValueError, match=says):
        read(dump(walk(), times=FS, head=head), **options)


def test_steps_are_not_known_times(read):
    with pytest.raises(ValueError, match=r'it numbers MD steps. Give --timestep-fs, or --dt-ps'):
        read(dump(walk()))


LOG = np.unique(np.round(np.geomspace(1, 6000, 60) / 100).astype(int) * 100)


@pytest.mark.parametrize('options', [{'timestep_fs': 1.0}, {'dt_ps': 0.1}, {'timestep_fs': 1.0, 'dt_ps': 0.1}])
@pytest.mark.parametrize(
    ('steps', 'says'),
    [
        (LOG, 'Write frames at a constant interval'),
        ([*range(0, 3000, 100), *range(9000, 12000, 100)], r'from 2900 to 9000 between frames 29 and 30.*--discard-ps'),
        ([0, 39, *range(100, 5900, 100)], r'from 0 to 39 between frames 0 and 1.*--discard-ps'),
    ],
    ids=['logarithmic', 'hole', 'minimisation'],
)
def test_unequal_steps(read, steps, says, options):
    """Frames at unequal steps are refused whatever option is given, and the first of them is named."""
    with pytest.raises(ValueError, match=says):
        read(dump(walk(len(steps)), steps=steps), **options)


@pytest.mark.parametrize('options', [{'timestep_fs': 1.0}, {'dt_ps': 0.1}])
@pytest.mark.parametrize('before', [[0, 39], [0, 17, 39], [0, 10, 20, 30, 99]])
def test_advice_to_discard_works(read, before, options):
    """The time that the message says to discard leaves frames at one interval."""
    steps = [*before, *range(100, 5000, 100)]
    text = dump(walk(len(steps)), steps=steps)
    with pytest.raises(ValueError, match='--discard-ps') as refused:
        read(text, **options)
    advice = float(str(refused.value).partition('--discard-ps ')[2].split()[0])
    run = read(text, discard_ps=advice, **options)
    assert run.dt_ps == pytest.approx(0.1)
    assert run.steps[0] == 100
    assert ('discarded', '--discard-ps') in [(row.subject, row.source) for row in run.assumptions]


def test_discard_everything(read):
    with pytest.raises(ValueError, match=r'--discard-ps 99 leaves nothing of the 5.9 ps'):
        read(dump(walk()), timestep_fs=1.0, discard_ps=99.0)


def test_xdatcar_counts_frames(read):
    """Frames numbered 1, 2, 3, … do not tell the MD steps between them."""
    with pytest.raises(ValueError, match='--dt-ps, which is NBLOCK × POTIM / 1000'):
        read(xdatcar(walk()), 'XDATCAR', timestep_fs=1.0)


@pytest.mark.parametrize(
    'options', [{'dt_ps': 0.1}, {'timestep_fs': 1.0, 'nblock': 100}, {'timestep_fs': 2.0, 'dt_ps': 0.1}]
)
def test_xdatcar_with_its_interval(read, options):
    """The interval of the option is taken for frames numbered 1, 2, 3, …."""
    assert read(xdatcar(walk()), 'XDATCAR', **options).dt_ps == pytest.approx(0.1)


def test_xdatcar_numbered_by_nblock(read):
    """Frames numbered by MD steps give the interval with the MD step, and a contradicting NBLOCK is refused."""
    text = xdatcar(walk(), range(100, 6001, 100))
    assert read(text, 'XDATCAR', timestep_fs=1.0).dt_ps == pytest.approx(0.1)
    with pytest.raises(ValueError, match='counts 100 steps from frame to frame, but --nblock says 10'):
        read(text, 'XDATCAR', timestep_fs=1.0, nblock=10)


def test_xdatcar_no_whole_steps(read):
    with pytest.raises(ValueError, match=r'--dt-ps 0\.1 is no whole number of steps of --timestep-fs 3'):
        read(xdatcar(walk()), 'XDATCAR', timestep_fs=3.0, dt_ps=0.1)


@pytest.mark.parametrize(
    ('key', 'options'),
    [
        ('time_fs={fs}', {}),
        ('Step={frame}00', {'timestep_fs': 1.0}),
        ('Timestep={frame}00', {'timestep_fs': 1.0}),
        ('step={frame}00 time={fs}', {'timestep_fs': 1.0}),
        ('time={fs}', {'dt_ps': 0.1}),
        ('energy=-1', {'dt_ps': 0.1}),
    ],
)
def test_time_of_comments(read, key, options):
    """Steps and times in the comments of extended XYZ are understood."""
    comment = f'Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3 {key}'
    assert read(xyz(walk(), comment), 'run.xyz', **options).dt_ps == pytest.approx(0.1)


@pytest.mark.parametrize(
    'comment',
    [
        'Time={fs} pbc="T T T" Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3',
        ' i = {frame}00, time = {fs}, E = -518.25 Lattice="12 0 0 0 12 0 0 0 12"',
    ],
    ids=['GPUMD', 'CP2K'],
)
def test_programs_whose_time_is_in_fs(read, comment):
    """GPUMD and CP2K write times in fs."""
    assert read(xyz(walk(), comment), 'run.xyz').dt_ps == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r'0\.1 ps by .*ime= of the comments, but 0\.5 ps by --dt-ps'):
        read(xyz(walk(), comment), 'run.xyz', dt_ps=0.5)


def test_time_of_an_archive_against_the_option(tmp_path):
    np.savez(tmp_path / 'run.npz', positions=walk(), symbols=['Li'] * 16, cell=12 * np.eye(3), dt_ps=0.1)
    with pytest.raises(ValueError, match=r'0\.1 ps by array dt of the file, but 0\.2 ps by --dt-ps'):
        read_runs([tmp_path / 'run.npz'], ReadingOptions(dt_ps=0.2))


def test_faster_than_thermal(read):
    """Atoms cannot move further than freely: then frames were counted, not steps."""
    steps = range(60)
    with pytest.raises(ValueError, match=r'times faster than at its thermal velocity at 600 K.*Give --dt-ps'):
        read(dump(walk(), steps=steps), timestep_fs=1.0, temperature_K=600.0)
    assert read(dump(walk(), steps=steps), dt_ps=0.1, temperature_K=600.0).notes == []
    assert 'WARNING' in read(dump(walk(), steps=steps), dt_ps=0.001, temperature_K=600.0).notes[0]


@pytest.mark.parametrize('name', ['dt_ps', 'timestep_fs', 'temperature_K', 'nblock'])
@pytest.mark.parametrize('value', [0, -1, float('nan'), float('inf')])
def test_options_that_cannot_be(name, value):
    with pytest.raises(ValueError, match='must be above zero'):
        ReadingOptions(**{name: value})


def test_negative_discard():
    with pytest.raises(ValueError, match='must not be negative'):
        ReadingOptions(discard_ps=-5.0)


def test_steps_that_differ_between_files(tmp_path):
    """One time between frames does not hold for files with different steps between frames: both files are named."""
    for name, gap in (('a.lammpstrj', 100), ('b.lammpstrj', 200)):
        (tmp_path / name).write_text(dump(walk(seed=gap), steps=range(0, 60 * gap, gap)))
    paths = [tmp_path / 'a.lammpstrj', tmp_path / 'b.lammpstrj']
    with pytest.raises(ValueError, match=r'100 in .*a\.lammpstrj.*200 in .*b\.lammpstrj.*--timestep-fs'):
        read_runs(paths, ReadingOptions(types=TYPES, dt_ps=0.1))
    assert [run.dt_ps for run in read_runs(paths, ReadingOptions(types=TYPES, timestep_fs=1.0))] == [0.1, 0.2]
