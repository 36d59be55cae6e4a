"""A study of models on real engines: short trainings that go on from their checkpoints, timings, a choice.

The sizes are so small that the numbers mean nothing. What is claimed is that every setting is trained, compiled and
timed, also two settings that torch compiles under the same names at the same time, that a part goes on from its
checkpoints, that a setting whose training fails is a row, and that a campaign accepts the choice.
"""

import re

import pytest
import yaml

pytestmark = pytest.mark.integration

BASE = {
    'num_scalar_features': 8, 'num_tensor_features': 2, 'mlp_width': 8, 'readout_width': 8, 'batch_size': 4,
    'learning_rate': 0.01,
}  # fmt: skip
TOO_SHORT = 1
"""A cutoff in Å within which no atom has a neighbour, so that no model can be trained."""


@pytest.fixture(scope='module')
def study(installation, dft_frames):
    """Run the study: what was printed, its node, and the file of the choice."""
    overrides, chosen = installation.path / 'base.yaml', installation.path / 'chosen.yaml'
    overrides.write_text(yaml.safe_dump({'training': BASE}))
    text = installation.run(
        *('aiida-ionconduct', 'study', 'models', dft_frames, '--stress-unit', 'eV/A^3', '--overrides', overrides),
        *('--grid', f'r_max=3,4,{TOO_SHORT}', 'l_max=1', '--epochs', '2,4', '--keep', 0.3, '--atoms', 17),
        *('--steps', 50, '--choose', 'forces<100eV/A', '--output', chosen),
    )
    pk = re.search(r'Submitted ModelsStudyWorkChain<(\d+)>', text).group(1)
    return {'pk': pk, 'text': text, 'chosen': chosen, **installation.ask('describe', pk)}


def test_jobs(study):
    """Every setting that can be trained is trained, compiled and timed at once; one of them is trained again."""
    assert study['exit_status'] == 0
    ran = [job['process'] for job in study['jobs'] if job['exit_status'] == 0]
    assert {name: ran.count(name) for name in sorted(set(ran))} == {
        'AllegroCompileCalculation': 2,
        'AllegroTrainCalculation': 3,
        'LammpsMdCalculation': 2,
    }
    assert {job['process'] for job in study['jobs'] if job['exit_status'] != 0} == {'AllegroTrainCalculation'}


def test_table(study):
    table = study['outputs']['table']['attributes']
    rows = [row for row in table['rows'] if not row['reason']]
    assert sorted(row['epochs'] for row in rows) == [2, 4]
    for row in rows:
        assert row['forces_mae_eV_per_A'] > 0
        assert 0 < row['us_per_atom_step'] < 1e6
        assert 50 < row['peak_memory_MB'] < 1e5
    assert table['effects']['us_per_atom_step']['r_max'].keys() == {'3', '4'}


def test_a_setting_that_cannot_be_trained_is_a_row(study):
    rows = study['outputs']['table']['attributes']['rows']
    (row,) = (row for row in rows if row['reason'])
    assert (row['settings']['r_max'], row['state']) == (TOO_SHORT, 'failed in training, rung 0')


def test_the_setting_that_the_decision_kept_is_trained_in_full(study):
    table = study['outputs']['table']['attributes']
    (kept,) = study['outputs']['decisions__rung_0']['attributes']['kept']
    (label,) = (row['label'] for row in table['rows'] if row['state'] == 'trained in full')
    assert label == kept


def test_the_choice_is_accepted_by_a_campaign(study, installation):
    section = yaml.safe_load(study['chosen'].read_text())['training']
    assert (section['num_scalar_features'], section['max_epochs']) == (8, 4)
    plan = installation.run('aiida-ionconduct', 'launch', '--overrides', study['chosen'], '--dry-run')
    assert re.search(r'training +nequip +1 +17 +4 ', plan)


def test_status_show_and_report(study, installation):
    assert re.search(
        r'rung_0 +ModelTrainingsWorkChain<\d+> +\S+ +6/6', installation.run('aiida-ionconduct', 'status', study['pk'])
    )
    assert 'trained in full' in installation.run('aiida-ionconduct', 'show', study['pk'])
    installation.run('aiida-ionconduct', 'report', study['pk'], '-o', 'models.html')
    assert '<svg' in (installation.path / 'models.html').read_text()
