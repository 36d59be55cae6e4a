"""`AllegroEvaluateCalculation`: what it writes and what it refuses."""

import pytest
import yaml
from aiida import orm

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory

ENTRY_POINT = 'ionconduct.allegro.evaluate'


@pytest.fixture
def evaluate_inputs(aiida_profile_clean, fixture_code, make_frame, make_model):
    """Return a function that gives valid inputs for two models, with some changed."""
    options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}}
    return lambda **changes: {
        'code': fixture_code('ionconduct.allegro.train'),
        'frames': frames_to_trajectory([make_frame() for _ in range(3)]),
        'models': {f'seed{seed}': make_model(f'seed{seed}.nequip.zip') for seed in (1, 2)},
        'metadata': {'options': options},
        **changes,
    }


def test_every_model_is_run_with_a_configuration_of_its_own(fixture_sandbox, generate_calc_job, evaluate_inputs):
    calc_info = generate_calc_job(ENTRY_POINT, evaluate_inputs(), fixture_sandbox)
    assert sorted(fixture_sandbox.get_content_list()) == ['frames.extxyz', 'seed1.yaml', 'seed2.yaml']
    assert [info.cmdline_params[3] for info in calc_info.codes_info] == ['seed1.yaml', 'seed2.yaml']
    assert [entry[2] for entry in calc_info.local_copy_list] == ['seed1.nequip.zip', 'seed2.nequip.zip']
    assert calc_info.retrieve_temporary_list == ['seed1_dataset0.xyz', 'seed2_dataset0.xyz']


def test_accelerator_reaches_the_configuration(fixture_sandbox, generate_calc_job, evaluate_inputs):
    generate_calc_job(ENTRY_POINT, evaluate_inputs(accelerator=orm.Str('gpu')), fixture_sandbox)
    with fixture_sandbox.open('seed1.yaml') as handle:
        assert yaml.safe_load(handle)['trainer']['accelerator'] == 'gpu'


@pytest.mark.parametrize(
    ('model', 'message'),
    [
        ({'filename': 'm.nequip.pt2'}, 'the model seed3 m.nequip.pt2 is compiled: give the package'),
        ({'type_names': ('Li', 'S')}, 'the model seed3 does not know O, P'),
    ],
)
def test_unusable_model(model, message, fixture_sandbox, generate_calc_job, evaluate_inputs, make_model):
    inputs = evaluate_inputs(models={'seed3': make_model(**model)})
    with pytest.raises(ValueError, match=message):
        generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
