"""Children in batches: at most ``max_concurrent`` at a time, failures tolerated and counted."""

from __future__ import annotations

from aiida import orm
from aiida.engine import WorkChain, while_

from aiida_ionconduct.farm.once import SubmitOnce


class BatchWorkChain(SubmitOnce, WorkChain):
    """A work chain that submits many children of one kind and goes on when some of them fail.

    A subclass sets :attr:`_child`, fills ``self.ctx.pending`` with labels in its first step, gives the inputs of a
    child in :meth:`child_inputs`, and puts :meth:`run_all` into its outline. Afterwards ``self.ctx.finished`` maps the
    labels to the nodes that ended well, and ``self.ctx.failed`` lists the labels that did not.
    """

    _child: type

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input('max_concurrent', valid_type=orm.Int, default=lambda: orm.Int(2), help='Children at a time.')

    @classmethod
    def run_all(cls):
        """Return the outline's loop over all children, of the subclass's own steps."""
        return while_(cls.has_pending)(cls.run_batch, cls.inspect_batch)

    def child_inputs(self, label: str) -> dict:
        """Return the inputs of one child."""
        raise NotImplementedError

    def has_pending(self) -> bool:
        """Whether children remain to be submitted."""
        self.ctx.setdefault('finished', {})
        self.ctx.setdefault('failed', [])
        return bool(self.ctx.pending)

    def run_batch(self):
        """Submit the next children."""
        size = self.inputs.max_concurrent.value
        self.ctx.batch, self.ctx.pending = self.ctx.pending[:size], self.ctx.pending[size:]
        for label in self.ctx.batch:
            inputs = self.child_inputs(label)
            inputs['metadata'] = {**inputs.get('metadata', {}), 'call_link_label': label}
            self.to_context(**{f'child_{label}': self.submit(self._child, **inputs)})

    def inspect_batch(self):
        """Sort the children that ended."""
        for label in self.ctx.batch:
            node = self.ctx[f'child_{label}']
            if node.is_finished_ok:
                self.ctx.finished[label] = node
            else:
                self.report(f'{node.process_label}<{node.pk}> ({label}) failed with exit status {node.exit_status}')
                self.ctx.failed.append(label)
