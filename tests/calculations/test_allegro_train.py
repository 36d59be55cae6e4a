"""`AllegroTrainCalculation`: what it writes and what it refuses."""

import io

import pytest
import yaml
from aiida import orm

from aiida_ionconduct.calculations.base import stop_after
from aiida_ionconduct.data import DatasetData

ENTRY_POINT = 'ionconduct.allegro.train'
PARAMETERS = {'r_max': 5.0, 'l_max': 1, 'max_epochs': 3, 'accelerator': 'cpu'}


@pytest.fixture
def train_inputs(aiida_profile_clean, fixture_code, make_dataset):
    """Return a function that gives valid inputs with some changed."""

    def inputs(**changes):
        code = fixture_code(ENTRY_POINT)
        sets = {name: make_dataset(n_frames=number) for name, number in (('train', 4), ('validation', 1), ('test', 2))}
        options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}}
        parameters = orm.Dict(PARAMETERS)
        fixed = {'code': code, 'package_code': code, 'parameters': parameters, 'metadata': {'options': options}}
        return {**sets, **fixed, **changes}

    return inputs


def test_files(fixture_sandbox, generate_calc_job, train_inputs, file_regression):
    inputs = train_inputs()
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)

    assert fixture_sandbox.get_content_list() == ['training.yaml']
    with fixture_sandbox.open('training.yaml') as handle:
        file_regression.check(handle.read(), extension='.yaml')
    train, package = calc_info.codes_info
    # hydra takes a relative --config-path for a folder of nequip's package, only --config-dir for one of the job's
    assert train.cmdline_params == ['--config-dir', '.', '--config-name', 'training.yaml', 'hydra.run.dir=.']
    assert package.cmdline_params == ['build', 'best.ckpt', 'model.nequip.zip']
    assert calc_info.local_copy_list == [
        (inputs[name].uuid, inputs[name].filename, f'{name}.extxyz') for name in ('train', 'validation', 'test')
    ]
    assert calc_info.retrieve_temporary_list == [
        'model.nequip.zip',
        'predictions_dataset0.xyz',
        'logs/version_0/metrics.csv',
        'best.ckpt',
        'last.ckpt',
    ]


def test_checkpoint(fixture_sandbox, generate_calc_job, train_inputs):
    """Both files are handed over, and so are the callbacks that find them in the new folder."""
    checkpoint = orm.FolderData()
    for name in ('best.ckpt', 'last.ckpt'):
        checkpoint.base.repository.put_object_from_filelike(io.BytesIO(name.encode()), name)
    inputs = train_inputs(checkpoint=checkpoint, trust_model=orm.Bool(True))
    inputs['metadata']['options']['max_wallclock_seconds'] = 3600
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert fixture_sandbox.get_content_list() == ['allegro_resume.py', 'training.yaml']
    assert [entry[1:] for entry in calc_info.local_copy_list[-2:]] == [
        ('best.ckpt', 'best.ckpt'),
        ('last.ckpt', 'last.ckpt'),
    ]
    assert 'PYTHONPATH="$PWD' in calc_info.prepend_text
    with fixture_sandbox.open('training.yaml') as handle:
        assert yaml.safe_load(handle)['ckpt_path'] == 'last.ckpt'


@pytest.mark.parametrize(('walltime', 'seconds'), [(3600, 3120), (86400, 77640), (100, 50), (1, 0.5)])
def test_time_for_the_rest(walltime, seconds):
    """Time is left for the test on held-out frames and the package; the training has at least half of the wall time."""
    assert stop_after(walltime) == pytest.approx(seconds)


def test_frames_without_stress(fixture_sandbox, generate_calc_job, train_inputs):
    inputs = train_inputs(parameters=orm.Dict({**PARAMETERS, 'stress_coefficient': 1.0}))
    refused(generate_calc_job, inputs, fixture_sandbox, 'the train and validation and test frames have no stress')


def test_initial_model(fixture_sandbox, generate_calc_job, train_inputs, make_model):
    """The weights are handed over, and the types and the cutoff are those of the initial model."""
    model = make_model(type_names=('P', 'Li', 'Si', 'O'), r_max=4.5)
    calc_info = generate_calc_job(ENTRY_POINT, train_inputs(initial_model=model), fixture_sandbox)
    assert calc_info.local_copy_list[-1] == (model.uuid, 'model.nequip.zip', 'initial.nequip.zip')
    with fixture_sandbox.open('training.yaml') as handle:
        configuration = yaml.safe_load(handle)
    assert configuration['training_module']['model']['package_path'] == 'initial.nequip.zip'
    mapper, neighbours = configuration['data']['transforms']
    assert mapper['model_type_names'] == ['P', 'Li', 'Si', 'O']
    assert neighbours['r_max'] == 4.5


def refused(generate_calc_job, inputs, folder, message):
    """Check that the process cannot be made."""
    with pytest.raises(ValueError, match=message):
        generate_calc_job(ENTRY_POINT, inputs, folder)


def test_unknown_parameter(fixture_sandbox, generate_calc_job, train_inputs):
    inputs = train_inputs(parameters=orm.Dict({'max_epoch': 3}))
    refused(generate_calc_job, inputs, fixture_sandbox, r'unknown key `max_epoch`: did you mean `max_epochs`\?')


@pytest.mark.parametrize('name', ['validation', 'test'])
def test_elements_never_trained_on(name, fixture_sandbox, generate_calc_job, train_inputs, make_dataset):
    inputs = train_inputs(**{name: make_dataset('LiSiSO')})
    refused(generate_calc_job, inputs, fixture_sandbox, f'the {name} set contains S, Si, which no training frame does')


def test_initial_model_of_other_elements(fixture_sandbox, generate_calc_job, train_inputs, make_model):
    inputs = train_inputs(initial_model=make_model(type_names=('Li', 'O')))
    refused(generate_calc_job, inputs, fixture_sandbox, 'the initial model does not know P: train a new one')


def test_compiled_initial_model(fixture_sandbox, generate_calc_job, train_inputs, make_model):
    inputs = train_inputs(initial_model=make_model('model.nequip.pt2'))
    refused(generate_calc_job, inputs, fixture_sandbox, 'model.nequip.pt2 is compiled: give the package')


def test_several_compositions(fixture_sandbox, generate_calc_job, train_inputs, make_frame):
    """The training starts from energies of the elements; with one composition, from the mean that nequip computes."""
    frames = [make_frame(energy, symbols) for energy, symbols in ((-3.0, 'LiOP'), (-4.0, 'LiOP2'), (-4.5, 'Li2OP'))]
    inputs = train_inputs(train=DatasetData.from_frames(frames))
    generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    with fixture_sandbox.open('training.yaml') as handle:
        shifts = yaml.safe_load(handle)['training_module']['model']['per_type_energy_shifts']
    assert sum(shifts.values()) == pytest.approx(-3.0)
    assert shifts['P'] == pytest.approx(-1.0)
    assert shifts['Li'] == pytest.approx(-1.5)


def test_energy_shifts(fixture_sandbox, generate_calc_job, train_inputs, make_model):
    """Those of the elements of the frames replace those of the initial model."""
    shifts = orm.Dict({'shifts_eV': {'Li': -190.0, 'O': -430.0, 'P': -180.0}})
    inputs = train_inputs(initial_model=make_model(), energy_shifts=shifts, trust_model=orm.Bool(True))
    generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    with fixture_sandbox.open('training.yaml') as handle:
        model = yaml.safe_load(handle)['training_module']['model']
    assert model['modifiers'] == [{'modifier': 'modify_PerTypeScaleShift', 'shifts': shifts['shifts_eV']}]


def test_energy_shifts_need_an_initial_model(fixture_sandbox, generate_calc_job, train_inputs):
    inputs = train_inputs(energy_shifts=orm.Dict({'shifts_eV': {'Li': -190.0}}))
    with pytest.raises(ValueError, match='give initial_model, too'):
        generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
