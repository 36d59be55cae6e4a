"""Work chains that submit every child once, however often a worker dies."""

from aiida.common.links import LinkType
from aiida.engine import ProcessState


class SubmitOnce:
    """A mix-in for work chains whose children have a ``call_link_label`` each.

    A work chain that was killed within a step repeats that step. The children that it had submitted in it run already,
    so they are taken instead of new ones.
    """

    def submit(self, process, inputs=None, **kwargs):
        """Submit a child, or return the one of that label that a killed worker has left.

        A child that was not begun may have lost its task with the worker, or wait for its turn. It is set aside, so
        that it will not begin, and submitted anew. A worker that has it in its hands already fails at the sealed node,
        before the first step, and says so in its log.
        """
        label = {**(inputs or {}), **kwargs}.get('metadata', {}).get('call_link_label')
        links = (LinkType.CALL_CALC, LinkType.CALL_WORK)
        for link in self.node.base.links.get_outgoing(link_type=links, link_label_filter=label) if label else ():
            child = link.node
            if link.link_label != label:  # the filter takes `_` for any character
                continue
            if child.process_state not in (None, ProcessState.CREATED):
                if not child.is_killed:
                    return child
            elif not child.is_sealed:
                child.set_process_state(ProcessState.KILLED)
                child.set_process_status('set aside: the worker that submitted it was killed')
                child.seal()
        return super().submit(process, inputs, **kwargs)
