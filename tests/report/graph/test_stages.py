"""What stages are called on the page."""

import pytest
from aiida import orm

from aiida_ionconduct.report.graph.stages import stage_title


@pytest.mark.parametrize(
    ('label', 'process_label', 'title'),
    [
        ('relax', 'RelaxWorkChain', 'Relaxation'),
        ('train_0', 'AllegroWorkChain', 'Training'),
        ('train_2', 'AllegroWorkChain', 'Training 2'),
        ('label_rattled', 'LabelWorkChain', 'Rattled cells'),
        ('CALL', 'SomethingElseWorkChain', 'Something else'),
        ('CALL', 'build_dataset', 'Build dataset'),
        ('CALL', None, 'Process'),
    ],
)
def test_a_stage_is_called_by_its_label_or_its_process(label, process_label, title, aiida_profile):
    node = orm.WorkChainNode()
    if process_label:
        node.set_process_label(process_label)
    assert stage_title(label, node) == title
