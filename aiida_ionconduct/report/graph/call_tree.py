"""The processes that a process called, and the nodes linked to many processes: one query for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.queries import stored_pk

Direction = Literal['incoming', 'outgoing']


class Linked(NamedTuple):
    """A link of a process: the primary key of the process, the label of the link, and the node at its other end."""

    process_pk: int
    label: str
    node: orm.Node


def linked(
    processes: Iterable[orm.ProcessNode],
    direction: Direction,
    *link_types: LinkType,
    kind: type[orm.Node] = orm.Data,
    label: str | None = None,
) -> list[Linked]:
    """Return what some processes made or called (``outgoing``) or used (``incoming``), in the order of creation.

    :param kind: type of the nodes at the other ends.
    :param label: label of the links; any label by default.
    """
    pks = [process.pk for process in processes]
    if not pks:
        return []
    query = orm.QueryBuilder()
    query.append(orm.ProcessNode, filters={'id': {'in': pks}}, project='id', tag='process')
    query.append(
        kind,
        tag='end',
        project='*',
        edge_filters={'type': {'in': [link_type.value for link_type in link_types]}}
        | ({'label': label} if label else {}),
        edge_project='label',
        # The keyword names the end that is already in the query.
        joining_keyword='with_incoming' if direction == 'outgoing' else 'with_outgoing',
        joining_value='process',
    )
    return sorted((Linked(pk, name, node) for pk, node, name in query.iterall()), key=lambda link: stored_pk(link.node))


class CallTree:
    """All processes below one process."""

    def __init__(self, root: orm.ProcessNode) -> None:
        """Query the calls, one query for each level of the tree."""
        self.calls: dict[int, list[Linked]] = {}
        level = [root]
        while level:
            calls = linked(level, 'outgoing', LinkType.CALL_CALC, LinkType.CALL_WORK, kind=orm.ProcessNode)
            for call in calls:
                self.calls.setdefault(call.process_pk, []).append(call)
            level = [call.node for call in calls if isinstance(call.node, orm.ProcessNode)]

    def called_by(self, process: orm.ProcessNode) -> list[tuple[str, orm.ProcessNode]]:
        """Return the label of the call and the called process of every direct call of a process, oldest first."""
        calls = self.calls.get(stored_pk(process), [])
        return [(call.label, call.node) for call in calls if isinstance(call.node, orm.ProcessNode)]

    def whole(self, process: orm.ProcessNode) -> list[orm.ProcessNode]:
        """Return a process and all processes below it."""
        return [process, *(node for _, child in self.called_by(process) for node in self.whole(child))]

    def jobs(self, process: orm.ProcessNode) -> list[orm.CalcJobNode]:
        """Return the process itself if it is a job, and all jobs below it."""
        return [node for node in self.whole(process) if isinstance(node, orm.CalcJobNode)]
