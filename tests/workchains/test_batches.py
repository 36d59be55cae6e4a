"""The loop over children: a limited number at a time; failures are tolerated and counted."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import WorkChain, run_get_node

from aiida_ionconduct.workchains.batches import BatchWorkChain

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')


class OddFails(WorkChain):
    """Fails for odd numbers."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input('number', valid_type=orm.Int)
        spec.outline(cls.end)
        spec.exit_code(400, 'ERROR_ODD', message='odd')

    def end(self):
        if self.inputs.number.value % 2:
            return self.exit_codes.ERROR_ODD
        return None


class Numbers(BatchWorkChain):
    """Runs a child for each number and hands out the sizes of the batches."""

    _child = OddFails

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input('numbers', valid_type=orm.List)
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output('summary', valid_type=orm.Dict)

    def setup(self):
        self.ctx.pending = [f'n{number}' for number in self.inputs.numbers]
        self.ctx.sizes = []

    def child_inputs(self, label):
        if label == self.ctx.batch[0]:
            self.ctx.sizes.append(len(self.ctx.batch))
        return {'number': orm.Int(int(label[1:]))}

    def results(self):
        finished = {label: node.inputs.number.value for label, node in self.ctx.finished.items()}
        summary = {'finished': finished, 'failed': list(self.ctx.failed), 'sizes': list(self.ctx.sizes)}
        self.out('summary', orm.Dict(summary).store())


@pytest.mark.parametrize(('max_concurrent', 'sizes'), [(2, [2, 2, 1]), (10, [5])])
def test_batches(max_concurrent, sizes):
    """The engine runs the loop."""
    numbers = orm.List([4, 1, 2, 3, 6])
    outputs, node = run_get_node(Numbers, numbers=numbers, max_concurrent=orm.Int(max_concurrent))
    assert node.is_finished_ok
    assert outputs['summary'].get_dict() == {
        'finished': {'n4': 4, 'n2': 2, 'n6': 6},
        'failed': ['n1', 'n3'],
        'sizes': sizes,
    }
    assert len(node.called) == 5
    calls = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK)
    assert sorted(calls.all_link_labels()) == ['n1', 'n2', 'n3', 'n4', 'n6']


def test_no_children():
    outputs, node = run_get_node(Numbers, numbers=orm.List([]))
    assert node.is_finished_ok
    assert outputs['summary'].get_dict() == {'finished': {}, 'failed': [], 'sizes': []}
