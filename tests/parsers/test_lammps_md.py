"""`LammpsMdParser` on stored output of real runs."""

import io
import pathlib
import random
import shutil
import tempfile
import tracemalloc

import ase.io
import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.lammps.log import read_log
from aiida_ionconduct.parsers.lammps_md import LammpsMdParser
from model_files import compiled
from parser_fingerprints import check_fingerprint

ENTRY_POINT = 'ionconduct.lammps.md'
FIXTURES = pathlib.Path(__file__).parent / 'fixtures' / 'lammps_md'
PARAMETERS = {
    'temperature_K': 900.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 40,
    'production_steps': 100,
    'seeds': [7],
    'frame_stride': 20,
    'com_stride': 5,
    'thermo_stride': 10,
}
FILES = ('trajectory.bin', 'centres_of_mass.txt')


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Return a function that parses a folder of outputs, after changing its files."""

    def parse(case, structure='structure', change=None, start=None, attributes=None, **parameters):
        retrieved, temporary = (pathlib.Path(tempfile.mkdtemp(dir=tmp_path)) for _ in range(2))
        for path in (FIXTURES / case).iterdir():
            shutil.copy(path, retrieved if path.name == 'lammps.log' else temporary)
        if change:
            change(retrieved, temporary)
        inputs = {
            'model': AllegroModelData(io.BytesIO(compiled()), filename='m.nequip.pt2'),
            'structure': orm.StructureData(ase=ase.io.read(FIXTURES / f'{structure}.xyz')),
            'parameters': orm.Dict({**PARAMETERS, **parameters}),
        }
        if start:
            inputs['restart'] = orm.SinglefileData(FIXTURES / 'default' / 'production.restart')
            inputs['restart'].base.attributes.set_many(start)
        attributes = {'output_filename': 'lammps.log', **(attributes or {})}
        node = generate_calc_job_node(ENTRY_POINT, retrieved, inputs, attributes)
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(temporary)
        )
        assert calcfunction.is_finished
        assert calcfunction.exception is None
        return results, calcfunction

    return parse


def test_default(parse, data_regression):
    """All that is stored of a run which came to its end."""
    results, calcfunction = parse('default')
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    trajectory = results['trajectories']['seed7']
    assert trajectory.positions.shape == (6, 17, 3)
    assert trajectory.centres_of_mass.shape == (21, 4, 3)
    data_regression.check(
        {
            'trajectory': trajectory.base.attributes.all,
            'output_parameters': results['output_parameters']['seed7'].get_dict(),
        },
        round_digits=6,
    )


@pytest.mark.parametrize(('case', 'structure'), [('default', 'structure'), ('rotated', 'rotated')])
def test_orientation(case, structure, parse):
    """Positions belong to the input structure's cell, and the centres of mass are those of the positions."""
    results, _ = parse(case, structure)
    trajectory = results['trajectories']['seed7']
    atoms = ase.io.read(FIXTURES / f'{structure}.xyz')
    assert np.allclose(trajectory.cell, atoms.cell)
    # 40 fs after the start no atom is far from where it was; in LAMMPS' own frame they are several Å away.
    assert np.linalg.norm(trajectory.positions[0] - atoms.positions, axis=1).max() < 0.6
    masses, symbols = atoms.get_masses(), np.array(trajectory.symbols)
    for index, species in enumerate(trajectory.base.attributes.get('species')):
        chosen = symbols == species
        expected = np.average(trajectory.positions[:, chosen], axis=1, weights=masses[chosen])
        assert np.allclose(trajectory.centres_of_mass[::4, index], expected, atol=2e-6)


def test_rotated_run_is_the_same_crystal(parse):
    """A run in a rotated cell has the shortest distances of the crystal."""
    results, _ = parse('rotated', 'rotated')
    distances = results['output_parameters']['seed7']['minimum_distances']
    assert 1.4 < distances['O-P'] < 1.7
    assert 1.5 < distances['Li-O'] < 2.1
    assert 'P-P' not in distances


def test_energies(parse):
    """Mean values and drift equal those of NumPy on the table in the log."""
    results, _ = parse('default')
    parameters = results['output_parameters']['seed7'].get_dict()
    rows = [line.split() for line in (FIXTURES / 'default' / 'lammps.log').read_text().splitlines()]
    numbers = [row for row in rows if len(row) == 6 and row[0].isdigit()]
    table = np.array(numbers[-11:], dtype=float)
    assert table[:, 0].tolist() == list(range(0, 101, 10))
    slope, intercept = np.polyfit(table[:, 0] / 1000, table[:, 4] / 17, 1)
    residual = table[:, 4] / 17 - slope * table[:, 0] / 1000 - intercept
    assert parameters['nve_drift_eV_per_atom_per_ps'] == pytest.approx(slope, rel=1e-4)
    assert parameters['nve_energy_rms_eV_per_atom'] == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-4)
    assert parameters['mean_temperature_K'] == pytest.approx(table[:, 1].mean())
    assert parameters['min_potential_energy_eV_per_atom'] == pytest.approx(table[:, 2].min() / 17)
    assert parameters['max_potential_energy_eV_per_atom'] == pytest.approx(table[:, 2].max() / 17)
    assert np.allclose(results['trajectories']['seed7'].thermo['total_energy_eV'], table[:, 4])


@pytest.mark.parametrize(
    ('case', 'message', 'n_frames'),
    [
        ('exploded', 'Fix halt condition for fix-id explosion_all met on step 40 with value', 0),
        ('lost_atoms', 'Lost atoms: original 17 current', 1),
    ],
)
def test_exploded(case, message, n_frames, parse):
    """What came before the explosion is kept, and no restart file leads back into it."""
    results, calcfunction = parse(case)
    assert calcfunction.exit_status == 410
    assert message in calcfunction.exit_message
    trajectories = results.get('trajectories', {})
    assert sum(len(run.positions) for run in trajectories.values()) == n_frames
    assert not results['output_parameters']['seed7']['completed']
    assert message in results['output_parameters']['seed7']['explosion']
    assert 'restart' not in results


def test_walltime(parse):
    """A run that stopped at the wall time is stored up to its last step, from where it can go on."""
    strides = {'frame_stride': 500, 'com_stride': 500, 'thermo_stride': 500}
    results, calcfunction = parse('walltime', production_steps=100000, **strides)
    assert calcfunction.exit_status == 400
    log = read_log((FIXTURES / 'walltime' / 'lammps.log').read_text())
    parameters = results['output_parameters']['seed7'].get_dict()
    assert parameters['n_steps'] == log.production.n_steps < 100000
    assert not parameters['completed']
    assert len(results['trajectories']['seed7'].positions) == parameters['n_steps'] // 500 + 1
    assert results['restart'].base.attributes.get('step') == parameters['n_steps']


def test_killed_before_a_restart_file(parse):
    """All whole frames are kept when the last frame is half written and the log ends within a line."""

    def cut(retrieved, temporary):
        log = (retrieved / 'lammps.log').read_text()
        (retrieved / 'lammps.log').write_text(log[: log.index('Loop time', log.index('stage: production\nrun')) - 150])
        for name, missing in (('trajectory.bin', 700), ('centres_of_mass.txt', 1000)):
            (temporary / name).write_bytes((temporary / name).read_bytes()[:-missing])
        (temporary / 'production.restart').unlink()

    results, calcfunction = parse('default', change=cut)
    assert calcfunction.exit_status == 320
    whole = read_dump(FIXTURES / 'default' / 'trajectory.bin').values
    assert np.array_equal(results['trajectories']['seed7'].positions, whole[:4].astype(np.float32))
    assert 10 < len(results['trajectories']['seed7'].centres_of_mass) < 20
    parameters = results['output_parameters']['seed7'].get_dict()
    assert parameters['n_steps'] == 80
    assert 'steps_per_second' not in parameters
    assert 'restart' not in results


KILLED = {'production_steps': 100000, 'frame_stride': 15, 'restart_stride': 50}


def test_killed(parse):
    """The continuation computes again what lies beyond the last restart file, so that is not kept."""
    results, calcfunction = parse('killed', **KILLED)
    assert calcfunction.exit_status == 320
    assert read_dump(FIXTURES / 'killed' / 'trajectory.bin').steps[-1] == 135
    trajectory = results['trajectories']['seed7']
    assert trajectory.times_ps == pytest.approx([0.015 * i for i in range(7)])  # up to step 90
    assert len(trajectory.centres_of_mass) == 21  # up to step 100
    assert trajectory.thermo['step'].tolist() == list(range(0, 101, 10))
    restart = results['restart']
    assert restart.base.attributes.all | {'stage': 'production', 'step': 100} == restart.base.attributes.all
    assert restart.get_content('rb') == (FIXTURES / 'killed' / 'production.restart.2').read_bytes()


def test_killed_while_writing_a_restart_file(parse):
    """A restart file that was cut is not used, but the restart file before it."""

    def cut(_, temporary):
        path = temporary / 'production.restart.2'
        path.write_bytes(path.read_bytes()[:-200])

    results, _ = parse('killed', change=cut, **KILLED)
    assert results['restart'].base.attributes.get('step') == 50
    assert results['trajectories']['seed7'].times_ps[-1] == pytest.approx(0.045)
    assert len(results['trajectories']['seed7'].centres_of_mass) == 11


def test_killed_before_the_first_new_frame(parse):
    """A restart file before the first frame of a segment is not kept, as the segment would have no frame."""
    start = {'stage': 'production', 'step': 95, 'timestep_fs': 1.0, 'seeds': [7], 'n_atoms': 17}
    results, calcfunction = parse('killed', start=start, **KILLED)
    assert calcfunction.exit_status == 320
    assert 'restart' not in results


def test_frames_lost_with_the_machine(parse):
    """A restart file ahead of the frames on the disk would leave a gap, so the restart file before it is kept."""

    def cut(_, temporary):
        path = temporary / 'trajectory.bin'
        path.write_bytes(path.read_bytes()[: 5 * (path.stat().st_size // 10)])  # five of ten frames, up to step 60

    results, _ = parse('killed', change=cut, **KILLED)
    assert results['restart'].base.attributes.get('step') == 50
    assert len(results['trajectories']['seed7'].positions) == 4


@pytest.mark.parametrize(('name', 'kept'), [('trajectory.bin', 3), ('centres_of_mass.txt', 6)])
def test_disk_full(parse, name, kept):
    """LAMMPS does not notice that a disk is full; its log ends well, and the parser finds what is missing."""

    def cut(_, temporary):
        path = temporary / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    results, calcfunction = parse('default', change=cut)
    assert calcfunction.exit_status == 321
    assert 'is the disk full?' in calcfunction.exit_message
    assert len(results['trajectories']['seed7'].positions) == kept
    assert 'restart' not in results  # the restart file at the end of the run would leave a gap


def test_continued(parse):
    """Frames that the earlier segment has, the first one included, are not stored again."""
    start = {'stage': 'production', 'step': 40, 'timestep_fs': 1.0, 'seeds': [7], 'n_atoms': 17}
    results, calcfunction = parse('default', start=start)
    assert calcfunction.is_finished_ok
    trajectory = results['trajectories']['seed7']
    assert trajectory.times_ps == pytest.approx([0.06, 0.08, 0.1])
    assert trajectory.base.attributes.get('com_start_ps') == pytest.approx(0.045)
    assert len(trajectory.centres_of_mass) == 12
    assert trajectory.thermo['step'].tolist() == [50, 60, 70, 80, 90, 100]


def test_equilibration_cut(parse):
    results, calcfunction = parse('equilibrating', equilibration_steps=100000, thermo_stride=500)
    assert calcfunction.exit_status == 400
    assert results['restart'].base.attributes.get('stage') == 'equilibration'
    assert results['restart'].base.attributes.get('step') > 0
    assert 'trajectories' not in results


def test_replicas(parse):
    """One dump gives three trajectories, each of the atoms of its replica."""
    results, calcfunction = parse('replicas', seeds=[7, 8, 9])
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    values = read_dump(FIXTURES / 'replicas' / 'trajectory.bin').values
    assert set(results['trajectories']) == set(results['output_parameters']) == {'seed7', 'seed8', 'seed9'}
    for index, seed in enumerate((7, 8, 9)):
        trajectory = results['trajectories'][f'seed{seed}']
        assert trajectory.base.attributes.get('seed') == seed
        assert np.array_equal(trajectory.positions, values[:, 17 * index : 17 * index + 17].astype(np.float32))
        assert trajectory.centres_of_mass.shape == (21, 4, 3)
        assert trajectory.base.attributes.get('thermo_columns')[-1] == 'total_energy_eV'
        total = trajectory.thermo['total_energy_eV']
        assert np.allclose(total, trajectory.thermo['potential_energy_eV'] + trajectory.thermo['kinetic_energy_eV'])
    assert results['restart'].base.attributes.get('seeds') == [7, 8, 9]


def test_replica_equals_single_run(parse):
    """A seed gives the same run alone and beside other replicas, over 140 steps of 1 fs on real output."""
    alone = read_log((FIXTURES / 'default' / 'lammps.log').read_text())
    together = read_log((FIXTURES / 'replicas' / 'lammps.log').read_text())
    for single, replica in zip(alone.stages, together.stages, strict=True):
        assert np.abs(single.thermo[:, 2:5] - replica.thermo[:, 2:5]).max() / 17 < 1e-6


def test_mean_structure(parse):
    """The structure in the mean cell of the second half has the atoms at the same scaled positions."""
    results, calcfunction = parse('npt', ensemble='npt', thermostat='nose-hoover')
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    log = read_log((FIXTURES / 'npt' / 'lammps.log').read_text())
    lengths = log.production.thermo[5:, 6:9].mean(axis=0)
    mean, given = results['mean_structure'].get_ase(), ase.io.read(FIXTURES / 'structure.xyz')
    assert mean.cell.lengths() == pytest.approx(lengths)
    assert abs(mean.cell.lengths() - given.cell.lengths()).max() > 1e-3
    difference = mean.get_scaled_positions(wrap=False) - given.get_scaled_positions(wrap=False)
    assert np.abs(difference).max() < 1e-9
    assert 'trajectories' not in results


def test_nvt(parse):
    """A trajectory at constant temperature says so."""
    results, calcfunction = parse('nvt', ensemble='nvt', thermostat='nose-hoover', production_steps=40)
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    trajectory = results['trajectories']['seed7']
    assert trajectory.base.attributes.get('ensemble') == 'NVT'
    assert trajectory.times_ps == pytest.approx([0, 0.02, 0.04])


def test_out_of_memory(parse):
    """The memory of a GPU runs out, as torch says in the log."""
    message = 'ERROR on proc 0: pair_style allegro: the model failed: CUDA out of memory. Tried to allocate 2.00 GiB'

    def change(retrieved, _):
        log = (retrieved / 'lammps.log').read_text().replace('Total wall time', f'{message}\nTotal wall time')
        (retrieved / 'lammps.log').write_text(log)

    _, calcfunction = parse('default', change=change)
    assert calcfunction.exit_status == 330
    assert 'CUDA out of memory' in calcfunction.exit_message


def test_out_of_memory_of_the_node(parse):
    """The memory of a node runs out, as the scheduler reports."""
    _, calcfunction = parse('killed', attributes={'exit_status': 110}, **KILLED)
    assert calcfunction.exit_status == 330


def test_not_finite(parse):
    """A run whose numbers become NaN has exploded, and no NaN is stored."""

    def spoil(retrieved, temporary):
        log = (retrieved / 'lammps.log').read_text()
        last = next(line for line in reversed(log.splitlines()) if line.split()[:1] == ['100'])
        (retrieved / 'lammps.log').write_text(log.replace(last, ' 100 nan nan nan nan nan'))
        content = bytearray((temporary / 'trajectory.bin').read_bytes())
        content[-8:] = np.array([np.nan]).tobytes()
        (temporary / 'trajectory.bin').write_bytes(content)

    results, calcfunction = parse('default', change=spoil)
    assert calcfunction.exit_status == 410
    assert results['trajectories']['seed7'].positions.shape[0] == 5
    assert len(results['trajectories']['seed7'].thermo['step']) == 10


def test_error(parse):
    results, calcfunction = parse('error')
    assert calcfunction.exit_status == 310
    assert 'cannot read the model file' in calcfunction.exit_message
    assert 'trajectories' not in results


def test_no_log(parse):
    _, calcfunction = parse('default', change=lambda retrieved, _: (retrieved / 'lammps.log').unlink())
    assert calcfunction.exit_status == 302


@pytest.mark.parametrize('name', FILES)
def test_missing_file(name, parse):
    results, calcfunction = parse('default', change=lambda _, temporary: (temporary / name).unlink())
    assert calcfunction.exit_status == 303
    assert name in calcfunction.exit_message
    assert results['output_parameters']['seed7']['n_steps'] == 100


@pytest.mark.slow
@pytest.mark.parametrize('draw', range(24))
@pytest.mark.parametrize('case', ['default', 'killed'])
def test_damaged_anywhere(case, draw, parse):
    """Files are cut anywhere, filled with zeros from there as by a machine that went down, or lost; from any start.

    Whatever is left, the parser ends. If the run can go on, the stored frames end at the restart file, without a gap.
    """
    rng = random.Random(draw)

    def damage(retrieved, temporary):
        for path in sorted([*retrieved.iterdir(), *temporary.iterdir()]):
            content = path.read_bytes()
            end = rng.randrange(len(content))
            whole, cut, zeros = content, content[:end], content[:end].ljust(len(content), b'\0')
            path.write_bytes(rng.choice([whole, whole, cut, zeros]))
            if path.name != 'lammps.log' and rng.random() < 0.1:
                path.unlink()

    begun = rng.choice([None, *range(5, 100, 5)])
    start = begun and {'stage': 'production', 'step': begun, 'timestep_fs': 1.0, 'seeds': [7], 'n_atoms': 17}
    parameters = {**PARAMETERS, **(KILLED if case == 'killed' else {})}
    results, calcfunction = parse(case, change=damage, start=start, **parameters)
    if 'restart' in results and results['restart'].base.attributes.get('stage') == 'production':
        at, trajectory = results['restart'].base.attributes.get('step'), results['trajectories']['seed7']
        first, begin = begun + 1 if begun else 0, trajectory.base.attributes.get('com_start_ps') * 1000
        stored = {
            'frame_stride': trajectory.times_ps * 1000,
            'com_stride': begin + parameters['com_stride'] * np.arange(len(trajectory.centres_of_mass)),
        }
        for name, steps in stored.items():
            expected = [step for step in range(first, at + 1) if step % parameters[name] == 0]
            kept = np.rint(steps).astype(int).tolist()
            assert kept[: len(expected)] == expected
            assert calcfunction.exit_status not in (320, 321) or kept == expected


@pytest.mark.parametrize('status', [110, 120, 140])
def test_complete_run_whose_job_did_not_end(status, parse, monkeypatch):
    """A run that hangs at its exit has succeeded: else AiiDA keeps the scheduler's status."""
    returned, original = [], LammpsMdParser.parse

    def record(self, **kwargs):
        returned.append(original(self, **kwargs))
        return returned[-1]

    monkeypatch.setattr(LammpsMdParser, 'parse', record)
    parse('default', attributes={'exit_status': status, 'exit_message': 'The job hung.'})
    ((exit_status, message, _),) = returned
    assert exit_status == 0
    assert message == 'All results are there, although the scheduler says: The job hung.'


@pytest.mark.parametrize(
    ('line', 'status'),
    [('Detected 1 oom_kill event in StepId=1', 330), ('Illegal instruction', 350), ('Segmentation fault', 351)],
)
def test_cause_in_stderr(line, status, parse):
    """The exit code follows the cause and quotes its line."""

    def change(retrieved, _):
        (retrieved / '_scheduler-stderr.txt').write_text(f'{line}\n')

    attributes = {'scheduler_stderr': '_scheduler-stderr.txt'}
    _, calcfunction = parse('killed', change=change, attributes=attributes, **KILLED)
    assert calcfunction.exit_status == status
    assert line in calcfunction.exit_message


# Memory -------------------------------------------------------------------------------------------------------------


def write_centres(path, n_blocks):
    """Write blocks of the centres of mass of three replicas with four species, with as many digits as LAMMPS."""
    numbers = np.random.default_rng(0).random((12, 3))
    rows = ''.join(f'{row + 1} {x:.16g} {y:.16g} {z:.16g}\n' for row, (x, y, z) in enumerate(numbers))
    with path.open('w') as stream:
        stream.writelines(f'{5 * block} 12\n{rows}' for block in range(n_blocks))


def test_memory_does_not_grow_with_the_text(parse):
    """Many blocks of the centres of mass take the memory of their arrays, a third of the text, and a copy of a part."""
    peaks = []
    for n_blocks in (2000, 12000):

        def prepare(_, temporary, n_blocks=n_blocks):
            write_centres(temporary / 'centres_of_mass.txt', n_blocks)
            tracemalloc.start()

        try:
            results, _ = parse('replicas', change=prepare, seeds=[7, 8, 9])
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert results['trajectories']['seed8'].centres_of_mass.shape == (n_blocks, 4, 3)
    kept = 8 * (1 + 12 * 3)  # bytes of the step and the centres of a block
    print(peaks, (peaks[1] - peaks[0]) / 10000, kept)
    assert (peaks[1] - peaks[0]) / 10000 < 2 * kept


def test_version_changes_with_what_is_stored(parse):
    """A parser that stores other things needs a new ``CACHE_VERSION``, or the cache returns what was stored before."""
    results, calcfunction = parse('replicas', seeds=[7, 8, 9])
    check_fingerprint(ENTRY_POINT, results, calcfunction.exit_status)
