"""Work chains that submit every child once, however often a worker dies."""

from __future__ import annotations

from typing import Any, cast

from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import Process, ProcessState, WorkChain


class SubmitOnce(WorkChain):
    """A work chain that finds the children which it had submitted when its worker was killed.

    A killed work chain goes on from its last checkpoint, so it repeats the step in which it was killed. The children
    that it had submitted in this step run already and are taken instead of new ones. They are known by their call link
    labels; every child therefore needs one.
    """

    def submit(self, process: type[Process], inputs: dict[str, Any] | None = None, **kwargs: Any) -> orm.ProcessNode:
        """Submit a child, or return the child with the same label that a killed worker has left.

        :raises ValueError: if the child has no call link label.
        """
        label = {**(inputs or {}), **kwargs}.get('metadata', {}).get('call_link_label')
        if not label:
            raise ValueError(
                f'{self.__class__.__name__} submits {process} without a call link label: give the child one with '
                '`metadata.call_link_label`, or it would be submitted again when a worker is killed.'
            )
        child = self._left_child(label) or super().submit(process, inputs, **kwargs)
        self.ctx.setdefault('submitted', []).append(str(child.uuid))
        return child

    def _left_child(self, label: str) -> orm.ProcessNode | None:
        """Return the child of a label that the last checkpoint does not know, if it has begun.

        A child that has not begun may have lost its task with the worker, or may wait for its turn. It is set aside,
        so that it will never begin, and is to be submitted anew. A worker that holds its task already fails at the
        sealed node, before the first step, and says so in its log.
        """
        links = (LinkType.CALL_CALC, LinkType.CALL_WORK)
        for link in self.node.base.links.get_outgoing(link_type=links, link_label_filter=label):
            child = cast('orm.ProcessNode', link.node)
            # The filter takes `_` for any character. A label comes back when a restart loop counts from one again.
            if link.link_label != label or str(child.uuid) in self.ctx.get('submitted', []):
                continue
            if child.process_state not in (None, ProcessState.CREATED):
                if not child.is_killed:
                    return child
            elif not child.is_sealed:
                set_aside(child, 'the worker that submitted it was killed')
        return None


def set_aside(process: orm.ProcessNode, why: str) -> None:
    """Mark a process that has not begun as killed, so that it never will begin."""
    process.set_process_state(ProcessState.KILLED)
    process.set_process_status(f'set aside: {why}')
    process.seal()
