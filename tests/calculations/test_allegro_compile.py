"""`AllegroCompileCalculation`: the command it runs and what it refuses."""

import pytest
from aiida import orm

ENTRY_POINT = 'ionconduct.allegro.compile'
COMMAND = ['--mode', 'aotinductor', '--target', 'pair_allegro', '--device']
FILES = ['model.nequip.zip', 'model.nequip.pt2']


@pytest.fixture
def compile_inputs(aiida_profile_clean, fixture_code, make_model):
    """Return a function that gives valid inputs with some changed."""
    options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}}
    return lambda **changes: {
        'code': fixture_code(ENTRY_POINT),
        'model': make_model('LiPSiO.nequip.zip'),
        'metadata': {'options': options},
        **changes,
    }


@pytest.mark.parametrize(
    ('parameters', 'arguments'),
    [
        ({}, ['cpu', '--no-tf32']),
        ({'parameters': {'device': 'cuda', 'tf32': True}}, ['cuda', '--tf32']),
        ({'parameters': {'device': 'cuda'}}, ['cuda', '--no-tf32']),
    ],
)
def test_command(parameters, arguments, fixture_sandbox, generate_calc_job, compile_inputs):
    """The file keeps its suffix on the computer, as both commands insist on it."""
    inputs = compile_inputs(**{name: orm.Dict(value) for name, value in parameters.items()})
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.codes_info[0].cmdline_params == COMMAND + arguments + FILES
    assert calc_info.local_copy_list == [(inputs['model'].uuid, 'LiPSiO.nequip.zip', 'model.nequip.zip')]
    assert calc_info.retrieve_temporary_list == ['model.nequip.pt2']
    assert fixture_sandbox.get_content_list() == []


def test_mliap(fixture_sandbox, generate_calc_job, compile_inputs):
    """The command for ML-IAP takes no device."""
    inputs = compile_inputs(parameters=orm.Dict({'target': 'mliap', 'device': 'cuda', 'tf32': True}))
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.codes_info[0].cmdline_params == ['--tf32', 'model.nequip.zip', 'model.nequip.lmp.pt']
    assert calc_info.retrieve_temporary_list == ['model.nequip.lmp.pt']


def test_unknown_target(fixture_sandbox, generate_calc_job, compile_inputs):
    inputs = compile_inputs(parameters=orm.Dict({'target': 'ase'}))
    with pytest.raises(ValueError, match="`target` is 'ase', but must be 'pair_allegro' or 'mliap'"):
        generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)


def test_compiled_already(fixture_sandbox, generate_calc_job, compile_inputs, make_model):
    inputs = compile_inputs(model=make_model('model.nequip.pt2'))
    with pytest.raises(ValueError, match=r'model model\.nequip\.pt2 is compiled: give the package it came from'):
        generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)


def test_unknown_parameter(fixture_sandbox, generate_calc_job, compile_inputs):
    inputs = compile_inputs(parameters=orm.Dict({'tf_32': True}))
    with pytest.raises(ValueError, match=r'unknown key `tf_32`: did you mean `tf32`\?'):
        generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
