"""`aiida-ionconduct analyse`: the numbers of the library, on nodes and on files, and what is refused."""

import json
import re

import ase.io
import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage import get_manager
from ase import Atoms
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.transport import analyse

CELL = 12 * np.eye(3)


@pytest.fixture(scope='module')
def runs(make_salt_run):
    """Two runs that are not stored."""
    return [make_salt_run(seed, n_frames=301) for seed in (1, 2)]


@pytest.fixture(scope='module')
def files(runs, tmp_path_factory):
    """Write the two runs in every format, and return the paths by format."""
    folder = tmp_path_factory.mktemp('files')
    for number, run in enumerate(runs):
        x = run.positions.astype(float)
        np.savez(folder / f'{number}.npz', positions=x, symbols=run.symbols, cell=CELL, dt_ps=0.1, temperature_K=900.0)
        head = 'ITEM: NUMBER OF ATOMS\n8\nITEM: BOX BOUNDS pp pp pp\n0 12\n0 12\n0 12\nITEM: ATOMS id type xu yu zu\n'
        types = [1 if symbol == 'Li' else 2 for symbol in run.symbols]
        text = ''
        for index, frame in enumerate(x.tolist()):
            rows = (
                f'{i} {t} {a!r} {b!r} {c!r}\n' for i, (t, (a, b, c)) in enumerate(zip(types, frame, strict=True), 1)
            )
            text += f'ITEM: TIMESTEP\n{50 * index}\n{head}{"".join(rows)}'
        (folder / f'{number}.lammpstrj').write_text(text)
        fractional = (np.mod(frame / 12, 1).reshape(-1, 3) for frame in x)
        blocks = (
            f'Direct configuration= {index + 1}\n' + ''.join(f'{a:.15f} {b:.15f} {c:.15f}\n' for a, b, c in frame)
            for index, frame in enumerate(fractional)
        )
        (folder / f'XDATCAR_{number}').write_text('salt\n1.0\n12 0 0\n0 12 0\n0 0 12\nLi Cl\n4 4\n' + ''.join(blocks))
        ase.io.write(folder / f'{number}.extxyz', list(run.iter_ase()))
    names = {'npz': '{}.npz', 'lammps': '{}.lammpstrj', 'xdatcar': 'XDATCAR_{}', 'extxyz': '{}.extxyz'}
    return {kind: [str(folder / name.format(number)) for number in (0, 1)] for kind, name in names.items()}


OPTIONS = {
    'npz': (),
    'lammps': ('--temperature', '900', '--timestep-fs', '2', '--types', 'Li,Cl'),
    'xdatcar': ('--temperature', '900', '--dt-ps', '0.1'),
    'extxyz': (),
}


def run_json(*words):
    """Return the one result of a command."""
    result = CliRunner().invoke(cli, ['analyse', *map(str, words), '--format', 'json'])
    assert result.exit_code == 0, result.output
    (conductivity,) = json.loads(result.stdout)
    return conductivity


@pytest.mark.parametrize('kind', OPTIONS)
def test_same_numbers_as_the_library(files, runs, kind):
    """Where the format holds all digits, to the last one."""
    conductivity = run_json(*files[kind], *OPTIONS[kind])
    positions = [run.positions.astype(float) for run in runs]
    expected = analyse(
        positions, runs[0].symbols, {'Li': 1, 'Cl': -1}, CELL, temperature_K=900.0, dt_ps=0.1
    ).attributes()
    exact = kind in ('npz', 'lammps')
    for name, value in expected.items():
        if isinstance(value, float):
            assert conductivity[name] == (value if exact else pytest.approx(value, rel=1e-5)), name
    assert conductivity['n_seeds'] == 2
    assert conductivity['pk'] is None


def test_options_reach_the_analysis(files, runs, tmp_path):
    bare = []
    for number, path in enumerate(files['npz']):
        bare.append(tmp_path / f'{number}.npz')
        content = dict(np.load(path))
        np.savez(bare[-1], **{name: content[name] for name in ('positions', 'symbols', 'cell')})
    conductivity = run_json(*bare, '--discard-ps', 5, '--lag-ps', 1, '--temperature', 450, '--dt-ps', 0.2)
    cut = [run.positions[25:] for run in runs]
    settings = {'estimator': 'cve', 'lag_ps': 1.0}
    expected = analyse(cut, runs[0].symbols, {'Li': 1, 'Cl': -1}, CELL, temperature_K=450.0, dt_ps=0.2, **settings)
    assert conductivity['sigma_full_S_per_cm'] == pytest.approx(expected.attributes()['sigma_full_S_per_cm'], rel=1e-6)
    masses = run_json(*files['npz'], '--masses', 'Cl=70')
    assert masses['sigma_full_S_per_cm'] == pytest.approx(run_json(*files['npz'])['sigma_full_S_per_cm'])


@pytest.mark.parametrize(
    ('kind', 'options', 'status', 'says'),
    [
        ('lammps', ('--timestep-fs', '2', '--types', 'Li,Cl'), 1, 'Give --temperature in K'),
        ('lammps', ('--temperature', '900', '--types', 'Li,Cl'), 1, 'Give --timestep-fs, or --dt-ps'),
        (
            'lammps',
            ('--temperature', '900', '--dt-ps', '0.1'),
            1,
            'states no symbols: give --structure FILE, or --types',
        ),
        ('npz', ('--charges', 'Li=2'), 1, 'sum to \\+4 instead of zero'),
        ('npz', ('--mobile', 'Na'), 1, "no atom is the mobile species 'Na'"),
        ('npz', ('--block-ps', '170'), 1, 'block_ps 170 does not fit into runs of 30 ps'),
        ('npz', ('--block-ps', '5', '--estimator', 'cve'), 1, 'settings must be of one estimator'),
        ('npz', ('--file-format', 'xdatcar'), 1, 'no XDATCAR'),
        ('npz', ('--charges', 'Li'), 2, 'NAME=VALUE'),
    ],
)
def test_what_is_missing_is_said(files, kind, options, status, says):
    result = CliRunner().invoke(cli, ['analyse', *files[kind], *options])
    assert result.exit_code == status
    assert re.search(says, result.output), result.output
    assert 'Traceback' not in result.output


def test_runs_that_do_not_fit(files, tmp_path):
    other = tmp_path / 'other.npz'
    content = dict(np.load(files['npz'][0]))
    for change, says in (
        ({'dt_ps': 0.3}, 'different intervals'),
        ({'cell': 13 * np.eye(3)}, 'different cells'),
        ({'symbols': ['Cl'] * 4 + ['Li'] * 4}, 'same atoms in the same order'),
    ):
        np.savez(other, **{**content, **change})
        result = CliRunner().invoke(cli, ['analyse', files['npz'][1], str(other)])
        assert (result.exit_code, says in result.output) == (1, True), result.output


def test_structure_gives_symbols_and_cell(files, runs, tmp_path):
    path = tmp_path / 'bare.npz'
    np.savez(path, positions=runs[0].positions)
    ase.io.write(tmp_path / 'salt.extxyz', Atoms(runs[0].symbols, cell=CELL, pbc=True))
    options = ('--temperature', 900, '--dt-ps', 0.1, '--structure', tmp_path / 'salt.extxyz')
    assert run_json(path, *options)['sigma_full_S_per_cm'] == run_json(files['npz'][0])['sigma_full_S_per_cm']


# Nodes ---------------------------------------------------------------------------------------------------------------


def invoke(*words):
    return CliRunner().invoke(cli, [*map(str, words), '-p', get_manager().get_profile().name])


def test_again_is_the_same(stored_campaign):
    """Without a setting the analysis is the one of the campaign, and its node has the same content."""
    stored = stored_campaign.outputs.conductivities['T900']
    result = invoke('analyse', stored.pk)
    assert result.exit_code == 0, result.output
    again = orm.load_node(int(result.output.split()[-1].rstrip('.')))
    assert again.pk != stored.pk
    assert again.base.attributes.all == stored.base.attributes.all
    for name in stored.get_arraynames():
        np.testing.assert_array_equal(again.get_array(name), stored.get_array(name))
    assert again.creator.process_label == 'analyse_trajectories'


def test_campaign_with_another_estimator(stored_campaign):
    result = invoke('analyse', stored_campaign.pk, '--estimator', 'cve', '--discard-ps', 20)
    assert result.exit_code == 0, result.output
    assert 'Activation energy' in result.output
    pks = re.findall(r'\d+ K: (\d+)', result.output.rpartition('Stored as')[2])
    nodes = [orm.load_node(pk) for pk in map(int, pks)]
    assert [node.temperature_K for node in nodes] == [600.0, 900.0]
    assert {node.base.attributes.get('estimator') for node in nodes} == {'cve'}
    assert all(node.base.attributes.get('total_time_ps') == pytest.approx(3 * 180) for node in nodes)


def test_trajectories_alone(stored_campaign):
    pks = [run.pk for label, run in dict(stored_campaign.outputs.trajectories).items() if label.startswith('T900')]
    result = invoke('analyse', *pks)
    assert result.exit_code == 0, result.output
    sigma = stored_campaign.outputs.conductivities['T900'].base.attributes.get('sigma_full_S_per_cm')
    again = orm.load_node(int(result.output.split()[-1].rstrip('.')))
    assert again.base.attributes.get('sigma_full_S_per_cm') == sigma


def test_nodes_without_runs(stored_campaign):
    lonely = orm.WorkChainNode().store()
    orm.Int(1).store().base.links.add_incoming(lonely, LinkType.RETURN, 'number')
    for words, status, says in (
        ((lonely.pk,), 1, 'has no trajectories to analyse'),
        ((999999,), 2, 'no node 999999'),
        ((stored_campaign.pk, '--temperature', 700), 1, 'no runs at 700 K, but at 600, 900 K'),
        ((stored_campaign.pk, '--timestep-fs', 1), 1, 'only for files'),
        ((stored_campaign.pk, '--block-ps', 900), 1, 'does not fit into runs of 200 ps'),
        (('missing.lammpstrj',), 2, 'there is no file missing.lammpstrj'),
    ):
        result = invoke('analyse', *words)
        assert (result.exit_code, says in result.output) == (status, True), result.output
