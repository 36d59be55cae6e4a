"""Inputs as flat text, and what differs between them."""

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.report.graph.inputs import differences, flat_inputs


def test_inputs_are_flat(aiida_profile):
    chain = orm.WorkChainNode()
    inputs = {
        'charges': orm.Dict({'Li': 1, 'Cl': -1}),
        'mobile': orm.Str('Li'),
        'md__parameters': orm.Dict({'timestep_fs': 1.0}),
    }
    for label, node in inputs.items():
        chain.base.links.add_incoming(node.store(), LinkType.INPUT_WORK, label)
    flat = {'charges.Cl': '-1', 'charges.Li': '1', 'md.parameters.timestep_fs': '1.0', 'mobile': 'Li'}
    assert flat_inputs(chain.store()) == flat


def test_only_inputs_that_differ_are_named():
    assert differences([{'a': '1', 'b': '2'}, {'a': '1', 'c': '3'}]) == [('b', ['2', '–']), ('c', ['–', '3'])]
