"""What only the page shows is computed from nodes as the work chain leaves them."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.calculations.functions.studies import compare_block_sizes, mobile_density
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.report.graph.details import collect_details
from aiida_ionconduct.report.graph.trajectories import block_studies
from aiida_ionconduct.report.page.campaign import write_page
from aiida_ionconduct.structures import radial_distribution
from aiida_ionconduct.transport.displacement import mean_squared_displacement

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('aiida_profile_clean')]

SYMBOLS, CELL, DT_PS = ['Li'] * 4 + ['Cl'] * 4, np.diag([7.0, 8.0, 9.0]), 0.05
CHARGES = {'Li': 1, 'Cl': -1}


def walk(seed, step, n_frames=300):
    """Return lithium that wanders among chlorine at rest, (frames, 8, 3) in Å."""
    rng = np.random.default_rng(seed)
    start = rng.random((8, 3)) @ CELL
    moves = np.where(np.arange(8) < 4, step, 0.0)[None, :, None] * rng.normal(size=(n_frames, 8, 3))
    return start + np.cumsum(moves, axis=0)


def ion_trajectory(seed, temperature_K):
    """Return a run in which lithium moves the faster the hotter it is."""
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


def stored_child(top, label, **outputs):
    """Store a work chain that a campaign called, with what it returned."""
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
            ion_trajectory(seed, temperature).store().base.links.add_incoming(top, LinkType.RETURN, label)
    aimd = orm.TrajectoryData()
    positions = walk(9, 0.08, 80)
    cells = np.broadcast_to(CELL, (80, 3, 3))
    aimd.set_trajectory(SYMBOLS, positions, cells=cells, times=0.01 * np.arange(80), pbc=(True,) * 3)
    stored_child(top, 'aimd', trajectories__T800=aimd)
    stored_child(
        top,
        'validate_0',
        trajectories__T800_seed1=ion_trajectory(4, 800),
        trajectories__T1200_seed1=ion_trajectory(5, 1200),
    )
    return top


def test_block_studies_are_made_at_every_temperature(campaign):
    blocks = collect_details(campaign)['blocks']
    assert list(blocks) == [800.0, 1200.0]
    lengths = sorted({row['block_ps'] for row in blocks[800.0]['rows']})
    assert lengths == pytest.approx([74 * DT_PS, 149 * DT_PS, 299 * DT_PS])


def test_the_density_holds_the_mobile_ions_of_all_seeds(campaign):
    density = collect_details(campaign)['density'][1200.0]
    voxel = np.linalg.det(density['cell']) / density['density'].size
    assert density['density'].sum() * voxel == pytest.approx(4)
    assert density['n_frames'] == 900


def test_the_potential_is_compared_with_aimd_where_both_ran(campaign):
    against_aimd = collect_details(campaign)['aimd']
    assert list(against_aimd) == [800.0]
    curves = against_aimd[800.0]
    expected = radial_distribution(walk(9, 0.08, 80), SYMBOLS, CELL, 5.0, n_samples=15)
    np.testing.assert_allclose(curves['rdf']['AIMD']['Cl-Li'], expected['Cl-Li'])
    lag, msd = curves['msd']['Allegro']
    np.testing.assert_allclose(msd, mean_squared_displacement(walk(4, 0.08)[:, :4])[:150], rtol=1e-3, atol=1e-5)
    assert lag[1] == DT_PS


def test_without_twin_runs_and_a_target_there_are_none(campaign):
    details = collect_details(campaign)
    assert (details['twins'], details['decisions']) == ([], [])


def test_a_stored_study_replaces_the_study_made_for_the_page(campaign):
    runs = {f'run_{seed}': campaign.outputs.trajectories[f'T800_seed{seed}'] for seed in (1, 2, 3)}
    parameters = orm.Dict({'charges': CHARGES, 'mobile': 'Li', 'block_ps': [5.0]})
    study = compare_block_sizes(parameters, **runs)
    statistics = mobile_density(orm.Dict({'mobile': 'Li'}), **runs)['statistics']
    details = collect_details(campaign)
    assert details['blocks'][800.0]['pk'] == study.creator.pk
    assert {row['block_ps'] for row in details['blocks'][800.0]['rows']} == {5.0}
    assert 'pk' not in details['blocks'][1200.0]
    (density,) = details['studies']['density']
    assert density['attributes']['n_sites'] == statistics['n_sites']
    assert details['studies']['sizes'] == []


def test_the_page_shows_all_of_them(campaign, tmp_path):
    html = write_page(campaign, tmp_path / 'page.html').read_text()
    for name in ('blocks-800K', 'blocks-1200K', 'density-800K', 'density-1200K', 'rdf-800K', 'aimd-msd-800K'):
        assert f'id="figure-{name}"' in html
    assert 'aiida-ionconduct study density' in html


def test_block_studies_that_cannot_be_made_are_left_out(monkeypatch):
    seeds = {800.0: [ion_trajectory(1, 800)], 900.0: [ion_trajectory(1, 900), ion_trajectory(2, 900)]}
    assert list(block_studies(seeds, CHARGES, 'Li')) == [900.0]
    assert block_studies(seeds, {}, 'Li') == {}
    assert block_studies(seeds, CHARGES, 'Na') == {}
    monkeypatch.setattr('aiida_ionconduct.report.graph.trajectories.MOST_COORDINATES', 100)
    assert block_studies(seeds, CHARGES, 'Li') == {}
