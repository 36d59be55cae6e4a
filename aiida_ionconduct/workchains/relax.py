"""Relaxation by pw.x that survives killed jobs."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import Process, ProcessHandlerReport, process_handler
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.common.types import RestartType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

from aiida_ionconduct.farm.preemption import was_preempted
from aiida_ionconduct.parsers.base import cause_of_failure
from aiida_ionconduct.workchains.base import ParentWorkChain, RestartWorkChain

PW_EXIT_CODES = PwCalculation.exit_codes
KILLED = [
    PW_EXIT_CODES.ERROR_NO_RETRIEVED_FOLDER,
    PW_EXIT_CODES.ERROR_SCHEDULER_OUT_OF_MEMORY,
    PW_EXIT_CODES.ERROR_SCHEDULER_OUT_OF_WALLTIME,
    PW_EXIT_CODES.ERROR_SCHEDULER_NODE_FAILURE,
    PW_EXIT_CODES.ERROR_NO_RETRIEVED_TEMPORARY_FOLDER,
    PW_EXIT_CODES.ERROR_OUTPUT_STDOUT_MISSING,
    PW_EXIT_CODES.ERROR_OUTPUT_XML_MISSING,
    PW_EXIT_CODES.ERROR_OUTPUT_FILES,
    PW_EXIT_CODES.ERROR_OUTPUT_STDOUT_INCOMPLETE,
    PW_EXIT_CODES.ERROR_OUTPUT_XML_READ,
    PW_EXIT_CODES.ERROR_OUTPUT_XML_PARSE,
    PW_EXIT_CODES.ERROR_OUT_OF_WALLTIME_INTERRUPTED,
    PW_EXIT_CODES.ERROR_IONIC_INTERRUPTED_PARTIAL_TRAJECTORY,
]
"""The exit codes of a pw.x job that was killed, whoever killed it and whenever."""


class RelaxBaseWorkChain(RestartWorkChain, PwBaseWorkChain):
    """``PwBaseWorkChain`` that goes on from the last geometry after a job that was killed, instead of ending."""

    @process_handler(priority=595, exit_codes=KILLED)
    def handle_killed(self, calculation: orm.CalcJobNode) -> ProcessHandlerReport:
        """Go on from the last geometry, or repeat if there is none; twice in a row without a step is a failure.

        Only the geometry is taken, because the density and the wave functions on disk may be half written.
        """
        cause = cause_of_failure(calculation)
        told = f' ({cause.sentence})' if cause else ''
        if cause and cause.kind == 'installation':
            return self.give_up(calculation, f'is not repeated{told}')
        if has_stepped(calculation):
            self.ctx.inputs.structure = calculation.outputs.output_structure
            action = f'it was killed{told}: going on from its last geometry'
        elif len(self.ctx.children) > 1 and all(map(died_before_a_step, self.ctx.children[-2:])):
            return self.give_up(calculation, f'was killed before its first step, as the job before it{told}')
        else:
            action = f'it was killed before its first step{told}: repeating it'
        self.set_restart_type(RestartType.FROM_SCRATCH)
        self.report_error_handled(calculation, action)
        return ProcessHandlerReport(True)


def died_before_a_step(calculation: orm.CalcJobNode) -> bool:
    """Return whether a pw.x job was killed before it had left a step of a relaxation, other than by preemption."""
    was_killed = calculation.exit_status in {code.status for code in KILLED} and not was_preempted(calculation)
    return was_killed and not has_stepped(calculation)


def has_stepped(calculation: orm.CalcJobNode) -> bool:
    """Return whether a pw.x job has left at least one step of a relaxation."""
    return {'output_structure', 'output_trajectory'} <= set(calculation.outputs)


class RelaxWorkChain(ParentWorkChain, PwRelaxWorkChain):
    """``PwRelaxWorkChain`` with :class:`RelaxBaseWorkChain` in the place of ``PwBaseWorkChain``."""

    def submit(self, process: type[Process], inputs: dict[str, Any] | None = None, **kwargs: Any) -> orm.ProcessNode:
        """Submit a process once; in the place of ``PwBaseWorkChain`` the work chain that survives killed jobs."""
        return super().submit(RelaxBaseWorkChain if process is PwBaseWorkChain else process, inputs, **kwargs)
