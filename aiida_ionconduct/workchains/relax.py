"""Relaxation by pw.x that survives killed jobs."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import Process, ProcessHandlerReport, process_handler
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.common.types import RestartType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

from aiida_ionconduct.workchains.base import ParentWorkChain

PW_EXIT_CODES = PwCalculation.exit_codes


class RelaxBaseWorkChain(ParentWorkChain, PwBaseWorkChain):
    """``PwBaseWorkChain`` that goes on from the last geometry after a job that was killed, instead of ending."""

    @process_handler(
        priority=595,
        exit_codes=[
            PW_EXIT_CODES.ERROR_OUTPUT_STDOUT_MISSING,
            PW_EXIT_CODES.ERROR_OUTPUT_STDOUT_INCOMPLETE,
            PW_EXIT_CODES.ERROR_OUT_OF_WALLTIME_INTERRUPTED,
        ],
    )
    def handle_killed(self, calculation: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """Go on from the last geometry, or repeat if there is none; twice in a row without a step is a failure.

        Only the geometry is taken, because the density and the wave functions on disk may be half written.
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


def has_stepped(calculation: orm.CalcJobNode) -> bool:
    """Return whether a pw.x job has left at least one step of a relaxation."""
    return {'output_structure', 'output_trajectory'} <= set(calculation.outputs)


class RelaxWorkChain(ParentWorkChain, PwRelaxWorkChain):
    """``PwRelaxWorkChain`` with :class:`RelaxBaseWorkChain` in the place of ``PwBaseWorkChain``."""

    def submit(self, process: type[Process], inputs: dict[str, Any] | None = None, **kwargs: Any) -> orm.ProcessNode:
        """Submit a process once; in the place of ``PwBaseWorkChain`` the work chain that survives killed jobs."""
        return super().submit(RelaxBaseWorkChain if process is PwBaseWorkChain else process, inputs, **kwargs)
