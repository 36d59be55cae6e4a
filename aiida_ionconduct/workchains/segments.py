"""What runs that go on in segments share: a segment that only ran out of time is no failure."""

from aiida.engine import BaseRestartWorkChain

from aiida_ionconduct.farm.once import SubmitOnce


class SegmentsWorkChain(SubmitOnce, BaseRestartWorkChain):
    """A restart work chain in which segments can be left out of the count of ``max_iterations``."""

    def setup(self):
        """Start to count."""
        super().setup()
        self.ctx.n_uncounted = 0

    def run_process(self):
        """Submit the next segment; all are numbered, those that do not count against the limit as well."""
        self.ctx.iteration += self.ctx.n_uncounted
        awaitable = super().run_process()
        self.ctx.iteration -= self.ctx.n_uncounted
        return awaitable

    def leave_uncounted(self):
        """Take the segment that has just ended out of the count."""
        self.ctx.children.pop()
        self.ctx.iteration -= 1
        self.ctx.n_uncounted += 1

    def has_failed_twice(self, node) -> bool:
        """Whether the segment before has failed in the same way."""
        return [child.exit_status for child in self.ctx.children[-2:]] == 2 * [node.exit_status]
