"""`PrecisionWorkChain`, round by round: what runs next, what is taken over, how it ends; and the campaign around it."""

from collections import defaultdict

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.schedulers import JobInfo

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.workchains import precision as precision_module
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.precision import PrecisionWorkChain, validate_target
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

pytestmark = pytest.mark.slow
CHARGES = {'Li': 1, 'P': 5, 'O': -2}
STEPS = 4000  # 4 ps: 41 frames
FIRST_NS = 6 * 0.005  # of the first round, equilibration included
MD = {'timestep_fs': 1.0, 'equilibration_steps': 1000, 'production_steps': STEPS, 'frame_stride': 100}


@pytest.fixture
def inputs(campaign_inputs, generate_structure, model):
    """Return a function that gives the inputs for two temperatures and three seeds."""

    def make(target=0.1, max_md_ns=100.0, max_iterations=5, hours=None, **md):
        overrides = {'temperatures_K': [600, 1200], 'seeds': [3, 1, 2], 'md': MD, 'resources': {'max_concurrent': 4}}
        md_inputs = {**campaign_inputs(overrides=overrides)['md'], **md}
        md_inputs['base']['md'] |= {'structure': generate_structure(), 'model': model('model.nequip.pt2')}
        return {
            'md': md_inputs,
            'analysis': orm.Dict({'charges': CHARGES, 'mobile': 'Li'}),
            'target_relative_error': orm.Float(target),
            'max_md_ns': orm.Float(max_md_ns),
            'max_iterations': orm.Int(max_iterations),
            **({'max_core_hours': orm.Float(hours)} if hours else {}),
        }

    return make


def known_to(parameters, **trajectories):
    """Return a conductivity whose error falls with the square root of the time, in the place of the slow analysis."""
    runs = list(trajectories.values())
    total_ps, node = sum(run.length_ps for run in runs), ConductivityData()
    node.base.attributes.set_many(
        {
            'temperature_K': runs[0].temperature_K, 'n_seeds': len(runs), 'total_time_ps': total_ps,
            'sigma_full_S_per_cm': 0.01, 'sigma_full_stderr': 0.01 * total_ps**-0.5, 'sigma_full_dof': 20.0,
            'sigma_full_upper_S_per_cm': 0.02, 'plateau': True, 'beta': 1.0, 'beta_stderr': 0.1, 'haven_ratio': 0.5,
            'haven_ratio_stderr': 0.05, 'seeds': sorted(run.base.attributes.get('seed') for run in runs),
        }
    )  # fmt: skip
    assert parameters['charges'] == CHARGES
    return node.store()


@pytest.fixture
def precision(inputs, generate_workchain, monkeypatch):
    """Return a function that makes the work chain, set up."""
    monkeypatch.setattr(precision_module, 'analyse_trajectories', known_to)

    def make(**kwargs):
        process = generate_workchain('ionconduct.precision', inputs(**kwargs))
        process.setup()
        return process

    return make


@pytest.fixture
def made_runs(ion_trajectory, tmp_path):
    """Return a function that gives the outputs of the runs of all seeds, flat, without the seeds that failed."""

    def outputs(T, seeds, steps, failed=(), n_frames=None):
        made = {}
        for seed in set(seeds) - set(failed):
            label = f'T{T:g}_seed{seed}'
            (tmp_path / 'production.restart').write_bytes(label.encode())
            restart = orm.SinglefileData(tmp_path / 'production.restart')
            known = {'stage': 'production', 'step': steps, 'timestep_fs': 1.0, 'seeds': [seed], 'n_atoms': 16}
            restart.base.attributes.set_many(known)
            made[f'trajectories__{label}'] = ion_trajectory(T, seed, n_frames or steps // 100 + 1)
            made[f'run_parameters__{label}'] = orm.Dict({'seed': seed})
            made[f'restarts__{label}'] = restart
        return made

    return outputs


@pytest.fixture
def go_round(child, made_runs, submitted):
    """Return a function that goes through one round and returns what was submitted, by label."""

    def go(process, failed=(), n_frames=None):
        submitted.clear()
        process.run_md()
        fan_outs = {inputs.metadata.call_link_label: inputs for _, inputs in submitted}
        assert {process_class for process_class, _ in submitted} <= {SeedsWorkChain}
        for label, runs in fan_outs.items():
            T, steps = runs.temperatures_K[0], runs.parameters['production_steps']
            made = made_runs(T, runs.seeds.get_list(), steps, failed, n_frames)
            process.ctx[label] = child(exit_status=401 * bool(failed), **made)
        exit_code = process.inspect_md()
        if exit_code is None:
            process.analyse()
            process.decide()
        return fan_outs, exit_code

    return go


def test_rounds_until_the_target_is_met(inputs, run_chain, made_runs, child, monkeypatch):
    """The engine runs all seeds at each temperature, round by round, as long as more is asked for."""
    monkeypatch.setattr(precision_module, 'analyse_trajectories', known_to)

    def runs(given):
        steps = given.parameters['production_steps']
        return child(**made_runs(given.temperatures_K[0], given.seeds.get_list(), steps))

    run = run_chain(PrecisionWorkChain, inputs(target=0.15), defaultdict(lambda: runs))
    outcome = run.node.outputs.outcome
    assert run.node.is_finished_ok
    assert outcome['ending'] == 'converged'
    assert run.labels[:2] == ['round_01_T600', 'round_01_T1200']
    assert set(run.labels[2:]) <= {f'round_{number:02d}_T{T}' for number in range(2, 6) for T in (600, 1200)}
    assert set(run.node.outputs.decisions) == {f'round_{number:02d}' for number in range(1, outcome['round'] + 1)}
    assert outcome['round'] > 1


def test_first_round(precision, go_round):
    """The runs of all seeds at each temperature, which share the number of jobs at a time."""
    process = precision()
    assert process.is_going_on()
    fan_outs, exit_code = go_round(process)
    assert exit_code is None
    given = {
        label: (runs.temperatures_K.get_list(), runs.seeds.get_list(), runs.max_concurrent.value)
        for label, runs in fan_outs.items()
    }
    assert given == {'round_01_T600': ([600.0], [3, 1, 2], 2), 'round_01_T1200': ([1200.0], [3, 1, 2], 2)}


def test_length_of_the_first_round(precision, go_round):
    process = precision()
    fan_outs, _ = go_round(process)
    for runs in fan_outs.values():
        assert runs.parameters.get_dict() == process.inputs.md.parameters.get_dict()
    assert set(process.ctx.conductivities) == {'T600', 'T1200'}
    assert process.ctx.outcome['md_ns'] == pytest.approx(FIRST_NS)


def test_next_round(precision, go_round):
    """Earlier runs are handed on by temperature, and only the seeds and steps of the decision are added."""
    process = precision()
    go_round(process)
    plans = process.ctx.outcome['temperatures']
    assert process.is_going_on()
    before = {name: dict(nodes) for name, nodes in process.ctx.known.items()}
    fan_outs, _ = go_round(process)
    assert fan_outs
    for label, runs in fan_outs.items():
        planned = plans[label.rpartition('_')[2]]
        assert len(runs.seeds.get_list()) == planned['n_seeds']
        assert runs.seeds.get_list()[:3] == [3, 1, 2]
        assert runs.parameters['production_steps'] == round(planned['length_ps'] * 1000)
        for name, nodes in before.items():
            expected = {key: node.uuid for key, node in nodes.items() if key.startswith(label.rpartition('_')[2])}
            assert {key: node.uuid for key, node in runs.previous[name].items()} == expected
    done = process.ctx.outcome
    assert done['round'] == 2
    assert done['md_ns'] == pytest.approx(FIRST_NS + sum(planned['cost_ns'] for planned in plans.values()))


def test_converged(precision, go_round):
    process = precision(target=0.9)
    while process.is_going_on():
        go_round(process)
    assert process.results() is None
    assert process.outputs['outcome']['ending'] == 'converged'
    assert set(process.outputs['conductivities']) == {'T600', 'T1200'}
    assert len(process.outputs['trajectories']) == len(process.outputs['restarts']) >= 6
    rounds = process.outputs['decisions']
    assert rounds[f'round_{len(rounds):02d}'].uuid == process.outputs['outcome'].uuid


def test_budget_exhausted(precision, go_round):
    process = precision(target=0.001, max_md_ns=0.075)
    for _ in range(5):
        if process.is_going_on():
            go_round(process)
    process.results()
    outcome = process.outputs['outcome'].get_dict()
    assert outcome['ending'] == 'budget exhausted'
    assert 0.06 < outcome['md_ns'] <= 0.075
    for planned in outcome['temperatures'].values():
        assert planned['predicted_md_ns'] > 0.075
        assert planned['relative_error'] > 0.001


@pytest.fixture
def charge(aiida_localhost, monkeypatch):
    """Return a function that adds a job to the rounds of a work chain, which has taken so many hours of a core."""
    jobs = []
    monkeypatch.setattr(PrecisionWorkChain, 'jobs', lambda process: jobs)

    def add(hours, cached=False):
        job, info = orm.CalcJobNode(computer=aiida_localhost), JobInfo()
        job.set_options({'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}})
        info.wallclock_time_seconds = round(3600 * hours)
        job.set_last_job_info(info)
        jobs.append(job.store())
        if cached:
            job.base.extras.set(job.base.caching.CACHED_FROM_KEY, 'another job')

    return add


def test_budget_in_hours(precision, go_round, charge):
    """At an hour for the first round, three hours admit three times its MD; nothing begins that would exceed this."""
    process = precision(target=0.001, hours=3.0)
    charge(1.0)
    go_round(process)
    assert process.ctx.outcome['max_md_ns'] == pytest.approx(3 * FIRST_NS)
    assert process.ctx.outcome['md_ns'] + process.ctx.outcome['next_md_ns'] <= 3 * FIRST_NS * (1 + 1e-9)
    charge(2.0)
    go_round(process)
    assert process.ctx.outcome['ending'] == 'budget exhausted'
    assert not process.is_going_on()


def test_budget_in_hours_and_cache(precision, go_round, charge):
    """What came from the cache has cost nothing and says nothing about what MD costs."""
    process = precision(target=0.001, hours=3.0)
    charge(1.0)
    charge(5.0, cached=True)
    go_round(process)
    assert process.ctx.outcome['max_md_ns'] == pytest.approx(FIRST_NS + 2 * FIRST_NS / 2)


def test_budget_in_ns_holds_beside_hours(precision, go_round, charge):
    process = precision(target=0.001, max_md_ns=0.04, hours=1000.0)
    charge(1.0)
    go_round(process)
    assert process.ctx.outcome['max_md_ns'] == 0.04


def test_iterations(precision, go_round):
    process = precision(target=0.001, max_iterations=2, max_md_ns=0.06)
    go_round(process)
    assert process.is_going_on()
    go_round(process)
    assert not process.is_going_on()


def test_lost_seed(precision, go_round):
    """A seed whose run fails is left out; its number is not used again, and its time counts."""
    process = precision(target=0.01)
    go_round(process, failed=[2])
    assert process.ctx.seeds['T600'] == [3, 1, *process.ctx.seeds['T600'][2:]]
    assert 2 not in process.ctx.seeds['T600']
    assert all(seed > 3 for seed in process.ctx.seeds['T600'][2:])
    assert process.ctx.outcome['md_ns'] == pytest.approx(FIRST_NS)
    assert process.ctx.conductivities['T600'].base.attributes.get('n_seeds') == 2


def test_all_seeds_lost(precision, go_round):
    """If all seeds fail in a later round, the results of the earlier rounds are kept."""
    process = precision(target=0.01)
    go_round(process)
    seeds = range(1, 100)
    _, exit_code = go_round(process, failed=seeds)
    assert exit_code.status == 401
    assert 'no run at T' in exit_code.message
    assert set(process.outputs['conductivities']) == {'T600', 'T1200'}
    assert len(process.outputs['trajectories']) == 6


def test_extended(precision, go_round, inputs, generate_workchain, submitted):
    """With more budget, the old runs are judged first, without new MD; then only new seeds and steps run."""
    first = precision(target=0.01, max_md_ns=0.04)
    while first.is_going_on():
        go_round(first)
    first.results()
    previous = {name: dict(first.outputs[name]) for name in ('trajectories', 'run_parameters', 'restarts')}
    second = generate_workchain('ionconduct.precision', inputs(target=0.01, max_md_ns=0.12, previous=previous))
    second.setup()
    assert second.ctx.to_run == []
    fan_outs, _ = go_round(second)
    assert fan_outs == {}
    assert second.ctx.outcome['md_ns'] == pytest.approx(first.outputs['outcome']['md_ns'])
    for label, conductivity in second.ctx.conductivities.items():
        same = first.outputs['conductivities'][label].base.attributes
        assert conductivity.base.attributes.all == same.all
    fan_outs, _ = go_round(second)
    assert fan_outs
    for label, runs in fan_outs.items():
        kept = {key for key in previous['trajectories'] if key.startswith(label.rpartition('_')[2])}
        assert set(runs.previous.trajectories) == kept


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'target': 0.0}, '`target_relative_error` is 0'),
        ({'max_md_ns': 0.01}, 'the first round alone takes 0.03 ns'),
        ({'max_iterations': 0}, '`max_iterations` is 0'),
        ({'hours': -1.0}, 'max_core_hours is -1, but must be a positive number of hours'),
    ],
)
def test_refused_before_anything_runs(kwargs, message, inputs):
    assert (
        message
        in PrecisionWorkChain.spec()
        .inputs.validate(PrecisionWorkChain.spec().inputs.pre_process(inputs(**kwargs)))
        .message
    )


def test_target_without_a_budget():
    assert 'give target_relative_error and max_md_ns together' in validate_target({'max_md_ns': orm.Float(1.0)}, None)
    assert validate_target({}, None) is None


# In a campaign ------------------------------------------------------------------------------------------------------


PRECISION = {'target_relative_error': 0.1, 'max_md_ns': 50.0, 'max_iterations': 7}


def test_no_target_by_default(campaign_builder):
    for protocol in ('quickstart', 'balanced', 'talk'):
        builder = campaign_builder(protocol)
        assert builder.target_relative_error is builder.max_md_ns is builder.max_iterations is None


def test_campaign_with_a_target(campaign_inputs, generate_workchain, generate_structure, model, submitted):
    inputs = campaign_inputs(overrides={'precision': PRECISION})
    process = generate_workchain('ionconduct.conductivity', inputs)
    process.setup()
    process.ctx.supercell, process.ctx.compiled_model = generate_structure(), model('model.nequip.pt2')
    process.run_seeds()
    ((process_class, given),) = submitted
    assert process_class is PrecisionWorkChain
    assert given.metadata.call_link_label == 'md'
    assert {name: given[name].value for name in PRECISION} == PRECISION
    assert given.analysis.get_dict() == {'charges': inputs['charges'].get_dict(), 'mobile': 'Li'}
    assert given.md.seeds.get_list() == inputs['md']['seeds'].get_list()


def test_campaign_takes_the_results(campaign_inputs, generate_workchain, precision, go_round, child, submitted):
    done = precision(target=0.9)
    while done.is_going_on():
        go_round(done)
    done.results()
    outputs = {}
    for name, value in done.outputs.items():
        nodes = (
            {name: value} if isinstance(value, orm.Node) else {f'{name}__{key}': node for key, node in value.items()}
        )
        outputs |= nodes
    overrides = {'temperatures_K': [600, 1200], 'precision': PRECISION}
    process = generate_workchain('ionconduct.conductivity', campaign_inputs(overrides=overrides))
    process.setup()
    process.ctx.production = child(**outputs)
    assert process.inspect_seeds() is None
    assert process.results() is None
    assert process.outputs['outcome'].uuid == done.outputs['outcome'].uuid
    assert process.outputs['conductivities']['T600'].uuid == done.outputs['conductivities']['T600'].uuid
    assert process.outputs['arrhenius']['activation_energy_eV'] is not None


@pytest.mark.parametrize(
    ('precision', 'message'),
    [
        ({'target_relative_error': 0.1}, 'together'),
        ({'target_relative_error': 0.1, 'max_md_ns': 1e-6}, 'the first round alone takes'),
        ({'target_relative_error': 3.0, 'max_md_ns': 10.0}, r'`precision\.target_relative_error` is 3'),
    ],
)
def test_builder_refuses(precision, message, campaign_builder):
    with pytest.raises(ValueError, match=message):
        campaign_builder(overrides={'precision': precision})


def test_extended_campaign(campaign_inputs, generate_structure, model, made_runs, child):
    """Potential, structure and runs of the earlier campaign are taken over; their stages are not run again."""
    inputs = campaign_inputs(overrides={'precision': PRECISION})
    node = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.conductivity')
    for label in ('structure', 'charges', 'mobile', 'n_atoms_min', 'validation', *PRECISION):
        node.base.links.add_incoming(inputs[label].store(), LinkType.INPUT_WORK, label)
    node.set_metadata_inputs(
        {'md': {'base': {'md': metadata_of(inputs['md']['base']['md'])}}, 'compile': metadata_of(inputs['compile'])}
    )
    for section in ('md', 'compile'):
        for label, value in flat(inputs[section], f'{section}__').items():
            node.base.links.add_incoming(value.store(), LinkType.INPUT_WORK, label)
    node.store()
    made = made_runs(1200, [1, 2], STEPS)
    production = child(**made)
    relaxed, package = generate_structure().store(), model()
    needle = generate_structure().store()  # of a version that made longer supercells
    expanded = generate_structure().store()
    taken_over = {'structure': relaxed, 'supercell': needle, 'model': package, 'cells__T1200': expanded}
    taken_over['trajectories__T1200_seed1'] = made['trajectories__T1200_seed1']
    for label, output in taken_over.items():
        output.base.links.add_incoming(node, LinkType.RETURN, label)
    loop = orm.WorkChainNode()
    loop.base.links.add_incoming(node, LinkType.CALL_WORK, 'md')
    loop.store()
    for label, output in made.items():
        output.base.links.add_incoming(loop, LinkType.RETURN, label)
    assert production.is_finished_ok
    builder = ConductivityWorkChain.get_builder_extending(node, max_md_ns=90.0)
    assert builder.max_md_ns.value == 90.0
    assert builder.target_relative_error.value == 0.1
    assert builder.structure.uuid == relaxed.uuid
    assert builder.supercell.uuid == needle.uuid
    assert builder.model.uuid == package.uuid
    assert builder['md']['cells']['T1200'].uuid == expanded.uuid
    given = builder._inputs(prune=True)
    assert not {'relax', 'aimd', 'label', 'allegro', 'relabelling'} & set(given)
    assert set(given['md']['previous']['trajectories']) == {'T1200_seed1', 'T1200_seed2'}
    assert ConductivityWorkChain.spec().inputs.validate(ConductivityWorkChain.spec().inputs.pre_process(given)) is None
    with pytest.raises(ValueError, match='budget: choose from'):
        ConductivityWorkChain.get_builder_extending(node, budget=1)


def test_nothing_to_extend(child):
    with pytest.raises(ValueError, match='has no potential to go on with'):
        ConductivityWorkChain.get_builder_extending(child(exit_status=401))


def flat(inputs, prefix):
    """Return nested inputs by their link labels, without metadata."""
    nodes = {}
    for name, value in inputs.items():
        if isinstance(value, orm.Node):
            nodes[prefix + name] = value
        elif name != 'metadata':
            nodes |= flat(value, f'{prefix}{name}__')
    return nodes


def metadata_of(inputs):
    """Return the metadata among inputs, as a process node keeps them."""
    return {'metadata': inputs['metadata']}
