"""`LammpsMdCalculation`: what it writes and what it refuses."""

import pytest
from aiida import orm
from ase.build import bulk

from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation, unsafe_thermostat
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.lammps.parameters import CommandLine, MdParameters

ENTRY_POINT = 'ionconduct.lammps.md'
PARAMETERS = {
    'temperature_K': 1200.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 500,
    'production_steps': 2000,
    'seeds': [3],
    'frame_stride': 20,
}


@pytest.fixture
def md_model(tmp_path):
    """Return a function that makes a model node; nothing reads the file."""

    def model(filename='model.nequip.pt2', type_names=('Li', 'O', 'P')):
        (tmp_path / filename).write_bytes(b'not a model')
        node = AllegroModelData(tmp_path / filename, type_names=list(type_names), r_max=5.0)
        remember_made_here(node.sha256)
        return node

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
    assert calc_info.retrieve_temporary_list == ['trajectory.bin', 'centres_of_mass.txt', '*.restart*']
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
        ({**PARAMETERS, 'frame_strides': 10}, r'unknown key `frame_strides`: did you mean `frame_stride`\?'),
        ({**PARAMETERS, 'temperature_K': -5.0}, '`temperature_K` is -5.0, but must be greater than 0'),
        ({**PARAMETERS, 'seeds': [0]}, '`seeds` is .0., but must be a list'),
        ({'temperature_K': 300.0}, '`timestep_fs` is missing'),
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


@pytest.fixture
def restart(tmp_path):
    """Return a function that makes a restart file as a run leaves it; nothing reads it."""

    def make(**changes):
        (tmp_path / 'production.restart').write_bytes(b'not a restart file')
        node = orm.SinglefileData(tmp_path / 'production.restart')
        attributes = {'stage': 'production', 'step': 1000, 'timestep_fs': 1.0, 'seeds': [3], 'n_atoms': 8}
        node.base.attributes.set_many({**attributes, **changes})
        return node

    return make


def test_restart(fixture_sandbox, generate_calc_job, md_inputs, restart):
    """The restart file takes the place of the structure."""
    inputs = md_inputs(restart=restart())
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert fixture_sandbox.get_content_list() == ['lammps.in']
    assert calc_info.local_copy_list[1] == (inputs['restart'].uuid, 'production.restart', 'start.bin')
    with fixture_sandbox.open('lammps.in') as script:
        assert script.read().startswith('read_restart start.bin\nreset_timestep 1000\n')


def test_restart_with_half_the_time_step(fixture_sandbox, generate_calc_job, md_inputs, restart):
    inputs = md_inputs(restart=restart(timestep_fs=2.0, step=600))
    generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    with fixture_sandbox.open('lammps.in') as script:
        assert 'reset_timestep 1200\n' in script.read()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'n_atoms': 16}, 'the restart belongs to 16 atoms and the seeds .3., the run has 8 atoms'),
        ({'seeds': [3, 4]}, r'the seeds \[3, 4\], the run has 8 atoms and the seeds \[3\]'),
        ({'step': 2000}, 'the restart stands at step 2000: ask for more than that in production_steps'),
        ({'step': 333, 'timestep_fs': 0.5}, 'not a whole number of steps of 1.0 fs'),
    ],
)
def test_restart_of_another_run(changes, message, fixture_sandbox, generate_calc_job, md_inputs, restart):
    refused(generate_calc_job, md_inputs(restart=restart(**changes)), fixture_sandbox, message)


def test_restart_of_unknown_origin(fixture_sandbox, generate_calc_job, md_inputs, tmp_path):
    (tmp_path / 'file').write_bytes(b'x')
    inputs = md_inputs(restart=orm.SinglefileData(tmp_path / 'file'))
    refused(generate_calc_job, inputs, fixture_sandbox, 'not an output of LammpsMdCalculation')


def test_replicas(fixture_sandbox, generate_calc_job, md_inputs):
    inputs = md_inputs(parameters=orm.Dict({**PARAMETERS, 'seeds': [3, 4, 5]}))
    generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    with fixture_sandbox.open('structure.data') as structure, fixture_sandbox.open('lammps.in') as script:
        assert '24 atoms' in structure.read()
        assert 'set atom 17*24 mol 3' in script.read()


def test_settings(fixture_sandbox, generate_calc_job, md_inputs):
    inputs = md_inputs(settings=orm.Dict({'kokkos_gpus': 2, 'cmdline': ['-nocite']}))
    words = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox).codes_info[0].cmdline_params
    assert ' '.join(words[6:]) == '-k on g 2 -sf kk -pk kokkos newton on neigh half -nocite'


def test_settings_of_the_pair_style(fixture_sandbox, generate_calc_job, md_inputs):
    inputs = md_inputs(settings=orm.Dict({'edges': 'skin', 'pad': True}))
    words = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox).codes_info[0].cmdline_params
    assert len(words) == 6
    with fixture_sandbox.open('lammps.in') as script:
        assert 'pair_style allegro edges skin pad yes\n' in script.read()


@pytest.mark.parametrize(
    ('model', 'settings', 'message'),
    [
        ('allegro.nequip.lmp.pt', {'edges': 'skin'}, 'edges skin belong to pair_style allegro of this package, and'),
        ('allegro.nequip.pt2', {'pad': True, 'kokkos_gpus': 1}, 'pad yes belong to pair_style .* Kokkos does not have'),
    ],
)
def test_settings_of_another_pair_style(
    model, settings, message, fixture_sandbox, generate_calc_job, md_inputs, md_model
):
    inputs = md_inputs(model=md_model(model), settings=orm.Dict(settings))
    refused(generate_calc_job, inputs, fixture_sandbox, message)


@pytest.mark.parametrize(
    ('parameters', 'settings', 'model_format', 'is_unsafe'),
    [
        ({}, {'kokkos_gpus': 1}, 'aotinductor', True),
        ({}, {}, 'mliap', True),
        ({}, {}, 'aotinductor', False),
        ({'thermostat': 'nose-hoover'}, {'kokkos_gpus': 1}, 'aotinductor', False),
        ({'equilibration_steps': 0}, {'kokkos_gpus': 1}, 'aotinductor', False),
        ({'equilibration_steps': 0, 'ensemble': 'nvt'}, {}, 'mliap', True),
        (
            {'equilibration_steps': 0, 'ensemble': 'nvt', 'production_thermostat': 'csvr'},
            {'kokkos_gpus': 1},
            'aotinductor',
            False,
        ),
    ],
)
def test_langevin_that_is_known_to_fail(parameters, settings, model_format, is_unsafe):
    """With Kokkos and ML-IAP, a run with Langevin dynamics says so in its report."""
    run = MdParameters.check({**PARAMETERS, **parameters})
    assert unsafe_thermostat(run, CommandLine.check(settings), model_format) is is_unsafe


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'kokos': 1}, r'unknown key `kokos`: did you mean `kokkos_gpus`\?|unknown key `kokos`'),
        ({'kokkos_gpus': 0}, '`kokkos_gpus` is 0, but must be greater than or equal to 1 .the number'),
    ],
)
def test_bad_settings(settings, message, fixture_sandbox, generate_calc_job, md_inputs):
    refused(generate_calc_job, md_inputs(settings=orm.Dict(settings)), fixture_sandbox, message)


def test_mliap(fixture_sandbox, generate_calc_job, md_inputs, md_model):
    """The format of the model decides on the pair style."""
    inputs = md_inputs(model=md_model('allegro.nequip.lmp.pt'))
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.local_copy_list == [(inputs['model'].uuid, 'allegro.nequip.lmp.pt', 'model.nequip.lmp.pt')]
    with fixture_sandbox.open('lammps.in') as script:
        assert 'pair_style mliap unified model.nequip.lmp.pt 0\n' in script.read()


def test_exit_codes_and_cache():
    """Below 400 the cause is not in the inputs, so caching must not reuse the job."""
    codes = [code for code in LammpsMdCalculation.spec().exit_codes.values() if code.status >= 300]
    assert {code.status for code in codes} == {302, 303, 310, 320, 321, 330, 350, 351, 400, 410}
    for code in codes:
        assert code.invalidates_cache == (code.status < 400)
