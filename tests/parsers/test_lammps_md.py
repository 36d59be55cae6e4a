"""`LammpsMdParser` on stored output of real runs."""

import pathlib
import shutil

import ase.io
import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.lammps.log import read_log

ENTRY_POINT = 'ionconduct.lammps.md'
FIXTURES = pathlib.Path(__file__).parent / 'fixtures' / 'lammps_md'
PARAMETERS = {
    'temperature_K': 900.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 40,
    'production_steps': 100,
    'seed': 7,
    'frame_stride': 20,
    'com_stride': 5,
    'thermo_stride': 10,
}
FILES = ('trajectory.bin', 'centres_of_mass.txt')


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Return a function that parses a folder of outputs, after changing its files."""

    def parse(case, structure='structure', change=None, **parameters):
        retrieved, temporary = tmp_path / 'retrieved', tmp_path / 'temporary'
        for folder, names in ((retrieved, ('lammps.log',)), (temporary, FILES)):
            folder.mkdir()
            for name in names:
                if (FIXTURES / case / name).exists():
                    shutil.copy(FIXTURES / case / name, folder)
        if change:
            change(retrieved, temporary)
        inputs = {
            'structure': orm.StructureData(ase=ase.io.read(FIXTURES / f'{structure}.xyz')),
            'parameters': orm.Dict({**PARAMETERS, **parameters}),
        }
        node = generate_calc_job_node(ENTRY_POINT, retrieved, inputs, {'output_filename': 'lammps.log'})
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(temporary)
        )
        assert calcfunction.is_finished
        assert calcfunction.exception is None
        return results, calcfunction

    return parse


def test_default(parse, data_regression):
    results, calcfunction = parse('default')
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    trajectory = results['trajectory']
    assert trajectory.positions.shape == (6, 17, 3)
    assert trajectory.centres_of_mass.shape == (21, 4, 3)
    data_regression.check(
        {
            'trajectory': trajectory.base.attributes.all,
            'output_parameters': results['output_parameters'].get_dict(),
        },
        round_digits=6,
    )


@pytest.mark.parametrize(('case', 'structure'), [('default', 'structure'), ('rotated', 'rotated')])
def test_orientation(case, structure, parse):
    """Positions belong to the input structure's cell, and the centres of mass are those of the positions."""
    results, _ = parse(case, structure)
    trajectory = results['trajectory']
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
    """The potential energy at the start does not know the orientation; the distances hold in both cells."""
    results, _ = parse('rotated', 'rotated')
    distances = results['output_parameters']['minimum_distances']
    assert 1.4 < distances['O-P'] < 1.7
    assert 1.5 < distances['Li-O'] < 2.1
    assert 'P-P' not in distances


def test_energies(parse):
    """Mean values and drift against NumPy's own on the table in the log."""
    results, _ = parse('default')
    parameters = results['output_parameters'].get_dict()
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
    assert np.allclose(results['trajectory'].thermo['total_energy_eV'], table[:, 4])


@pytest.mark.parametrize(
    ('case', 'status', 'message'),
    [
        ('exploded', 410, 'Fix halt condition for fix-id explosion met on step 10 with value 12900'),
        ('lost_atoms', 410, 'Lost atoms: original 17 current 0'),
    ],
)
def test_exploded(case, status, message, parse):
    """What came before the explosion is kept."""
    results, calcfunction = parse(case)
    assert calcfunction.exit_status == status
    assert message in calcfunction.exit_message
    assert results['trajectory'].positions.shape[0] >= 1
    assert not results['output_parameters']['completed']


def test_walltime(parse):
    strides = {'frame_stride': 500, 'com_stride': 500, 'thermo_stride': 500}
    results, calcfunction = parse('walltime', production_steps=100000, **strides)
    assert calcfunction.exit_status == 400
    log = read_log((FIXTURES / 'walltime' / 'lammps.log').read_text())
    parameters = results['output_parameters'].get_dict()
    assert parameters['n_steps'] == log.production.n_steps < 100000
    assert not parameters['completed']
    assert len(results['trajectory'].positions) == parameters['n_steps'] // 500 + 1


def test_killed(parse):
    """The last frame is half written and the log ends within a line."""

    def cut(retrieved, temporary):
        log = (retrieved / 'lammps.log').read_text()
        (retrieved / 'lammps.log').write_text(log[: log.index('Loop time', log.index('stage: production\nrun')) - 150])
        for name, missing in (('trajectory.bin', 700), ('centres_of_mass.txt', 1000)):
            (temporary / name).write_bytes((temporary / name).read_bytes()[:-missing])

    results, calcfunction = parse('default', change=cut)
    assert calcfunction.exit_status == 320
    whole = read_dump(FIXTURES / 'default' / 'trajectory.bin').values
    assert np.array_equal(results['trajectory'].positions, whole[:4].astype(np.float32))
    assert 10 < len(results['trajectory'].centres_of_mass) < 20
    parameters = results['output_parameters'].get_dict()
    assert parameters['n_steps'] == 80
    assert 'steps_per_second' not in parameters


def test_not_finite(parse):
    """NaN in the numbers is an explosion, and no NaN is stored."""

    def spoil(retrieved, temporary):
        log = (retrieved / 'lammps.log').read_text()
        last = next(line for line in reversed(log.splitlines()) if line.split()[:1] == ['100'])
        (retrieved / 'lammps.log').write_text(log.replace(last, ' 100 nan nan nan nan nan'))
        content = bytearray((temporary / 'trajectory.bin').read_bytes())
        content[-8:] = np.array([np.nan]).tobytes()
        (temporary / 'trajectory.bin').write_bytes(content)

    results, calcfunction = parse('default', change=spoil)
    assert calcfunction.exit_status == 410
    assert results['trajectory'].positions.shape[0] == 5
    assert len(results['trajectory'].thermo['step']) == 10


def test_error(parse):
    results, calcfunction = parse('error')
    assert calcfunction.exit_status == 310
    assert 'cannot read the model file' in calcfunction.exit_message
    assert 'trajectory' not in results


def test_no_log(parse):
    _, calcfunction = parse('default', change=lambda retrieved, _: (retrieved / 'lammps.log').unlink())
    assert calcfunction.exit_status == 302


@pytest.mark.parametrize('name', FILES)
def test_missing_file(name, parse):
    results, calcfunction = parse('default', change=lambda _, temporary: (temporary / name).unlink())
    assert calcfunction.exit_status == 303
    assert name in calcfunction.exit_message
    assert 'mean_temperature_K' in results['output_parameters'].get_dict()
