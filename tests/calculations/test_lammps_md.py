"""`LammpsMdCalculation`: what it writes and what it refuses."""

import pytest
from aiida import orm
from ase.build import bulk

from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation
from aiida_ionconduct.data import AllegroModelData

ENTRY_POINT = 'ionconduct.lammps.md'
PARAMETERS = {
    'temperature_K': 1200.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 500,
    'production_steps': 2000,
    'seed': 3,
    'frame_stride': 20,
}


@pytest.fixture
def md_model(tmp_path):
    """Return a function that makes a model node; nothing reads the file."""

    def model(filename='model.nequip.pt2', type_names=('Li', 'O', 'P')):
        (tmp_path / filename).write_bytes(b'not a model')
        return AllegroModelData(tmp_path / filename, type_names=list(type_names), r_max=5.0)

    return model


@pytest.fixture
def md_inputs(aiida_profile_clean, fixture_code, md_model):
    """Return a function that gives valid inputs with some changed."""

    def inputs(**changes):
        atoms = bulk('LiO', 'rocksalt', a=4.0, cubic=True)
        options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}, 'max_wallclock_seconds': 600}
        return {
            'code': fixture_code(ENTRY_POINT),
            'structure': orm.StructureData(ase=atoms),
            'model': md_model(),
            'parameters': orm.Dict(PARAMETERS),
            'metadata': {'options': options},
            **changes,
        }

    return inputs


def test_files(fixture_sandbox, generate_calc_job, md_inputs, file_regression):
    inputs = md_inputs()
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)

    assert sorted(fixture_sandbox.get_content_list()) == ['lammps.in', 'structure.data']
    assert calc_info.local_copy_list == [(inputs['model'].uuid, 'model.nequip.pt2', 'model.nequip.pt2')]
    assert calc_info.retrieve_list == ['lammps.log']
    assert calc_info.retrieve_temporary_list == ['trajectory.bin', 'centres_of_mass.txt']
    expected = ['-in', 'lammps.in', '-log', 'lammps.log', '-screen', 'none']
    assert calc_info.codes_info[0].cmdline_params == expected
    with fixture_sandbox.open('structure.data') as structure, fixture_sandbox.open('lammps.in') as script:
        file_regression.check(structure.read() + '\n---\n' + script.read(), extension='.txt')


def test_without_walltime(fixture_sandbox, generate_calc_job, md_inputs):
    inputs = md_inputs()
    del inputs['metadata']['options']['max_wallclock_seconds']
    generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    with fixture_sandbox.open('lammps.in') as script:
        assert 'timer' not in script.read()


def test_kinds_of_one_element(fixture_sandbox, generate_calc_job, md_inputs):
    """Kinds such as Li1 and Li2 are one type for the model."""
    structure = orm.StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    structure.append_atom(position=(0, 0, 0), symbols='Li', name='Li1')
    structure.append_atom(position=(2, 2, 0), symbols='Li', name='Li2')
    structure.append_atom(position=(2, 2, 2), symbols='O', name='O')
    generate_calc_job(ENTRY_POINT, md_inputs(structure=structure), fixture_sandbox)
    with fixture_sandbox.open('lammps.in') as script:
        assert 'pair_coeff * * model.nequip.pt2 Li O\n' in script.read()


def refused(generate_calc_job, inputs, folder, message):
    """Check that the process cannot be made."""
    with pytest.raises(ValueError, match=message):
        generate_calc_job(ENTRY_POINT, inputs, folder)


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({**PARAMETERS, 'frame_strides': 10}, 'unknown parameters frame_strides'),
        ({**PARAMETERS, 'temperature_K': -5.0}, 'temperature_K is -5.0, but must be a positive temperature'),
        ({**PARAMETERS, 'seed': 0}, 'seed is 0, but must be an integer from 1'),
        ({'temperature_K': 300.0}, 'timestep_fs is missing'),
    ],
)
def test_bad_parameters(parameters, message, fixture_sandbox, generate_calc_job, md_inputs):
    refused(generate_calc_job, md_inputs(parameters=orm.Dict(parameters)), fixture_sandbox, message)


def test_model_not_compiled(fixture_sandbox, generate_calc_job, md_inputs, md_model):
    inputs = md_inputs(model=md_model('model.nequip.zip'))
    refused(generate_calc_job, inputs, fixture_sandbox, 'not compiled: run AllegroCompileCalculation')


def test_model_of_other_elements(fixture_sandbox, generate_calc_job, md_inputs, md_model):
    inputs = md_inputs(model=md_model(type_names=('Li', 'S')))
    refused(generate_calc_job, inputs, fixture_sandbox, 'the model knows Li, S, not O')


def test_slab(fixture_sandbox, generate_calc_job, md_inputs):
    atoms = bulk('LiO', 'rocksalt', a=4.0, cubic=True)
    atoms.pbc = (True, True, False)
    inputs = md_inputs(structure=orm.StructureData(ase=atoms))
    refused(generate_calc_job, inputs, fixture_sandbox, 'periodic in all three directions')


def test_partly_occupied(fixture_sandbox, generate_calc_job, md_inputs):
    structure = orm.StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    structure.append_atom(position=(0, 0, 0), symbols='Li', weights=0.5)
    refused(generate_calc_job, md_inputs(structure=structure), fixture_sandbox, 'ordered supercell')


def test_exit_codes_and_cache():
    """Below 400 the cause is not in the inputs, so the cache must not give the node back."""
    codes = [code for code in LammpsMdCalculation.spec().exit_codes.values() if code.status >= 300]
    assert {code.status for code in codes} == {302, 303, 310, 320, 400, 410}
    for code in codes:
        assert code.invalidates_cache == (code.status < 400)
