"""`LammpsMdBaseWorkChain`: which failures are repeated and which are not."""

import pytest
from aiida import orm
from aiida.engine import ProcessHandlerReport
from plumpy import ProcessState

from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation

EXIT_CODES = LammpsMdCalculation.exit_codes


@pytest.fixture
def make_base(campaign_inputs, generate_structure, generate_workchain, model):
    """Return a function that makes the work chain, set up, with further inputs."""

    def make(**others):
        inputs = campaign_inputs()['md']
        parameters = orm.Dict({**inputs['parameters'].get_dict(), 'temperature_K': 900.0, 'seed': 1})
        md = {'structure': generate_structure(), 'model': model('model.nequip.pt2'), 'parameters': parameters}
        process = generate_workchain('ionconduct.lammps.base', {'md': {**inputs['base']['md'], **md}, **others})
        process.setup()
        return process

    return make


@pytest.fixture
def base(make_base):
    """The work chain, set up."""
    return make_base()


@pytest.fixture
def ended():
    """Return a function that makes a LAMMPS run that has ended with an exit code."""

    def make(exit_code=None):
        node = orm.CalcJobNode()
        node.set_process_label('LammpsMdCalculation')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_code.status if exit_code else 0)
        node.set_exit_message(exit_code.message if exit_code else None)
        return node.store()

    return make


def test_setup(base, submitted):
    assert base.should_run_process()
    assert base.ctx.inputs.parameters['seed'] == 1
    base.run_process()
    ((process_class, inputs),) = submitted
    assert process_class is LammpsMdCalculation
    assert inputs.metadata.call_link_label == 'iteration_01'
    assert inputs.metadata.options.max_wallclock_seconds == 3600


def test_handle_exploded(base, ended):
    report = base.handle_exploded(ended(EXIT_CODES.ERROR_EXPLODED))
    assert isinstance(report, ProcessHandlerReport)
    assert report.do_break
    assert report.exit_code == base.exit_codes.ERROR_EXPLODED
    assert base.handle_exploded(ended(EXIT_CODES.ERROR_INCOMPLETE)) is None


def test_an_explosion_is_not_repeated(base, ended):
    base.ctx.iteration, base.ctx.children = 1, [ended(EXIT_CODES.ERROR_EXPLODED)]
    assert base.inspect_process().status == 410


@pytest.mark.parametrize('name', ['ERROR_INCOMPLETE', 'ERROR_LAMMPS', 'ERROR_OUT_OF_WALLTIME'])
def test_other_failures(name, make_base, ended):
    """They end the work chain, or are tried once more where the user asks for that."""
    base = make_base()
    base.ctx.iteration, base.ctx.children = 1, [ended(EXIT_CODES[name])]
    assert base.inspect_process() == base.exit_codes.ERROR_UNHANDLED_FAILURE
    base = make_base(on_unhandled_failure=orm.Str('restart_once'))
    base.ctx.iteration, base.ctx.children = 1, [ended(EXIT_CODES[name])]
    assert base.inspect_process() is None
    assert base.should_run_process()
    base.ctx.iteration, base.ctx.children = 2, [ended(EXIT_CODES[name]), ended(EXIT_CODES[name])]
    assert base.inspect_process().status >= 400


def test_good_end(base, ended):
    base.ctx.iteration, base.ctx.children = 1, [ended()]
    assert base.inspect_process() is None
    assert base.ctx.is_finished
    assert not base.should_run_process()
