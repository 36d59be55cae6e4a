"""`AllegroCompileCalculation`: the command it runs and what it refuses."""

import io

import ase.io
import pytest
import yaml
from aiida import orm
from ase import Atoms

from aiida_ionconduct.allegro.acceleration import NO_ACCELERATION
from aiida_ionconduct.allegro.agreement import reference_frame

ENTRY_POINT = 'ionconduct.allegro.compile'
COMMAND = ['--mode', 'aotinductor', '--target', 'pair_allegro', '--device']
CUDA = ['--constant-fold', '--modifiers', 'enable_TritonContracter', '--inductor-configs', 'max_autotune=1']
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
    ('parameters', 'accelerations', 'arguments'),
    [
        ({}, [], ['cpu', '--no-tf32']),
        ({'parameters': {'device': 'cuda', 'tf32': True}}, CUDA, ['cuda', '--tf32']),
        ({'parameters': {'device': 'cuda'}}, CUDA, ['cuda', '--no-tf32']),
    ],
)
def test_command(parameters, accelerations, arguments, fixture_sandbox, generate_calc_job, compile_inputs):
    """The file keeps its suffix on the computer, as both commands insist on it."""
    inputs = compile_inputs(**{name: orm.Dict(value) for name, value in parameters.items()})
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.codes_info[0].cmdline_params == accelerations + COMMAND + arguments + FILES
    assert calc_info.local_copy_list == [(inputs['model'].uuid, 'LiPSiO.nequip.zip', 'model.nequip.zip')]
    assert calc_info.retrieve_temporary_list == ['model.nequip.pt2']
    assert fixture_sandbox.get_content_list() == []


def test_own_cache(fixture_sandbox, generate_calc_job, compile_inputs):
    """Jobs that run at the same time do not share the folder in which torch writes the files of a compilation."""
    calc_info = generate_calc_job(ENTRY_POINT, compile_inputs(), fixture_sandbox)
    assert 'export TORCHINDUCTOR_CACHE_DIR="$PWD/' in calc_info.prepend_text


def test_mliap(fixture_sandbox, generate_calc_job, compile_inputs):
    """The command for ML-IAP takes no device, and of the accelerations the modifiers alone."""
    inputs = compile_inputs(parameters=orm.Dict({'target': 'mliap', 'device': 'cuda', 'tf32': True}))
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    modifiers, command = CUDA[1:3], ['--tf32', 'model.nequip.zip', 'model.nequip.lmp.pt']
    assert calc_info.codes_info[0].cmdline_params == modifiers + command
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


@pytest.fixture
def check(fixture_code, make_dataset):
    """Return a function that gives the inputs of the comparison with nequip, with some changed."""
    return lambda **changes: {
        'train_code': fixture_code('ionconduct.allegro.train'),
        'lammps_code': fixture_code('ionconduct.lammps.md'),
        'frame': make_dataset('LiOP'),
        **changes,
    }


def written(folder, name):
    """Return the text of a file that the job gets."""
    with folder.open(name) as handle:
        return handle.read()


def test_check(fixture_sandbox, generate_calc_job, compile_inputs, check):
    """Nequip evaluates the package and LAMMPS the compiled model, for the same frame, after the compilation."""
    codes = check()
    calc_info = generate_calc_job(ENTRY_POINT, compile_inputs(check=codes), fixture_sandbox)
    _, nequip, lammps = calc_info.codes_info
    assert [nequip.code_uuid, lammps.code_uuid] == [codes['train_code'].uuid, codes['lammps_code'].uuid]
    assert lammps.cmdline_params == ['-in', 'check.in']
    assert calc_info.retrieve_temporary_list == [
        'model.nequip.pt2', 'reference_dataset0.xyz', 'energy.txt', 'forces.txt'
    ]  # fmt: skip
    configuration = yaml.safe_load(written(fixture_sandbox, 'reference.yaml'))
    assert configuration['training_module']['model']['package_path'] == 'model.nequip.zip'
    assert configuration['trainer']['accelerator'] == 'cpu'
    frame = ase.io.read(io.StringIO(written(fixture_sandbox, 'frames.extxyz')), format='extxyz')
    assert abs(frame.positions - reference_frame(codes['frame'].get_frames()).positions).max() < 1e-7
    assert 'pair_coeff * * model.nequip.pt2 Li O P' in written(fixture_sandbox, 'check.in')
    assert '3 atoms' in written(fixture_sandbox, 'structure.data')


def test_check_of_mliap_on_a_gpu(fixture_sandbox, generate_calc_job, compile_inputs, check):
    """A structure will do as the frame; LAMMPS is called as in production."""
    atoms = Atoms('LiO', positions=[[0, 0, 0], [0, 0, 2]], cell=[5, 5, 5], pbc=True)
    inputs = compile_inputs(
        check=check(frame=orm.StructureData(ase=atoms), settings=orm.Dict({'kokkos_gpus': 1})),
        parameters=orm.Dict({'target': 'mliap', 'device': 'cuda'}),
    )
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.codes_info[2].cmdline_params[2:8] == ['-k', 'on', 'g', '1', '-sf', 'kk']
    assert 'pair_style mliap unified model.nequip.lmp.pt 0' in written(fixture_sandbox, 'check.in')
    assert yaml.safe_load(written(fixture_sandbox, 'reference.yaml'))['trainer']['accelerator'] == 'gpu'


def test_message_passing_model(fixture_sandbox, generate_calc_job, compile_inputs, make_model):
    """A node that states another architecture is refused by name."""
    model = make_model()
    model.base.attributes.set('architecture', 'nequip.model.NequIPGNNModel')
    with pytest.raises(ValueError, match=r'is a model of the architecture `nequip\.model\.NequIPGNNModel`, which pair'):
        generate_calc_job(ENTRY_POINT, compile_inputs(model=model), fixture_sandbox)


@pytest.mark.parametrize(
    ('changes', 'arguments'),
    [
        ({'modifiers': []}, [CUDA[0], *CUDA[3:]]),
        ({'constant_fold': False}, CUDA[1:]),
        ({'inductor_configs': {'freezing': True, 'max_autotune_gemm_backends': 'ATEN'}}, [
            *CUDA[:4], 'freezing=1', 'max_autotune_gemm_backends=ATEN',
        ]),
        (NO_ACCELERATION, []),
    ],
)  # fmt: skip
def test_each_acceleration_has_a_switch(changes, arguments, fixture_sandbox, generate_calc_job, compile_inputs):
    inputs = compile_inputs(parameters=orm.Dict({'device': 'cuda', **changes}))
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.codes_info[0].cmdline_params == arguments + COMMAND + ['cuda', '--no-tf32'] + FILES
