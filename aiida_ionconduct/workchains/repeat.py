"""Short jobs that leave nothing to go on from: a job that was cancelled, or killed with its node, is repeated."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ProcessHandlerReport, process_handler, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.allegro.acceleration import NO_ACCELERATION, acceleration, acceleration_arguments
from aiida_ionconduct.allegro.parameters import CompileParameters
from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.farm.preemption import was_preempted
from aiida_ionconduct.workchains.base import RestartWorkChain

JOB_EXIT_CODES = AllegroCompileCalculation.exit_codes
NO_MODEL = (JOB_EXIT_CODES.ERROR_OUTPUT_MODEL_MISSING.status, JOB_EXIT_CODES.ERROR_OUTPUT_MODEL_INVALID.status)
"""Exit statuses of a compilation that has left no model, or a file that cannot be read as a model."""
NOT_REPEATED = ('ERROR_CANNOT_RUN', 'ERROR_MODEL_DIFFERS')
"""Failures that a repetition would not mend."""


class RepeatWorkChain(RestartWorkChain):
    """A job that is repeated once when it fails.

    The inputs of the job are in the namespace ``job``; its outputs become the outputs of the work chain.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        if cls._process_class is None:  # the class that others inherit from
            return
        spec.expose_inputs(cls._process_class, namespace='job')
        spec.outline(cls.setup, while_(cls.should_run_process)(cls.run_process, cls.inspect_process), cls.results)
        spec.expose_outputs(cls._process_class, exclude=('remote_folder', 'remote_stash', 'retrieved'))
        spec.exit_code(410, 'ERROR_JOB_FAILED', message='{detail}')

    def setup(self) -> None:
        """Put the inputs where the restart loop expects them."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(self.process_class, 'job'))

    @process_handler
    def handle_failure(self, node: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """Repeat the job; when it fails again, or cannot run on this machine, end with the message of the job.

        A job that was preempted is repeated up to `max_iterations` and does not count as a failure.
        """
        if node.is_finished_ok:
            return None
        codes = self.process_class.exit_codes
        final = [codes[label].status for label in NOT_REPEATED if label in codes]
        if not was_preempted(node) and (self.n_failures() > 1 or node.exit_status in final):
            return ProcessHandlerReport(True, self.exit_codes.ERROR_JOB_FAILED.format(detail=node.exit_message))
        self.report(f'{node.process_label}<{node.pk}> failed: {node.exit_message} Repeating it')
        return ProcessHandlerReport(True)

    def n_failures(self) -> int:
        """Return how many jobs have failed so far; a job that was preempted has not."""
        return sum(not was_preempted(job) for job in self.ctx.children)


class AllegroCompileWorkChain(RepeatWorkChain):
    """:class:`AllegroCompileCalculation`, repeated once when it fails, then without its accelerations."""

    _process_class = AllegroCompileCalculation

    @process_handler(priority=100)
    def handle_acceleration(self, node: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """Compile without modifiers that cannot be had, or without any acceleration.

        The latter follows two failures, or one compiled model whose forces are not those of nequip.

        Other failures are left to :meth:`handle_failure`.
        """
        if was_preempted(node):
            return None
        if node.exit_status == JOB_EXIT_CODES.ERROR_MODIFIER_MISSING.status:
            changes = {'modifiers': NO_ACCELERATION['modifiers']}
        elif node.exit_status == JOB_EXIT_CODES.ERROR_MODEL_DIFFERS.status or (
            node.exit_status in NO_MODEL and self.n_failures() > 1
        ):
            changes = NO_ACCELERATION
        else:
            return None
        present = self.ctx.inputs.parameters.get_dict()
        package = self.ctx.inputs.model.get_content(mode='rb')
        before, after = (
            acceleration_arguments(acceleration(CompileParameters.check(parameters), package))
            for parameters in (present, {**present, **changes})
        )
        if before == after:
            return None
        self.ctx.inputs.parameters = orm.Dict({**present, **changes})
        dropped = ' '.join(word for word in before if word not in after)
        self.report(f'{node.process_label}<{node.pk}> failed: {node.exit_message} Compiling without {dropped}')
        return ProcessHandlerReport(True)


class AllegroEvaluateWorkChain(RepeatWorkChain):
    """:class:`AllegroEvaluateCalculation`, repeated once when it fails."""

    _process_class = AllegroEvaluateCalculation
