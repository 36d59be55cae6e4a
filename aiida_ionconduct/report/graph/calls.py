"""What a process called, and the data at the ends of processes: one query for many nodes, instead of one for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiida import orm
from aiida.common.links import LinkType


class Linked(NamedTuple):
    """A node at the other end of a link, and the primary key of the process at this end."""

    process_pk: int
    label: str
    node: orm.Node


def linked(
    processes: Iterable[orm.ProcessNode],
    direction: str,
    *link_types: LinkType,
    kind: type[orm.Node] = orm.Data,
    label: str | None = None,
) -> list[Linked]:
    """Return what some processes made or called (``outgoing``) or used (``incoming``), in the order of creation.

    :param kind: type of the nodes at the other ends.
    :param label: of the links; any if not given.
    """
    pks = [one.pk for one in processes]
    if not pks:
        return []
    query = orm.QueryBuilder()
    query.append(orm.ProcessNode, filters={'id': {'in': pks}}, project='id', tag='process')
    query.append(
        kind,
        tag='end',
        project='*',
        edge_filters={'type': {'in': [one.value for one in link_types]}} | ({'label': label} if label else {}),
        edge_project='label',
        # The relationship names the end that is already in the query.
        **{'with_incoming' if direction == 'outgoing' else 'with_outgoing': 'process'},
    )
    return sorted((Linked(pk, name, node) for pk, node, name in query.iterall()), key=lambda row: row.node.pk)


class CallTree:
    """All processes below one process."""

    def __init__(self, root: orm.ProcessNode):
        """Ask for the calls, level by level."""
        self.calls: dict[int, list[Linked]] = {}
        level = [root]
        while level:
            rows = linked(level, 'outgoing', LinkType.CALL_CALC, LinkType.CALL_WORK, kind=orm.ProcessNode)
            for row in rows:
                self.calls.setdefault(row.process_pk, []).append(row)
            level = [row.node for row in rows]

    def whole(self, process: orm.ProcessNode) -> list[orm.ProcessNode]:
        """Return a process and all below it."""
        return [process, *(one for call in self.calls.get(process.pk, []) for one in self.whole(call.node))]

    def jobs(self, process: orm.ProcessNode) -> list[orm.CalcJobNode]:
        """Return the process itself if it is a job, and all jobs below it."""
        return [one for one in self.whole(process) if isinstance(one, orm.CalcJobNode)]
