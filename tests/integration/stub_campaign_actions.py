"""Campaigns over stubs under a daemon: `verdi run stub_campaign_actions.py submit PROTOCOL|describe PK` prints JSON."""

import json
import sys

from aiida import orm
from aiida.engine import ProcessState, submit

from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.inputs import load_codes
from stub_campaign import StubCampaign

OVERRIDES = {
    'temperatures_K': [900],
    'seeds': [1, 2],
    'aimd': {'temperatures_K': [900]},
    'rattle': {'n_frames': 2},
    'relabelling': {'n_rounds': 1, 'max_rounds': 1, 'n_frames': 2, 'temperatures_K': [1000], 'seeds': [1]},
}


BESIDE = {'rattle': {'n_frames': 0}, 'pretrained': {'n_frames': 4, 'relax_steps': 0}, 'validation': {'aimd': True}}
"""What differs where a pretrained potential samples and AIMD runs beside it."""


def start(protocol):
    """Submit a campaign by a protocol; return its PK."""
    structure = orm.StructureData(ase=crystal('beta-Li3PO4'))
    overrides = OVERRIDES | (BESIDE if protocol == 'overnight' else {})
    return submit(StubCampaign.get_builder_from_protocol(load_codes(), structure, protocol, overrides=overrides)).pk


def describe(pk):
    """Return how a campaign has ended, and the states of its children by label, in the order in which they ended."""
    node = orm.load_node(int(pk))
    terminated = node.is_terminated
    children = {}
    links = node.base.links.get_outgoing(node_class=orm.WorkChainNode).all()
    for link in sorted(links, key=lambda link: link.node.mtime):
        state = link.node.process_state or ProcessState.CREATED  # a child that is being stored has none yet
        children[link.link_label] = [*children.pop(link.link_label, []), state.value]
    return {'terminated': terminated, 'exit_status': node.exit_status, 'children': children}


if __name__ == '__main__':
    function = {'submit': start, 'describe': describe}[sys.argv[1]]
    print(json.dumps(function(*sys.argv[2:])))
