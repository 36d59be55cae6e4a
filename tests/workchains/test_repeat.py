"""Jobs that are repeated: their command is killed as often as a file has lines."""

import shlex
import zipfile

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.allegro.acceleration import NO_ACCELERATION
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain

pytestmark = pytest.mark.slow

SCRIPT = """#!/bin/bash
case "$*" in *{fails}*) echo "{message}" >&2; exit 1;; esac
if [ -s {kills} ]; then sed -i 1d {kills}; kill -9 $$; fi
cp {model} "${{@: -1}}"
"""
PREEMPTED = 'AllocCPUS|AllocTRES|ElapsedRaw|State|\n1|cpu=1|60|PREEMPTED|'
"""What ``sacct`` says of a job that was preempted."""


@pytest.fixture
def compiled(aiida_localhost, model, tmp_path):
    """Return a function that compiles a model by a command that is killed some times first, or fails on a word."""

    def compiled(n_kills, parameters=None, fails='no such word', message=''):
        kills, script = tmp_path / 'kills', tmp_path / 'compile.sh'
        kills.write_text('killed\n' * n_kills)
        with zipfile.ZipFile(tmp_path / 'compiled', 'w') as archive:
            archive.writestr('data.pkl', 'never opened')
        script.write_text(
            SCRIPT.format(fails=shlex.quote(fails), message=message, kills=kills, model=tmp_path / 'compiled')
        )
        script.chmod(0o755)
        code = orm.InstalledCode(
            computer=aiida_localhost, filepath_executable=str(script), label=f'compile{n_kills}',
            default_calc_job_plugin='ionconduct.allegro.compile',
        )  # fmt: skip
        job = {'code': code, 'model': model(), 'parameters': orm.Dict(parameters or {'target': 'mliap'})}
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


def preempted(node):
    """Return a job that Slurm says it has preempted."""
    node.set_detailed_job_info({'retval': 0, 'stdout': PREEMPTED, 'stderr': ''})
    return node


def test_preempted_jobs_are_no_failures(generate_workchain, child, fixture_code, model):
    """They are repeated with the same parameters however often this happens, also after a failure."""
    parameters = {'device': 'cuda'}
    job = {'code': fixture_code('ionconduct.allegro.compile'), 'model': model(), 'parameters': orm.Dict(parameters)}
    process = generate_workchain(AllegroCompileWorkChain, {'job': job})
    process.setup()
    process.ctx.children = []
    for is_preempted in (False, True, True):
        node = child(exit_status=310, exit_message='No compiled model was made.', node_class=orm.CalcJobNode)
        process.ctx.children.append(preempted(node) if is_preempted else node)
        assert process.handle_acceleration(node) is None
        assert process.handle_failure(node).exit_code.status == 0
    assert process.ctx.inputs.parameters.get_dict() == parameters


def jobs(node):
    """Return the exit statuses and the parameters of the jobs of a work chain, in order."""
    children = sorted(node.called, key=lambda job: job.pk)
    return [job.exit_status for job in children], [job.inputs.parameters.get_dict() for job in children]


def test_modifier_that_cannot_be_had_is_left_out(compiled):
    """The model is compiled without it at once, and the report says so."""
    parameters = {'target': 'mliap', 'device': 'cuda'}
    node = compiled(0, parameters, 'enable_TritonContracter', "ModuleNotFoundError: No module named 'triton'")
    assert node.is_finished_ok, node.exit_message
    assert jobs(node) == ([321, 0], [parameters, {**parameters, 'modifiers': []}])
    assert node.outputs.model.base.attributes.get('modifiers') == []
    report = ' '.join(entry.message for entry in orm.Log.collection.get_logs_for(node))
    assert "No module named 'triton' Compiling without --modifiers enable_TritonContracter" in report


def test_acceleration_that_fails_twice_is_left_out(compiled):
    """Which of the accelerations fails is not known, so all are left out."""
    parameters = {'target': 'mliap', 'device': 'cuda'}
    node = compiled(0, parameters, 'enable_TritonContracter', 'Internal compiler error')
    assert node.is_finished_ok, node.exit_message
    assert jobs(node) == ([310, 310, 0], [parameters, parameters, {**parameters, **NO_ACCELERATION}])


def test_file_that_is_not_a_model_is_made_again(compiled):
    """Its exit code differs from the exit code of a job without a file, and it is repeated as such a job is."""
    node = compiled(0, {'device': 'cpu'})
    assert jobs(node)[0] == [311, 311]
    assert 'does not state its type names and cutoff' in node.exit_message


def test_failure_without_accelerations_ends(compiled):
    node = compiled(0, {'target': 'mliap', 'device': 'cuda', 'modifiers': []}, 'model', 'Internal compiler error')
    assert node.exit_status == 410
    assert jobs(node)[0] == [310, 310]


def test_accelerated_model_that_differs_is_compiled_without_accelerations(
    generate_workchain, child, fixture_code, model
):
    """An acceleration may be why the forces differ; if they differ without one, the work chain ends."""
    parameters = {'device': 'cuda'}
    job = {'code': fixture_code('ionconduct.allegro.compile'), 'model': model(), 'parameters': orm.Dict(parameters)}
    process = generate_workchain(AllegroCompileWorkChain, {'job': job})
    process.setup()
    node = child(exit_status=330, exit_message='The compiled model is not used.', node_class=orm.CalcJobNode)
    process.ctx.children = [node]
    report = process.handle_acceleration(node)
    assert (report.do_break, report.exit_code.status) == (True, 0)
    assert process.ctx.inputs.parameters.get_dict() == {**parameters, **NO_ACCELERATION}
    assert process.handle_acceleration(node) is None
