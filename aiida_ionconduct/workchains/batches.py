"""Children in batches: at most ``max_concurrent`` at a time; failures are tolerated and counted."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import Process, ToContext, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.workchains.base import ParentWorkChain


class BatchWorkChain(ParentWorkChain):
    """A work chain that submits many children of one kind and goes on when some of them fail.

    A subclass sets :attr:`_child`, fills ``self.ctx.pending`` with labels in its first step, gives the inputs of a
    child in :meth:`child_inputs`, and puts :meth:`run_all` into its outline. Afterwards ``self.ctx.finished`` maps the
    labels of the children that ended well to their nodes, and ``self.ctx.failed`` lists the labels of the others.
    """

    _child: type[Process]

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input('max_concurrent', valid_type=orm.Int, default=lambda: orm.Int(2), help='Children at a time.')

    @classmethod
    def run_all(cls) -> Any:
        """Return the outline's loop over all children, with the steps of the subclass."""
        return while_(cls.has_pending)(cls.run_batch, cls.inspect_batch)

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one child."""
        raise NotImplementedError

    def has_pending(self) -> bool:
        """Return whether children remain to be submitted."""
        self.ctx.setdefault('finished', {})
        self.ctx.setdefault('failed', [])
        return bool(self.ctx.pending)

    def run_batch(self) -> ToContext:
        """Submit the next children."""
        size = self.inputs.max_concurrent.value
        self.ctx.batch, self.ctx.pending = self.ctx.pending[:size], self.ctx.pending[size:]
        children: dict[str, Any] = {}
        for label in self.ctx.batch:
            children |= self.child(label, self._child, self.child_inputs(label), name=f'child_{label}')
        return ToContext(**children)

    def inspect_batch(self) -> None:
        """Sort the children that ended."""
        for label in self.ctx.batch:
            node = self.ctx[f'child_{label}']
            if node.is_finished_ok:
                self.ctx.finished[label] = node
            else:
                self.report(f'{node.process_label}<{node.pk}> ({label}) failed with exit status {node.exit_status}')
                self.ctx.failed.append(label)
