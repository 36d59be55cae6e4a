"""`aiida-ionconduct analyse FILE…`: what is pooled, charges, frames of reference, and what is written."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from aiida_ionconduct.cli import cli

DT_PS = 0.1


def write(path, number=0, frames=400, **content):
    """Write a run of 12 lithium, 12 sodium and 24 chlorine atoms, in which lithium and sodium walk."""
    rng = np.random.default_rng(number)
    lithium, sodium = (np.cumsum(rng.normal(0, step, (frames, 12, 3)), axis=0) for step in (0.3, 0.15))
    places = np.random.default_rng(0).uniform(0, 20, (1, 48, 3))
    rest = rng.normal(0, 0.05, (frames, 24, 3))
    content = {
        'positions': places + np.concatenate((lithium, sodium, rest), axis=1),
        'symbols': ['Li'] * 12 + ['Na'] * 12 + ['Cl'] * 24,
        'cell': 20 * np.eye(3),
        'dt_ps': DT_PS,
        'temperature_K': 600.0,
        **content,
    }
    np.savez(path, **content)
    return str(path)


def invoke(*words):
    """Run the command on files that are unwrapped."""
    return CliRunner().invoke(cli, ['analyse', '--unwrapped', *map(str, words)])


def results(*words):
    """Return the results of a command as data."""
    result = invoke(*words, '--format', 'json')
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def stated(conductivity):
    """Return the values of the assumptions by subject."""
    return {row['subject']: row['value'] for row in conductivity['assumptions']}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Write one run."""
    return write(tmp_path_factory.mktemp('run') / 'run.npz')


def test_files_of_two_temperatures_give_a_line(tmp_path):
    """Each temperature has its own seeds; before, one of them was asked for and then given to both."""
    paths = [
        write(tmp_path / f'{T}_{seed}.npz', 10 * seed + T, temperature_K=float(T))
        for T in (600, 900)
        for seed in (1, 2)
    ]
    cold, hot = results(*paths)
    assert (cold['temperature_K'], hot['temperature_K']) == (600.0, 900.0)
    assert cold['n_seeds'] == hot['n_seeds'] == 2
    assert cold['arrhenius']['n_temperatures'] == 2
    assert 'Activation energy' in invoke(*paths).output


def test_a_temperature_that_the_file_contradicts_is_refused(run):
    result = invoke(run, '-T', 900)
    assert result.exit_code == 1
    assert 'states 600 K, but --temperature is 900 K' in result.output


def test_unequal_runs_are_used_whole(tmp_path):
    """The default estimator takes all frames, and the result says of how many the curves are means."""
    long, short = write(tmp_path / 'long.npz', 1, 400), write(tmp_path / 'short.npz', 2, 60)
    (conductivity,) = results(long, short)
    assert (conductivity['n_seeds'], conductivity['n_frames']) == (2, 460)
    assert stated(conductivity)['runs'] == '2 of 400, 60 frames'
    assert any('the curves are means over 2 stretches of 200 frames' in text for text in conductivity['warnings'])
    assert conductivity['sigma_full_S_per_cm'] != results(long)[0]['sigma_full_S_per_cm']


def test_estimators_that_cannot_take_unequal_runs_say_what_they_leave_out(tmp_path):
    """Seeds of 400 and 60 frames are two halves of the long one for a straight line."""
    paths = write(tmp_path / 'long.npz', 1, 400), write(tmp_path / 'short.npz', 2, 60)
    (conductivity,) = results(*paths, '--fit-ps', 2, 8)
    said = '`einstein` takes 2 stretches of 200 frames, and 60 of 460 frames are left out'
    assert any(said in text for text in conductivity['warnings'])
    assert said in ' '.join(invoke(*paths, '--fit-ps', 2, 8).output.split())
    assert 'does not fit into runs of 19.9 ps' in invoke(*paths, '--fit-ps', 2, 30).output


def test_a_run_of_few_frames_is_left_out_by_name(tmp_path):
    paths = write(tmp_path / 'long.npz', 1, 400), write(tmp_path / 'short.npz', 2, 12)
    (conductivity,) = results(*paths)
    assert (conductivity['n_seeds'], conductivity['n_frames']) == (1, 400)
    assert any('short.npz is left out: it holds 12 frames' in text for text in conductivity['warnings'])
    assert '12 frames are too few' in invoke(paths[1]).output


def test_the_mean_cell_counts_frames(tmp_path):
    paths = (
        write(tmp_path / 'long.npz', 1, 300),
        write(tmp_path / 'short.npz', 2, 100, cell=20.1 * np.eye(3)),
    )
    (conductivity,) = results(*paths)
    assert conductivity['volume_A3'] == pytest.approx(20.025**3, rel=1e-9)


def test_the_mobile_ion_is_asked_for(tmp_path):
    """Without lithium there is no default, and with another candidate the default says so."""
    names = ['K'] * 12 + ['Na'] * 12 + ['Cl'] * 24
    path = write(tmp_path / 'salt.npz', symbols=names)
    output = invoke(path).output
    assert 'which ion is mobile? Give --mobile, one or several of K, Na, Cl.' in output
    assert invoke(path, '--mobile', 'Na').exit_code == 0
    (conductivity,) = results(write(tmp_path / 'two.npz'))
    (row,) = [row for row in conductivity['assumptions'] if row['subject'] == 'mobile species']
    assert row['source'] == 'default; Na may be mobile as well, see --mobile Li,Na'


def test_the_temperature_is_asked_for(tmp_path):
    path = tmp_path / 'bare.npz'
    with np.load(write(tmp_path / 'full.npz')) as content:
        np.savez(path, **{name: content[name] for name in content if name != 'temperature_K'})
    output = ' '.join(invoke(path).output.split())
    assert 'what is the temperature of' in output
    assert 'Give --temperature in K' in output
    assert invoke(path, '--temperature', 600).exit_code == 0


def test_more_is_discarded_than_there_is(tmp_path):
    """Also of the shorter run alone, which is named."""
    paths = write(tmp_path / 'long.npz', 1, 400), write(tmp_path / 'short.npz', 2, 100)
    output = ' '.join(invoke(*paths, '--discard-ps', 20).output.split())
    assert '--discard-ps 20 leaves nothing of the 9.9 ps of' in output
    assert 'short.npz' in output


def test_several_mobile_species(run):
    (conductivity,) = results(run, '--mobile', 'Li,Na')
    assert conductivity['diffusivity_cm2_per_s_Li'] > 2 * conductivity['diffusivity_cm2_per_s_Na']
    assert conductivity['transference_Li'] + conductivity['transference_Na'] == pytest.approx(1, abs=0.05)
    output = invoke(run, '--mobile', 'Li,Na').output
    assert 'D, tracer, Na (cm²/s)' in output
    assert 'Transference number, Li' in output


def test_the_frame_is_stated(run):
    """Sodium diffuses, and is no part of the framework of lithium."""
    assert (
        stated(results(run)[0])['frame of the tracer'] == 'relative to the centre of mass of Cl; Na may diffuse as well'
    )
    assert stated(results(run, '--framework', 'Cl,Na')[0])['frame of the tracer'].endswith('centre of mass of Cl, Na')
    assert 'all atoms' in stated(results(run, '--framework', 'none')[0])['frame of the tracer']
    assert 'framework cannot hold Xe' in invoke(run, '--framework', 'Xe').output


@pytest.mark.parametrize(
    'words',
    [
        ('--charges', 'Li=1', 'Na=1', 'Cl=-1'),
        ('--charges', 'Li=1,Na=1,Cl=-1'),
        ('--charges', 'Li=1', '--charges', 'Na=1', '--charges', 'Cl=-1'),
        ('--charges=Li=1', 'Na=1,Cl=-1'),
    ],
)
def test_pairs_as_people_type_them(run, words):
    """Also before the file, whose name is no pair."""
    expected = results(run)[0]['sigma_full_S_per_cm']
    assert results(run, *words)[0]['sigma_full_S_per_cm'] == expected
    assert results(*words, run)[0]['sigma_full_S_per_cm'] == expected


def test_charges_that_are_not_whole(run):
    (conductivity,) = results(run, '--charges', 'Li=0.9', 'Na=0.9', 'Cl=-0.9')
    whole = results(run)[0]
    assert conductivity['sigma_full_S_per_cm'] == pytest.approx(0.81 * whole['sigma_full_S_per_cm'], rel=1e-6)
    assert any('not whole numbers' in text for text in conductivity['warnings'])
    assert stated(conductivity)['charges'] == 'Li +0.9, Na +0.9, Cl -0.9'
    assert 'sum to' in invoke(run, '--charges', 'Li=0.9', 'Na=0.9', 'Cl=-0.8').output


def test_charges_of_a_column(tmp_path):
    lines = []
    rng = np.random.default_rng(1)
    lithium = np.cumsum(rng.normal(0, 0.3, (200, 4, 3)), axis=0) + 5
    chlorine = rng.normal(0, 0.05, (200, 4, 3)) + rng.uniform(0, 20, (1, 4, 3))
    for step, frame in enumerate(np.concatenate((lithium, chlorine), axis=1)):
        lines += ['ITEM: TIMESTEP', str(100 * step), 'ITEM: NUMBER OF ATOMS', '8']
        lines += ['ITEM: BOX BOUNDS pp pp pp', *['0 20'] * 3, 'ITEM: ATOMS id type q xu yu zu']
        lines += [
            f'{atom + 1} {1 + atom // 4} {0.8 if atom < 4 else -0.8} {x} {y} {z}'
            for atom, (x, y, z) in enumerate(frame)
        ]
    path = tmp_path / 'charged.lammpstrj'
    path.write_text('\n'.join(lines) + '\n')
    options = ('-T', 600, '--timestep-fs', 1, '--types', 'Li,Cl')
    (column,) = results(path, *options, '--charges', 'column')
    (typed,) = results(path, *options, '--charges', 'Li=0.8', 'Cl=-0.8')
    assert column['sigma_full_S_per_cm'] == pytest.approx(typed['sigma_full_S_per_cm'], rel=1e-9)
    source = {row['subject']: row['source'] for row in results(path, *options)[0]['assumptions']}['charges']
    assert 'see --charges column' in source


def test_no_column_of_charges(run):
    assert 'no column of charges' in invoke(run, '--charges', 'column').output


def test_one_element_has_a_diffusivity(tmp_path):
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(0, 0.3, (400, 20, 3)), axis=0)
    path = write(tmp_path / 'argon.npz', positions=walk, symbols=['Ar'] * 20)
    (conductivity,) = results(path)
    assert conductivity['diffusivity_cm2_per_s'] == pytest.approx(0.045e-3 * 19 / 20, rel=0.3)
    assert conductivity['sigma_full_S_per_cm'] is None
    assert any('no conductivity' in text for text in conductivity['warnings'])


@pytest.mark.parametrize(
    ('option', 'value'),
    [('--discard-ps', -5), ('--dt-ps', 0), ('--timestep-fs', -1), ('--temperature', 0), ('--nblock', 0)],
)
def test_numbers_that_cannot_be_are_refused_by_name(run, option, value):
    result = invoke(run, option, value)
    assert result.exit_code == 2
    assert option in result.output


def test_assumptions_stand_below_the_table(run):
    output = invoke(run, '--discard-ps', 5).output
    block = output[output.index('Assumptions') :]
    for subject in ('time between frames', 'wrapping', 'charges', 'frame of the tracer', 'discarded', 'temperature'):
        assert f'\n{subject} ' in block


def test_density_is_stated(run):
    """12 Li, 12 Na and 24 Cl, 1209.96 u, in a cube of 20 Å."""
    (conductivity,) = results(run)
    assert stated(conductivity)['density'] == '0.251 g/cm³ (8000 Å³)'


def test_one_file_is_one_run(run):
    (row,) = [row for row in results(run)[0]['assumptions'] if row['subject'] == 'runs']
    assert (row['value'], row['source']) == ('1 of 400 frames', 'one file')


def test_curves_as_csv(run, tmp_path):
    """The columns have units in their names; the displacement is the sum over the axes."""
    (conductivity,) = results(run, '--csv', tmp_path / 'curves')
    with (tmp_path / 'curves' / 'displacements_600K.csv').open() as stream:
        rows = list(csv.DictReader(stream))
    units = ('_ps', '_A2', '_e2A2', '_S_per_cm')
    assert all(name.endswith(units) or name.startswith('beta') for name in rows[0])
    for quantity in ('msd{}_A2', 'charge_msd{}_e2A2'):
        whole = [float(row[quantity.format('')]) for row in rows]
        axes = [sum(float(row[quantity.format(f'_{axis}')]) for axis in 'xyz') for row in rows]
        np.testing.assert_allclose(axes, whole, rtol=1e-9)
    for kind in ('full', 'tracer'):
        name = f'running_sigma_{kind}{{}}_S_per_cm'
        mean = [np.mean([float(row[name.format(f'_{axis}')]) for axis in 'xyz']) for row in rows]
        np.testing.assert_allclose(mean, [float(row[name.format('')]) for row in rows], rtol=1e-9, atol=1e-12)
    assert (tmp_path / 'curves' / 'plateau_600K.csv').exists()
    assert conductivity['sigma_full_S_per_cm'] == results(run)[0]['sigma_full_S_per_cm']


def test_the_spectrum_as_csv(run, tmp_path):
    """The lowest frequency is that of the run; the lowest bins hold the conductivity."""
    (conductivity,) = results(run, '--csv', tmp_path)
    with (tmp_path / 'spectrum_600K.csv').open() as stream:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
    length = conductivity['total_time_ps']
    assert rows[0]['spectrum_full_frequency_THz'] == pytest.approx(1 / length, rel=0.02)
    bottom, top = conductivity['sigma_full_ci95']
    within = [
        row['spectrum_sigma_full_low_S_per_cm'] < top and row['spectrum_sigma_full_high_S_per_cm'] > bottom
        for row in rows[:6]
    ]
    assert sum(within) >= 5


def test_page_of_files(run, tmp_path):
    """The page has the numbers, the figures and what was assumed, and no commands for nodes."""
    path = tmp_path / 'out' / 'page.html'
    assert invoke(run, '--page', path).exit_code == 0
    html = path.read_text()
    for text in ('Assumptions', 'frame of the tracer', 'Mean squared displacement', 'Analysis of trajectory files'):
        assert text in html
    assert 'verdi process' not in html
