"""The accelerations of a compilation and the real `nequip-compile`, without a GPU."""

import subprocess

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.allegro.acceleration import TRITON, acceleration_arguments, missing_modifier
from aiida_ionconduct.allegro.acceleration import acceleration as chosen_acceleration
from aiida_ionconduct.allegro.parameters import CompileParameters
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain

from .conftest import COMPILE_OPTIONS

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def package(trained, executable, tmp_path_factory):
    """The package of the trained model."""
    path = tmp_path_factory.mktemp('package') / 'model.nequip.zip'
    command = [executable('nequip-package'), 'build', str(trained / 'best.ckpt'), str(path)]
    done = subprocess.run(command, cwd=trained, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return path


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'modifiers': ['no_such_modifier']}, '`no_such_modifier` is not a registered model modifier'),
        ({'inductor_configs': {'no_such_option': 1}}, 'no_such_option'),
        (
            {'constant_fold': True, 'inductor_configs': {'aot_inductor.use_runtime_constant_folding': 1}},
            "`constant_fold=True` conflicts with 'aot_inductor.use_runtime_constant_folding'",
        ),
    ],
)
def test_options_reach_the_command(parameters, message, package, executable, tmp_path):
    """Each option is understood: a value that cannot be had is refused by name, before anything is compiled."""
    chosen = chosen_acceleration(CompileParameters.check(parameters), package.read_bytes())
    command = [executable('nequip-compile'), *acceleration_arguments(chosen), *COMPILE_OPTIONS]
    files = [str(package), str(tmp_path / 'model.nequip.pt2')]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert bool(missing_modifier(done.stderr)) == ('no_such_modifier' in message)


def test_fallback_of_a_real_compilation(package, aiida_profile, aiida_localhost, executable):
    """Without Triton, the model is compiled with all accelerations but the kernel, which the report names."""
    code = orm.InstalledCode(
        label='nequip-compile', computer=aiida_localhost, filepath_executable=executable('nequip-compile')
    ).store()
    parameters = {'modifiers': [TRITON], 'constant_fold': True, 'inductor_configs': {'freezing': 1}}
    job = {
        'code': code,
        'model': AllegroModelData(package),
        'trust_model': orm.Bool(True),
        'parameters': orm.Dict(parameters),
    }
    results, node = run_get_node(AllegroCompileWorkChain, job=job)
    assert node.is_finished_ok, node.exit_message
    statuses = [child.exit_status for child in sorted(node.called, key=lambda child: child.pk)]
    attributes = results['model'].base.attributes.all
    assert (attributes['constant_fold'], attributes['inductor_configs']) == (True, {'freezing': 1})
    # a torch for CUDA brings Triton along
    assert (statuses, attributes['modifiers']) in (([321, 0], []), ([0], [TRITON]))
