"""Short jobs that leave nothing to go on from: a job that was cancelled, or killed with its node, is repeated."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ProcessHandlerReport, process_handler, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.workchains.base import RestartWorkChain

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
        """Repeat the job; when it fails again, or cannot run on this machine, end with the message of the job."""
        if node.is_finished_ok:
            return None
        codes = self.process_class.exit_codes
        final = [codes[label].status for label in NOT_REPEATED if label in codes]
        if len(self.ctx.children) > 1 or node.exit_status in final:
            return ProcessHandlerReport(True, self.exit_codes.ERROR_JOB_FAILED.format(detail=node.exit_message))
        self.report(f'{node.process_label}<{node.pk}> failed: {node.exit_message} Repeating it')
        return ProcessHandlerReport(True)


class AllegroCompileWorkChain(RepeatWorkChain):
    """:class:`AllegroCompileCalculation`, repeated once when it fails."""

    _process_class = AllegroCompileCalculation


class AllegroEvaluateWorkChain(RepeatWorkChain):
    """:class:`AllegroEvaluateCalculation`, repeated once when it fails."""

    _process_class = AllegroEvaluateCalculation
