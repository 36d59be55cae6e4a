"""Relaxation by pw.x that survives killed jobs."""

from aiida.engine import ProcessHandlerReport, process_handler
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.common.types import RestartType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

PW_EXIT_CODES = PwCalculation.exit_codes


class RelaxBaseWorkChain(PwBaseWorkChain):
    """``PwBaseWorkChain`` that goes on after a job that was killed, instead of giving up what it has reached."""

    @process_handler(
        priority=595,
        exit_codes=[
            PW_EXIT_CODES.ERROR_OUTPUT_STDOUT_MISSING,
            PW_EXIT_CODES.ERROR_OUTPUT_STDOUT_INCOMPLETE,
            PW_EXIT_CODES.ERROR_OUT_OF_WALLTIME_INTERRUPTED,
        ],
    )
    def handle_killed(self, calculation):
        """Go on from the last geometry, or repeat if there is none; twice in a row without a step is a failure.

        The density and the waves on disk may be half written, so that only the geometry is taken.
        """
        if has_stepped(calculation):
            self.ctx.inputs.structure = calculation.outputs.output_structure
            action = 'it was killed: going on from its last geometry'
        elif len(self.ctx.children) > 1 and not has_stepped(self.ctx.children[-2]):
            return None
        else:
            action = 'it was killed before its first step: repeating it'
        self.set_restart_type(RestartType.FROM_SCRATCH)
        self.report_error_handled(calculation, action)
        return ProcessHandlerReport(True)


def has_stepped(calculation) -> bool:
    """Whether a pw.x job has left at least one step of a relaxation."""
    return {'output_structure', 'output_trajectory'} <= set(calculation.outputs)


class RelaxWorkChain(PwRelaxWorkChain):
    """``PwRelaxWorkChain`` with :class:`RelaxBaseWorkChain` in it."""

    def submit(self, process, *args, **kwargs):
        """Submit a process, the one that survives in the place of ``PwBaseWorkChain``."""
        return super().submit(RelaxBaseWorkChain if process is PwBaseWorkChain else process, *args, **kwargs)
