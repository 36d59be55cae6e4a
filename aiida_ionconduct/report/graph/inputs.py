"""What a campaign was asked to do: its inputs as flat text, and where those of several campaigns differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aiida import orm
from aiida.common.links import LinkType


def flat_inputs(node: orm.WorkChainNode) -> dict[str, str]:
    """Return every input of a work chain as text, by its path, such as ``md.parameters.timestep_fs``, sorted."""
    found: dict[str, str] = {}
    for link in node.base.links.get_incoming(link_type=LinkType.INPUT_WORK).all():
        found |= _flatten(link.link_label.replace('__', '.'), _plain(link.node))
    return dict(sorted(found.items()))


def differences(campaigns: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Return name and values, one for each campaign, of all that is not the same everywhere; '–' where not set."""
    names = dict.fromkeys(name for one in campaigns for name in one)
    rows = [(name, [one.get(name, '–') for one in campaigns]) for name in sorted(names)]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _plain(node: orm.Data):
    """Return what identifies a node by its content, never by its place in one profile."""
    if isinstance(node, orm.Dict):
        return node.get_dict()
    if isinstance(node, orm.List):
        return node.get_list()
    if isinstance(node, (orm.Int, orm.Float, orm.Str, orm.Bool)):
        return node.value
    if isinstance(node, orm.AbstractCode):
        return node.label  # its computer belongs to a place and not to a result
    attributes = node.base.attributes.all
    if isinstance(node, orm.StructureData):
        return f'{node.get_formula(mode="count_compact")}, {len(node.sites)} atoms, {node.get_cell_volume():.3f} Å³'
    if isinstance(node, orm.KpointsData) and 'mesh' in attributes:
        return ' × '.join(map(str, attributes['mesh']))
    checksum = attributes.get('md5') or attributes.get('sha256') or str(node.uuid)
    return f'{attributes.get("filename", type(node).__name__)} {checksum[:10]}'


def _flatten(name: str, value) -> dict[str, str]:
    if isinstance(value, Mapping) and value:
        parts = [_flatten(f'{name}.{key}', one) for key, one in value.items()]
        return {key: one for part in parts for key, one in part.items()}
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
