"""`SeedsWorkChain`: velocity seeds × temperatures, and what remains when some runs fail."""

import pytest
from aiida import orm

from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

pytestmark = pytest.mark.slow


@pytest.fixture
def make_seeds(campaign_inputs, generate_structure, generate_workchain, model):
    """Return a function that makes the work chain for two temperatures and three seeds, set up."""

    def make(**others):
        overrides = {
            'temperatures_K': [600, 1200],
            'seeds': [3, 1, 2],
            'resources': {'max_concurrent': 4, 'atoms_per_run': 1},
        }
        inputs = campaign_inputs(overrides=overrides)['md']
        inputs['base']['md'] |= {'structure': generate_structure(), 'model': model('model.nequip.pt2')}
        process = generate_workchain('ionconduct.seeds', {**inputs, **others})
        process.setup()
        process.has_pending()
        return process

    return make


@pytest.fixture
def seeds(make_seeds):
    """The work chain with a run for each seed."""
    return make_seeds()


def test_order(seeds):
    """The runs are listed seed by seed, so that every temperature has a run in the first batch."""
    assert seeds.ctx.pending == [f'T{T}_seed{seed}' for seed in (3, 1, 2) for T in (600, 1200)]


def test_runs(seeds, submitted):
    seeds.run_batch()
    assert len(submitted) == 4
    seeds.run_batch()
    assert not seeds.has_pending()
    assert {process_class for process_class, _ in submitted} == {LammpsMdBaseWorkChain}
    parameters = [inputs.md.parameters.get_dict() for _, inputs in submitted]
    assert [(p['temperature_K'], p['seeds']) for p in parameters] == [
        (600.0, [3]), (1200.0, [3]), (600.0, [1]), (1200.0, [1]), (600.0, [2]), (1200.0, [2])
    ]  # fmt: skip
    fixed = [{key: value for key, value in p.items() if key not in ('temperature_K', 'seeds')} for p in parameters]
    assert all(p == seeds.inputs.parameters.get_dict() for p in fixed)
    assert len({inputs.md.structure.uuid for _, inputs in submitted}) == 1


@pytest.fixture
def end(child, ion_trajectory, tmp_path):
    """Return a function that puts nodes in the place of the submitted children; failed children have no outputs."""

    def end(process, failed=()):
        for label in process.ctx.batch:
            run = process.ctx.runs[label]
            outputs = {}
            for seed in run['seeds']:
                outputs[f'trajectories__seed{seed}'] = ion_trajectory(run['temperature_K'], seed)
                outputs[f'output_parameters__seed{seed}'] = orm.Dict({'seed': seed})
            (tmp_path / 'production.restart').write_bytes(label.encode())
            outputs['restart'] = orm.SinglefileData(tmp_path / 'production.restart')
            steps = process.inputs.parameters['production_steps']
            known = {'stage': 'production', 'step': steps, 'timestep_fs': 2.5, 'seeds': run['seeds'], 'n_atoms': 16}
            outputs['restart'].base.attributes.set_many(known)
            process.ctx[f'child_{label}'] = child(exit_status=410) if label in failed else child(**outputs)
        process.inspect_batch()

    return end


def end_all(process, end, failed=()):
    """Go through all batches."""
    while process.has_pending():
        process.run_batch()
        end(process, failed)


def test_results(seeds, end, submitted):
    end_all(seeds, end)
    assert seeds.results() is None
    labels = {f'T{T}_seed{seed}' for seed in (1, 2, 3) for T in (600, 1200)}
    assert set(seeds.outputs['trajectories']) == set(seeds.outputs['run_parameters']) == labels
    for label, trajectory in seeds.outputs['trajectories'].items():
        assert label == f'T{trajectory.temperature_K:g}_seed{trajectory.base.attributes.get("seed")}'
        assert seeds.outputs['run_parameters'][label]['seed'] == trajectory.base.attributes.get('seed')


def test_some_runs_failed(seeds, end, submitted):
    end_all(seeds, end, failed=('T1200_seed1', 'T1200_seed2'))
    exit_code = seeds.results()
    assert exit_code.status == 401
    assert '2 of 6 runs failed; the trajectories of the others are in the outputs' in exit_code.message
    assert set(seeds.outputs['trajectories']) == {'T600_seed1', 'T600_seed2', 'T600_seed3', 'T1200_seed3'}


def test_all_runs_failed(seeds, end, submitted):
    end_all(seeds, end, failed=tuple(seeds.ctx.runs))
    assert seeds.results().status == 401


# Replicas -----------------------------------------------------------------------------------------------------------


def test_seeds_share_runs(make_seeds, submitted, end):
    """Two replicas of 16 atoms share a run; the outputs are by seed."""
    process = make_seeds(atoms_per_run=orm.Int(32))
    labels = ['T600_seed3_and_1_more', 'T1200_seed3_and_1_more', 'T600_seed2', 'T1200_seed2']
    assert process.ctx.pending == labels
    end_all(process, end)
    assert [inputs.md.parameters['seeds'] for _, inputs in submitted] == [[3, 1], [3, 1], [2], [2]]
    assert process.results() is None
    runs = {f'T{T}_seed{seed}' for seed in (1, 2, 3) for T in (600, 1200)}
    for name in ('trajectories', 'run_parameters', 'restarts'):
        assert set(process.outputs[name]) == runs
    for label, trajectory in process.outputs['trajectories'].items():
        assert label.endswith(f'seed{trajectory.base.attributes.get("seed")}')


def test_the_sick_replica_is_found(make_seeds, submitted, end):
    """A shared run that dies is repeated seed by seed, and only the seed that fails again is lost."""
    process = make_seeds(atoms_per_run=orm.Int(64))
    end_all(process, end, failed=('T600_seed3_and_2_more', 'T600_seed1'))
    seeds = [inputs.md.parameters['seeds'] for _, inputs in submitted]
    assert seeds == [[3, 1, 2], [3, 1, 2], [3], [1], [2]]
    assert process.ctx.failed == ['T600_seed1']
    assert '1 of 4 runs failed' in process.results().message
    assert set(process.outputs['trajectories']) == {
        *(f'T1200_seed{seed}' for seed in (1, 2, 3)), 'T600_seed2', 'T600_seed3'
    }  # fmt: skip


@pytest.mark.parametrize(
    ('n_atoms', 'atoms_per_run', 'expected'), [(132, 1, 1), (132, 2048, 15), (3000, 2048, 1), (10, 2048, 31)]
)
def test_number_of_replicas(n_atoms, atoms_per_run, expected):
    assert max_replicas(n_atoms, atoms_per_run) == expected


def test_groups():
    assert seed_groups([1, 2, 3, 4, 5, 6], 4) == [[1, 2, 3], [4, 5, 6]]
    assert seed_groups([1, 2], 31) == [[1, 2]]
    assert seed_groups([], 4) == []


# Extended -----------------------------------------------------------------------------------------------------------


def outputs_of(process):
    """Return the outputs of a work chain as another one takes them."""
    return {name: dict(process.outputs[name]) for name in ('trajectories', 'run_parameters', 'restarts')}


def test_more_steps(make_seeds, submitted, end):
    """Each run goes on from its restart file, and gets the trajectory that it continues."""
    first = make_seeds()
    end_all(first, end)
    first.results()
    submitted.clear()
    longer = orm.Dict({**first.inputs.parameters.get_dict(), 'production_steps': 8000})
    second = make_seeds(parameters=longer, previous=outputs_of(first))
    second.run_batch()
    _, inputs = submitted[0]
    assert inputs.md.parameters['production_steps'] == 8000
    assert inputs.md.restart.pk == first.outputs['restarts']['T600_seed3'].pk
    assert inputs.previous.seed3.pk == first.outputs['trajectories']['T600_seed3'].pk


def test_more_seeds(make_seeds, submitted, end):
    """Runs that are long enough are taken over, and only the new seed runs."""
    first = make_seeds()
    end_all(first, end)
    first.results()
    submitted.clear()
    second = make_seeds(seeds=orm.List([3, 1, 2, 7]), previous=outputs_of(first))
    end_all(second, end)
    assert [inputs.md.parameters['seeds'] for _, inputs in submitted] == [[7], [7]]
    assert second.results() is None
    assert set(second.outputs['trajectories']) == {f'T{T}_seed{seed}' for T in (600, 1200) for seed in (1, 2, 3, 7)}
    label = 'T600_seed3'
    assert second.outputs['trajectories'][label].pk == first.outputs['trajectories'][label].pk


def test_replicas_go_on_together(make_seeds, submitted, end):
    first = make_seeds(atoms_per_run=orm.Int(64))
    end_all(first, end)
    first.results()
    submitted.clear()
    longer = orm.Dict({**first.inputs.parameters.get_dict(), 'production_steps': 8000})
    second = make_seeds(parameters=longer, previous=outputs_of(first))
    end_all(second, end)
    assert [inputs.md.parameters['seeds'] for _, inputs in submitted] == [[3, 1, 2], [3, 1, 2]]
    assert set(submitted[0][1].previous) == {'seed1', 'seed2', 'seed3'}


def test_half_time_step_is_kept(make_seeds, submitted, end):
    """A run that had exploded with the whole time step goes on with half of it."""
    first = make_seeds()
    end_all(first, end)
    first.results()
    submitted.clear()
    previous = outputs_of(first)
    steps = first.inputs.parameters['production_steps']
    halved = previous['restarts']['T600_seed3'].clone()
    halved.base.attributes.set_many({'timestep_fs': 1.25, 'step': 2 * steps})
    previous['restarts']['T600_seed3'] = halved.store()
    longer = orm.Dict({**first.inputs.parameters.get_dict(), 'production_steps': 2 * steps})
    make_seeds(parameters=longer, previous=previous).run_batch()
    parameters = submitted[0][1].md.parameters
    assert (parameters['timestep_fs'], parameters['production_steps']) == (1.25, 4 * steps)


def test_every_temperature_has_its_cell(make_seeds, generate_structure, submitted):
    """Runs start in the mean cell at their temperature, which takes the place of the structure."""
    cells = {label: generate_structure() for label in ('T600', 'T1200')}
    make_seeds(cells=cells).run_batch()
    given = [(inputs.md.parameters['temperature_K'], inputs.md.structure.uuid) for _, inputs in submitted]
    assert set(given) == {(600.0, cells['T600'].uuid), (1200.0, cells['T1200'].uuid)}


def test_every_ordering_has_its_cell_at_every_temperature(make_seeds, generate_structure, submitted):
    orderings = {f'ordering_0{number}': generate_structure() for number in (1, 2)}
    cells = {f'{T}_{ordering}': generate_structure() for T in ('T600', 'T1200') for ordering in orderings}
    process = make_seeds(cells=cells, orderings=orderings)
    process.run_batch()
    process.run_batch()
    given = {inputs.metadata.call_link_label: inputs.md.structure.uuid for _, inputs in submitted}
    assert given['T600_seed3'] == cells['T600_ordering_01'].uuid
    assert given['T1200_seed2'] == cells['T1200_ordering_02'].uuid
