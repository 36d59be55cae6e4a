"""The main job as a user runs it, on real engines: the smallest campaign that is still real (some minutes)."""

import pathlib
import re
import shutil
import signal
import subprocess

import ase.io
import numpy as np
import pytest
import yaml
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.structures import crystal

pytestmark = pytest.mark.integration

REPOSITORY = pathlib.Path(__file__).parents[2]
SUBMIT = ('verdi', 'run', str(REPOSITORY / 'submit_conductivity.py'))
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
TEMPERATURES = {'T150': 150, 'T250': 250}
SEEDS = [1, 2, 3, 4]
# 16 atoms, few frames, a potential of some thousand weights, and a crystal so cold that it survives such a potential.
# The cutoff cannot be lower: the forces of oxygen would be noise, and the potential would explode at any temperature.
TINY = {
    'temperatures_K': [*TEMPERATURES.values()],
    'seeds': SEEDS,
    'relax': {'forc_conv_thr': 0.02, 'etot_conv_thr_per_atom': 1e-3},
    'aimd': {'temperatures_K': [300, 600], 'sampling_ps': 0.025, 'timestep_fs': 2.5},
    'rattle': {'n_frames': 12, 'amplitudes_A': [0.03, 0.12]},
    'training': {
        'r_max': 4.0,
        'l_max': 1,
        'num_scalar_features': 32,
        'num_tensor_features': 8,
        'mlp_width': 32,
        'max_epochs': 60,
    },
    'relabelling': {
        'n_rounds': 1,
        'max_rounds': 1,
        'n_frames': 4,
        'temperatures_K': [*TEMPERATURES.values()],
        'seeds': [101],
        'equilibration_steps': 0,
        'production_steps': 100,
        'training': {'max_epochs': 20},
    },
    'md': {
        'timestep_fs': 1.0,
        'equilibration_steps': 50,
        'production_steps': 400,
        'frame_stride': 10,
        'thermo_stride': 10,
    },
    'validation': {'equilibration_steps': 50, 'production_steps': 100},
    'resources': {'training': {'threads': 1}},
}
JOBS = {
    'PwCalculation': 3,
    'PwFramesCalculation': 3,
    'AllegroTrainCalculation': 2,
    'AllegroCompileCalculation': 2,
    'LammpsMdCalculation': 8,
}
STAGES = ('RelaxWorkChain', 'AimdWorkChain', 'LabelWorkChain', 'AllegroWorkChain', 'SeedsWorkChain')
OUTPUTS = {'structure', 'supercell', 'dataset', 'model', 'compiled_model', 'training', 'parity', 'validation'}


@pytest.fixture(scope='module')
def crystal_file(installation):
    """The crystal as the file that a user has."""
    path = installation.path / 'Li3PO4.cif'
    ase.io.write(path, crystal('beta-Li3PO4'))
    return path


@pytest.fixture(scope='module')
def overrides(installation):
    """Return a function that writes overrides to a file: TINY with some sections changed."""

    def write(name, **sections):
        path = installation.path / f'{name}.yaml'
        merged = {section: {**TINY.get(section, {}), **values} for section, values in sections.items()}
        path.write_text(yaml.safe_dump({**TINY, **merged}))
        return path

    return write


@pytest.fixture(scope='module')
def tiny(crystal_file, overrides):
    """Arguments of the tiny campaign."""
    return ('--structure', crystal_file, '--overrides', overrides('tiny'))


@pytest.fixture(scope='module')
def campaign(installation, tiny):
    """Run the campaign: what was printed, and what is in the profile."""
    text = installation.run(*SUBMIT, *tiny, '--ignore-validation')
    pk = re.search(r'Submitted ConductivityWorkChain<(\d+)>', text).group(1)
    return {'pk': pk, 'text': text, **installation.ask('describe', pk)}


@pytest.fixture(scope='module')
def command(campaign):
    """Return a function that finds one of the commands printed at the end, by a word in it."""

    def find(word):
        lines = campaign['text'].partition('\nNext:\n')[2].splitlines()
        (line,) = [line for line in lines if word in line]
        return line.partition('#')[0].split()

    return find


def scratch_folders(installation):
    """Return the folders in which jobs have run."""
    return {path.parent for path in (installation.path / '.aiida' / 'scratch').rglob('_aiidasubmit.sh')}


def conductivities(described):
    """Return the conductivities among the outputs by their label, ``T150``."""
    prefix = 'conductivities__'
    return {
        label.removeprefix(prefix): output for label, output in described['outputs'].items() if label.startswith(prefix)
    }


# The campaign -------------------------------------------------------------------------------------------------------


def test_every_stage_ran(campaign, installation, command):
    """The command that is named at the end of a campaign shows every stage."""
    tree = installation.run(*command('process status'))
    for stage in (*STAGES, 'analyse_trajectories', 'fit_arrhenius', 'validate_model', 'make_supercell'):
        assert stage in tree
    assert campaign['exit_status'] == 0


def test_every_job_ran_as_often_as_planned(campaign, installation):
    """No job failed, only relaxations may have been repeated, and each job had a folder of its own."""
    ran = [job['process'] for job in campaign['jobs'] if not job['cached']]
    assert all(job['exit_status'] == 0 for job in campaign['jobs'])
    assert {name: ran.count(name) for name in JOBS} | {'PwCalculation': JOBS['PwCalculation']} == JOBS
    assert ran.count('PwCalculation') >= JOBS['PwCalculation']  # the relaxation may need a second one
    assert len(scratch_folders(installation)) == len(ran)


RUNS = {f'trajectories__{label}_seed{seed}' for label in TEMPERATURES for seed in SEEDS}


@pytest.fixture
def attributes(campaign):
    """The attributes of every output by its label."""
    return {label: output['attributes'] for label, output in campaign['outputs'].items()}


def test_outputs(campaign):
    """Every stage hands its products to the campaign, under the labels that are documented."""
    results = {f'conductivities__{label}' for label in TEMPERATURES}
    assert set(campaign['outputs']) == OUTPUTS | RUNS | results | {'arrhenius'}


def test_sources_of_the_training_set(attributes):
    """Frames of AIMD, rattled cells and relabelled frames are counted each."""
    sources = attributes['dataset']['sources']
    assert sources['aimd'] == 20
    assert 0.8 * 12 <= sources['rattled'] <= 12  # frames with forces no run should meet are left out
    assert 1 <= sources['relabelled_1'] <= 4


def test_models(attributes):
    """The portable package and the compiled model say what they are, and the package knows the elements."""
    assert attributes['model']['type_names'] == ['Li', 'O', 'P']
    assert [attributes[name]['model_format'] for name in ('model', 'compiled_model')] == ['package', 'aotinductor']


def test_runs(campaign, attributes):
    """Every run is of the supercell, of full length, and different from the others."""
    assert len(attributes['supercell']['sites']) == 64
    assert all(attributes[run]['n_frames'] == 41 for run in RUNS)
    assert len({campaign['outputs'][run]['parts']['positions.npy'] for run in RUNS}) == len(RUNS)


@pytest.mark.parametrize('label', TEMPERATURES)
def test_conductivity_states_what_it_is_of(campaign, label):
    """Temperature, seeds, atoms and composition are stored with the number, and a run this short is not converged."""
    a = conductivities(campaign)[label]['attributes']
    assert a['temperature_K'] == TEMPERATURES[label]
    assert (a['n_seeds'], a['n_atoms'], a['n_mobile'], a['seeds']) == (4, 64, 24, SEEDS)
    assert a['reduced_composition'] == 'Li3O4P'
    assert not a['converged']


@pytest.mark.parametrize('label', TEMPERATURES)
def test_conductivities_are_consistent(campaign, label):
    """Whether lithium moved or not, the numbers say so without contradiction."""
    a = conductivities(campaign)[label]['attributes']
    if a['sigma_full_S_per_cm'] is None:
        assert not a['diffusive']
        assert a['sigma_full_ci95'] is a['sigma_full_stderr'] is None
        assert a['warnings']
    else:
        low, high = a['sigma_full_ci95']
        assert low <= a['sigma_full_S_per_cm'] <= high


def test_activation_energy_needs_every_conductivity(campaign, attributes):
    """There is an activation energy exactly if every temperature has a conductivity."""
    numbers = [output['attributes']['sigma_full_S_per_cm'] for output in conductivities(campaign).values()]
    assert (attributes['arrhenius']['activation_energy_eV'] is None) == (None in numbers)


def test_training(campaign):
    """On frames that the chain has made: the learning curve falls, and errors are told by element."""
    training = campaign['outputs']['training']['attributes']
    losses = training['curves']['train_loss']
    assert len(losses) == TINY['relabelling']['training']['max_epochs']
    assert losses[-1] < losses[0]
    assert set(training['test_forces_mae_by_element']) == {'Li', 'O', 'P'}


def test_printed_text(campaign):
    """A table per temperature, the gate, and what the numbers are worth."""
    text = campaign['text']
    assert 'machinery works; the numbers are not converged' in text
    for label, conductivity in conductivities(campaign).items():
        a, T = conductivity['attributes'], TEMPERATURES[label]
        assert re.search(rf'^{T} K +value ± std. error +95 % interval$', text, flags=re.MULTILINE)
        assert f'Diffusive: {"yes" if a["diffusive"] else "no"}' in text
        assert bool(re.search(rf'^σ at {T} K: no number\b', text, re.MULTILINE)) == (a['sigma_full_S_per_cm'] is None)
    for check in campaign['outputs']['validation']['attributes']['checks']:
        line = next(line for line in text.splitlines() if line.startswith(check['label']))
        assert line.endswith('yes' if check['passed'] else 'NO')


def test_query_of_all_conductivities(campaign, installation, command):
    """The command that is named at the end of a campaign, as it is written there."""
    table = installation.run(*command('query conductivities'))
    rows = {float(row.split()[3]): row.split() for row in table.splitlines() if ' Li3O4P ' in row}
    assert sorted(rows) == sorted(TEMPERATURES.values())
    for conductivity in conductivities(campaign).values():
        a = conductivity['attributes']
        numbers = [a['sigma_full_S_per_cm'], *(a['sigma_full_ci95'] or (None, None)), a['haven_ratio']]
        shown = [None if word == '–' else float(word) for word in rows[a['temperature_K']][4:8]]
        assert shown == [None if number is None else pytest.approx(number, rel=0.01) for number in numbers]


def test_seeds_are_inputs(campaign, installation):
    """The seeds of every run stand in the inputs of the job that made it."""
    runs = (SEEDS[:2], SEEDS[2:])  # of three replicas at most, dealt evenly
    expected = {f'{label}_seed{seed}': [*run, seed] for label in TEMPERATURES for run in runs for seed in run}
    assert installation.ask('seed_inputs', campaign['pk']) == expected


def test_no_path_of_the_machine_in_the_data(campaign, installation):
    """No data node of a campaign mentions a folder of this machine."""
    places = (installation.path, REPOSITORY, pathlib.Path.home(), pathlib.Path(shutil.which('pw.x')).parent)
    assert installation.ask('mentions', campaign['pk'], *places) == []
    assert installation.ask('mentions', campaign['pk'], 'Li') != []  # the search finds what is there


def test_energies_equal_those_of_the_ase_calculator(campaign, installation, tmp_path):
    """LAMMPS with the compiled model against nequip's calculator with the package, on frames of the production.

    The frames are stored in single precision: 1e-6 Å times the forces is 1e-6 eV an atom at most.
    """
    n_frames = installation.ask('export', campaign['pk'], tmp_path)
    integration = pytest.importorskip('nequip.integrations.ase')
    calculator = integration.NequIPCalculator._from_saved_model(str(tmp_path / 'model.nequip.zip'), device='cpu')
    frames = ase.io.read(tmp_path / 'frames.extxyz', ':')
    assert len(frames) == n_frames == 8 * 41
    chosen = frames[5::33]
    assert len(chosen) == 10
    energies = []
    for frame in chosen:
        frame.calc = calculator
        energies.append((frame.info['lammps_eV'] / 64, frame.get_potential_energy() / 64))
    lammps, nequip = np.array(energies).T
    np.testing.assert_allclose(lammps, nequip, rtol=0, atol=1e-5)
    assert np.ptp(lammps) > 1e-3  # the frames differ


@pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')
@pytest.mark.parametrize(
    ('added', 'silent'), [('', True), ('<script>missing()</script>', False)], ids=['page', 'control']
)
def test_page_opens_without_a_console_message(campaign, installation, tmp_path, added, silent):
    """The page shows the crystal and runs without an error; the control, with an error added, does not."""
    written = installation.path / re.search(r'^Page: (.*)$', campaign['text'], flags=re.MULTILINE).group(1)
    page = tmp_path / 'page.html'
    page.write_text(written.read_text(encoding='utf-8').replace('</body>', f'{added}</body>'), encoding='utf-8')
    flags = ('--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr', '--v=0', '--dump-dom')
    command = [CHROMIUM, *flags, f'--user-data-dir={tmp_path / "browser"}', page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert ('CONSOLE' not in done.stderr) == silent
    assert 'Li3PO4' in re.sub('</?sub>', '', done.stdout)


# Once more, elsewhere, and gone wrong -------------------------------------------------------------------------------


def test_second_time_from_the_cache(campaign, installation, tiny):
    """Ctrl-C leaves the campaign running; coming back to it shows the same numbers, and no engine has run."""
    before = scratch_folders(installation)
    process = installation.start(*SUBMIT, *tiny, '--ignore-validation')
    try:
        lines = iter(process.stdout.readline, '')
        matches = (re.search(r'Submitted ConductivityWorkChain<(\d+)>', line) for line in lines)
        pk = next(match.group(1) for match in matches if match)
        next(line for line in lines if line.startswith('relax '))
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, rest
    assert f'--follow {pk}' in rest
    text = installation.run(*SUBMIT, '--follow', pk)
    again = installation.ask('describe', pk)
    assert again['exit_status'] == 0
    assert all(job['cached'] for job in again['jobs'])
    assert len(again['jobs']) == len(campaign['jobs'])
    assert scratch_folders(installation) == before
    for label, output in again['outputs'].items():
        first = campaign['outputs'][label]
        assert (output['attributes'], output['parts']) == (first['attributes'], first['parts'])
    first, second = (
        re.search(r'^150 K +value.*(?=^Page: )', printed, re.M | re.S).group(0) for printed in (campaign['text'], text)
    )
    assert first == second


@pytest.mark.parametrize('whole', [True, False], ids=['campaign', 'conductivity'])
def test_archive_round_trip(campaign, installation, second_installation, command, tmp_path, whole):
    """What the archive holds suffices to analyse again, without any code, with the same bits."""
    stored = conductivities(campaign)['T150' if whole else 'T250']
    archive = tmp_path / 'campaign.aiida'
    words = command('export') if whole else ['aiida-ionconduct', 'export', stored['uuid']]
    installation.run(*words, '-o', archive)
    second_installation.run('aiida-ionconduct', 'import', archive)
    answer = second_installation.ask('analyse_again', stored['uuid'])
    assert answer['stored'] == stored
    assert answer['trajectories'] == len(SEEDS)
    for key in ('attributes', 'parts'):
        assert answer['repeated'][key] == stored[key]
    assert answer['repeated']['uuid'] != stored['uuid']
    assert not any(second_installation.ask('configured_computers'))


@pytest.mark.parametrize(
    ('sections', 'ignore', 'status', 'says', 'kept'),
    [
        ({'validation': {'forces_mae_eV_per_A': 1e-6}}, (), 420, r'forces_mae.*ignore_validation', {'validation'}),
        (
            {'relabelling': {'n_rounds': 0, 'max_rounds': 0}, 'md': {'timestep_fs': 60.0}},
            (),
            420,
            r'stability_150K.*ignore_validation',
            {'validation'},
        ),
    ],
    ids=['validation', 'explosion'],
)
def test_failed_stage_keeps_what_was_computed(
    campaign, installation, crystal_file, overrides, request, sections, ignore, status, says, kept
):
    """A potential that fails its gate, by its errors or because it explodes; what came before is from the cache."""
    file = overrides(request.node.callspec.id, **sections)
    text = installation.run(*SUBMIT, '--structure', crystal_file, '--overrides', file, *ignore, status=1)
    assert 'Traceback' not in text
    assert re.search(rf'Error: ConductivityWorkChain<\d+> ended with \[{status}\].*{says}', text)
    assert re.search(r'verdi process report \d+', text)
    assert 'stopped before its end' in text
    failed = installation.ask('describe', re.search(r'Submitted ConductivityWorkChain<(\d+)>', text).group(1))
    assert failed['exit_status'] == status
    assert set(failed['outputs']) == OUTPUTS - {'validation'} | kept
    ran = {job['process'] for job in failed['jobs'] if not job['cached']}
    assert ran == ({'LammpsMdCalculation'} if 'md' in sections else set())


# Nothing submitted --------------------------------------------------------------------------------------------------


def structure(change=lambda atoms: None):
    """Return a function that writes the crystal, changed in place, to a folder and returns the option with it."""

    def write(folder):
        atoms = crystal('beta-Li3PO4')
        change(atoms)
        ase.io.write(folder / 'structure.cif', atoms)
        return ('--structure', folder / 'structure.cif')

    return write


def overlap(atoms):
    """Move one atom almost onto another."""
    atoms.positions[1] = atoms.positions[0] + 0.1


def without_lithium(atoms):
    """Put sodium in the place of lithium."""
    atoms.symbols[atoms.symbols == 'Li'] = 'Na'


def with_praseodymium(atoms):
    """Put an element in that PseudoDojo does not have, and make room for it."""
    atoms.symbols[atoms.symbols == 'P'] = 'Pr'
    atoms.set_cell(1.4 * atoms.cell, scale_atoms=True)


def with_vanadium(atoms):
    """Put an element in that the model does not know."""
    atoms.symbols[atoms.symbols == 'P'] = 'V'


def dataset_without_forces(folder):
    """Write a frame with its energy alone."""
    atoms = crystal('beta-Li3PO4')
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    ase.io.write(folder / 'frames.extxyz', atoms)
    return ('--dataset', folder / 'frames.extxyz')


def text_file(name, text, option):
    """Return a function that writes a file and returns the option with it."""

    def write(folder):
        (folder / name).write_text(text)
        return (option, folder / name)

    return write


BAD_INPUTS = {
    'overlapping atoms': (structure(overlap), 'are 0.17 Å apart and overlap: remove one of them'),
    'no mobile ion': (structure(without_lithium), 'has no Li: name its mobile species with --mobile'),
    'charges': (('--charges', 'P=4'), 'charges sum to -2 instead of zero .*: give oxidation states that balance'),
    'temperature': (('--temperatures', '0,500'), r'`temperatures_K.0` is 0.0, but must be greater than 0 \(.* in K\)'),
    'infinite temperature': (('--temperatures', 'inf'), '`temperatures_K.0` is inf, but must be a finite number'),
    'no pseudopotential': (
        lambda folder: (*structure(with_praseodymium)(folder), '--charges', 'Pr=5'),
        'no pseudopotential for Pr: name another installed family',
    ),
    'protocol': (('--protocol', 'quick'), 'unknown protocol `quick`: choose one of quickstart'),
    'override': (
        text_file('bad.yaml', 'aimd: {timestep: 5}', '--overrides'),
        r'unknown key `aimd.timestep`: did you mean `aimd.timestep_fs`\?',
    ),
    'overrides that are no mapping': (text_file('bad.yaml', '- 1', '--overrides'), 'must be a mapping'),
    'overrides that are no YAML': (text_file('bad.yaml', 'a: [', '--overrides'), 'bad.yaml` .*YAML'),
    'missing code': (
        ('--codes', 'pw=nowhere@localhost'),
        '`nowhere@localhost` does not exist: run `aiida-ionconduct setup`',
    ),
    'code of another plugin': (
        ('--codes', 'pw=lammps@localhost'),
        'of the plugin ionconduct.lammps.md, pw needs quantumespresso.pw',
    ),
    'dataset without forces': (dataset_without_forces, 'frame 0 of the dataset has no forces: label it with DFT first'),
    'seeds': (('--seeds', '1,1'), r'`seeds` is \[1, 1\], but must name every value only once'),
    'no structure file': (('--structure', 'nothing.cif'), '`nothing.cif` cannot be read'),
    'no campaign': (('--follow', '999999'), 'no .*999999'),
}


@pytest.fixture
def refused(installation, tmp_path):
    """Return a function that submits bad input: a message that says what to do, and nothing new in the profile."""

    def submit(arguments, message):
        before = installation.count_nodes()
        given = () if {'--structure', '--follow'} & set(arguments) else structure()(tmp_path)
        text = installation.run(*SUBMIT, *given, *arguments, status=1)
        assert re.search(f'^Error: .*{message}', text, flags=re.MULTILINE), text
        assert 'Traceback' not in text
        assert installation.count_nodes() == before

    return submit


@pytest.mark.parametrize('case', BAD_INPUTS)
def test_bad_input_is_refused_before_submission(case, refused, tmp_path):
    """A wrong input is refused in a sentence, without a traceback, and nothing is stored."""
    bad, message = BAD_INPUTS[case]
    refused(bad(tmp_path) if callable(bad) else bad, message)


def test_model_for_other_elements_is_refused(refused, campaign, installation, tmp_path):
    """A model that does not know an element of the structure is refused before anything is submitted."""
    installation.ask('export', campaign['pk'], tmp_path)
    arguments = (*structure(with_vanadium)(tmp_path), '--charges', 'V=5', '--model', tmp_path / 'model.nequip.zip')
    refused(arguments, 'the model knows Li, O, P, but the structure contains V: train one')


def test_dry_run_submits_nothing(installation, tiny):
    """The whole plan is printed, of the quickstart and of a material and settings that a user gives."""
    before = installation.count_nodes()
    quickstart = installation.run(*SUBMIT, '--dry-run')
    own = installation.run(*SUBMIT, '--dry-run', *tiny)
    assert installation.count_nodes() == before
    assert 'Li7O8PSi, 17 atoms, protocol quickstart, Li mobile' in quickstart
    assert re.search(r'^production +LAMMPS +4 +204 +\d+ ', quickstart, flags=re.MULTILINE)
    assert 'Li6O8P2, 16 atoms' in own
    for stage, *numbers in (
        ('AIMD', 'pw.x', 2, 16, 10),
        ('rattled cells', 'pw.x', 2, 16, 8),
        ('training', 'nequip', 1, 16, 60),
        ('exploration 1', 'LAMMPS', 2, 16, 100),
        ('relabelling 1', 'pw.x', 1, 16, 4),
        ('training 1', 'nequip', 1, 16, 20),
        ('validation', 'LAMMPS', 2, 64, 150),
        ('production', 'LAMMPS', 4, 128, 450),
    ):
        row = ' +'.join(re.escape(str(word)) for word in (stage, *numbers))
        assert re.search(f'^{row} +.*(s|min|h)$', own, flags=re.MULTILINE)
    assert all(text.rstrip().endswith('Nothing was submitted.') for text in (quickstart, own))
