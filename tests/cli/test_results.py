"""`show`, `status`, `query`, `model`, `structures`: what is printed, in which form, and with which exit code."""

import csv
import io
import json

import ase.io
import click
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage import get_manager
from ase.build import bulk
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.cli.data import conductivity, dataset, model, trajectory
from aiida_ionconduct.cli.nodes import Node
from aiida_ionconduct.labels import planned_label


def invoke(*words, group=cli):
    """Run a command in the profile of the tests."""
    return CliRunner().invoke(group, [*map(str, words), '-p', get_manager().get_profile().name])


def output(*words, group=cli):
    """Return what a command prints, which must end well."""
    result = invoke(*words, group=group)
    assert result.exit_code == 0, result.output
    return result.output


def test_identifiers(stored_campaign):
    """A PK, a UUID and its beginning are the same node; so is a label that only one has."""
    texts = {
        output('show', word) for word in (stored_campaign.pk, stored_campaign.uuid, str(stored_campaign.uuid)[:13])
    }
    assert len(texts) == 1
    stored_campaign.label = f'salt-{stored_campaign.pk}'
    assert output('show', stored_campaign.label) in texts


def test_show_as_json(stored_campaign):
    """The attributes as they are stored, with the verdict."""
    shown = json.loads(output('show', stored_campaign.pk, '--temperature', 900, '--format', 'json'))
    stored = stored_campaign.outputs.conductivities['T900']
    (conductivity,) = shown['conductivities']
    assert conductivity['pk'] == stored.pk
    assert conductivity['sigma_full_ci95'] == stored.base.attributes.get('sigma_full_ci95')
    assert shown['verdict'] in ('converged', 'not converged')
    assert {criterion['met'] for criterion in shown['criteria']} <= {True, False, None}


def test_show_studies(stored_campaign, tmp_path):
    """A study is said in the words of the command that made it, by its node or by its process."""
    printed = output('study', 'blocks', stored_campaign.pk, '--temperature', 900, '--blocks', '20,40', '-o', tmp_path)
    query = orm.QueryBuilder().append(
        orm.CalcFunctionNode, filters={'attributes.process_label': 'compare_block_sizes'}, tag='study'
    )
    node = query.order_by({'study': {'id': 'desc'}}).first(flat=True)
    assert output('show', node.outputs.result.pk).strip() in printed
    assert output('show', node.pk) == output('show', node.outputs.result.pk)


def test_show_what_is_there(stored_campaign):
    for node in (stored_campaign.outputs.model, next(iter(dict(stored_campaign.outputs.trajectories).values()))):
        assert type(node).__name__ in output('show', node.pk)
    result = invoke('show', stored_campaign.inputs.structure.pk)
    assert result.exit_code == 1
    assert 'give a campaign, a conductivity' in result.output
    result = invoke('show', stored_campaign.pk, '--temperature', 700)
    assert result.exit_code == 1
    assert 'temperatures: 600, 900' in result.output


def test_status(stored_campaign):
    text = output('status', stored_campaign.pk)
    assert f'ConductivityWorkChain<{stored_campaign.pk}> finished' in text
    failed = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.conductivity')
    failed.set_process_label('ConductivityWorkChain')
    failed.store()
    failed.set_process_state('finished')
    failed.set_exit_status(401)
    failed.set_exit_message('no run has ended well')
    result = invoke('status', failed.pk)
    assert result.exit_code == 1
    assert '[401] no run has ended well' in result.output
    assert invoke('status', stored_campaign.inputs.structure.pk).exit_code == 2


@pytest.mark.parametrize(
    ('label', 'planned'),
    [
        ('validate_2', 'validate'),
        ('relax_candidate_00', 'relax'),
        ('label_rattled', 'label_rattled'),
        ('train_1', 'train_1'),
        ('label_3', 'label_3'),
    ],
)
def test_rounds_and_candidates_were_planned_together(label, planned):
    hours = dict.fromkeys(('relax', 'label_rattled', 'train_0', 'train_1', 'label_1', 'validate', 'md'), 1.0)
    assert planned_label(label, hours) == planned


@pytest.mark.parametrize('words', [('conductivities',), ('arrhenius',), ('campaigns',), ('warnings',)])
def test_layouts(stored_campaign, words):
    """CSV and JSON hold all columns and every digit; raw has no header."""
    words = ('query', *words, 'LiCl')
    rows = json.loads(output(*words, '--format', 'json'))
    lines = list(csv.DictReader(io.StringIO(output(*words, '--format', 'csv'))))
    assert len(rows) == len(lines) >= 1
    assert list(rows[0]) == list(lines[0])
    assert {str(row['pk']) for row in rows} == {line['pk'] for line in lines}
    assert output(*words, '--raw', '--project', 'pk').split() == [str(row['pk']) for row in rows]
    assert output(*words[:2], 'KBr', '--raw') == ''
    assert 'Nothing found.' in output(*words[:2], 'KBr')
    assert invoke(*words, '--project', 'colour').exit_code == 2


@pytest.fixture
def hostile_label(stored_campaign):
    """A structure whose label is a formula of a spreadsheet, clears the screen and begins another line."""
    node = orm.StructureData(ase=bulk('Li'))
    node.label = "=cmd|'/c calc'!A1\x1b[2J\x9b2K\r\n1234\u202e"
    return node.store()


@pytest.mark.parametrize('layout', ['table', 'csv', 'json'])
def test_labels_are_not_obeyed(hostile_label, layout):
    """Neither a terminal nor a spreadsheet takes a label for a command, and it makes no further row."""
    text = output('structures', 'list', '--stored', '-r', '-P', 'label', '-f', layout)
    assert 'calc' in text
    assert all(line.isprintable() for line in text.split('\n'))
    if layout == 'csv':
        assert "'=cmd|'/c calc'!A1" in text
    assert all('calc' in line for line in text.splitlines() if '1234' in line)


def test_labels_are_not_obeyed_by_completion(hostile_label):
    context = click.Context(cli)
    context.params['profile'] = get_manager().get_profile().name
    helps = [item.help for item in Node('core.structure').shell_complete(context, None, '')]
    assert any('calc' in text for text in helps)
    assert all(text.isprintable() for text in helps)


def test_messages_are_not_obeyed(stored_campaign):
    """What an error says of a label or a path is shown, not obeyed."""
    for words in (('show', 'x\x1b[2J'), ('structures', 'show', 'y\x1b[2J.cif')):
        result = invoke(*words)
        assert result.exit_code
        assert all(line.isprintable() for line in result.output.split('\n'))


def test_digits_are_kept(stored_campaign):
    rows = json.loads(output('query', 'conductivities', '-c', stored_campaign.pk, '-f', 'json'))
    for row in rows:
        stored = orm.load_node(row['pk']).base.attributes.get('sigma_full_S_per_cm')
        assert row['sigma_full_S_per_cm'] == pytest.approx(stored, rel=1e-13)


def test_nodes_of_another_kind(stored_campaign):
    for words in (('query', 'model', stored_campaign.pk), ('query', 'trajectories', stored_campaign.pk)):
        result = invoke(*words)
        assert result.exit_code == 2
        assert f'node {stored_campaign.pk} is a ConductivityWorkChain' in result.output


def test_models(stored_campaign, tmp_path):
    """Out and in again: the same file is the same node."""
    pk, path = stored_campaign.outputs.model.pk, tmp_path / 'm.nequip.zip'
    assert str(pk) in output('model', 'list', '--raw', '-P', 'pk').split()
    assert 'r_max: 5.0' in output('model', 'show', pk)
    output('model', 'export', pk, '-o', path)
    assert path.read_bytes() == stored_campaign.outputs.model.get_content(mode='rb')
    assert invoke('model', 'export', pk, '-o', path).exit_code == 1
    path.write_bytes(b'no archive')
    result = invoke('model', 'import', path)
    assert result.exit_code == 1
    assert 'does not state its type names' in result.output


def test_lists_of_structures(stored_campaign):
    """The shipped crystals, or those that are stored."""
    names = CliRunner().invoke(cli, ['structures', 'list', '--raw', '-P', 'name']).output.split()
    assert 'gamma-Li3PO4' in names
    stored = output('structures', 'list', '--stored', '-r', '-P', 'pk').split()
    assert str(stored_campaign.inputs.structure.pk) in stored


def test_structures(stored_campaign, tmp_path):
    assert 'neutral' in output('structures', 'show', 'beta-Li3PO4')
    assert 'partly occupied' in output('structures', 'show', 'Li10GeP2S12')
    output('structures', 'export', 'beta-Li3PO4', '-o', tmp_path / 'cell.cif')
    assert len(ase.io.read(tmp_path / 'cell.cif')) == 16


def test_structures_that_cannot_be_calculated(stored_campaign):
    result = invoke('structures', 'show', 'beta-Li3PO4', '--charges', 'P=4')
    assert result.exit_code == 1
    assert 'instead of zero' in result.output
    assert invoke('structures', 'show', 'nothing.cif').exit_code == 2


def test_verdi_data(stored_campaign, tmp_path):
    """The groups that `verdi data` shows, each with list, show and export."""
    for group in (conductivity, dataset, model, trajectory):
        assert {'list', 'show', 'export'} <= set(group.commands)
        output('list', group=group)
    run = stored_campaign.outputs.trajectories['T900_seed1']
    assert str(run.pk) in output('list', '--raw', '-P', 'pk', group=trajectory).split()
    output('export', run.pk, '-o', tmp_path / 'run.extxyz', '--stride', 500, group=trajectory)
    assert len(ase.io.read(tmp_path / 'run.extxyz', ':')) == 5


def test_completion(stored_campaign):
    """Commands and PKs of the kind that a command takes."""
    complete = ShellComplete(cli, {}, 'aiida-ionconduct', '_AIIDA_IONCONDUCT_COMPLETE')
    offered = {item.value for item in complete.get_completions(['query'], '')}
    assert offered == {'arrhenius', 'campaigns', 'conductivities', 'model', 'trajectories', 'warnings'}
    profile = ['-p', get_manager().get_profile().name]
    assert str(stored_campaign.pk) in {item.value for item in complete.get_completions(['status', *profile], '')}
    models = {item.value for item in complete.get_completions(['query', 'model', *profile], '')}
    assert str(stored_campaign.outputs.model.pk) in models
    assert str(stored_campaign.pk) not in models


def test_figures_of_a_report(stored_campaign, tmp_path):
    """The page, and its figures in a folder."""
    folder = tmp_path / 'figures'
    printed = output('report', stored_campaign.pk, '-o', tmp_path / 'page.html', '--figures', folder)
    assert f'Figures written to {folder}: ' in printed
    assert {'arrhenius.png', 'arrhenius.svg', 'arrhenius.csv', 'msd.svg'} <= {path.name for path in folder.iterdir()}


@pytest.fixture
def second_campaign(stored_campaign):
    """Store a campaign that has the outputs of the first."""
    node = orm.WorkChainNode(process_type=stored_campaign.process_type, label='again')
    node.set_process_label('ConductivityWorkChain')
    node.store()
    for link in stored_campaign.base.links.get_outgoing(link_type=LinkType.RETURN).all():
        link.node.base.links.add_incoming(node, LinkType.RETURN, link.link_label)
    node.set_process_state('finished')
    node.seal()
    return node


def test_campaigns_beside_measured_conductivities(stored_campaign, second_campaign, tmp_path):
    measured = tmp_path / 'measured.csv'
    measured.write_text('material,temperature_K,sigma_S_per_cm,source\nLiCl,300,1e-9,a paper\nNaCl,300,1e-9,\n')
    page, folder = tmp_path / 'page.html', tmp_path / 'figures'
    nodes = (stored_campaign.pk, second_campaign.pk)
    printed = output('report', *nodes, '--measured', measured, '-o', page, '--figures', folder)
    assert f'Figures written to {folder}: arrhenius' in printed
    assert {'arrhenius.svg', 'arrhenius.png', 'arrhenius.csv'} <= {path.name for path in folder.iterdir()}
    assert 'a paper' in page.read_text()
    assert 'computed by none of these campaigns' in page.read_text()


def test_measured_conductivities_beside_a_single_campaign(stored_campaign, tmp_path):
    measured, page = tmp_path / 'measured.csv', tmp_path / 'page.html'
    measured.write_text('material,temperature_K,sigma_S_per_cm,source\nLiCl,300,1e-9,a paper\n')
    assert 'Page written' in output('report', stored_campaign.pk, '--measured', measured, '-o', page)
    assert 'a paper' in page.read_text()
    assert '<h1>Computed and measured</h1>' in page.read_text()


def test_measured_conductivities_need_a_readable_file(stored_campaign, second_campaign, tmp_path):
    measured = tmp_path / 'measured.csv'
    measured.write_text('material,T\nLiCl,300\n')
    for nodes in ([stored_campaign.pk], [stored_campaign.pk, second_campaign.pk]):
        result = invoke('report', *nodes, '--measured', measured)
        assert (result.exit_code, 'no column temperature_K' in result.output) == (2, True)
