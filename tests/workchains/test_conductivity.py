"""`ConductivityWorkChain`: what each stage hands to the next, and what is kept when a stage fails."""

import numpy as np
import pytest
from aiida import orm
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.validation import validate_model
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.labels import run_label
from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.expansion import ExpansionWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain

RUN = {
    'nve_drift_eV_per_atom_per_ps': 1e-5,
    'n_atoms': 16,
    'mean_temperature_K': 1205.0,
    'mean_potential_energy_eV_per_atom': 1.05,  # frames of 15 to 19 eV, 16 atoms
    'minimum_distances': {'Li-O': 1.85},
}
TRAINING = {'test_forces_mae_eV_per_A': 0.02, 'test_energy_mae_eV_per_atom': 0.001}
OVERRIDES = {
    'temperatures_K': [1200],
    'seeds': [1, 2],
    'aimd': {'temperatures_K': [1200]},
    'rattle': {'n_frames': 4, 'amplitudes_A': [0.01, 0.05]},
    'relabelling': {'n_rounds': 1, 'max_rounds': 1, 'n_frames': 4, 'temperatures_K': [1500]},
}


@pytest.fixture
def campaign(campaign_inputs, generate_workchain):
    """Return a function that makes the work chain, set up, with further arguments of the builder."""

    def make(overrides=None, ignore_validation=False, **kwargs):
        inputs = campaign_inputs(overrides={**OVERRIDES, **(overrides or {})}, **kwargs)
        inputs['ignore_validation'] = orm.Bool(ignore_validation)
        process = generate_workchain('ionconduct.conductivity', inputs)
        process.setup()
        return process

    return make


@pytest.fixture
def trained(child, model):
    """Return a function that makes a training that has ended well."""

    def make():
        models = {'model': model(), 'compiled_model': model('model.nequip.pt2')}
        return child(**models, output_parameters=orm.Dict(TRAINING), parity=orm.ArrayData())

    return make


@pytest.fixture
def validated(campaign, trained, dataset, child):
    """Return a function that makes a campaign whose validation runs have ended, with some of their numbers changed."""

    def make(exit_status=0, overrides=None, ignore_validation=False, **changes):
        process = campaign(overrides, ignore_validation)
        process.ctx.dataset = dataset(n_frames=20, temperature_K=1200.0, source='aimd')
        process.ctx.training = [trained()]
        process.inspect_training()
        process.ctx.supercell = process.ctx.structure
        run = orm.Dict({**RUN, **changes})
        outcome = validate_model(process.inputs.validation, T1200=run, dataset=process.ctx.dataset)
        status = exit_status or (0 if outcome['passed'] else 420)
        process.ctx.validation_md = child(exit_status=status, **({} if exit_status else {'validation': outcome}))
        return process

    return make


def names(submitted):
    """Return the classes and link labels of what was submitted."""
    return [(process_class, inputs.metadata.call_link_label) for process_class, inputs in submitted]


# Structure and training set -----------------------------------------------------------------------------------------


def test_relax(campaign, submitted, child, generate_structure):
    process = campaign()
    assert process.should_relax()
    assert set(process.run_relax()) == {'relax'}
    assert names(submitted) == [(RelaxWorkChain, 'relax')]
    assert submitted[0][1].structure.uuid == process.inputs.structure.uuid
    relaxed = generate_structure()
    process.ctx.relax = child(output_structure=relaxed)
    assert process.inspect_relax() is None
    assert process.ctx.structure.uuid == relaxed.uuid


def test_candidates(campaign, submitted, child, generate_structure):
    """The first `n_candidates` are relaxed; the lowest in energy is taken on, and a failed relaxation is left out."""
    cells = [generate_structure() for _ in range(4)]
    process = campaign({'n_candidates': 3}, candidates=cells)
    assert set(process.run_relax()) == {f'relax_candidate_0{index}' for index in range(3)}
    assert [inputs.structure.uuid for _, inputs in submitted] == [cell.uuid for cell in cells[:3]]
    relaxed = [generate_structure() for _ in range(2)]
    for index, (energy, cell) in enumerate(zip((-10.0, -11.0), relaxed, strict=True)):
        outputs = {'output_structure': cell, 'output_parameters': orm.Dict({'energy': energy})}
        process.ctx[f'relax_candidate_0{index}'] = child(**outputs)
    process.ctx.relax_candidate_02 = child(exit_status=401)
    assert process.inspect_relax() is None
    assert process.ctx.structure.uuid == relaxed[1].uuid
    ranking = process.outputs['candidates'].get_dict()
    assert ranking['lowest'] == 'relax_candidate_01'
    assert ranking['energies_eV'] == {'relax_candidate_00': -10.0, 'relax_candidate_01': -11.0}


def test_all_candidates_failed(campaign, submitted, child, generate_structure):
    process = campaign({'n_candidates': 2}, candidates=[generate_structure(), generate_structure()])
    process.run_relax()
    process.ctx.relax_candidate_00 = process.ctx.relax_candidate_01 = child(exit_status=401)
    assert process.inspect_relax() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_RELAX


def test_one_candidate(campaign, submitted, generate_structure):
    """If only one candidate is to be relaxed, it is relaxed like any structure."""
    process = campaign(candidates=[generate_structure(), generate_structure()])
    assert set(process.run_relax()) == {'relax'}


def test_relaxed(campaign):
    process = campaign(relaxed=True)
    assert not process.should_relax()
    assert process.ctx.structure.uuid == process.inputs.structure.uuid


def test_sampling(campaign, submitted):
    """AIMD and the labelling of rattled cells start together."""
    process = campaign()
    assert process.should_sample()
    assert set(process.run_sampling()) == {'aimd', 'label_rattled'}
    assert names(submitted) == [(AimdWorkChain, 'aimd'), (LabelWorkChain, 'label_rattled')]
    labelling = submitted[1][1]
    assert labelling.frames.numsteps == 4
    assert labelling.parameters['source'] == 'rattled'


def test_training_set(campaign, child, pw_trajectory, dataset):
    process = campaign()
    process.ctx.aimd = child(trajectories__T1200=pw_trajectory(5))
    process.ctx.label_rattled = child(dataset=dataset(n_frames=3, first=50, source='rattled'))
    assert process.inspect_sampling() is None
    assert process.ctx.dataset.base.attributes.get('sources') == {'aimd': 5, 'rattled': 3}
    assert process.ctx.dataset.base.attributes.get('temperatures_K') == [1200.0]


def test_given_dataset(campaign, dataset, submitted):
    given = dataset()
    process = campaign(dataset=given)
    assert not process.should_sample()
    assert process.should_train()
    process.run_training()
    assert submitted[0][1].dataset.n_frames == given.n_frames
    assert submitted[0][1].dataset.base.attributes.get('n_left_out')['exploded'] == 0  # it has been looked through


@pytest.fixture
def labelled_again(crystals, child):
    """Return a function that gives the given frames with energies of another program, as the labelling has them."""

    def make(inputs, shift_eV_per_atom=-328.0, force=0.0):
        frames = []
        for positions in inputs.frames.get_positions():
            frame = crystals['Li3PO4'].copy()
            frame.positions = positions
            energy = shift_eV_per_atom * len(frame) + float(positions[0, 0])
            frame.calc = SinglePointCalculator(frame, energy=energy, forces=np.full((len(frame), 3), force))
            frames.append(frame)
        return child(dataset=DatasetData.from_frames(frames))

    return make


@pytest.fixture
def given_frames(crystals):
    """A training set of rattled cells from another program, whose energy is the first coordinate."""
    frames = []
    for index in range(20):
        frame = crystals['Li3PO4'].copy()
        frame.rattle(0.05, seed=index)
        energy = float(frame.positions[0, 0])
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=np.zeros((len(frame), 3)))
        frames.append(frame)
    return DatasetData.from_frames(frames).store()


def compare_levels_of(process, submitted, labelled_again, **labels):
    """Let a work chain label given frames again, and return its exit code."""
    children = process.run_levels()
    assert list(children) == ['label_levels_0']
    process.ctx.label_levels_0 = labelled_again(submitted[0][1], **labels)
    return process.inspect_levels()


def test_levels_of_theory(campaign, given_frames, submitted, labelled_again):
    """Before the first training, frames of a given training set are labelled again, and its energies are shifted."""
    process = campaign(dataset=given_frames)
    assert process.should_compare_levels()
    assert compare_levels_of(process, submitted, labelled_again) is None
    assert submitted[0][1].frames.numsteps == 4
    energies = [frame.get_potential_energy() / len(frame) for frame in process.ctx.dataset.get_frames()]
    assert np.allclose(energies, -328, atol=0.5)
    assert process.outputs['levels']['forces_rmse_eV_per_A'] < 1e-6


def test_levels_of_theory_that_disagree(campaign, given_frames, submitted, labelled_again):
    exit_code = compare_levels_of(campaign(dataset=given_frames), submitted, labelled_again, force=0.5)
    assert exit_code.status == 421
    assert 'DFT here gives forces that differ by 0.5 eV/Å (RMS' in exit_code.message


def test_levels_are_compared_only_where_labels_are_added(campaign, given_frames):
    without = {'relabelling': {'n_rounds': 0, 'max_rounds': 0}, 'active_learning': {'max_rounds': 0}}
    assert not campaign(without, dataset=given_frames).should_compare_levels()
    assert not campaign({'dataset': {'level_frames': 0}}, dataset=given_frames).should_compare_levels()
    assert not campaign().should_compare_levels()


def test_frames_that_dft_cannot_label(campaign, dataset):
    """Frames of a cell eight times as large: DFT would take other k-points, or days."""
    frames = dataset().get_frames()
    large = [frame.repeat(2) for frame in frames]
    for frame in large:
        frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((len(frame), 3)))
    exit_code = campaign(dataset=DatasetData.from_frames(large).store()).run_levels()
    assert exit_code.status == 421
    assert 'no frame of the training set has the elements and about the size' in exit_code.message


# Potential ----------------------------------------------------------------------------------------------------------


def test_first_training(campaign, dataset, submitted):
    process = campaign()
    process.ctx.dataset = dataset()
    assert set(process.run_training()) == {'training'}
    assert names(submitted) == [(AllegroWorkChain, 'train_0')]
    assert 'initial_model' not in submitted[0][1].train


@pytest.fixture
def run_campaign(campaign_inputs, run_chain, stages):
    """Return a function that lets the engine run a campaign over stages that have ended; `ended` replaces stages."""

    def run(overrides=None, ended=None, **kwargs):
        inputs = campaign_inputs(overrides={**OVERRIDES, **(overrides or {})}, **kwargs)
        return run_chain(ConductivityWorkChain, inputs, {**stages, **(ended or {})})

    return run


@pytest.fixture
def stages(child, trained, dataset, generate_structure, ion_trajectory, model, pw_trajectory):
    """All stages of a campaign by label, ended well; or functions that make them from their inputs."""

    def runs(inputs):
        labels = {run_label(T, seed): (T, seed) for T in inputs.temperatures_K for seed in inputs.seeds}
        return child(**{f'trajectories__{label}': ion_trajectory(*run) for label, run in labels.items()})

    def labelled(inputs):
        first = 100 * inputs.frames.pk
        return child(dataset=dataset(n_frames=inputs.frames.numsteps, first=first, source=inputs.parameters['source']))

    ended = {
        'relax': child(output_structure=generate_structure()),
        'aimd': child(trajectories__T1200=pw_trajectory(5)),
        'label_rattled': labelled,
        'train_0': lambda _: trained(),
        'compile': lambda _: child(model=model('model.nequip.pt2')),
        'validate_0': child(validation=orm.Dict({'passed': True})),
        'md': runs,
    }
    for number in (1, 2):
        ended |= {
            f'explore_{number}': runs,
            f'label_{number}': labelled,
            f'train_{number}': lambda _: trained(),
            f'validate_{number}': child(validation=orm.Dict({'passed': True})),
        }
    return ended


@pytest.mark.slow
def test_stages_of_a_campaign(run_campaign):
    """From a crystal to the conductivity, with a round of relabelling before the potential is judged."""
    run = run_campaign()
    assert {label: process_class for label, (process_class, _) in run.children.items()} == {
        'relax': RelaxWorkChain,
        'aimd': AimdWorkChain,
        'label_rattled': LabelWorkChain,
        'train_0': AllegroWorkChain,
        'explore_1': SeedsWorkChain,
        'label_1': LabelWorkChain,
        'train_1': AllegroWorkChain,
        'validate_1': ValidationWorkChain,
        'md': SeedsWorkChain,
    }
    assert run.labels[2:] == ['label_rattled', 'train_0', 'explore_1', 'label_1', 'train_1', 'validate_1', 'md']
    assert run.node.is_finished_ok, run.node.exit_message
    assert set(run.node.outputs.conductivities) == {'T1200'}


@pytest.mark.slow
def test_relabelling(run_campaign, stages):
    """The potential explores the relaxed cell at a higher temperature; its labelled frames join the training set."""
    run = run_campaign()
    exploration, labelling, training = (run.inputs_of(label) for label in ('explore_1', 'label_1', 'train_1'))
    assert exploration.temperatures_K.get_list() == [1500]
    assert exploration.base.md.structure.uuid == stages['relax'].outputs.output_structure.uuid
    assert exploration.parameters.get_dict() == run.node.inputs.relabelling['md']
    assert labelling.frames.numsteps == 4
    assert labelling.parameters['source'] == 'relabelled_1'
    assert training.dataset.base.attributes.get('sources') == {'aimd': 5, 'rattled': 4, 'relabelled_1': 4}


@pytest.mark.slow
def test_relabelled_training_goes_on_from_the_last_weights(run_campaign, trained):
    first = trained()
    run = run_campaign(ended={'train_0': first})
    training = run.inputs_of('train_1').train
    changes = run.node.inputs.relabelling['training']
    assert run.inputs_of('explore_1').base.md.model.uuid == first.outputs.compiled_model.uuid
    assert training.initial_model.uuid == first.outputs.model.uuid
    assert training.parameters.get_dict() == run.inputs_of('train_0').train.parameters.get_dict() | changes


@pytest.mark.slow
def test_some_runs_of_an_exploration_may_fail(run_campaign, child, ion_trajectory):
    """Some runs explode with a potential that has seen few frames."""
    exploration = child(exit_status=401, trajectories__T1500_seed201=ion_trajectory(1500, 201))
    assert run_campaign(ended={'explore_1': exploration}).node.is_finished_ok


@pytest.mark.slow
def test_potential_that_fails_is_trained_again(run_campaign, child):
    """A further round follows while rounds are left; with a potential that passes, the campaign goes on."""
    failed = child(exit_status=420, validation=orm.Dict({'passed': False}))
    relabelling = {**OVERRIDES['relabelling'], 'max_rounds': 2}
    run = run_campaign({'relabelling': relabelling}, ended={'validate_1': failed})
    again = ['validate_1', 'explore_2', 'label_2', 'train_2', 'validate_2', 'md']
    assert run.labels[-6:] == again
    assert run.node.outputs.validation['passed']


@pytest.mark.slow
def test_stages_with_a_model(run_campaign, model):
    """A given model is only compiled before it is judged."""
    run = run_campaign(model=model())
    assert run.labels == ['compile', 'validate_0', 'md']
    assert run.inputs_of('md').base.md.model.model_format == 'aotinductor'
    assert run.node.is_finished_ok


@pytest.mark.slow
def test_failure_keeps_what_was_made(run_campaign, child):
    """If every run of the production fails, the campaign ends with the exit code of that stage."""
    run = run_campaign(ended={'md': child(exit_status=401)})
    assert run.node.exit_status == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.status
    assert {'structure', 'dataset', 'model', 'compiled_model', 'validation'} <= set(run.node.outputs)


def test_rounds_draw_other_velocities(campaign, submitted, trained):
    process = campaign({'relabelling': {'n_rounds': 2}})
    process.ctx.training = [trained()]
    process.inspect_training()
    process.run_exploration()
    process.run_exploration()
    first, second = (set(inputs.seeds.get_list()) for _, inputs in submitted)
    assert not first & second


def test_no_rounds(campaign):
    assert not campaign({'relabelling': {'n_rounds': 0}}).should_relabel()


def test_given_model(campaign, model, submitted, child):
    """A given model is only compiled."""
    given = model()
    process = campaign(model=given)
    assert (process.should_relax(), process.should_sample(), process.should_train()) == (False, False, False)
    process.run_compile()
    assert names(submitted) == [(AllegroCompileWorkChain, 'compile')]
    assert submitted[0][1].job.model.uuid == given.uuid
    assert submitted[0][1].job.check.frame.uuid == process.ctx.structure.uuid
    process.ctx.compilation = child(model=model('model.nequip.pt2'))
    assert process.inspect_compile() is None
    assert process.ctx.compiled_model.model_format == 'aotinductor'


@pytest.fixture
def active(campaign, dataset):
    """A campaign whose potential is trained by active learning, with a training set."""
    process = campaign({'active_learning': {'max_rounds': 2}})
    process.ctx.dataset = dataset(n_frames=20)
    process.run_training()
    return process


def test_active_learning_takes_the_place_of_the_training(submitted, active):
    """Its gate has the thresholds and the supercell of the campaign."""
    assert names(submitted) == [(ActiveLearningWorkChain, 'active_learning')]
    inputs = submitted[0][1]
    assert inputs.gate.thresholds.uuid == active.inputs.validation.uuid
    assert inputs.gate.base.md.structure.uuid == active.ctx.supercell.uuid
    assert inputs.parameters['max_rounds'] == 2


def test_gate_of_active_learning_is_not_asked_twice(submitted, active, dataset, child, trained):
    more, outputs = dataset(n_frames=30), trained().outputs
    products = {name: outputs[name] for name in ('model', 'compiled_model', 'output_parameters', 'parity')}
    active.ctx.training = [child(**products, dataset=more, validation=orm.Dict({'passed': True}))]
    assert active.inspect_training() is None
    assert active.ctx.dataset.uuid == more.uuid
    assert not active.should_relabel()
    submitted.clear()
    active.run_validation()
    assert judge(active) is None
    assert submitted == []
    assert active.outputs['validation']['passed']


# Validation ---------------------------------------------------------------------------------------------------------


def test_validation_runs_in_a_supercell(validated, submitted):
    process = validated()
    del process.ctx['supercell']
    process.run_validation()
    assert names(submitted) == [(ValidationWorkChain, 'validate_0')]
    assert len(process.ctx.supercell.sites) == 64
    assert submitted[0][1].base.md.structure.uuid == process.ctx.supercell.uuid


def test_validation_runs_at_the_temperatures_of_the_production(validated, submitted):
    process = validated()
    process.run_validation()
    inputs = submitted[0][1]
    assert inputs.seeds.get_list() == [process.inputs.validation['seed']]
    assert inputs.parameters.get_dict() == process.inputs.validation['md']
    assert inputs.temperatures_K.get_list() == [1200]


def test_evidence_for_the_gate(validated, submitted):
    process = validated()
    process.run_validation()
    inputs = submitted[0][1]
    assert inputs.thresholds.uuid == process.inputs.validation.uuid
    assert inputs.dataset.uuid == process.ctx.dataset.uuid
    assert inputs.training.get_dict() == TRAINING


def judge(process):
    """Return the exit code, if there is one, of the two steps that follow the runs."""
    return process.inspect_validation() or process.accept_model()


def test_good_potential(validated):
    process = validated()
    assert judge(process) is None
    assert process.outputs['validation']['passed']
    kept = {'structure', 'supercell', 'model', 'compiled_model', 'training', 'parity', 'dataset', 'validation'}
    assert set(process.outputs) == kept


def test_bad_potential(validated):
    """With an energy outside the band of AIMD the work chain ends, and its outputs are kept."""
    process = validated(mean_potential_energy_eV_per_atom=-1.0)
    exit_code = judge(process)
    assert exit_code.status == 420
    assert '(potential_energy_1200K): -2.0' in exit_code.message  # with its number and its limits
    assert 'add frames, train longer' in exit_code.message
    assert process.outputs['validation']['passed'] is False
    assert {'model', 'dataset', 'training'} <= set(process.outputs)


def test_bad_potential_at_own_risk(validated):
    process = validated(ignore_validation=True, mean_potential_energy_eV_per_atom=-1.0)
    assert judge(process) is None
    assert process.outputs['validation']['passed'] is False


def test_validation_runs_failed(validated):
    process = validated(exit_status=401)
    assert judge(process).status == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_VALIDATION_MD.status
    assert {'model', 'compiled_model', 'structure', 'supercell'} <= set(process.outputs)


@pytest.mark.parametrize('changes', [{'mean_potential_energy_eV_per_atom': -1.0}, {'exit_status': 401}])
def test_another_round(validated, changes):
    """A potential that fails or explodes gets another round while rounds are left."""
    process = validated(overrides={'relabelling': {'n_rounds': 1, 'max_rounds': 2}}, **changes)
    process.ctx.round = 1
    assert process.is_on_trial()
    assert not process.should_relabel()
    process.inspect_validation()
    assert process.is_on_trial()
    assert process.should_relabel()
    process.ctx.round = 2
    process.inspect_validation()
    assert not process.is_on_trial()
    assert process.accept_model().status in (407, 420)


def test_no_round_for_a_good_one(validated):
    process = validated(overrides={'relabelling': {'n_rounds': 1, 'max_rounds': 2}})
    process.ctx.round = 1
    process.inspect_validation()
    assert not process.is_on_trial()
    assert not process.should_relabel()


# Thermal expansion --------------------------------------------------------------------------------------------------

EXPAND = {'expand': True, 'training': {'stress_coefficient': 1.0}, 'temperatures_K': [1200, 1600]}


@pytest.fixture
def expansion(child, generate_structure):
    """Return a function that makes an expansion that has ended, with a cell at each temperature."""

    def make(inputs):
        labels = [f'T{T:g}' for T in inputs.temperatures_K]
        cells = {f'cells__{label}': generate_structure() for label in labels}
        return child(**cells, **{f'expansion__{label}': orm.Dict({'temperature_K': 1200.0}) for label in labels})

    return make


@pytest.mark.slow
def test_production_runs_in_the_mean_cells(run_campaign, expansion):
    """After the gate, runs at constant pressure give the cells of the production, and of nothing else."""
    run = run_campaign(EXPAND, {'expand': expansion})
    assert run.node.is_finished_ok, run.node.exit_message
    assert run.labels[-3:] == ['validate_1', 'expand', 'md']
    process_class, inputs = run.children['expand']
    assert process_class is ExpansionWorkChain
    assert (inputs.seeds.get_list(), inputs.temperatures_K.get_list()) == ([2001, 2002], [1200, 1600])
    assert inputs.parameters['ensemble'] == 'npt'
    cells = {label: cell.uuid for label, cell in run.node.outputs.cells.items()}
    assert {label: cell.uuid for label, cell in run.inputs_of('md').cells.items()} == cells
    assert set(cells) == set(run.node.outputs.expansion) == {'T1200', 'T1600'}
    assert inputs.base.md.structure.uuid == run.node.outputs.supercell.uuid
    assert not run.inputs_of('validate_1').get('cells', {})
    assert not run.inputs_of('explore_1').get('cells', {})


@pytest.mark.slow
def test_production_in_the_cell_at_0_K_by_default(run_campaign):
    run = run_campaign()
    assert 'expand' not in run.labels
    assert not run.inputs_of('md').get('cells', {})


@pytest.mark.slow
def test_failed_expansion_keeps_the_cells_that_are_known(run_campaign, child, generate_structure):
    run = run_campaign(EXPAND, {'expand': child(exit_status=401, cells__T1200=generate_structure())})
    assert run.node.exit_status == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_EXPANSION.status
    assert set(run.node.outputs.cells) == {'T1200'}
    assert 'md' not in run.labels


# Production ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def produced(campaign, child, ion_trajectory):
    """Return a function that makes a campaign whose production has ended with the runs of some seeds."""

    def make(runs, exit_status=0, temperatures=(1200, 1600)):
        process = campaign({'temperatures_K': list(temperatures)})
        outputs = {
            f'trajectories__T{T}_seed{seed}': ion_trajectory(T, seed) for T, seeds in runs.items() for seed in seeds
        }
        process.ctx.production = child(exit_status=exit_status, **outputs)
        return process

    return make


def test_production(validated, submitted):
    process = validated(overrides={'temperatures_K': [1200, 1600]})
    process.run_seeds()
    assert names(submitted) == [(SeedsWorkChain, 'md')]
    inputs = submitted[0][1]
    assert inputs.temperatures_K.get_list() == [1200, 1600]
    assert inputs.seeds.get_list() == [1, 2]
    assert inputs.parameters.get_dict() == process.inputs.md.parameters.get_dict()
    assert inputs.base.md.structure.uuid == process.ctx.supercell.uuid


def test_results(produced):
    """Each temperature is analysed from its own runs, in whatever order they end."""
    process = produced({1600: [2, 1], 1200: [1, 2]})
    assert process.inspect_seeds() is None
    assert process.results() is None
    assert set(process.outputs['trajectories']) == {f'T{T}_seed{seed}' for T in (1200, 1600) for seed in (1, 2)}
    conductivities = process.outputs['conductivities']
    assert {label: node.temperature_K for label, node in conductivities.items()} == {'T1200': 1200, 'T1600': 1600}
    for node in conductivities.values():
        assert node.base.attributes.get('seeds') == [1, 2]
        assert node.base.attributes.get('n_mobile') == 6
    assert process.outputs['arrhenius']['activation_energy_eV'] is not None


def test_one_seed_failed(produced):
    """The conductivities are of the remaining seeds, and the exit code tells of the failure."""
    process = produced({1200: [1, 2], 1600: [2]}, exit_status=401)
    assert process.inspect_seeds() is None
    exit_code = process.results()
    assert exit_code == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_MD
    assert process.outputs['conductivities']['T1600'].base.attributes.get('seeds') == [2]
    assert 'arrhenius' in process.outputs


@pytest.mark.parametrize('runs', [{1200: [1]}, {}])
def test_a_temperature_without_runs(runs, produced):
    process = produced(runs, exit_status=401)
    assert process.inspect_seeds() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_MD
    assert set(process.outputs.get('trajectories', {})) == {f'T{T}_seed1' for T in runs}


def test_one_temperature(produced):
    """One temperature gives a conductivity and no activation energy."""
    process = produced({1200: [1, 2]}, temperatures=(1200,))
    assert process.inspect_seeds() is None
    assert process.results() is None
    assert set(process.outputs['conductivities']) == {'T1200'}
    assert process.outputs['arrhenius'].get_dict().get('activation_energy_eV') is None


# Failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('stage', 'name', 'context'),
    [
        ('inspect_relax', 'RELAX', 'relax'),
        ('inspect_sampling', 'AIMD', 'aimd'),
        ('inspect_exploration', 'EXPLORATION', 'exploration'),
        ('inspect_labelling', 'LABELLING', 'labelling'),
        ('inspect_compile', 'COMPILE', 'compilation'),
        ('inspect_expansion', 'EXPANSION', 'expansion'),
    ],
)
def test_failed_stage(stage, name, context, campaign, child):
    """Every stage has an exit code of its own, above 400."""
    process = campaign()
    process.ctx[context] = child(exit_status=400)
    exit_code = getattr(process, stage)()
    assert exit_code == ConductivityWorkChain.exit_codes[f'ERROR_SUB_PROCESS_FAILED_{name}']
    assert exit_code.status >= 400


def test_failed_training(campaign, child):
    process = campaign()
    process.ctx.training = [child(exit_status=401)]
    assert process.inspect_training() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAINING


def test_failed_labelling_of_rattled_cells(campaign, child, pw_trajectory):
    process = campaign()
    process.ctx.aimd = child(trajectories__T1200=pw_trajectory(5))
    process.ctx.label_rattled = child(exit_status=401)
    assert process.inspect_sampling() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_LABELLING


def test_exit_codes_are_distinct():
    codes = [code for code in ConductivityWorkChain.spec().exit_codes.values() if code.status >= 400]
    assert len({code.status for code in codes}) == len(codes) == 13
