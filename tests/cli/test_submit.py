"""The user's script without a submission: words into inputs, the plan, the live view's rows."""

import ase.io
import click
import pytest
from aiida import orm
from aiida.common.links import LinkType
from ase.build import bulk

from aiida_ionconduct.cli import submit
from aiida_ionconduct.cli.follow import stage_rows, status, table
from aiida_ionconduct.cli.plan import plan, plan_table
from aiida_ionconduct.cli.remarks import charge_warnings, hydrogen_warnings, remarks, stress_warnings
from aiida_ionconduct.cli.submit import (
    load_cells,
    load_data,
    load_structure,
    numbers,
)
from aiida_ionconduct.cli.words import Pairs
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from model_files import package

FRAMES = """2
Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc="T T T"
Li 0 0 0 0.1 0 0
O 2 0 0 -0.1 0 0
"""


def cells(structure=None, substitute=(), fraction=0.0, store=False):
    """Return the cells that these options make."""
    return load_cells(
        structure=structure, substitute=substitute, fraction=fraction, formula_units=None, compensate='Li', charges={},
        store=store,
    ).cells  # fmt: skip


@pytest.fixture
def builder(pseudo_family, fixture_code, generate_structure):
    """Return the quickstart for 17 atoms."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    return ConductivityWorkChain.get_builder_from_protocol(codes, generate_structure('Li7PSiO8'), protocol='quickstart')


def test_pairs():
    assert Pairs().convert('Ge=4', None, None) == ('Ge', '4')
    for word in ('Ge', '=4', 'Ge='):
        with pytest.raises(click.BadParameter, match='NAME=VALUE'):
            Pairs().convert(word, None, None)


def test_numbers():
    assert numbers('600,800.5', float, 'temperatures') == [600.0, 800.5]
    with pytest.raises(ValueError, match='seeds `1,two` must be numbers'):
        numbers('1,two', int, 'seeds')


def test_quickstart_structure(aiida_profile_clean):
    """The quickstart material is neutral Li7PSiO8, and looking at it stores nothing."""
    (structure,) = cells()
    assert structure.get_ase().symbols.formula.count() == {'Li': 7, 'P': 1, 'Si': 1, 'O': 8}
    assert orm.QueryBuilder().append(orm.Node).count() == 0


def test_same_quickstart_structure(aiida_profile_clean):
    """The cache of a second run hangs on it: the positions of the interstitial and of an oxygen."""
    atoms = cells()[0].get_ase()
    assert atoms.cell.lengths() == pytest.approx([6.17615, 5.291794, 4.903954])
    assert atoms.positions[6] == pytest.approx([0.0, 2.442366, 2.043314], abs=1e-5)
    assert atoms.get_masses()[list(atoms.symbols).index('Si')] == pytest.approx(28.085)


def test_alloy(aiida_profile_clean):
    """A shipped crystal by name, substituted: candidates, the best first, and nothing stored unless it is asked for."""
    made = cells('beta-Li3PO4', [('P', 'Si')], 0.5)
    assert [cell.get_formula() for cell in made] == ['Li7O8PSi'] * len(made)
    assert len(made) > 1
    assert orm.QueryBuilder().append(orm.Node).count() == 0
    cells('beta-Li3PO4', [('P', 'Si')], 0.5, store=True)
    process = orm.QueryBuilder().append(orm.CalcFunctionNode).one()[0]
    scores = process.outputs.scores['electrostatic_energies_eV']
    assert scores == sorted(scores)
    assert len(scores) == len(made)


@pytest.mark.parametrize('options', [{'fraction': 0.25}, {'formula_units': 16}])
@pytest.mark.parametrize('structure', [None, 'beta-Li3PO4'])
def test_options_of_an_alloy_need_a_substitution(aiida_profile_clean, structure, options):
    """They would be ignored without one."""
    with pytest.raises(ValueError, match='give --substitute OLD=NEW as well'):
        load_cells(
            structure=structure, substitute=(), compensate='Li', charges={}, store=False,
            **{'fraction': 0.0, 'formula_units': None, **options},
        )  # fmt: skip


def test_partial_occupancies(aiida_profile_clean):
    """LGPS by name: 50 atoms, ordered."""
    first = cells('Li10GeP2S12')[0]
    assert first.get_ase().symbols.formula.count() == {'Li': 20, 'Ge': 2, 'P': 4, 'S': 24}
    assert not first.is_alloy


def test_load_structure(aiida_profile_clean, tmp_path):
    path = tmp_path / 'cell.cif'
    ase.io.write(path, crystal('beta-Li3PO4'))
    structure = load_structure(str(path))
    assert structure.get_formula() == 'Li6O8P2'
    assert load_structure(str(structure.store().pk)).uuid == structure.uuid
    with pytest.raises(ValueError, match='cannot be read'):
        load_structure(str(tmp_path / 'absent.cif'))
    with pytest.raises(ValueError, match='no structure with PK 999999'):
        load_structure('999999')


def test_same_file_same_node(aiida_profile_clean, tmp_path):
    """The cache finds the work of a second campaign on the same file, because its node is the first one's."""
    path = tmp_path / 'frames.extxyz'
    path.write_text(FRAMES)
    first = load_data(str(path), DatasetData, 'dataset').store()
    assert load_data(str(path), DatasetData, 'dataset').uuid == first.uuid
    with pytest.raises(ValueError, match='does not exist'):
        load_data(str(tmp_path / 'absent.extxyz'), DatasetData, 'dataset')
    path.write_text(FRAMES.replace(':forces:R:3', '').replace(' 0.1 0 0\n', '\n').replace(' -0.1 0 0\n', '\n'))
    with pytest.raises(ValueError, match='no forces: label it'):
        load_data(str(path), DatasetData, 'dataset')


@pytest.fixture
def stages(builder):
    """Return the planned stages of the quickstart by name."""
    return {stage.name: stage for stage in plan(builder)}


def test_plan_of_dft(builder, stages):
    """The steps are those of the AIMD, and the jobs hold all frames that are labelled."""
    assert list(stages)[:3] == ['relaxation', 'AIMD', 'rattled cells']
    assert stages['AIMD'].steps == builder.aimd.dynamics['n_equilibration'] + builder.aimd.dynamics['n_sampling']
    frames_per_job = builder.label.frames_per_job
    for name, parameters in (('rattled cells', builder.rattle), ('relabelling 2', builder.relabelling)):
        assert stages[name].steps == frames_per_job
        assert stages[name].jobs * frames_per_job == parameters['n_frames']


def test_plan_of_md(builder, stages):
    """Three seeds share a run of the production, as long as its atoms are allowed in a run."""
    assert stages['validation'].atoms == 68
    assert stages['production'].atoms == 3 * 68 <= builder.md.atoms_per_run
    assert stages['production'].jobs * 3 == len(builder.md.seeds.get_list()) * 2
    parameters = builder.md.parameters
    assert stages['production'].steps == parameters['equilibration_steps'] + parameters['production_steps']


def test_plan_is_printed(builder):
    assert 'relabelling 2' in plan_table(builder, 'quickstart')


@pytest.mark.parametrize(
    ('protocol', 'words', 'names'),
    [
        (
            'overnight',
            'samples and teaches; DFT labels',
            ['first relaxation', 'relaxation', 'pretrained potential', 'sampled frames', 'teaching', 'training'],
        ),
        ('screen', 'No DFT is done', ['pretrained potential', 'training', 'exploration 1', 'relabelling 1']),
    ],
)
def test_plan_with_a_pretrained_potential(pseudo_family, fixture_code, generate_structure, protocol, words, names):
    """The plan says whose labels the results will rest on, and has the stages of the sampling."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    cell = generate_structure('Li7PSiO8')
    planned = ConductivityWorkChain.get_builder_from_protocol(codes, cell, protocol=protocol)
    assert [stage.name for stage in plan(planned)][: len(names)] == names
    text = ' '.join(plan_table(planned, protocol).split())
    assert words in text
    assert 'SevenNet' in text
    assert ('pw.x' in text) == (protocol == 'overnight')


def test_plan_of_a_relaxation_after_the_first(pseudo_family, fixture_code, generate_structure):
    """DFT has fewer steps to do where the pretrained potential has relaxed the crystal."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    cell, steps = generate_structure('Li7PSiO8'), {}
    for relax_steps in (0, 200):
        overrides = {'pretrained': {'relax_steps': relax_steps}}
        builder = ConductivityWorkChain.get_builder_from_protocol(codes, cell, 'overnight', overrides=overrides)
        steps[relax_steps] = next(stage.steps for stage in plan(builder) if stage.name == 'relaxation')
    assert steps == {0: 40, 200: 16}


def test_planned_stages_carry_the_labels_of_their_calls(stages):
    """The live view weights the stages by these labels."""
    planned = {name: stage.label for name, stage in stages.items()}
    expected = {
        'relaxation': 'relax', 'AIMD': 'aimd', 'rattled cells': 'label_rattled', 'training': 'train_0',
        'exploration 1': 'explore_1', 'relabelling 1': 'label_1', 'training 1': 'train_1', 'validation': 'validate',
        'production': 'md',
    }  # fmt: skip
    assert {name: planned[name] for name in expected} == expected


def test_time_steps_of_hydrogen(builder):
    """Time steps above 1 fs are warned of by their key, in a crystal with hydrogen alone."""
    builder.md.parameters = orm.Dict({**builder.md.parameters.get_dict(), 'timestep_fs': 2.0})
    assert hydrogen_warnings(builder) == []
    builder.structure = orm.StructureData(ase=bulk('LiH', 'rocksalt', a=4.08))
    (warning,) = [text for text in hydrogen_warnings(builder) if 'md' in text.split()]
    assert 'the time step of md is 2 fs: set md.timestep_fs to 1 or less with --overrides' in warning


def test_average_charges_are_warned_of(builder):
    """The plan prints the average charge, and that only the tracer conductivity is certain."""
    assert charge_warnings(builder) == []
    builder.charges = orm.Dict({'Li': 1, 'V': 3.25, 'P': 5, 'O': -2})
    (warning,) = charge_warnings(builder)
    assert 'V has the average charge +3.25. Only the tracer conductivity is certain' in warning
    assert 'V +3.25' in plan_table(builder, 'quickstart')


def test_plan_of_an_extended_campaign(builder):
    """The stored supercell counts, not the supercell that would be made now."""
    builder.supercell = orm.StructureData(ase=builder.structure.get_ase().repeat((1, 1, 5)))
    assert {stage.atoms for stage in plan(builder) if stage.program == 'LAMMPS'} >= {85}


def test_plan_grows(builder):
    """Longer runs cost in proportion."""
    before = next(stage for stage in plan(builder) if stage.name == 'production')
    parameters = builder.md.parameters.get_dict()
    parameters['production_steps'] += before.steps
    builder.md.parameters = orm.Dict(parameters)
    after = next(stage for stage in plan(builder) if stage.name == 'production')
    assert after.core_hours == pytest.approx(2 * before.core_hours)


@pytest.mark.parametrize('protocol', ['quickstart', 'fast', 'balanced', 'stringent', 'talk'])
def test_plan_of_active_learning(pseudo_family, fixture_code, generate_structure, protocol):
    """The default from `balanced` up, with all that its budget allows; the talk has AIMD frames alone."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    builder = ConductivityWorkChain.get_builder_from_protocol(codes, generate_structure('Li7PSiO8'), protocol=protocol)
    text, stages = plan_table(builder, protocol), {stage.name: stage for stage in plan(builder)}
    assert ('committee, at most' in text) == (protocol in ('balanced', 'stringent'))
    assert (builder.active_learning is None) == (protocol not in ('balanced', 'stringent'))
    if builder.active_learning is None:
        return
    active, temperatures = builder.active_learning.get_dict(), len(builder.md.temperatures_K.get_list())
    rounds = active['max_rounds'] + 1
    assert not any('relabelling' in name for name in stages)
    assert stages['committee, at most'].jobs == rounds * len(active['committee_seeds'])
    assert stages['exploration, at most'].jobs == rounds * len(active['seeds']) * len(active['temperatures_K'])
    assert stages['validation, at most'].jobs == rounds * temperatures
    labelling = stages['labelling, at most']
    assert labelling.jobs * labelling.steps >= min(active['max_frames'], active['max_rounds'] * active['n_frames'])


def test_plan_with_a_target(pseudo_family, fixture_code, generate_structure):
    """What the budget leaves after the first round, and the goal in words."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    overrides = {'precision': {'target_relative_error': 0.1, 'max_md_ns': 5.0}}
    builder = ConductivityWorkChain.get_builder_from_protocol(
        codes, generate_structure('Li7PSiO8'), protocol='quickstart', overrides=overrides
    )
    stages = {stage.name: stage for stage in plan(builder)}
    first, more = stages['production'], stages['more, at most']
    steps_ns = builder.md.parameters['timestep_fs'] * 1e-6
    n_runs = len(builder.md.seeds.get_list()) * len(builder.md.temperatures_K.get_list())
    assert (n_runs * first.steps + more.steps) * steps_ns == pytest.approx(5.0)
    assert more.core_hours / more.steps == pytest.approx(first.core_hours / (n_runs * first.steps))
    text = plan_table(builder, 'quickstart')
    assert 'until σ is known to 0.1 of its value' in text
    assert '5 ns of MD' in text


def test_plan_with_a_model(pseudo_family, fixture_code, generate_structure, tmp_path):
    """No DFT and no training."""
    (tmp_path / 'model.nequip.zip').write_bytes(package())
    model = AllegroModelData(tmp_path / 'model.nequip.zip')
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    builder = ConductivityWorkChain.get_builder_from_protocol(
        codes, generate_structure(), protocol='quickstart', model=model, trust_model=True
    )
    assert [stage.name for stage in plan(builder)] == ['compilation', 'validation', 'production']


def test_plan_with_thermal_expansion(pseudo_family, fixture_code, generate_structure):
    """Runs at constant pressure of two seeds at two temperatures, before the production."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    builder = ConductivityWorkChain.get_builder_from_protocol(
        codes, generate_structure(), 'quickstart', overrides={'expand': True, 'training': {'stress_coefficient': 1.0}}
    )
    names = [stage.name for stage in plan(builder)]
    assert names[-3:] == ['validation', 'thermal expansion', 'production']
    stage = plan(builder)[-2]
    assert (stage.label, stage.program, stage.jobs, stage.steps) == ('expand', 'LAMMPS', 4, 2000 + 16000)
    assert stage.core_hours > 0
    assert 'thermal expansion' in plan_table(builder, 'quickstart')
    (warning,) = stress_warnings(builder)
    assert 'DFT labels at 35 Ry, below the 40 Ry that the pseudopotentials recommend' in warning
    assert warning in remarks(builder)
    advised = {'expand': True, 'training': {'stress_coefficient': 1.0}, 'dft': {'ecutwfc': None}}
    followed = ConductivityWorkChain.get_builder_from_protocol(
        codes, generate_structure(), 'quickstart', overrides=advised
    )
    assert stress_warnings(followed) == []


@pytest.mark.parametrize(('cutoff', 'says'), [(30.0, 'relaxed at 40 Ry, which'), (50.0, ''), (None, '')])
def test_cutoff_of_the_relaxation_is_told(pseudo_family, fixture_code, generate_structure, cutoff, says):
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    overrides = {'dft': {'ecutwfc': cutoff}}
    builder = ConductivityWorkChain.get_builder_from_protocol(
        codes, generate_structure('Li7PSiO8'), 'balanced', overrides=overrides
    )
    told = [remark for remark in remarks(builder) if 'The cell is relaxed' in remark]
    assert len(told) == bool(says)
    assert all(says in remark and 'labelled at 30 Ry' in remark for remark in told)


def test_stress_that_is_converged_or_not_learned(pseudo_family, fixture_code, generate_structure):
    """No warning of labels at the recommended cutoff, none where the stress is not learned, and none without DFT."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    stress = {'training': {'stress_coefficient': 1.0}}
    for protocol, overrides in (('balanced', stress), ('quickstart', {}), ('screen', stress)):
        builder = ConductivityWorkChain.get_builder_from_protocol(
            codes, generate_structure('Li7PSiO8'), protocol, overrides=overrides
        )
        assert stress_warnings(builder) == []


def test_progress_of_a_thermal_expansion(aiida_profile_clean):
    """Each ordering has runs of its own."""
    child = orm.WorkChainNode()
    child.set_process_label('ExpansionWorkChain')
    inputs = {
        'seeds': orm.List([1, 2]),
        'temperatures_K': orm.List([500.0, 600.0]),
        'parameters': orm.Dict({'production_steps': 1000, 'timestep_fs': 2.0}),
        'max_strain': orm.Float(0.1),
        'orderings__ordering_01': orm.StructureData(ase=bulk('Li')),
        'orderings__ordering_02': orm.StructureData(ase=bulk('Li')),
    }
    top = orm.WorkChainNode().store()
    child.base.links.add_incoming(top, LinkType.CALL_WORK, 'expand')
    for label, node in inputs.items():
        child.base.links.add_incoming(node.store(), LinkType.INPUT_WORK, label)
    child.store()
    (row,) = stage_rows(top, {})
    assert (row.label, row.jobs, row.progress) == ('expand', '0/8', '0 of 16 ps')


def test_status_shows_the_mean_cells(aiida_profile_clean):
    """As soon as they are known, also while the campaign runs."""
    top = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.precision').store()
    child = orm.WorkChainNode()
    child.set_process_label('ExpansionWorkChain')
    child.base.links.add_incoming(top, LinkType.CALL_WORK, 'expand')
    child.store()
    numbers = {
        'temperature_K': 1200.0, 'initial_volume_A3': 1400.0, 'volume_A3': 1484.0, 'volume_stderr_A3': 2.8,
        'volume_expansion_percent': 6.0, 'volume_expansion_stderr_percent': 0.2,
    }  # fmt: skip
    cell = orm.Dict(numbers).store()
    cell.base.links.add_incoming(child, LinkType.RETURN, 'expansion__T1200')
    child.set_process_state('finished')
    child.set_exit_status(0)
    text = status(top)
    assert '1200 K: cell of 1400 Å³ at 0 K, mean (1484.0 ± 2.8) Å³, expansion (6.00 ± 0.20) %' in text


def test_stage_rows(aiida_profile_clean):
    """A stage that has ended is asked for once; one that runs, every time."""
    top = orm.WorkChainNode().store()
    child = orm.WorkChainNode()
    child.set_process_label('SeedsWorkChain')
    inputs = {
        'seeds': orm.List([1, 2]),
        'temperatures_K': orm.List([500.0, 600.0]),
        'parameters': orm.Dict({'production_steps': 1000, 'timestep_fs': 2.0}),
        'atoms_per_run': orm.Int(1),
        'base__md__structure': orm.StructureData(ase=bulk('Li')),
    }
    child.base.links.add_incoming(top, LinkType.CALL_WORK, 'md')
    for label, node in inputs.items():
        child.base.links.add_incoming(node.store(), LinkType.INPUT_WORK, label)
    child.store()
    ended = {}
    rows = stage_rows(top, ended)
    assert [(row[0], row[2], row[3], row[4]) for row in rows] == [('md', 'running', '0/4', '0 of 8 ps')]
    assert ended == {}
    child.set_process_state('finished')
    child.set_exit_status(0)
    assert stage_rows(top, ended)[0][2] == 'finished'
    assert list(ended) == [child.pk]
    assert 'SeedsWorkChain' in table(rows)


def test_progress_of_a_training(aiida_profile_clean):
    """The epoch and the losses that the monitor has noted, of the last job that has told of them."""
    top, chain = orm.WorkChainNode().store(), orm.WorkChainNode()
    chain.set_process_label('AllegroWorkChain')
    chain.base.links.add_incoming(top, LinkType.CALL_WORK, 'train_0')
    chain.store()
    job = orm.CalcJobNode()
    job.set_process_label('AllegroTrainCalculation')
    job.base.links.add_incoming(chain, LinkType.CALL_CALC, 'iteration_01')
    job.base.links.add_incoming(orm.Dict({'max_epochs': 35}).store(), LinkType.INPUT_CALC, 'parameters')
    job.store()
    assert stage_rows(top, {})[0][4] == ''
    job.base.extras.set('progress', {'epoch': 11, 'train_loss': 0.5, 'val_forces_mae_eV_per_A': 0.12})
    assert stage_rows(top, {})[0][4] == 'epoch 12 of 35, loss 0.5, forces 0.12 eV/Å'


@pytest.mark.parametrize('section', ['5', '', '[0.1]'])
def test_target_beside_overrides_that_are_wrong(section, aiida_profile, tmp_path, monkeypatch):
    """--target-error with overrides in which `precision` is no mapping: refused in words, as without it."""
    monkeypatch.setattr(submit, 'load_codes', lambda labels: {})
    overrides = tmp_path / 'overrides.yaml'
    overrides.write_text(f'precision: {section}\n')
    options = dict.fromkeys(('temperatures', 'seeds', 'dataset', 'model', 'structure', 'formula_units'))
    with pytest.raises(ValueError, match=r'`precision` is .*, but must be a mapping of keys'):
        submit.get_builder(
            protocol='fast', mobile='Li', charges=(), codes=(), trust_model=False, relaxed=False, target_error=0.1,
            overrides=str(overrides), substitute=(), fraction=0.0, compensate='Li', **options,
        )  # fmt: skip


@pytest.mark.parametrize('expand', [False, True])
def test_expand_is_the_key_of_the_protocol(expand, generate_structure, monkeypatch):
    """--expand changes the key as overrides do; without it the key is that of the protocol."""
    given = {}
    monkeypatch.setattr(submit, 'load_codes', lambda labels, needed: {})
    monkeypatch.setattr(submit, 'load_cells', lambda **cell: ([generate_structure()], {}))
    monkeypatch.setattr(
        ConductivityWorkChain, 'get_builder_from_protocol', lambda *args, overrides, **kwargs: given.update(overrides)
    )
    options = dict.fromkeys(('temperatures', 'seeds', 'dataset', 'model', 'structure', 'overrides'))
    submit.get_builder(
        protocol='fast', mobile='Li', charges=(), codes=(), trust_model=False, relaxed=False, expand=expand, **options
    )
    assert given.get('expand', False) is expand
