"""Nodes that came from an archive without all of their content: how they state it, and what follows from it.

An archive can hold a node under its own UUID with fewer frames, or without a file
(:mod:`aiida_ionconduct.archives.reduction`). The attribute ``reduced`` of such a node says so. It is an attribute, not
an extra, because an import can drop extras, or merge them into a node that is whole.
"""

from __future__ import annotations

from aiida import orm
from aiida.common.links import LinkType

REDUCED = 'reduced'
"""By file: ``bytes`` and ``sha256`` of the whole file, and ``every``, n, if one frame in n is left of it. A file
without ``every`` was left out. A trajectory over segments, whose arrays are files of these, states ``every`` alone."""


def has_reduced_outputs(process: orm.ProcessNode) -> bool:
    """Return whether an output of a process is without some of its content, so that the cache must not copy it."""
    outputs = process.base.links.get_outgoing(link_type=LinkType.CREATE).all_nodes()
    return any(REDUCED in output.base.attributes for output in outputs)


def complaint_about_file(node: orm.Data, name: str) -> str | None:
    """Return that a file of a node was left out of the archive from which the node came, or None.

    :param name: of the file.
    """
    if name not in node.base.attributes.get(REDUCED, {}) or name in node.base.repository.list_object_names():
        return None
    return f'the file {name} of {type(node).__name__}<{node.pk}> was left out of the archive from which it was imported'
