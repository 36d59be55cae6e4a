"""What runs in segments share: a segment that only ran out of time is not a failure."""

from __future__ import annotations

from types import FunctionType

from aiida import orm
from aiida.engine import ExitCode, ProcessHandlerReport, ToContext, process_handler

from aiida_ionconduct.calculations.base import EngineCalcJob
from aiida_ionconduct.farm.preemption import was_preempted
from aiida_ionconduct.workchains.base import RestartWorkChain

MAX_PREEMPTIONS = 100
"""How often a run or a training may be preempted; after that, a preempted job is a job that was killed."""


class SegmentsWorkChain(RestartWorkChain):
    """A restart work chain in which segments can be left out of the count of ``max_iterations``.

    A subclass says in :meth:`continue_from` how it goes on from a segment, has a handler of
    :func:`out_of_walltime_handler`, and the exit code ``ERROR_NO_PROGRESS``.
    """

    def setup(self) -> None:
        """Start to count."""
        super().setup()
        self.ctx.n_uncounted, self.ctx.n_preempted = 0, 0

    def run_process(self) -> ToContext:
        """Submit the next segment; all segments are numbered, also those that do not count against the limit."""
        self.ctx.iteration += self.ctx.n_uncounted
        awaitable = super().run_process()
        self.ctx.iteration -= self.ctx.n_uncounted
        return awaitable

    def inspect_process(self) -> ExitCode | None:
        """Let the handlers look at a segment; when nothing helps, keep what there is."""
        node = self.ctx.children[-1]
        exit_code = super().inspect_process()
        if exit_code is not None and exit_code.status:
            self.attach(node)
        return exit_code

    @process_handler(priority=630)
    def handle_preempted(self, node: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """Go on, or repeat, when the scheduler has preempted a job; this does not count against `max_iterations`."""
        if node.is_finished_ok or self.ctx.n_preempted >= MAX_PREEMPTIONS or not was_preempted(node):
            return None
        self.ctx.n_preempted += 1
        action = 'going on' if self.continue_from(node) else 'repeating it'
        self.report(f'{node.process_label}<{node.pk}> was preempted by the scheduler: {action}')
        self.leave_uncounted()
        return ProcessHandlerReport(True)

    @process_handler(priority=620, exit_codes=EngineCalcJob.exit_codes.ERROR_CANNOT_RUN)
    def handle_cannot_run(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """End: the installation has to be mended first, no repetition can work."""
        return self.give_up(node, 'is not repeated')

    @process_handler(priority=610, exit_codes=EngineCalcJob.exit_codes.ERROR_CRASHED)
    def handle_crashed(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Continue, or repeat if there is nothing to continue from; twice in a row without progress is a failure."""
        if not self.continue_from(node):
            if self.has_failed_twice(node):
                return self.give_up(node, 'has crashed twice in a row')
            self.report(f'{node.process_label}<{node.pk}> crashed without progress: repeating it')
        return ProcessHandlerReport(True)

    def continue_from(self, node: orm.CalcJobNode) -> bool:
        """Go on from what a segment has left, if it has made progress, and return whether it has."""
        raise NotImplementedError

    def attach(self, node: orm.CalcJobNode) -> None:
        """Attach the outputs of the run, of which a segment was the last."""
        raise NotImplementedError

    def leave_uncounted(self) -> None:
        """Take the segment that has just ended out of the count."""
        self.ctx.children.pop()
        self.ctx.iteration -= 1
        self.ctx.n_uncounted += 1

    def has_failed_twice(self, node: orm.CalcJobNode) -> bool:
        """Return whether the segment before has failed in the same way."""
        return [child.exit_status for child in self.ctx.children[-2:]] == 2 * [node.exit_status]


def out_of_walltime_handler(exit_code: ExitCode) -> FunctionType:
    """Return the handler for segments that were stopped by the wall time.

    :param exit_code: of such a segment.
    """

    @process_handler(priority=600, exit_codes=exit_code)
    def handle_out_of_walltime(self: SegmentsWorkChain, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Continue; as long as there is progress, this does not count against `max_iterations`."""
        if not self.continue_from(node):
            return ProcessHandlerReport(True, self.exit_codes.ERROR_NO_PROGRESS)
        self.leave_uncounted()
        return ProcessHandlerReport(True)

    return handle_out_of_walltime
