"""Tests of how a preempted job is known."""

import pytest
from aiida import orm

from aiida_ionconduct.farm.preemption import was_preempted

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.mark.parametrize(
    ('state', 'preempted'), [('PREEMPTED', True), ('CANCELLED by 1000', False), ('NODE_FAIL', False)]
)
def test_accounting(state, preempted):
    node = orm.CalcJobNode()
    stdout = f'AllocCPUS|AllocTRES|ElapsedRaw|State|\n1|cpu=1|60|{state}|\n'
    node.set_detailed_job_info({'retval': 0, 'stdout': stdout, 'stderr': ''})
    assert was_preempted(node) is preempted


@pytest.mark.parametrize(
    ('text', 'preempted'),
    [
        ('slurmstepd: error: *** JOB 17 ON node1 CANCELLED AT 2026-11-29T20:00:00 DUE TO PREEMPTION ***', True),
        ('slurmstepd: error: *** JOB 17 ON node1 CANCELLED AT 2026-11-29T20:00:00 ***', False),
    ],
)
def test_error_file(monkeypatch, text, preempted):
    monkeypatch.setattr(orm.CalcJobNode, 'get_scheduler_stderr', lambda node: text)
    assert was_preempted(orm.CalcJobNode()) is preempted
