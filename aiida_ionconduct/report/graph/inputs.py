"""What a campaign was asked to do: its inputs as flat text, and where the inputs of several campaigns differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiida import orm
from aiida.common.links import LinkType


def flat_inputs(node: orm.WorkChainNode) -> dict[str, str]:
    """Return every input of a work chain as text, by its path, such as ``md.parameters.timestep_fs``, sorted."""
    inputs: dict[str, str] = {}
    for link in node.base.links.get_incoming(link_type=LinkType.INPUT_WORK).all():
        inputs |= _flatten(link.link_label.replace('__', '.'), _plain(link.node))
    return dict(sorted(inputs.items()))


def differences(campaigns: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the inputs that are not the same in all campaigns.

    :param campaigns: inputs by path, as :func:`flat_inputs` gives them.
    :return: the path, and the value in each campaign, '–' where it is not set.
    """
    names = {name for inputs in campaigns for name in inputs}
    rows = [(name, [inputs.get(name, '–') for inputs in campaigns]) for name in sorted(names)]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _plain(node: orm.Node) -> Any:
    """Return what identifies a node by its content, never by its place in one profile."""
    if isinstance(node, orm.Dict):
        return node.get_dict()
    if isinstance(node, orm.List):
        return node.get_list()
    if isinstance(node, (orm.Int, orm.Float, orm.Str, orm.Bool)):
        return node.value
    if isinstance(node, orm.AbstractCode):
        return node.label  # its computer says nothing about a result
    attributes = node.base.attributes.all
    if isinstance(node, orm.StructureData):
        return f'{node.get_formula(mode="count_compact")}, {len(node.sites)} atoms, {node.get_cell_volume():.3f} Å³'
    if isinstance(node, orm.KpointsData) and 'mesh' in attributes:
        return ' × '.join(map(str, attributes['mesh']))
    checksum = attributes.get('md5') or attributes.get('sha256') or str(node.uuid)
    return f'{attributes.get("filename", type(node).__name__)} {checksum[:10]}'


def _flatten(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping) and value:
        parts = [_flatten(f'{name}.{key}', entry) for key, entry in value.items()]
        return {path: text for part in parts for path, text in part.items()}
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
