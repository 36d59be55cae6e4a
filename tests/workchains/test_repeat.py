"""Jobs that are repeated: their command is killed as often as a file has lines."""

import zipfile

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain

pytestmark = pytest.mark.slow

SCRIPT = """#!/bin/bash
if [ -s {kills} ]; then sed -i 1d {kills}; kill -9 $$; fi
cp {model} "${{@: -1}}"
"""


@pytest.fixture
def compiled(aiida_localhost, model, tmp_path):
    """Return a function that compiles a model by a command that is killed some times first."""

    def compiled(n_kills):
        kills, script = tmp_path / 'kills', tmp_path / 'compile.sh'
        kills.write_text('killed\n' * n_kills)
        with zipfile.ZipFile(tmp_path / 'compiled', 'w') as archive:
            archive.writestr('data.pkl', 'never opened')
        script.write_text(SCRIPT.format(kills=kills, model=tmp_path / 'compiled'))
        script.chmod(0o755)
        code = orm.InstalledCode(
            computer=aiida_localhost, filepath_executable=str(script), label=f'compile{n_kills}',
            default_calc_job_plugin='ionconduct.allegro.compile',
        )  # fmt: skip
        job = {'code': code, 'model': model(), 'parameters': orm.Dict({'target': 'mliap'})}
        return run_get_node(AllegroCompileWorkChain, job=job).node

    return compiled


def test_killed_once(compiled):
    node = compiled(1)
    assert node.is_finished_ok, node.exit_message
    assert [job.exit_status for job in sorted(node.called, key=lambda job: job.pk)] == [310, 0]
    assert node.outputs.model.model_format == 'mliap'


def test_killed_twice(compiled):
    """The exit message of the work chain is the message of the job."""
    node = compiled(2)
    assert (node.exit_status, node.exit_message) == (410, 'No compiled model was made; see the output.')
    assert len(node.called) == 2


def test_model_that_differs_is_not_compiled_again(generate_workchain, child, fixture_code, model):
    """A repetition would give the same numbers; the message of the job is the message of the work chain."""
    job = {'code': fixture_code('ionconduct.allegro.compile'), 'model': model()}
    process = generate_workchain(AllegroCompileWorkChain, {'job': job})
    process.setup()
    node = child(exit_status=330, exit_message='The compiled model is not used.', node_class=orm.CalcJobNode)
    process.ctx.children = [node]
    report = process.handle_failure(node)
    assert (report.exit_code.status, report.exit_code.message) == (410, 'The compiled model is not used.')
