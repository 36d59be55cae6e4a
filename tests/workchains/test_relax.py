"""A relaxation whose pw.x is killed: where the next job begins, and when the relaxation is given up."""

import pytest
from aiida import orm
from aiida_quantumespresso.calculations.pw import PwCalculation

from aiida_ionconduct.workchains import relax
from aiida_ionconduct.workchains.relax import RelaxBaseWorkChain, RelaxWorkChain

KILLED = PwCalculation.exit_codes.ERROR_OUTPUT_STDOUT_INCOMPLETE


@pytest.fixture
def base(campaign_inputs, generate_workchain, submitted):
    """The work chain that runs pw.x, as the relaxation of a campaign submits it."""
    inputs = campaign_inputs()
    relax = generate_workchain(RelaxWorkChain, {**inputs['relax'], 'structure': inputs['structure']})
    relax.setup()
    relax.run_relax()
    ((process_class, given),) = submitted
    assert process_class is RelaxBaseWorkChain
    process = generate_workchain(process_class, {name: value for name, value in given.items() if name != 'metadata'})
    process.setup()
    process.ctx.children = []
    return process


@pytest.fixture
def end(base, child):
    """Return a function that lets a job end as killed and returns the report of the handler."""

    def kill(**outputs):
        job = child(exit_status=KILLED.status, node_class=orm.CalcJobNode, **outputs)
        base.ctx.children.append(job)
        return base.handle_killed(job)

    return kill


def test_goes_on_from_the_last_geometry(base, end, generate_structure, pw_trajectory):
    last = generate_structure()
    assert end(output_structure=last, output_trajectory=pw_trajectory()).do_break
    assert base.ctx.inputs.structure.uuid == last.uuid
    assert base.ctx.inputs.parameters['CONTROL']['restart_mode'] == 'from_scratch'
    assert 'parent_folder' not in base.ctx.inputs


def test_twice_without_a_step(base, end, generate_structure, pw_trajectory):
    """A job that was killed before its first step is repeated; twice in a row is a failure."""
    first = base.ctx.inputs.structure
    assert end().do_break
    assert base.ctx.inputs.structure.uuid == first.uuid
    assert end(output_structure=generate_structure(), output_trajectory=pw_trajectory()).do_break
    assert end().do_break
    exit_code = end().exit_code
    assert exit_code.status == 402
    assert 'was killed before its first step, as the job before it' in exit_code.message


def test_preempted_before_a_step(base, end, monkeypatch):
    """Preempted jobs are repeated, also twice in a row."""
    monkeypatch.setattr(relax, 'was_preempted', lambda job: True)
    assert [end().exit_code.status for _ in range(3)] == [0, 0, 0]


def test_handler_is_asked():
    """The handler comes before the handler of `PwBaseWorkChain` that gives up a job without a whole output."""
    handlers = {handler.__name__: handler for handler in RelaxBaseWorkChain.get_process_handlers()}
    assert handlers['handle_killed'].priority > 590


@pytest.mark.parametrize('status', [100, 110, 120, 140, 305, 503])
def test_killed_before_the_first_step(status, base, child):
    """Whatever exit code is left, the job is repeated once without asking for an output that is missing."""
    for number in range(2):
        job = child(exit_status=status, exit_message='It was killed.', node_class=orm.CalcJobNode)
        base.ctx.children.append(job)
        base.ctx.iteration = number + 1
        exit_code = base.inspect_process()
        assert exit_code.status == (402 if number else 0)
    assert 'It was killed.' in exit_code.message
