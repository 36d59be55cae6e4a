"""A campaign without DFT on real engines: SevenNet samples and labels, Allegro learns, LAMMPS runs, all briefly.

The sizes are so small that the numbers mean nothing. What is claimed is that every stage runs, that pw.x does not, and
that every result says so.
"""

import re

import ase.io
import pytest
import yaml

from aiida_ionconduct.structures import crystal

from .test_campaign import SUBMIT

pytestmark = pytest.mark.integration

SMALL = {
    'temperatures_K': [200, 300],
    'seeds': [1, 2],
    'n_atoms_min': 16,
    'min_image_distance_A': 4.8,
    'pretrained': {
        'steps': 20, 'stride': 4, 'strains': [0.02], 'n_hops': 4, 'n_rattled': 12, 'relax_steps': 3,
        'temperatures_K': [300, 600],
    },
    'training': {
        'r_max': 4.0, 'l_max': 1, 'num_scalar_features': 32, 'num_tensor_features': 8, 'mlp_width': 32,
        'max_epochs': 60,
    },
    'relabelling': {
        'n_rounds': 1, 'max_rounds': 1, 'n_frames': 3, 'temperatures_K': [300], 'equilibration_steps': 0,
        'production_steps': 40, 'training': {'max_epochs': 5},
    },
    'md': {
        'timestep_fs': 1.0, 'equilibration_steps': 20, 'production_steps': 400, 'frame_stride': 10, 'com_stride': 5,
        'thermo_stride': 10,
    },
    'validation': {'equilibration_steps': 20, 'production_steps': 100},
}  # fmt: skip


@pytest.fixture(scope='module')
def campaign(installation):
    """Run the campaign: what was printed, and what is in the profile."""
    structure, overrides = installation.path / 'Li3PO4-screen.cif', installation.path / 'screen.yaml'
    ase.io.write(structure, crystal('beta-Li3PO4'))
    overrides.write_text(yaml.safe_dump(SMALL))
    arguments = ('--structure', structure, '--protocol', 'screen', '--overrides', overrides, '--ignore-validation')
    text = installation.run(*SUBMIT, *arguments)
    pk = re.search(r'Submitted ConductivityWorkChain<(\d+)>', text).group(1)
    return {'pk': pk, 'text': text, **installation.ask('describe', pk)}


def test_no_job_of_pw(campaign):
    """The pretrained potential relaxes, samples and labels; nothing is computed by pw.x."""
    assert campaign['exit_status'] == 0
    ran = {job['process'] for job in campaign['jobs']}
    assert ran == {
        'AseSamplingCalculation',
        'AllegroTrainCalculation',
        'AllegroCompileCalculation',
        'LammpsMdCalculation',
    }
    assert all(job['exit_status'] == 0 for job in campaign['jobs'])


def test_sources_of_the_training_set(campaign):
    """Frames of every kind of sampling, and those of the potential's own dynamics, all with the teacher's labels."""
    dataset = campaign['outputs']['dataset']['attributes']
    assert set(dataset['sources']) == {'pretrained_md', 'strained', 'hops', 'rattled', 'relabelled_1'}
    assert sum(dataset['labelled_by'].values()) == dataset['n_frames']


@pytest.mark.parametrize('label', ['conductivities__T200', 'conductivities__T300'])
def test_node_says_that_no_dft_was_done(campaign, label):
    """With the version of the pretrained potential and the checksum of its weights."""
    attributes = campaign['outputs'][label]['attributes']
    (teacher,) = attributes['labelled_by']
    assert re.fullmatch(r'SevenNet 7net-0 \(sevenn [\d.]+, weights SHA-256 [0-9a-f]{12}\)', teacher)
    assert attributes['warnings'][0].startswith('No DFT was done')


@pytest.mark.parametrize('name', ['model', 'compiled_model', 'trajectories__T200_seed1'])
def test_statement_goes_with_the_potential(campaign, name):
    teachers = campaign['outputs']['conductivities__T200']['attributes']['labelled_by']
    assert campaign['outputs'][name]['attributes']['labelled_by'] == teachers


def test_command_line_says_so(campaign):
    """In the plan before the submission, and in the verdict after it."""
    plan, _, results = campaign['text'].partition('Submitted ')
    assert 'No DFT is done' in plan
    assert 'No DFT was done' in results
    assert re.search(r'^Trained on DFT +NO ', results, flags=re.MULTILINE)


def test_page_says_so(campaign, installation):
    path = re.search(r'^Page: (.*)$', campaign['text'], flags=re.MULTILINE).group(1)
    page = (installation.path / path).read_text()
    assert 'No DFT was done' in page


def test_weights_are_recorded(campaign):
    teacher = campaign['outputs']['teacher']['attributes']
    assert [len(row['sha256']) for row in teacher['weights']] == [64]
    assert (teacher['device'], teacher['dtype']) == ('cpu', 'float32')


def test_study_of_potentials(campaign, installation):
    """A second potential, trained on the same frames with another seed, runs the production at one temperature."""
    words = ('study', 'potentials', campaign['pk'], '--training-seeds', '2', '--temperatures', '300')
    assert 'Nothing was submitted.' in installation.run('aiida-ionconduct', *words, '--dry-run')
    text = installation.run('aiida-ionconduct', *words)
    study = re.search(r'Submitted PotentialsStudyWorkChain<(\d+)>', text).group(1)
    described = installation.ask('describe', study)
    assert described['exit_status'] == 0
    assert {job['process'] for job in described['jobs']} == {
        'AllegroTrainCalculation', 'AllegroCompileCalculation', 'LammpsMdCalculation'
    }  # fmt: skip
    assert 'conductivities__T300_seed2' in described['outputs']
    scatter = described['outputs']['comparison']['attributes']['T300']
    row = next(line.split() for line in text.splitlines() if line.startswith('300 '))
    if scatter is None:  # runs this short may have no number
        assert row[1] == 'fewer'
    else:
        assert row[1] == str(scatter['n']) == '2'
        assert 'among 2 potentials' in installation.run('aiida-ionconduct', 'show', campaign['pk'])
