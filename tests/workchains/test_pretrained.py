"""Campaigns with a pretrained potential: with DFT after it, without DFT, and from a foundation model."""

import importlib.util
import sys

import numpy as np
import pytest
from aiida import orm
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.labels import run_label
from aiida_ionconduct.sampling.statement import NO_DFT
from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.inputs import load_codes, needed_engines
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.sampling import AseSamplingWorkChain, SamplingWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain
from random_walk import random_walk

TEACHER = 'SevenNet 7net-0 (sevenn 0.13.0, weights SHA-256 7052cb42b7b3)'
SHORT = {
    'temperatures_K': [1200],
    'seeds': [1, 2],
    'relabelling': {'n_rounds': 1, 'max_rounds': 1, 'n_frames': 4, 'temperatures_K': [1500], 'seeds': [1]},
    'pretrained': {'n_frames': 5},
}
TRAINING = {'test_forces_mae_eV_per_A': 0.02, 'test_energy_mae_eV_per_atom': 0.001}


@pytest.fixture
def taught_frames(crystals):
    """Return a function that makes frames with the labels of a pretrained potential, all different."""

    def make(n_frames=12, first=0, source='pretrained_md'):
        frames = []
        for index in range(n_frames):
            frame = crystals['Li3PO4'].copy()
            frame.rattle(0.1, seed=first + index)
            frame.info.update(source=source, labelled_by=TEACHER)
            frame.calc = SinglePointCalculator(frame, energy=float(first + index), forces=np.zeros((len(frame), 3)))
            frames.append(frame)
        return DatasetData.from_frames(frames).store()

    return make


def relaxation(cell, strain, *, relaxed=True, kept=True):
    """Return the frames of a relaxation by a pretrained potential, which has strained the cell."""
    frames = []
    for share in (0.0, 0.5, 1.0):
        frame = cell.copy()
        frame.set_cell(cell.cell * (1 + share * strain), scale_atoms=True)
        frame.info.update(source='relax', labelled_by=TEACHER, relaxed=relaxed and share == 1.0, symmetry_kept=kept)
        frame.calc = SinglePointCalculator(frame, energy=-share, forces=np.zeros((len(frame), 3)))
        frames.append(frame)
    return DatasetData.from_frames(frames)


@pytest.fixture
def stages(child, dataset, taught_frames, generate_structure, model, crystals):
    """All stages by label, ended well; the compiled model of a campaign without DFT says so, and so do its runs."""

    def runs(inputs):
        teachers = inputs.base.md.model.labelled_by
        outputs = {}
        for T in inputs.temperatures_K:
            for seed in inputs.seeds:
                run = random_walk(crystals['Li3PO4'], T, seed, 400)
                if teachers:
                    run.base.attributes.set('labelled_by', teachers)
                outputs[f'trajectories__{run_label(T, seed)}'] = run.store()
        return child(**outputs)

    def labelled(inputs):
        first = 100 * inputs.frames.pk
        return child(dataset=dataset(n_frames=inputs.frames.numsteps, first=first, source=inputs.parameters['source']))

    def labelled_by_teacher(inputs):
        n_cells, source = inputs.job.cells.numsteps, inputs.job.tasks[0]['source']
        return child(dataset=taught_frames(n_cells, 50, source), output_parameters=orm.Dict({}))

    def trained(inputs):
        teachers = sorted(inputs.dataset.labelled_by)
        models = {'model': model(teachers=teachers)}
        if 'compile' in inputs:
            models['compiled_model'] = model('model.nequip.pt2', teachers=teachers)
        return child(**models, output_parameters=orm.Dict(TRAINING), parity=orm.ArrayData())

    sampled = {
        'dataset': taught_frames(),
        'structure': generate_structure(),
        'output_parameters': orm.Dict({'labelled_by': TEACHER}),
    }
    return {
        'prerelax': child(dataset=relaxation(crystals['Li3PO4'], 0.01)),
        'relax': child(output_structure=generate_structure()),
        'sample': child(**sampled),
        'label_sampled': labelled,
        'teach': trained,
        'train_0': trained,
        'explore_1': runs,
        'label_1': lambda inputs: labelled(inputs) if 'frames' in inputs else labelled_by_teacher(inputs),
        'train_1': trained,
        'validate_1': child(validation=orm.Dict({'passed': True})),
        'md': runs,
    }


@pytest.fixture
def run_campaign(campaign_inputs, run_chain, stages):
    """Return a function that lets the engine run a campaign over stages that have ended."""

    def run(protocol, overrides=None, ended=None, **kwargs):
        inputs = campaign_inputs(protocol, overrides={**SHORT, **(overrides or {})}, **kwargs)
        return run_chain(ConductivityWorkChain, inputs, {**stages, **(ended or {})})

    return run


@pytest.mark.slow
def test_stages_of_a_campaign_that_teaches(run_campaign):
    """The pretrained potential samples, DFT labels chosen frames, and the potential learns from both in turn."""
    run = run_campaign('overnight')
    assert {label: process_class for label, (process_class, _) in run.children.items()} == {
        'prerelax': AseSamplingWorkChain,
        'relax': RelaxWorkChain,
        'sample': SamplingWorkChain,
        'label_sampled': LabelWorkChain,
        'teach': AllegroWorkChain,
        'train_0': AllegroWorkChain,
        'explore_1': SeedsWorkChain,
        'label_1': LabelWorkChain,
        'train_1': AllegroWorkChain,
        'validate_1': ValidationWorkChain,
        'md': SeedsWorkChain,
    }
    assert run.node.is_finished_ok, run.node.exit_message
    given = run.node.inputs.structure.get_cell_volume()
    assert run.inputs_of('relax').structure.get_cell_volume() / given == pytest.approx(1.01**3)
    assert run.inputs_of('prerelax').job.tasks[0]['with_cell']
    assert run.inputs_of('sample').parameters['relax'] is None, 'the crystal is relaxed already'
    assert run.inputs_of('label_sampled').frames.numsteps == 5
    assert run.node.outputs.selection['sources'] == {'pretrained_md': 5}


@pytest.mark.slow
def test_training_in_two_steps(run_campaign):
    """First on the frames of the teacher, uncompiled; then on DFT from these weights, with energies fitted anew."""
    run = run_campaign('overnight')
    teach, train, later = (run.inputs_of(label) for label in ('teach', 'train_0', 'train_1'))
    assert teach.dataset.labelled_by
    assert 'compile' not in teach
    assert 'initial_model' not in teach.train
    assert not train.dataset.labelled_by
    assert train.train.initial_model.labelled_by == [TEACHER]
    assert train.fit_shifts.value
    assert 'fit_shifts' not in later
    p = protocol_inputs('conductivity', 'overnight')
    assert train.train.parameters['learning_rate'] == p['finetuning']['learning_rate']
    assert teach.train.parameters['max_epochs'] == p['pretrained']['training']['max_epochs']


@pytest.mark.slow
def test_result_of_a_campaign_with_dft_has_no_statement(run_campaign):
    run = run_campaign('overnight')
    attributes = run.node.outputs.conductivities['T1200'].base.attributes.all
    assert 'labelled_by' not in attributes
    assert not any(text.startswith(NO_DFT) for text in attributes['warnings'])
    assert run.node.outputs.teacher['labelled_by'] == TEACHER


@pytest.mark.slow
@pytest.mark.parametrize(
    ('strain', 'status', 'growth', 'says'),
    [
        (0.01, 0, 1.01**3, None),
        (0.01, 410, 1.0, 'DFT takes the cell as given, as the relaxation failed: no weights'),
        (0.1, 0, 1.0, 'DFT takes the cell as given, as the pretrained potential changes its volume by +33%'),
    ],
)
def test_relaxations_before_dft(run_campaign, child, crystals, strain, status, growth, says):
    """Each candidate is relaxed by the pretrained potential; what that leaves is taken only if it can be believed."""
    cells = [orm.StructureData(ase=crystals['Li3PO4']) for _ in range(2)]
    ended = {'prerelax_candidate_00': child(dataset=relaxation(crystals['Li3PO4'], 0.0))}
    told = relaxation(crystals['Li3PO4'], strain, relaxed=False, kept=False)
    ended['prerelax_candidate_01'] = child(status, 'no weights', dataset=told)
    energies = iter((-1.0, -2.0))
    ended |= {
        f'relax_candidate_{number:02d}': child(
            output_structure=orm.StructureData(ase=crystals['Li3PO4']),
            output_parameters=orm.Dict({'energy': next(energies)}),
        )
        for number in (0, 1)
    }
    run = run_campaign('overnight', {'n_candidates': 2}, ended, candidates=cells)
    assert run.node.is_finished_ok, run.node.exit_message
    volume = run.inputs_of('relax_candidate_01').structure.get_cell_volume()
    assert volume / cells[1].get_cell_volume() == pytest.approx(growth)
    assert run.inputs_of('relax_candidate_00').structure.get_cell_volume() == pytest.approx(cells[0].get_cell_volume())
    reports = '\n'.join(log.message for log in orm.Log.collection.get_logs_for(run.node))
    if says:
        assert f'relax_candidate_01: {says}' in reports
    if not status:
        assert 'relax_candidate_01: the pretrained potential has not relaxed the cell in 2 steps' in reports
        assert 'relax_candidate_01: the symmetry was not kept' in reports


@pytest.mark.slow
def test_relaxation_by_dft_alone(run_campaign):
    """Without steps of the pretrained potential, and with a structure that is relaxed, it relaxes nothing."""
    short = {'pretrained': {**SHORT['pretrained'], 'relax_steps': 0}}
    assert 'prerelax' not in run_campaign('overnight', short).children
    assert not {'prerelax', 'relax'} & set(run_campaign('overnight', relaxed=True).children)


@pytest.mark.slow
def test_stages_of_a_campaign_without_dft(run_campaign):
    """No stage is of pw.x: the pretrained potential relaxes, samples, and labels the frames of the rounds as well."""
    run = run_campaign('screen')
    assert {label: process_class for label, (process_class, _) in run.children.items()} == {
        'sample': SamplingWorkChain,
        'train_0': AllegroWorkChain,
        'explore_1': SeedsWorkChain,
        'label_1': AseSamplingWorkChain,
        'train_1': AllegroWorkChain,
        'validate_1': ValidationWorkChain,
        'md': SeedsWorkChain,
    }
    assert run.node.is_finished_ok, run.node.exit_message
    assert run.inputs_of('sample').parameters['relax'] == 'positions_cell'
    assert {task['source'] for task in run.inputs_of('label_1').job.tasks} == {'relabelled_1'}
    assert run.node.outputs.dataset.labelled_by == {TEACHER: 12 + 4}


def test_no_input_of_dft_without_dft(campaign_inputs):
    """Nothing of a campaign without DFT names pw.x or its pseudopotentials."""
    inputs = campaign_inputs('screen', overrides=SHORT)
    assert not {'relax', 'aimd', 'label', 'rattle', 'selection', 'teaching'} & set(inputs)
    assert inputs['sampling']['parameters']['temperatures_K'] == [1200.0, 1800.0]
    assert inputs['sampling']['base']['job']['teacher']['target'] == 'sevenn.calculator.SevenNetCalculator'


def test_default_is_as_before(campaign_inputs):
    """Without a word about sampling there is no pretrained potential."""
    inputs = campaign_inputs('quickstart')
    assert not {'sampling', 'selection', 'teaching', 'finetuning'} & set(inputs)
    assert 'aimd' in inputs


def test_aimd_beside_the_pretrained_potential(campaign_inputs):
    """`validation.aimd` runs AIMD as well, to compare with; rattled cells are those of the pretrained potential."""
    inputs = campaign_inputs('overnight', overrides={**SHORT, 'validation': {'aimd': True}})
    assert {'aimd', 'frames', 'sampling'} <= set(inputs)
    assert 'rattle' not in inputs


def test_orderings_are_sampled(campaign_inputs, generate_structure):
    cells = [generate_structure() for _ in range(4)]
    inputs = campaign_inputs('overnight', overrides=SHORT, candidates=cells)
    assert [cell.uuid for _, cell in sorted(inputs['sampling']['orderings'].items())] == [c.uuid for c in cells[1:3]]


@pytest.fixture
def process(campaign_inputs, generate_workchain):
    """Return a function that makes the work chain, set up."""

    def make(protocol, **kwargs):
        process = generate_workchain('ionconduct.conductivity', campaign_inputs(protocol, **kwargs))
        process.setup()
        return process

    return make


def test_aimd_beside_the_labels(process, child, dataset, pw_trajectory, submitted):
    """It is waited for before the training, which its frames join."""
    campaign = process('overnight', overrides={**SHORT, 'validation': {'aimd': True}})
    assert set(campaign.run_sampling()) == {'sample'}
    assert campaign.has_aimd_beside()
    campaign.ctx.label_sampled = child(dataset=dataset(n_frames=4, source='sampled'))
    assert campaign.inspect_label_sampled() is None
    assert set(campaign.await_aimd()) == {'aimd'}
    assert not campaign.has_aimd_beside()
    campaign.ctx.aimd = child(trajectories__T1200=pw_trajectory(5))
    assert campaign.inspect_aimd() is None
    assert set(campaign.ctx.dataset.base.attributes.get('sources')) == {'aimd', 'sampled'}
    campaign.ctx.aimd = child(exit_status=400)
    assert campaign.inspect_aimd() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_AIMD


def test_a_failure_names_the_aimd_that_goes_on(process, child, submitted, caplog):
    campaign = process('overnight', overrides={**SHORT, 'validation': {'aimd': True}})
    campaign.run_sampling()
    aimd = campaign.ctx.beside['aimd']
    campaign.ctx.label_sampled = child(exit_status=401)
    code = ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_LABELLING
    assert campaign.inspect_label_sampled() == code
    assert f'aiida-ionconduct kill {aimd.pk}' in caplog.text


def test_failure_of_the_sampling(process, child):
    """It has an exit code of its own."""
    campaign = process('screen')
    campaign.ctx.sample = child(exit_status=402)
    assert campaign.inspect_sampling() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_SAMPLING


def test_failure_of_the_teaching(process, child):
    campaign = process('overnight')
    campaign.ctx.teaching = child(exit_status=411)
    assert campaign.inspect_teaching() == ConductivityWorkChain.exit_codes.ERROR_SUB_PROCESS_FAILED_TEACHING


def test_foundation(process, model, dataset, submitted):
    """The training starts from the model that was given, with the parameters of a fine-tuning, energies fitted anew."""
    foundation = model(type_names=('H', 'Li', 'O', 'P', 'S'))
    campaign = process('fast', foundation=foundation, dataset=dataset())
    campaign.run_training()
    inputs = submitted[0][1]
    assert inputs.train.initial_model.uuid == foundation.uuid
    assert inputs.fit_shifts.value
    assert inputs.train.parameters['learning_rate'] == 0.002


def test_foundation_decides_on_the_supercell(campaign_inputs, model):
    """An atom must not see two images of another within the cutoff of the foundation."""
    long_sighted = model()
    small = campaign_inputs('fast', relaxed=True)['n_atoms_min'].value
    assert campaign_inputs('fast', relaxed=True, foundation=long_sighted)['n_atoms_min'].value <= small


@pytest.mark.parametrize(
    ('types', 'message'),
    [(('Li', 'O'), 'contains P'), (None, 'is compiled for one machine')],
    ids=['types', 'compiled'],
)
def test_foundation_that_cannot_be_used(campaign_inputs, model, types, message):
    foundation = model('model.nequip.pt2') if types is None else model(type_names=types)
    with pytest.raises(ValueError, match=message):
        campaign_inputs('fast', foundation=foundation)


def test_foundation_beside_a_model(campaign_inputs, model):
    with pytest.raises(ValueError, match='give one of the two'):
        campaign_inputs('fast', foundation=model(), model=model())


def test_active_learning_starts_from_what_was_taught(process, taught_frames, dataset, submitted, child, model):
    """Every member of the committee does, and its energies are fitted anew."""
    campaign = process('overnight', overrides={'active_learning': {'max_rounds': 2}})
    taught = model()
    campaign.ctx.dataset, campaign.ctx.teaching_set = dataset(), taught_frames()
    campaign.ctx.teaching = child(model=taught)
    campaign.run_training()
    process_class, inputs = submitted[0]
    assert process_class is ActiveLearningWorkChain
    assert inputs.initial_model.uuid == taught.uuid
    assert 'initial_model' not in inputs.committee.allegro.train


# What is needed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('protocol', 'with_pw', 'with_ase'),
    [('quickstart', True, False), ('overnight', True, True), ('screen', False, True)],
)
def test_needed_engines(protocol, with_pw, with_ase):
    needed = needed_engines(protocol_inputs('conductivity', protocol))
    assert ('pw' in needed, 'ase' in needed) == (with_pw, with_ase)


def test_code_that_is_not_needed_may_be_missing(aiida_profile_clean, codes):
    """A profile that was set up before there was such an engine goes on to work."""
    labels = {label: code.full_label for label, code in codes.items() if label != 'ase'}
    assert set(load_codes(labels)) == set(codes) - {'ase'}
    with pytest.raises(ValueError, match=r'`ase@localhost` does not exist: run `aiida-ionconduct setup`'):
        load_codes(labels, needed={*codes})


@pytest.mark.parametrize(
    ('calculator', 'advice'), [('chgnet', 'pip install chgnet'), ('no_such_module.Calculator', 'no_such_module')]
)
def test_pretrained_potential_that_is_not_installed(codes, aiida_localhost, generate_structure, calculator, advice):
    """It is refused before anything is computed, with the command that installs it."""
    executable = {'computer': aiida_localhost, 'filepath_executable': sys.executable}
    python = orm.InstalledCode(label='python', default_calc_job_plugin='ionconduct.ase.sampling', **executable)
    if calculator == 'chgnet' and importlib.util.find_spec('chgnet'):
        pytest.skip('chgnet is installed')
    with pytest.raises(ValueError, match=advice):
        ConductivityWorkChain.get_builder_from_protocol(
            {**codes, 'ase': python.store()},
            generate_structure(),
            protocol='screen',
            overrides={'pretrained': {'calculator': calculator}},
        )


def test_no_code_of_a_python(codes, generate_structure):
    codes.pop('ase')
    with pytest.raises(ValueError, match='--codes ase=LABEL'):
        ConductivityWorkChain.get_builder_from_protocol(codes, generate_structure(), protocol='screen')


@pytest.mark.slow
def test_every_result_without_dft_says_so(run_campaign):
    """The conductivity, the fit over all temperatures, the training set and the model name the pretrained potential."""
    outputs = run_campaign('screen').node.outputs
    conductivity = outputs.conductivities['T1200'].base.attributes
    assert conductivity.get('labelled_by') == [TEACHER]
    assert conductivity.get('warnings')[0].startswith(f'{NO_DFT}: the potential was trained on')
    assert TEACHER in conductivity.get('warnings')[0]
    assert outputs.arrhenius['labelled_by'] == [TEACHER]
    assert outputs.arrhenius['warnings'][0].startswith(NO_DFT)
    assert outputs.model.labelled_by == outputs.compiled_model.labelled_by == [TEACHER]


def test_labels_of_the_pretrained_potential_need_its_sampling():
    with pytest.raises(ValueError, match='set sampling to pretrained as well'):
        protocol_inputs('conductivity', 'fast', {'labels': 'pretrained'})
    with pytest.raises(ValueError, match=r'active_learning\.max_rounds to 0'):
        protocol_inputs('conductivity', 'screen', {'active_learning': {'max_rounds': 3}})
