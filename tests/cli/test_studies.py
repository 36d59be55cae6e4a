"""`aiida-ionconduct study …` on stored trajectories: what is printed and written, and what is refused."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage import get_manager
from click.testing import CliRunner

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.cli import cli
from aiida_ionconduct.data import ConductivityData


@pytest.fixture
def campaign(aiida_profile, make_salt_run):
    """Return a work chain with runs at two temperatures in its outputs."""
    node = orm.WorkChainNode().store()
    for T in (600.0, 900.0):
        for seed in (1, 2, 3):
            run = make_salt_run(seed, T, n_frames=401).store()
            run.base.links.add_incoming(node, LinkType.RETURN, f'trajectories__T{T:g}_seed{seed}')
    return node


def invoke(*words):
    profile = get_manager().get_profile().name
    return CliRunner().invoke(cli, ['study', *map(str, words), '-p', profile])


def test_blocks(campaign, tmp_path):
    """One command: the table, the statement, the figure; and the analysis is in the graph."""
    result = invoke('blocks', campaign.pk, '--temperature', 900, '--blocks', '10,20,40', '-o', tmp_path)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert sum(line.split()[:1] in (['10'], ['20'], ['40']) for line in lines) == 12
    assert any(line.startswith('full: blocks of 10, 20, 40 ps give') for line in lines)
    assert {path.name for path in tmp_path.iterdir()} == {'block-sizes-900K.png', 'block-sizes-900K.svg'}
    query = orm.QueryBuilder().append(
        orm.CalcFunctionNode, filters={'attributes.process_label': 'compare_block_sizes'}, tag='study'
    )
    node = query.order_by({'study': {'id': 'desc'}}).first(flat=True)
    assert len(node.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()) == 4


def test_density(campaign, tmp_path):
    result = invoke('density', campaign.pk, '--temperature', 600, '--spacing', 1, '-o', tmp_path)
    assert result.exit_code == 0, result.output
    assert 'along a: ' in result.output
    assert {path.suffix for path in tmp_path.iterdir()} == {'.cube', '.png', '.svg'}
    assert len(list(tmp_path.iterdir())) == 5


def test_several_temperatures(campaign, tmp_path):
    result = invoke('blocks', campaign.pk, '-o', tmp_path)
    assert result.exit_code == 1
    assert 'found: 600, 900 K; choose by --temperature' in result.output


def test_bad_input_is_a_message(campaign, tmp_path):
    result = invoke('blocks', campaign.pk, '--temperature', 600, '--blocks', '500', '-o', tmp_path)
    assert result.exit_code == 1
    assert 'blocks of 500 ps do not fit' in result.output
    assert 'no node 999999' in invoke('blocks', 999999).output
    assert 'nothing for this study' in invoke('blocks', orm.Int(1).store().pk).output
    assert 'is not a finished TwinsWorkChain' in invoke('twins', campaign.pk).output


def test_sizes(aiida_profile, make_salt_run, tmp_path):
    """The answer, and a figure of all sizes, from the conductivities of cells of two sizes."""
    parameters = orm.Dict({'charges': {'Li': 1, 'Cl': -1}, 'mobile': 'Li'})
    conductivities = []
    for factor in (1, 2):
        runs = {f'T900_seed{seed}': make_salt_run(seed, 900.0).store() for seed in (1, 2, 3)}
        node = analyse_trajectories(parameters, **runs)
        copy = ConductivityData()
        copy.base.attributes.set_many({**node.base.attributes.all, 'n_atoms': 8 * factor})
        for name in node.get_arraynames():
            copy.set_array(name, node.get_array(name))
        conductivities.append(copy.store())
    result = invoke('sizes', *(node.pk for node in conductivities), '-o', tmp_path)
    assert result.exit_code == 0, result.output
    assert '8 against 16 atoms' in result.output
    assert {path.name for path in tmp_path.iterdir()} == {'cell-sizes-900K.png', 'cell-sizes-900K.svg'}


def test_estimators(stored_campaign, tmp_path):
    """Each estimator has a row and a place in the figure; the default names the estimator that it has chosen."""
    result = invoke('estimators', stored_campaign.pk, '--temperature', 900, '-o', tmp_path)
    assert result.exit_code == 0, result.output
    rows = [line.split('  ')[0] for line in result.output.splitlines() if line.startswith(('auto', 'multivariate'))]
    assert [row.split()[0] for row in rows] == ['auto', 'multivariate']
    assert {path.name for path in tmp_path.iterdir()} == {'estimators-900K.png', 'estimators-900K.svg'}


def test_estimators_need_a_single_temperature(stored_campaign, tmp_path):
    result = invoke('estimators', stored_campaign.pk, '-o', tmp_path)
    assert result.exit_code == 1
    assert 'found: 600, 900 K; choose by --temperature' in result.output
