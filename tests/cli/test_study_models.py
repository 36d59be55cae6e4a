"""`aiida-ionconduct study models`: the plan, the refusals, the table of a study, and the choice."""

import numpy as np
import pytest
import yaml
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.manage import get_manager
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.cli.follow import n_jobs
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.queries import MODELS_STUDY
from model_study import row, table


@pytest.fixture
def frames(aiida_profile_clean, fixture_code, crystals):
    """A stored training set without stress, and the codes with the labels that `setup` gives."""
    for label, engine in ENGINES.items():
        code = fixture_code(engine.plugin)
        orm.InstalledCode(
            label=label, computer=code.computer, filepath_executable='/bin/true', default_calc_job_plugin=engine.plugin
        ).store()
    frame = crystals['Li3PO4'].copy()
    frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((len(frame), 3)))
    return DatasetData.from_frames([frame] * 20).store()


def stored_study(values, exit_status=0, exit_message=None):
    """Return a study that has ended with a table."""
    node = orm.WorkChainNode(process_type=MODELS_STUDY)
    node.set_process_label('ModelsStudyWorkChain')
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(exit_status)
    node.set_exit_message(exit_message)
    node.store()
    output = orm.Dict(values).store()
    output.base.links.add_incoming(node, LinkType.RETURN, 'table')
    node.seal()
    return node


@pytest.fixture
def study(aiida_profile):
    """A study that has ended well."""
    return stored_study(table())


@pytest.fixture
def failed_study(aiida_profile):
    """A study in which all settings have failed."""
    effects = {'forces_mae_eV_per_A': {}, 'us_per_atom_step': {}}
    rows = [row(f'model_00{n}', None, None, reason='The training diverged.', r_max=float(n)) for n in (4, 5)]
    return stored_study({**table(), 'rows': rows, 'front': [], 'effects': effects}, 401, 'All 2 settings have failed')


def invoke(*words):
    profile = get_manager().get_profile().name
    return CliRunner().invoke(cli, [*map(str, words), '-p', profile])


def plan(node, *words):
    codes = [word for label in ENGINES for word in ('--codes', f'{label}={orm.load_code(label).pk}') if label in CODES]
    return invoke('study', 'models', node.pk, *words, *codes, '--dry-run')


CODES = ('nequip-train', 'nequip-package', 'nequip-compile', 'lammps')


def count():
    return orm.QueryBuilder().append(orm.Node).count()


def test_dry_run(frames):
    """The settings, the rungs and the cost are printed, and nothing is stored."""
    before = count()
    result = plan(frames, '--grid', 'r_max=4,5', 'l_max=1,2', '--epochs', '5,20')
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ['model_004', '5', '2'] in lines
    assert next(line for line in lines if line[:2] == ['rung', '0'])[2:4] == ['4', '5']
    assert next(line for line in lines if line[:2] == ['rung', '1'])[2:6] == ['2', '5', 'to', '20']
    assert 'of core time in all' in result.output
    assert 'Nothing was submitted.' in result.output
    assert count() == before


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'the grid is empty'),
        (['--grid', 'r_mx=4'], 'did you mean `r_max`?'),
        (['--grid', 'r_max=4,x'], "`r_max` is 'x'"),
        (['--grid', 'r_max=4,5', '--epochs', '30,10'], 'must be whole numbers that grow'),
        (['--grid', 'r_max=4,5', '--epochs', 'x'], 'must be whole numbers that grow'),
        (['--grid', 'stress_coefficient=0,1'], 'not all frames of the dataset have a stress'),
        (['--grid', 'r_max=4,5', '--choose', 'forces<50'], 'is not understood'),
        (['--grid', 'r_max=4,5', '--keep', '0'], '--keep'),
        (['--grid', 'r_max=4,5', '--output', 'x.yaml'], '--output needs --choose'),
        (['--grid', f'seed={",".join(map(str, range(201)))}'], 'at most 200'),
    ],
)
def test_refusals(frames, words, message):
    """Nothing is stored before everything has been checked."""
    before = count()
    result = plan(frames, *words)
    assert result.exit_code != 0
    assert message in ' '.join(result.output.split())
    assert count() == before


def test_a_study_is_shown(study, tmp_path):
    result = invoke('study', 'models', study.pk, '--figures', tmp_path)
    assert result.exit_code == 0, result.output
    assert 'l_max changes the force error most' in result.output
    assert {path.name for path in tmp_path.iterdir()} == {f'models-{study.pk}.png', f'models-{study.pk}.svg'}


def test_a_choice_is_stored_and_written(study, tmp_path):
    words = ('--choose', 'forces<70meV/A', '--output', tmp_path / 'model.yaml', '--figures', tmp_path)
    result = invoke('study', 'models', study.pk, *words)
    assert result.exit_code == 0, result.output
    section = yaml.safe_load((tmp_path / 'model.yaml').read_text())['training']
    assert (section['r_max'], section['l_max'], section['max_epochs']) == (4.0, 2, 90)
    query = orm.QueryBuilder().append(orm.CalcFunctionNode, filters={'attributes.process_label': 'choose_model'})
    (function,) = query.all(flat=True)
    assert function.outputs.result['training'] == section
    shown = invoke('show', function.outputs.result.pk)
    assert 'model_002 (r_max 4, l_max 2)' in shown.output


def test_a_choice_that_nothing_meets(study, tmp_path):
    """The refusal leaves no process behind."""
    before = count()
    result = invoke('study', 'models', study.pk, '--choose', 'forces<10meV/A', '--figures', tmp_path)
    assert result.exit_code == 1
    assert 'the least is 60 meV/A (model_002)' in result.output
    assert count() == before


def test_show_and_report(study, tmp_path):
    assert 'model_001' in invoke('show', study.pk).output
    assert '"front"' in invoke('show', study.pk, '--format', 'json').output
    result = invoke('report', study.pk, '-o', tmp_path / 'models.html', '--figures', tmp_path / 'figures')
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / 'figures').iterdir()} == {'models.svg', 'models.png', 'models.csv'}
    html = (tmp_path / 'models.html').read_text()
    assert 'Force error against time' in html
    assert 'model_003' in html
    assert '<svg' in html


@pytest.mark.parametrize(
    ('words', 'exit_code'),
    [(('study', 'models'), 1), (('study', 'models', '--choose', 'forces<9eV/A'), 1), (('show',), 0)],
)
def test_a_study_in_which_all_have_failed(failed_study, words, exit_code):
    """The reasons of all settings are printed, and that the study has failed."""
    result = invoke(*words, failed_study.pk)
    assert result.exit_code == exit_code, result.output
    assert result.output.count('failed in training, rung 0: The training diverged.') == 2
    assert 'All 2 settings have failed' in result.output


def test_the_page_of_a_study_in_which_all_have_failed(failed_study, tmp_path):
    result = invoke('report', failed_study.pk, '-o', tmp_path / 'models.html')
    assert result.exit_code == 0, result.output
    assert 'The training diverged.' in (tmp_path / 'models.html').read_text()


def test_a_study_beside_measured_conductivities_is_refused(study, tmp_path):
    measured = tmp_path / 'measured.csv'
    measured.write_text('material,temperature_K,sigma_S_per_cm\nLi3PO4,300,1e-9\n')
    result = invoke('report', study.pk, '--measured', measured)
    assert (result.exit_code, '--measured is for campaigns' in result.output) == (2, True)


def test_a_study_that_has_not_ended(aiida_profile):
    node = orm.WorkChainNode(process_type=MODELS_STUDY).store()
    assert 'has no table' in invoke('show', node.pk).output
    assert 'it has not come to its end' in invoke('study', 'models', node.pk).output


@pytest.mark.parametrize(('label', 'n'), [('allegro__compile__parameters', 10), ('allegro__split', 5)])
def test_status_counts_the_settings(aiida_profile, label, n):
    """The jobs of a rung are known before they are submitted; models of the first rung are compiled as well."""
    child = orm.WorkChainNode()
    child.set_process_label('ModelTrainingsWorkChain')
    settings = orm.Dict({f'model_{number:03d}': {} for number in range(5)}).store()
    child.base.links.add_incoming(settings, LinkType.INPUT_WORK, 'settings')
    child.base.links.add_incoming(orm.Dict({}).store(), LinkType.INPUT_WORK, label)
    child.store()
    assert n_jobs(child, []) == n
