"""`SeedsWorkChain`: velocity seeds × temperatures, and what remains when some runs fail."""

import pytest
from aiida import orm

from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain


@pytest.fixture
def seeds(campaign_inputs, generate_structure, generate_workchain, model):
    """The work chain for two temperatures and three seeds, set up."""
    overrides = {'temperatures_K': [600, 1200], 'seeds': [3, 1, 2], 'resources': {'max_concurrent': 4}}
    inputs = campaign_inputs(overrides=overrides)['md']
    inputs['base']['md'] |= {'structure': generate_structure(), 'model': model('model.nequip.pt2')}
    process = generate_workchain('ionconduct.seeds', inputs)
    process.setup()
    process.has_pending()
    return process


def test_order(seeds):
    """Seed by seed: after the first batch every temperature has something to show."""
    assert seeds.ctx.pending == [f'T{T}_seed{seed}' for seed in (3, 1, 2) for T in (600, 1200)]


def test_runs(seeds, submitted):
    seeds.run_batch()
    assert len(submitted) == 4
    seeds.run_batch()
    assert not seeds.has_pending()
    assert {process_class for process_class, _ in submitted} == {LammpsMdBaseWorkChain}
    parameters = [inputs.md.parameters.get_dict() for _, inputs in submitted]
    assert [(p['temperature_K'], p['seed']) for p in parameters] == [
        (600.0, 3), (1200.0, 3), (600.0, 1), (1200.0, 1), (600.0, 2), (1200.0, 2)
    ]  # fmt: skip
    fixed = [{key: value for key, value in p.items() if key not in ('temperature_K', 'seed')} for p in parameters]
    assert all(p == seeds.inputs.parameters.get_dict() for p in fixed)
    assert len({inputs.md.structure.uuid for _, inputs in submitted}) == 1


def end(process, child, trajectory, failed=()):
    """Take nodes for the children, the failed ones with what they have left."""
    process.ctx.batch, process.ctx.pending = process.ctx.pending, []
    for label, run in process.ctx.runs.items():
        outputs = {'trajectory': trajectory(run['temperature_K'], run['seed']), 'output_parameters': orm.Dict(run)}
        process.ctx[f'child_{label}'] = child(exit_status=410) if label in failed else child(**outputs)
    process.inspect_batch()


def test_results(seeds, child, ion_trajectory):
    end(seeds, child, ion_trajectory)
    assert seeds.results() is None
    labels = {f'T{T}_seed{seed}' for seed in (1, 2, 3) for T in (600, 1200)}
    assert set(seeds.outputs['trajectories']) == set(seeds.outputs['run_parameters']) == labels
    for label, trajectory in seeds.outputs['trajectories'].items():
        assert label == f'T{trajectory.temperature_K:g}_seed{trajectory.base.attributes.get("seed")}'
        assert seeds.outputs['run_parameters'][label]['seed'] == trajectory.base.attributes.get('seed')


def test_some_runs_failed(seeds, child, ion_trajectory):
    end(seeds, child, ion_trajectory, failed=('T1200_seed1', 'T1200_seed2'))
    exit_code = seeds.results()
    assert exit_code.status == 401
    assert '2 of 6 runs failed; the trajectories of the others are in the outputs' in exit_code.message
    assert set(seeds.outputs['trajectories']) == {'T600_seed1', 'T600_seed2', 'T600_seed3', 'T1200_seed3'}


def test_all_runs_failed(seeds, child, ion_trajectory):
    end(seeds, child, ion_trajectory, failed=tuple(seeds.ctx.runs))
    assert seeds.results().status == 401
