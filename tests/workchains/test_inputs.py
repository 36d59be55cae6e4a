"""From protocols to inputs: what every protocol asks for, and what is refused before anything is submitted."""

import warnings

import numpy as np
import pytest
from aiida import orm
from ase import Atoms
from ase.build import bulk

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.engines.schedulers import BY_PLUGIN
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.inputs import load_codes
from aiida_ionconduct.workchains.stage_inputs import train_code_beside
from model_files import GNN, package

PRODUCTS = ('relax', 'aimd', 'rattle', 'frames', 'label', 'allegro', 'relabelling', 'dataset', 'model')


def submittable(builder):
    """Validate all inputs as the engine does on submission."""
    ports = builder.process_class.spec().inputs
    error = ports.validate(ports.pre_process(builder._inputs(prune=True)))
    assert error is None, error


def count_nodes():
    return orm.QueryBuilder().append(orm.Node).count()


@pytest.mark.parametrize('protocol', ['quickstart', 'fast', 'balanced', 'stringent', 'talk'])
def test_protocols(protocol, campaign_builder, serialize_builder, data_regression):
    builder = campaign_builder(protocol)
    data_regression.check(serialize_builder(builder), round_digits=9)
    submittable(builder)


def test_default_protocol(campaign_builder, serialize_builder):
    assert serialize_builder(campaign_builder(None)) == serialize_builder(campaign_builder('balanced'))


def test_length_of_aimd(campaign_builder):
    """Picoseconds become whole steps."""
    aimd = {'timestep_fs': 2.0, 'equilibration_ps': 0.1, 'sampling_ps': 0.4999}
    dynamics = campaign_builder(overrides={'aimd': aimd}).aimd.dynamics
    assert (dynamics['n_equilibration'], dynamics['n_sampling']) == (50, 250)
    assert dynamics['timestep_fs'] == 2.0


@pytest.mark.parametrize(
    ('aimd', 'message'),
    [
        (
            {'thermostat': 'berendsen'},
            r"`aimd\.thermostat` is 'berendsen', but must be 'none', 'rescale' or 'andersen'",
        ),
        ({'sampling_ps': 0}, r'`aimd\.sampling_ps` is 0, but must be greater than 0'),
        (
            {'sampling_ps': 0.003},
            r'sampling_ps is 0\.003, but must be at least two steps of 2\.5 fs',
        ),
        ({'thermostat_steps': 0}, r'`aimd\.thermostat_steps` is 0, but must be greater than or equal to 1'),
        ({'equilibration_ps': -1}, r'`aimd\.equilibration_ps` is -1, but must be greater than or equal to 0'),
    ],
)
def test_bad_aimd(aimd, message, campaign_builder):
    with pytest.raises(ValueError, match=message):
        campaign_builder(overrides={'aimd': aimd})


def test_bad_candidates(campaign_builder, generate_structure):
    with pytest.raises(ValueError, match='candidates must have one composition, got Li6O8P2, Li7O8PSi'):
        campaign_builder(candidates=[generate_structure('Li7PSiO8')])
    with pytest.raises(ValueError, match='`n_candidates` is 0, but must be greater than or equal to 1'):
        campaign_builder(overrides={'n_candidates': 0})


def test_no_rattled_cells(campaign_builder):
    builder = campaign_builder('talk')
    assert not builder.rattle
    submittable(builder)


def test_molecular_dynamics_has_no_symmetry(campaign_builder):
    """AIMD and the single calculations of frames have no symmetry; the relaxation may keep it."""
    builder = campaign_builder()
    nosym = {
        name: inputs['parameters']['SYSTEM']['nosym']
        for name, inputs in (
            ('aimd', builder.aimd.base['pw']),
            ('label', builder.label['pw']),
            ('relax', builder.relax.base_relax['pw']),
        )
    }
    assert nosym == {'aimd': True, 'label': True, 'relax': False}


@pytest.mark.parametrize(('distance', 'mesh'), [(None, [1, 1, 1]), (0.3, [4, 4, 5]), (5.0, [1, 1, 1])])
def test_kpoints(distance, mesh, campaign_builder):
    """A length of 6.12 Å and a distance of 0.3 give 3.4 points, and so on; without a distance there is one."""
    builder = campaign_builder(overrides={'dft': {'kpoints_distance': distance}})
    assert builder.label['pw']['kpoints'].get_kpoints_mesh()[0] == mesh
    assert builder.aimd.base['kpoints'].get_kpoints_mesh()[0] == mesh
    settings = builder.label['pw'].get('settings')
    assert (settings is not None and settings.get_dict().get('gamma_only') is True) == (mesh == [1, 1, 1])
    assert builder.aimd.settings.get_dict().get('gamma_only', False) == (mesh == [1, 1, 1])


def test_cutoffs(campaign_builder):
    """Cutoffs are from the family unless the protocol states one; the ratio of the two is always from the family."""
    system = campaign_builder('balanced').label['pw']['parameters']['SYSTEM']
    assert (system['ecutwfc'], system['ecutrho']) == (40.0, 320.0)
    system = campaign_builder('quickstart').label['pw']['parameters']['SYSTEM']
    assert (system['ecutwfc'], system['ecutrho']) == (35.0, 280.0)


@pytest.mark.parametrize(
    ('protocol', 'stated', 'relax', 'label'),
    [
        ('balanced', None, 40.0, 40.0),
        ('balanced', 30.0, 40.0, 30.0),
        ('balanced', 50.0, 50.0, 50.0),
        ('quickstart', 35.0, 35.0, 35.0),  # positions alone
    ],
)
def test_cutoff_of_a_relaxation_with_the_cell(campaign_builder, protocol, stated, relax, label):
    """It is at least the recommended one, because plane waves that are missing pull the cell together."""
    builder = campaign_builder(protocol, overrides={'dft': {'ecutwfc': stated}})
    pw = builder.relax['base_relax']['pw'], builder.label['pw']
    assert [inputs['parameters']['SYSTEM']['ecutwfc'] for inputs in pw] == [relax, label]
    assert pw[0]['parameters']['SYSTEM']['ecutrho'] == 8 * relax


def test_stress(campaign_builder):
    """AIMD and single calculations give the stress if the potential is to be trained on it."""
    for coefficient in (0.0, 1.0):
        builder = campaign_builder(overrides={'training': {'stress_coefficient': coefficient}})
        for inputs in (builder.aimd.base['pw'], builder.label['pw']):
            assert inputs['parameters']['CONTROL']['tstress'] == bool(coefficient)


def test_overrides(campaign_builder):
    overrides = {
        'temperatures_K': [500.0, 700.0],
        'seeds': [7, 8],
        'n_atoms_min': 100,
        'training': {'l_max': 1},
        'md': {'production_steps': 12},
        'resources': {'device': 'cuda', 'md': {'threads': 3}},
    }
    builder = campaign_builder(overrides=overrides)
    assert builder.md.temperatures_K.get_list() == [500.0, 700.0]
    assert builder.md.seeds.get_list() == [7, 8]
    assert builder.n_atoms_min.value == 100
    assert builder.allegro.train['parameters']['l_max'] == 1
    assert builder.allegro.train['parameters']['accelerator'] == 'gpu'
    assert builder.allegro.compile['parameters']['device'] == 'cuda'
    assert builder.md.parameters['production_steps'] == 12
    assert builder.md.base['md']['metadata']['options']['environment_variables'] == {'OMP_NUM_THREADS': '3'}


# Stages that are skipped --------------------------------------------------------------------------------------------


def given(builder):
    """Return which stages have inputs."""
    inputs = builder._inputs(prune=True)
    return {name for name in PRODUCTS if inputs.get(name)}


def test_relaxed(campaign_builder):
    assert given(campaign_builder(relaxed=True)) == set(PRODUCTS) - {'relax', 'dataset', 'model'}


def test_with_a_dataset(campaign_builder, dataset):
    builder = campaign_builder(dataset=dataset())
    assert given(builder) == {'relax', 'label', 'allegro', 'relabelling', 'dataset'}
    submittable(builder)


def test_with_a_model(campaign_builder, model):
    """With a model no DFT is left to do: the structure is taken as it is."""
    builder = campaign_builder(model=model())
    assert given(builder) == {'model'}
    submittable(builder)


def test_without_dft_no_pseudopotentials_are_needed(
    aiida_profile_clean, fixture_code, generate_structure, dataset, model
):
    """A model, or a training set without relabelling, needs no code of Quantum ESPRESSO's inputs."""
    codes = {label: fixture_code(engine.plugin) for label, engine in ENGINES.items()}
    build = ConductivityWorkChain.get_builder_from_protocol
    submittable(build(codes, generate_structure(), 'quickstart', model=model()))
    overrides = {'relabelling': {'n_rounds': 0, 'max_rounds': 0}}
    builder = build(codes, generate_structure(), 'quickstart', overrides=overrides, dataset=dataset(), relaxed=True)
    assert given(builder) == {'allegro', 'relabelling', 'dataset'}
    submittable(builder)


# Bad input ----------------------------------------------------------------------------------------------------------


FERRATE = [[0, 0, 0], [0.5, 0.5, 0], [0, 0, 0.5], [0.5, 0, 0], [0, 0.5, 0.5]]  # no crystal of nature


def overlapping(crystals):
    atoms = crystals['Li3PO4'].copy()
    atoms.positions[1] = atoms.positions[0] + [0.2, 0, 0]
    return atoms


@pytest.mark.parametrize(
    ('make', 'kwargs', 'message'),
    [
        (overlapping, {}, r'atoms 0 \(Li\) and 1 \(Li\) are 0\.20 Å apart and overlap'),
        (
            lambda _: bulk('MgO', 'rocksalt', a=4.2),
            {},
            'has no Li: name its mobile species with --mobile, one of Mg, O',
        ),
        (lambda _: bulk('LiO', 'rocksalt', a=4.2), {}, r'the charges sum to -1 instead of zero'),
        (lambda c: c['Li3PO4'], {'charges': {'P': 3}}, r'the charges sum to -4 instead of zero'),
        (lambda c: c['Li3PO4'], {'charges': {'S': 3}}, r'charges are given for S'),
        (lambda _: bulk('LiBr', 'rocksalt', a=5.5), {}, 'has no pseudopotential for Br: name another'),
        (lambda _: bulk('LiHe', 'rocksalt', a=5.5), {}, 'no oxidation state is known for He in LiHe: give it'),
        (lambda _: Atoms('Li2O', positions=np.eye(3) * 3), {}, 'periodic in three dimensions'),
        (lambda _: bulk('LiO', 'rocksalt', a=4.2), {'charges': {'O': -1}}, 'has 11 electrons, an odd number'),
        (
            lambda _: Atoms('Li2FeO2', scaled_positions=FERRATE, cell=[5, 5, 5], pbc=True),
            {},
            r'Fe with the oxidation state \+2 has 6 d electrons, an open shell.* Give a model',
        ),
    ],
    ids=[
        'overlap',
        'immobile',
        'charges',
        'own charges',
        'absent',
        'pseudo',
        'unknown charge',
        'molecule',
        'open shell',
        'open shell of even electrons',
    ],
)
def test_bad_structure(make, kwargs, message, crystals, campaign_builder):
    structure = orm.StructureData(ase=make(crystals))
    before = count_nodes()
    with pytest.raises(ValueError, match=message):
        campaign_builder(structure=structure, **kwargs)
    assert count_nodes() == before


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'temperatures_K': [0, 300]}, r'`temperatures_K\.0` is 0, but must be greater than 0'),
        ({'temperatures_K': [300, -5.0]}, r'`temperatures_K\.1` is -5\.0, but must be greater than 0'),
        ({'temperatures_K': []}, r'`temperatures_K` is \[\], but must have at least 1 item'),
        ({'temperatures_K': ['hot']}, r"`temperatures_K\.0` is 'hot', but must be a valid number"),
        ({'temperatures_K': [float('nan')]}, 'must be a finite number'),
        ({'temperatures_K': [300, 300.0]}, 'must name every value only once'),
        ({'aimd': {'temperatures_K': [-1]}}, r'`aimd\.temperatures_K\.0` is -1, but must be greater than 0'),
        ({'relabelling': {'temperatures_K': [0]}}, r'`relabelling\.temperatures_K\.0` is 0'),
        ({'seeds': [1, 1]}, r'`seeds` is \[1, 1\], but must name every value only once'),
        ({'seeds': [0]}, r'`seeds\.0` is 0, but must be greater than 0'),
        ({'seeds': [1.5]}, r'`seeds\.0` is 1\.5, but must be a valid integer'),
        ({'seeds': []}, 'must have at least 1 item'),
        ({'training': {'lmax': 2}}, r'unknown key `training\.lmax`: did you mean `training\.l_max`'),
        (
            {'relabelling': {'training': {'lmax': 2}}},
            r'unknown key `relabelling\.training\.lmax`: did you mean `relabelling\.training\.l_max`',
        ),
        ({'md': {'time_step_fs': 2}}, r'unknown key `md\.time_step_fs`: did you mean `md\.timestep_fs`'),
        ({'dft': {'pseudo_family': 'mine'}}, 'family `mine` is not installed: run `aiida-ionconduct setup`'),
    ],
)
def test_bad_overrides(overrides, message, campaign_builder):
    with pytest.raises(ValueError, match=message):
        campaign_builder(overrides=overrides)


def test_unknown_protocol(campaign_builder):
    with pytest.raises(ValueError, match='unknown protocol `slow`: choose one of quickstart'):
        campaign_builder('slow')


def test_bad_products(campaign_builder, model, dataset, generate_structure):
    """A model or a training set of other elements is refused, and so is a compiled model."""
    with pytest.raises(ValueError, match=r'the model knows Li, S, but the structure contains O, P: train one'):
        campaign_builder(model=model(type_names=('Li', 'S')))
    with pytest.raises(ValueError, match=r'is compiled for one machine: give the packaged model'):
        campaign_builder(model=model('model.nequip.pt2'))
    with pytest.raises(ValueError, match='the dataset has no frame with Si: add frames of this material'):
        campaign_builder(structure=generate_structure('Li7PSiO8'), dataset=dataset('Li3PO4'))


def test_missing_stress(campaign_builder, dataset):
    """A training on stresses needs them in the given frames; the message comes before anything is submitted."""
    with pytest.raises(ValueError, match=r'has a stress_coefficient, but not all frames of the dataset have a stress'):
        campaign_builder(dataset=dataset(), overrides={'training': {'stress_coefficient': 1.0}})


def test_message_passing_model(campaign_builder, tmp_path):
    """Refused by name, also a node of an earlier version or an archive that does not state its architecture."""
    (tmp_path / 'gnn.nequip.zip').write_bytes(package(GNN, modules=()))
    model = AllegroModelData(tmp_path / 'gnn.nequip.zip', type_names=['Li', 'O', 'P'], r_max=4.5)
    with pytest.raises(
        ValueError, match=r'`gnn\.nequip\.zip` is a model of the architecture `nequip\.model\.NequIPGNN'
    ):
        campaign_builder(model=model, trust_model=True)


@pytest.mark.parametrize('arguments', [{}, {'model': True}])
def test_compiled_models_are_compared_with_nequip(campaign_builder, codes, model, arguments):
    """Whether the potential is trained here or given."""
    builder = campaign_builder(**({'model': model(), 'relaxed': True} if arguments else {}))
    sections = [builder['compile']] if arguments else [builder['compile'], builder.allegro['compile']]
    for section in sections:
        assert section['check']['train_code'].uuid == codes['nequip-train'].uuid
        assert section['check']['lammps_code'].uuid == codes['lammps'].uuid


def test_check_calls_lammps_as_production_does(campaign_builder):
    builder = campaign_builder(overrides={'resources': {'device': 'cuda', 'md': {'kokkos': True, 'gpus': 4}}})
    assert builder['compile']['check']['settings'].get_dict() == {'kokkos_gpus': 1}


# Codes --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(aiida_profile_clean, aiida_localhost):
    """All codes under the names that ``aiida-ionconduct setup`` gives them."""
    for label, engine in ENGINES.items():
        orm.InstalledCode(
            label=label,
            computer=aiida_localhost,
            filepath_executable='/bin/true',
            default_calc_job_plugin=engine.plugin,
        ).store()


def test_codes(installed):
    codes = load_codes()
    plugins = {label: engine.plugin for label, engine in ENGINES.items()}
    assert {label: code.default_calc_job_plugin for label, code in codes.items()} == plugins
    assert load_codes({'pw': str(codes['pw'].pk)})['pw'].uuid == codes['pw'].uuid


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (
            {'pw': 'espresso@cluster'},
            r'the code `espresso@cluster` does not exist: run `aiida-ionconduct setup`.*--codes pw=LABEL',
        ),
        ({'pw': 'lammps@localhost'}, 'is of the plugin ionconduct.lammps.md, pw needs quantumespresso.pw'),
        ({'lammps': 'pw@localhost'}, 'is of the plugin quantumespresso.pw, lammps needs ionconduct.lammps.md'),
        ({'pwx': 'pw@localhost'}, 'unknown code names pwx: choose from pw, nequip-train'),
    ],
)
def test_bad_codes(labels, message, installed):
    with pytest.raises(ValueError, match=message):
        load_codes(labels)


def test_no_codes(aiida_profile_clean, aiida_localhost):
    with pytest.raises(ValueError, match='the code `pw@localhost` does not exist: run `aiida-ionconduct setup`'):
        load_codes()


def test_gpus(campaign_builder):
    """With a GPU, seeds share runs, the scheduler is asked for GPUs, and Kokkos gets their number."""
    resources = {'device': 'cuda', 'md': {'gpus': 2, 'kokkos': True}, 'training': {'gpus': 1}}
    builder = campaign_builder('fast', overrides={'resources': resources})
    assert builder.md.atoms_per_run == 2048
    assert builder.md.base.md['metadata']['options']['gpus'] == 2
    assert builder.md.base.md['settings'].get_dict() == {'kokkos_gpus': 2}
    assert builder.allegro.train['metadata']['options']['gpus'] == 1
    assert campaign_builder('fast').md.atoms_per_run == 1
    assert campaign_builder(overrides={'resources': {'atoms_per_run': 500}}).md.atoms_per_run == 500


def test_accelerations(campaign_builder):
    """What is stated is handed to the compilation; what is null is left to its defaults."""
    compilation = {'modifiers': [], 'inductor_configs': {'freezing': 1}}
    builder = campaign_builder(overrides={'resources': {'device': 'cpu', 'compilation': compilation}})
    expected = {'device': 'cpu', 'tf32': False, **compilation}
    assert builder.allegro.compile['parameters'].get_dict() == expected
    assert builder.compile['parameters'].get_dict() == expected


def test_options_of_the_pair_style(campaign_builder):
    builder = campaign_builder(overrides={'resources': {'pair_style': {'edges': 'device', 'pad': True}}})
    assert builder.md.base.md['settings'].get_dict() == {'edges': 'device', 'pad': True}
    assert 'settings' not in campaign_builder().md.base.md


@pytest.mark.parametrize('switch', ['kokkos', 'mliap'])
def test_thermostat_where_langevin_is_known_to_fail(switch, campaign_builder):
    """A Nosé–Hoover chain is taken and said, in all runs of the campaign, unless a thermostat is stated."""
    resources = {'resources': {'md': {switch: True}}}
    with pytest.warns(UserWarning, match='the thermostat is nose-hoover instead of langevin'):
        builder = campaign_builder(overrides=resources)
    assert builder.md.parameters['thermostat'] == 'nose-hoover'
    assert builder.validation['md']['thermostat'] == 'nose-hoover'
    with pytest.warns(UserWarning, match='md.thermostat is langevin, which is known to fail'):
        builder = campaign_builder(overrides={**resources, 'md': {'thermostat': 'langevin'}})
    assert builder.md.parameters['thermostat'] == 'langevin'
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*known to fail')
        campaign_builder(overrides={**resources, 'md': {'thermostat': 'nose-hoover'}})


def test_mliap(campaign_builder):
    """`mliap` is a parameter of the compilation; LAMMPS takes the pair style from the model."""
    parameters = campaign_builder(overrides={'resources': {'md': {'mliap': True}}}).allegro.compile['parameters']
    assert parameters.get_dict() == {'device': 'cpu', 'tf32': False, 'target': 'mliap'}


def test_gpus_of_an_unknown_scheduler(campaign_builder, monkeypatch):
    monkeypatch.delitem(BY_PLUGIN, 'core.direct')
    with pytest.raises(ValueError, match=r'resources\.md\.gpus: how to ask core\.direct for GPUs is not known'):
        campaign_builder(overrides={'resources': {'md': {'gpus': 1}}})


@pytest.fixture
def elsewhere(aiida_computer_local):
    """Return a function that makes a code of an engine on another computer."""
    computer = aiida_computer_local(label='elsewhere')

    def make(label):
        return orm.InstalledCode(
            label=label,
            computer=computer,
            filepath_executable='/bin/true',
            default_calc_job_plugin=ENGINES[label].plugin,
        ).store()

    return make


def test_lammps_elsewhere(codes, elsewhere):
    """A model is compiled where LAMMPS runs; the message names both codes."""
    with pytest.raises(
        ValueError, match=r'is not on the computer of lammps@elsewhere: .* --codes nequip-compile=LABEL'
    ):
        train_code_beside({**codes, 'lammps': elsewhere('lammps')})


def test_training_elsewhere(codes, elsewhere):
    """Production has a computer of its own: its nequip-train is taken for the comparison, and missed by name."""
    there = {label: elsewhere(label) for label in ('nequip-compile', 'lammps')}
    with pytest.raises(
        ValueError, match=r'the code `nequip-train@elsewhere` does not exist: nequip-compile runs there'
    ):
        train_code_beside({**codes, **there})
    trainer = elsewhere('nequip-train')
    assert train_code_beside({**codes, **there}).uuid == trainer.uuid


def test_expansion(campaign_builder):
    """Times in ps become steps of the production; the builder of a campaign without `expand` has no such input."""
    overrides = {'expand': True, 'training': {'stress_coefficient': 1.0}, 'md': {'timestep_fs': 2.0}}
    builder = campaign_builder('fast', overrides=overrides)
    expansion = builder.expansion.get_dict()
    assert (expansion['seeds'], expansion['max_strain']) == ([2001, 2002], 0.1)
    assert (expansion['md']['equilibration_steps'], expansion['md']['production_steps']) == (2500, 20000)
    assert 'pressure_coupling' not in expansion['md'], 'it follows from the cell'
    assert campaign_builder('fast').expansion is None


def test_labels_of_an_expansion_have_stress(campaign_builder):
    """DFT computes the stress that the potential learns, because the training asks for it."""
    builder = campaign_builder('fast', overrides={'expand': True, 'training': {'stress_coefficient': 1.0}})
    assert builder.label['pw']['parameters']['CONTROL']['tstress'] is True


def test_expansion_trains_on_stress_without_being_told(campaign_builder):
    """The weight is printed, an input of the training, and marked as assumed; DFT computes the stresses."""
    with pytest.warns(UserWarning, match=r'training\.stress_coefficient 1000, which was assumed'):
        builder = campaign_builder('fast', overrides={'expand': True})
    assert builder.allegro['train']['parameters']['stress_coefficient'] == 1000.0
    assert builder.expansion['assumed'] == {'training.stress_coefficient': 1000.0}
    assert builder.label['pw']['parameters']['CONTROL']['tstress'] is True


def test_stated_weight_of_the_stress_stays(campaign_builder, recwarn):
    builder = campaign_builder('fast', overrides={'expand': True, 'training': {'stress_coefficient': 2.0}})
    assert builder.allegro['train']['parameters']['stress_coefficient'] == 2.0
    assert 'assumed' not in builder.expansion.get_dict()
    assert not [warning for warning in recwarn if 'assumed' in str(warning.message)]


def test_expansion_without_stress_is_refused(campaign_builder, dataset):
    """A weight of 0 that is stated, or a training set without stresses, contradicts `expand`."""
    with pytest.raises(ValueError, match=r'expand is true, but training\.stress_coefficient is 0'):
        campaign_builder(overrides={'expand': True, 'training': {'stress_coefficient': 0.0}})
    with (
        pytest.warns(UserWarning, match='assumed'),
        pytest.raises(ValueError, match=r'expand is true, .* give a dataset with stresses, or leave out expand'),
    ):
        campaign_builder(dataset=dataset(), overrides={'expand': True})
