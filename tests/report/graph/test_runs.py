"""What the page works out of stored trajectories: from nodes as the work chain leaves them."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.calculations.functions.studies import compare_block_sizes, mobile_density
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.report.graph.inputs import flat_inputs
from aiida_ionconduct.report.graph.runs import block_studies, look_into
from aiida_ionconduct.report.page.campaign import write_page
from aiida_ionconduct.structures import radial_distribution
from aiida_ionconduct.transport.displacement import mean_squared_displacement

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')

SYMBOLS, CELL, DT_PS = ['Li'] * 4 + ['Cl'] * 4, np.diag([7.0, 8.0, 9.0]), 0.05
CHARGES = {'Li': 1, 'Cl': -1}


def walk(seed, step, n_frames=300):
    """Return lithium that wanders among chlorine at rest, (frames, 8, 3) in Å."""
    rng = np.random.default_rng(seed)
    start = rng.random((8, 3)) @ CELL
    moves = np.where(np.arange(8) < 4, step, 0.0)[None, :, None] * rng.normal(size=(n_frames, 8, 3))
    return start + np.cumsum(moves, axis=0)


def trajectory(seed, temperature_K):
    return IonTrajectoryData(
        walk(seed, temperature_K / 1e4),
        np.zeros((1, 2, 3)),
        np.zeros((1, 1)),
        symbols=SYMBOLS,
        species=['Li', 'Cl'],
        cell=CELL.tolist(),
        temperature_K=float(temperature_K),
        timestep_fs=1.0,
        frame_interval_ps=DT_PS,
        com_interval_ps=DT_PS,
        seed=seed,
        thermo_columns=['step'],
    )


def child(top, label, **outputs):
    """Store a work chain that another one called, with what it returned."""
    node = orm.WorkChainNode()
    node.base.links.add_incoming(top, LinkType.CALL_WORK, label)
    node.store()
    for name, output in outputs.items():
        output.store().base.links.add_incoming(node, LinkType.RETURN, name)
    return node


@pytest.fixture
def campaign():
    """Return a work chain with three seeds at two temperatures, AIMD at one of them and a validation at both."""
    top = orm.WorkChainNode()
    top.set_process_label('ConductivityWorkChain')
    inputs = {'charges': orm.Dict(CHARGES), 'mobile': orm.Str('Li'), 'md__parameters': orm.Dict({'timestep_fs': 1.0})}
    for name, node in inputs.items():
        top.base.links.add_incoming(node.store(), LinkType.INPUT_WORK, name)
    top.store()
    for temperature in (800, 1200):
        for seed in (1, 2, 3):
            label = f'trajectories__T{temperature}_seed{seed}'
            trajectory(seed, temperature).store().base.links.add_incoming(top, LinkType.RETURN, label)
    aimd = orm.TrajectoryData()
    positions = walk(9, 0.08, 80)
    cells = np.broadcast_to(CELL, (80, 3, 3))
    aimd.set_trajectory(SYMBOLS, positions, cells=cells, times=0.01 * np.arange(80), pbc=(True,) * 3)
    child(top, 'aimd', trajectories__T800=aimd)
    child(top, 'validate_0', trajectories__T800_seed1=trajectory(4, 800), trajectories__T1200_seed1=trajectory(5, 1200))
    return top


def test_all_that_is_found(campaign):
    found = look_into(campaign)
    assert list(found['blocks']) == [800.0, 1200.0]
    lengths = sorted({row['block_ps'] for row in found['blocks'][800.0]['rows']})
    assert lengths == pytest.approx([74 * DT_PS, 149 * DT_PS, 299 * DT_PS])
    one = found['density'][1200.0]
    voxel = np.linalg.det(one['cell']) / one['density'].size
    assert one['density'].sum() * voxel == pytest.approx(4)
    assert one['n_frames'] == 900
    assert list(found['aimd']) == [800.0]
    compared = found['aimd'][800.0]
    expected = radial_distribution(walk(9, 0.08, 80), SYMBOLS, CELL, 5.0, n_samples=15)
    np.testing.assert_allclose(compared['rdf']['AIMD']['Cl-Li'], expected['Cl-Li'])
    lag, msd = compared['msd']['Allegro']
    np.testing.assert_allclose(msd, mean_squared_displacement(walk(4, 0.08)[:, :4])[:150], rtol=1e-3, atol=1e-5)
    assert lag[1] == DT_PS
    assert (found['twins'], found['decisions']) == ([], [])


def test_a_stored_study_goes_first(campaign):
    runs = {f'run_{seed}': campaign.outputs.trajectories[f'T800_seed{seed}'] for seed in (1, 2, 3)}
    parameters = orm.Dict({'charges': CHARGES, 'mobile': 'Li', 'block_ps': [5.0]})
    study = compare_block_sizes(parameters, **runs)
    statistics = mobile_density(orm.Dict({'mobile': 'Li'}), **runs)['statistics']
    found = look_into(campaign)
    assert found['blocks'][800.0]['pk'] == study.creator.pk
    assert {row['block_ps'] for row in found['blocks'][800.0]['rows']} == {5.0}
    assert 'pk' not in found['blocks'][1200.0]
    (density,) = found['studies']['density']
    assert density['attributes']['n_sites'] == statistics['n_sites']
    assert found['studies']['sizes'] == []


def test_page(campaign, tmp_path):
    html = write_page(campaign, tmp_path / 'page.html').read_text()
    for name in ('blocks-800K', 'blocks-1200K', 'density-800K', 'density-1200K', 'rdf-800K', 'aimd-msd-800K'):
        assert f'id="figure-{name}"' in html
    assert 'aiida-ionconduct study density' in html


def test_what_cannot_be_studied_is_left_out(monkeypatch):
    seeds = {800.0: [trajectory(1, 800)], 900.0: [trajectory(1, 900), trajectory(2, 900)]}
    assert list(block_studies(seeds, CHARGES, 'Li')) == [900.0]
    assert block_studies(seeds, {}, 'Li') == {}
    assert block_studies(seeds, CHARGES, 'Na') == {}
    monkeypatch.setattr('aiida_ionconduct.report.graph.runs.MOST_COORDINATES', 100)
    assert block_studies(seeds, CHARGES, 'Li') == {}


def test_inputs_are_flat(campaign):
    inputs = flat_inputs(campaign)
    assert inputs == {'charges.Cl': '-1', 'charges.Li': '1', 'md.parameters.timestep_fs': '1.0', 'mobile': 'Li'}
