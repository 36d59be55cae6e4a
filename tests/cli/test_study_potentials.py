"""`aiida-ionconduct study potentials`: the plan, the refusals, and the table of a study."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.manage import get_manager
from click.testing import CliRunner

from aiida_ionconduct.cli import cli

COMPARISON = {
    'T1200': {
        'n': 3, 'mean_S_per_cm': 1.5, 'scatter': 0.2, 'runs': 0.1, 'between': 0.17, 'between_upper': 0.8,
        'p_equal': 0.03, 'n_without': 1,
    },
    'T900': None,
}  # fmt: skip


def invoke(*words):
    return CliRunner().invoke(cli, [*map(str, words), '-p', get_manager().get_profile().name])


@pytest.fixture
def study(aiida_profile):
    """Return a function that stores a study that has ended."""

    def make(exit_status=0, exit_message=None):
        node = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.potentials')
        node.set_process_label('PotentialsStudyWorkChain')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_status)
        node.set_exit_message(exit_message)
        node.store()
        output = orm.Dict(COMPARISON).store()
        output.base.links.add_incoming(node, LinkType.RETURN, 'comparison')
        node.seal()
        return node

    return make


@pytest.mark.parametrize('command', [('study', 'potentials'), ('show',)])
def test_a_study_is_shown(study, command):
    result = invoke(*command, study().pk)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    row = next(line for line in lines if line.startswith('1200'))
    assert row.split()[:6] == ['1200', '3', '(and', '1', 'without', 'a']
    assert '17 %, at most 80 %' in row
    assert 'fewer than two potentials have a number' in next(line for line in lines if line.startswith('900'))


def test_a_study_in_which_a_potential_has_failed(study):
    """What is known is shown, and what is missing is said."""
    result = invoke('study', 'potentials', study(401, '1 of 2 potentials have no conductivity').pk)
    assert result.exit_code == 1
    assert '17 %, at most 80 %' in result.output
    assert '1 of 2 potentials have no conductivity' in result.output


def test_another_node_is_refused(aiida_profile):
    result = invoke('study', 'potentials', orm.Int(1).store().pk)
    assert result.exit_code == 1
    assert 'there is no campaign with PK' in result.output


@pytest.mark.parametrize(
    ('words', 'message'),
    [(('--training-seeds', '2;3'), 'must be numbers'), (('--temperatures', 'hot'), 'temperatures `hot`')],
)
def test_words_are_checked(stored_campaign, words, message):
    result = invoke('study', 'potentials', stored_campaign.pk, *words)
    assert result.exit_code == 1
    assert message in result.output
