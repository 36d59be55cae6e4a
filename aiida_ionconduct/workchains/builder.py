"""From a protocol to the inputs of :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain`."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida_pseudo.groups.family import PseudoPotentialFamily
from aiida_quantumespresso.common.types import ElectronicType, RelaxType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.engines.programs import ENGINES
from aiida_ionconduct.engines.schedulers import gpus_cannot_be_asked
from aiida_ionconduct.structures import check_charges, check_structure
from aiida_ionconduct.workchains.aimd import THERMOSTATS, temperature_label
from aiida_ionconduct.workchains.precision import TARGET, set_target, validate_target
from aiida_ionconduct.workchains.protocols import protocol_inputs

DYNAMICS = ('equilibration_thermostat', 'thermostat', 'thermostat_steps')
CURATION = ('max_force_eV_per_A', 'duplicate_A', 'spacing_correlation_times')
SPLIT = ('validation', 'test', 'seed', 'gap_correlation_times')
STEPS = ('equilibration_steps', 'production_steps')
ACCELERATORS = {'cpu': 'cpu', 'cuda': 'gpu'}
ATOMS_PER_RUN = {'cpu': 1, 'cuda': 2048}  # a small cell leaves a GPU idle, so seeds share it; cores do not gain

CODES = {label: engine.plugin for label, engine in ENGINES.items()}
"""The codes a campaign needs, and the plugin each must have."""


def load_codes(labels: dict[str, str] | None = None, computer: str = 'localhost') -> dict[str, orm.AbstractCode]:
    """Load the codes of :data:`CODES`.

    :param labels: labels, PKs or UUIDs of codes that are not called ``name@computer``.
    :raises ValueError: for a code that is missing or belongs to another plugin, saying how to set it up.
    """
    unknown = sorted(set(labels or {}) - set(CODES))
    if unknown:
        raise ValueError(f'unknown code names {", ".join(unknown)}: choose from {", ".join(CODES)}.')
    codes = {}
    for name, plugin in CODES.items():
        label = (labels or {}).get(name, f'{name}@{computer}')
        try:
            codes[name] = orm.load_code(label)
        except NotExistent as exception:
            raise ValueError(
                f'the code `{label}` does not exist: run `aiida-ionconduct setup`, or set it up with `verdi code '
                f'create core.code.installed --default-calc-job-plugin {plugin}` and name it with --codes {name}=LABEL.'
            ) from exception
        if codes[name].default_calc_job_plugin != plugin:
            raise ValueError(
                f'the code `{label}` is of the plugin {codes[name].default_calc_job_plugin}, {name} needs {plugin}.'
            )
    return codes


def get_builder_from_protocol(
    cls,
    codes,
    structure,
    protocol=None,
    overrides=None,
    charges=None,
    mobile='Li',
    dataset=None,
    model=None,
    relaxed=False,
    candidates=None,
    trust_model=False,
    **_,
):
    """Return a builder with the inputs of a protocol, everything checked that can be checked before submission.

    :param codes: by the names of :data:`CODES`, see :func:`load_codes`.
    :param structure: ``StructureData``, the cell that DFT is to see.
    :param protocol: ``quickstart``, ``fast``, ``balanced``, ``stringent`` or ``talk``.
    :param overrides: nested like the protocol; unknown keys are refused.
    :param charges: integer charges by chemical symbol where the usual oxidation states do not hold.
    :param mobile: chemical symbol of the mobile ion.
    :param dataset: :class:`DatasetData`, instead of AIMD.
    :param model: packaged :class:`AllegroModelData`, instead of a training.
    :param trust_model: load a model that was not made by a training in this profile.
    :param relaxed: take the structure as it is.
    :param candidates: ``StructureData`` of ordered cells of the structure's composition, best first; the first
        ``n_candidates`` of them are relaxed and the lowest is taken on.
    :raises ValueError: for anything wrong with the structure, charges, temperatures, pseudopotentials, codes, dataset
        or model, saying what to do.
    """
    p = protocol_inputs('conductivity', protocol, overrides)
    atoms = structure.get_ase()
    check_structure(atoms, mobile)
    charges = check_charges(atoms, charges)
    check_numbers(p)
    check_gpus(codes, p['resources'])
    check_products(structure, dataset, model, trust_model)
    check_candidates(structure, candidates, p['n_candidates'])

    builder = cls.get_builder()
    builder.structure = structure
    builder.charges, builder.mobile = orm.Dict(charges), orm.Str(mobile)
    builder.n_atoms_min = orm.Int(p['n_atoms_min'])
    n_rounds = p['relabelling']['max_rounds'] + p['active_learning']['max_rounds']
    needs_dft = model is None and (dataset is None or not relaxed or n_rounds > 0)
    if needs_dft:
        check_electrons(atoms)
        check_pseudos(structure, p['dft']['pseudo_family'])
    if needs_dft and not relaxed:
        builder.relax = relax_inputs(codes['pw'], structure, p)
        chosen = (candidates or [])[: p['n_candidates']]
        if len(chosen) > 1:
            builder.candidates = {f'candidate_{index:02d}': cell for index, cell in enumerate(chosen)}
    if model is None:
        if dataset is None:
            builder.aimd = aimd_inputs(codes['pw'], structure, p)
            if p['rattle']['n_frames']:
                builder.rattle = orm.Dict({**p['rattle'], 'mobile': mobile})
            builder.frames = frames_parameters(p)
        else:
            builder.dataset = dataset
            builder.curation = orm.Dict(curation(p, ('equilibration_ps', *CURATION)))
        if needs_dft:
            builder.label = label_inputs(codes['pw'], structure, p)
        builder.allegro = allegro_inputs(codes, p)
        builder.relabelling = relabelling_parameters(p)
        if p['active_learning']['max_rounds']:
            builder.active_learning = active_learning_parameters(p)
            builder.evaluate = evaluation_inputs(codes, p)
    else:
        builder.model = model
    builder.compile = compile_inputs(codes, p)
    builder.md = md_inputs(codes, p)
    if model is not None and not model.is_made_here:
        builder.compile.trust_model = builder.md.base.md.trust_model = orm.Bool(True)
    if p['precision']['target_relative_error'] is not None or p['precision']['max_md_ns'] is not None:
        check_precision(p['precision'], builder.md)
        set_target(builder, p['precision'])
    builder.validation = validation_parameters(p, mobile)
    return builder


def check_numbers(p: dict) -> None:
    """Refuse temperatures, seeds and training parameters that make no sense.

    :raises ValueError: naming the input and its value.
    """
    for name, temperatures in {
        'temperatures_K': p['temperatures_K'],
        'aimd.temperatures_K': p['aimd']['temperatures_K'],
        'relabelling.temperatures_K': p['relabelling']['temperatures_K'],
        'active_learning.temperatures_K': p['active_learning']['temperatures_K'],
    }.items():
        bad = [T for T in temperatures if not (isinstance(T, (int, float)) and 0 < T < float('inf'))]
        if bad or not temperatures:
            raise ValueError(f'{name} must be temperatures above 0 K, got {temperatures}: give kelvin.')
        if len(set(temperatures)) < len(temperatures):
            raise ValueError(f'{name} names a temperature twice: {temperatures}.')
    aimd = p['aimd']
    for name in ('equilibration_thermostat', 'thermostat'):
        if aimd[name] not in THERMOSTATS:
            raise ValueError(f'aimd.{name} must be one of {", ".join(THERMOSTATS)}, got {aimd[name]}.')
    if not (aimd['timestep_fs'] > 0 and aimd['equilibration_ps'] >= 0 and aimd['sampling_ps'] > 0):
        raise ValueError('aimd.timestep_fs and aimd.sampling_ps must be above 0, and aimd.equilibration_ps not below.')
    if round(aimd['sampling_ps'] * 1e3 / aimd['timestep_fs']) < 2:
        raise ValueError(
            f'aimd.sampling_ps must be at least two steps of {aimd["timestep_fs"]:g} fs, got {aimd["sampling_ps"]:g}: '
            'it is in picoseconds.'
        )
    if aimd['thermostat_steps'] < 1:
        raise ValueError(f'aimd.thermostat_steps must be at least 1, got {aimd["thermostat_steps"]}.')
    seeds = p['seeds']
    if not seeds or len(set(seeds)) < len(seeds) or any(not isinstance(s, int) or not 0 < s < 2**31 for s in seeds):
        raise ValueError(f'seeds must be different integers from 1 to 2147483647, got {seeds}.')
    for section, training in {
        'training': p['training'],
        'relabelling.training': p['relabelling']['training'],
        'active_learning.training': p['active_learning']['training'],
    }.items():
        known = sorted(TrainingParameters.model_fields)
        unknown = sorted(set(training) - set(known))
        if unknown:
            raise ValueError(f'unknown {section} keys {", ".join(unknown)}: choose from {", ".join(known)}.')


def check_precision(precision: dict, md) -> None:
    """Refuse a target without a budget, or a budget that the first round exceeds.

    :raises ValueError: naming the input and its value.
    """
    given = {name: TARGET[name][0](value) for name, value in precision.items() if value is not None}
    if complaint := validate_target({**given, 'md': md}, None):
        raise ValueError(f'precision: {complaint}')


def check_gpus(codes: dict, resources: dict) -> None:
    """Refuse GPUs on a computer whose scheduler cannot be asked for them.

    :raises ValueError: naming the computer's scheduler.
    """
    for label, engine in ENGINES.items():
        asked = resources[engine.resources].get('gpus')
        complaint = gpus_cannot_be_asked(codes[label].computer.scheduler_type) if asked else None
        if complaint:
            raise ValueError(f'resources.{engine.resources}.gpus: {complaint}')


def check_products(structure: orm.StructureData, dataset, model, trust_model: bool) -> None:
    """Refuse a dataset or a model that does not cover the structure, and a model of anyone.

    :raises ValueError: naming the elements that are missing, or saying how to trust the model.
    """
    elements = structure.get_symbols_set()
    if dataset is not None and elements - set(dataset.elements):
        missing = ', '.join(sorted(elements - set(dataset.elements)))
        raise ValueError(f'the dataset has no frame with {missing}: add frames of this material.')
    if model is not None:
        if model.model_format != 'package':
            raise ValueError(f'{model.filename} is compiled for one machine: give the packaged model (.nequip.zip).')
        missing = model.missing_types(elements)
        if missing:
            raise ValueError(
                f'the model knows {", ".join(model.type_names)}, but the structure contains {", ".join(missing)}: '
                'train one on frames of this material.'
            )
        complaint = model.check(orm.Bool(trust_model))
        if complaint:
            raise ValueError(complaint)


def check_candidates(structure: orm.StructureData, candidates, n_candidates) -> None:
    """Refuse candidates whose energies cannot be compared.

    :raises ValueError: naming what is wrong.
    """
    if not isinstance(n_candidates, int) or n_candidates < 1:
        raise ValueError(f'n_candidates must be an integer of at least 1, got {n_candidates}.')
    formulas = {cell.get_formula() for cell in (structure, *(candidates or ()))}
    if len(formulas) > 1:
        raise ValueError(f'the candidates must have one composition, got {", ".join(sorted(formulas))}.')


def check_electrons(atoms) -> None:
    """Refuse a neutral cell with an odd number of electrons: no insulator without spin, and pw.x would stop.

    :raises ValueError: with that number.
    """
    n_electrons = int(atoms.numbers.sum())
    if n_electrons % 2:
        raise ValueError(
            f'the cell {atoms.symbols} has {n_electrons} electrons, an odd number: an open shell, which the DFT of '
            'this work chain does not cover, or an atom too many.'
        )


def check_pseudos(structure: orm.StructureData, label: str) -> None:
    """Refuse a structure with an element that the family has no pseudopotential for.

    :raises ValueError: if the family or an element is missing.
    """
    family = orm.QueryBuilder().append(PseudoPotentialFamily, filters={'label': label}).first(flat=True)
    if family is None:
        raise ValueError(f'the pseudopotential family `{label}` is not installed: run `aiida-ionconduct setup`.')
    missing = sorted(structure.get_symbols_set() - set(family.elements))
    if missing:
        raise ValueError(
            f'the family `{label}` has no pseudopotential for {", ".join(missing)}: name another installed family with '
            'the override dft.pseudo_family.'
        )


def pw_inputs(code, structure, p, calculation, resources, control=None, ions=None) -> dict:
    """Return the inputs of a ``PwBaseWorkChain`` with what all DFT of a campaign shares, without its structure."""
    dft = p['dft']
    with_stress = calculation == 'vc-relax' or bool(p['training'].get('stress_coefficient'))
    parameters = {
        'CONTROL': {'calculation': calculation, 'tstress': with_stress, **(control or {})},
        'SYSTEM': {'nosym': calculation == 'md'},
        'ELECTRONS': {'mixing_beta': 0.7},  # insulators need no caution
    }
    if ions:
        parameters['IONS'] = ions
    builder = PwBaseWorkChain.get_builder_from_protocol(
        code,
        structure,
        protocol=p['relax']['protocol'],
        overrides={
            'pseudo_family': dft['pseudo_family'],
            'meta_parameters': {
                'conv_thr_per_atom': dft['conv_thr_per_atom'],
                'etot_conv_thr_per_atom': p['relax']['etot_conv_thr_per_atom'],
            },
            'pw': {'parameters': parameters},
        },
        electronic_type=ElectronicType.INSULATOR,
        options=job_options({**p['resources']['pw'], **p['resources'].get(resources, {})}),
    )
    inputs = builder._inputs(prune=True)
    if dft['ecutwfc']:  # the density's is in the ratio that the pseudopotentials ask for
        system = inputs['pw']['parameters']['SYSTEM']
        system |= {'ecutwfc': dft['ecutwfc'], 'ecutrho': dft['ecutwfc'] * system['ecutrho'] / system['ecutwfc']}
    inputs['pw'].pop('structure')
    inputs.pop('kpoints_distance')
    inputs.pop('clean_workdir')
    inputs['kpoints'] = kpoints_mesh(structure, dft['kpoints_distance'])
    if inputs['kpoints'].get_kpoints_mesh()[0] == [1, 1, 1]:  # real wave functions at half the cost
        inputs['pw']['settings'] = orm.Dict({'gamma_only': True})
    return inputs


def kpoints_mesh(structure: orm.StructureData, distance: float | None) -> orm.KpointsData:
    """Return a mesh of at most a distance (1/Å) between its points; the zone centre alone without one."""
    kpoints = orm.KpointsData()
    kpoints.set_cell_from_structure(structure)
    if distance:
        kpoints.set_kpoints_mesh_from_density(distance)
    else:
        kpoints.set_kpoints_mesh([1, 1, 1])
    return kpoints


def job_options(resources: dict) -> dict:
    """Return the options of a job from a section of ``resources``."""
    options = {
        'resources': {key: resources[key] for key in ('num_machines', 'num_mpiprocs_per_machine')},
        'max_wallclock_seconds': resources['max_wallclock_seconds'],
    }
    if 'threads' in resources:
        options['environment_variables'] = {'OMP_NUM_THREADS': str(resources['threads'])}
    if resources.get('gpus'):
        options['gpus'] = resources['gpus']
    return options


def relax_inputs(code, structure, p) -> dict:
    """Inputs of the relaxation."""
    relax = p['relax']
    calculation = 'relax' if RelaxType(relax['relax_type']) is RelaxType.POSITIONS else 'vc-relax'
    base = pw_inputs(code, structure, p, calculation, 'relax', control={'forc_conv_thr': relax['forc_conv_thr']})
    return {'base_relax': base, 'meta_convergence': orm.Bool(calculation == 'vc-relax')}


def aimd_inputs(code, structure, p) -> dict:
    """Inputs of the AIMD."""
    aimd = p['aimd']
    ions = {'pot_extrapolation': 'second-order', 'wfc_extrapolation': 'second-order'}
    base = pw_inputs(code, structure, p, 'md', 'pw', {'verbosity': 'low'}, ions)
    base['pw']['parameters']['ELECTRONS']['scf_must_converge'] = False  # a frame that does not converge is flagged
    dynamics = {key: aimd[key] for key in ('timestep_fs', *DYNAMICS)}
    for name in ('equilibration', 'sampling'):
        dynamics[f'n_{name}'] = round(aimd[f'{name}_ps'] * 1e3 / aimd['timestep_fs'])
    return {
        'settings': base['pw'].pop('settings', None) or orm.Dict({}),
        'base': base,
        'dynamics': orm.Dict(dynamics),
        'temperatures_K': orm.List(aimd['temperatures_K']),
        'seed': orm.Int(aimd['seed']),
        'max_concurrent': orm.Int(p['resources']['max_concurrent']),
    }


def frames_parameters(p) -> orm.Dict:
    """Which AIMD frames to take."""
    temperatures = {temperature_label(T): T for T in p['aimd']['temperatures_K']}
    return orm.Dict({'stride': p['dataset']['stride'], 'temperatures_K': temperatures, **curation(p, CURATION)})


def curation(p, names) -> dict:
    """Return those criteria of the curation that are asked for."""
    return {name: p['dataset'][name] for name in names if p['dataset'][name]}


def label_inputs(code, structure, p) -> dict:
    """Inputs of the labelling; single calculations share the settings of the AIMD."""
    base = pw_inputs(code, structure, p, 'scf', 'scf')
    base['pw']['parameters']['SYSTEM']['nosym'] = True
    return {
        'pw': {**base['pw'], 'kpoints': base['kpoints']},
        'parameters': orm.Dict({key: p['dataset'][key] for key in ('max_force_eV_per_A', 'min_fraction')}),
        'frames_per_job': orm.Int(p['resources']['frames_per_job']),
        'max_concurrent': orm.Int(p['resources']['max_concurrent_scf']),
    }


def allegro_inputs(codes, p) -> dict:
    """Inputs of the training and the compilation."""
    return {
        'train': {
            'code': codes['nequip-train'],
            'package_code': codes['nequip-package'],
            'parameters': orm.Dict({'accelerator': ACCELERATORS[p['resources']['device']], **p['training']}),
            'metadata': {'options': job_options(p['resources']['training'])},
        },
        'compile': compile_inputs(codes, p),
        'split': orm.Dict({key: p['dataset'][key] for key in SPLIT}),
    }


def evaluation_inputs(codes, p) -> dict:
    """Inputs of the evaluation by a committee, which runs where the training does."""
    return {
        'code': codes['nequip-train'],
        'accelerator': orm.Str(ACCELERATORS[p['resources']['device']]),
        'metadata': {'options': job_options(p['resources']['training'])},
    }


def compile_inputs(codes, p) -> dict:
    """Inputs of the compilation, which runs where LAMMPS will."""
    resources = p['resources']
    target = {'target': 'mliap'} if resources['md']['mliap'] else {}
    return {
        'code': codes['nequip-compile'],
        'parameters': orm.Dict({'device': resources['device'], 'tf32': resources['tf32'], **target}),
        # compilation is faster on one thread
        'metadata': {'options': job_options({**resources['training'], 'threads': 1})},
    }


def relabelling_parameters(p) -> orm.Dict:
    """Parameters of the rounds of relabelling."""
    relabelling = dict(p['relabelling'])
    steps = {key: relabelling.pop(key) for key in STEPS}
    return orm.Dict({**relabelling, 'md': {**p['md'], **steps}})


def active_learning_parameters(p) -> orm.Dict:
    """Parameters of the active learning, with those of its runs as ``md``."""
    parameters = dict(p['active_learning'])
    steps = {key: parameters.pop(key) for key in STEPS}
    return orm.Dict({**parameters, 'md': {**p['md'], **steps}})


def md_inputs(codes, p) -> dict:
    """Inputs of the production."""
    resources = p['resources']
    atoms_per_run = resources['atoms_per_run'] or ATOMS_PER_RUN[resources['device']]
    md = {'code': codes['lammps'], 'metadata': {'options': job_options(resources['md'])}}
    if resources['md']['kokkos']:
        md['settings'] = orm.Dict({'kokkos_gpus': resources['md'].get('gpus') or 1})
    return {
        'base': {'md': md},
        'parameters': orm.Dict(p['md']),
        'temperatures_K': orm.List(p['temperatures_K']),
        'seeds': orm.List(p['seeds']),
        'atoms_per_run': orm.Int(atoms_per_run),
        'max_concurrent': orm.Int(resources['max_concurrent']),
    }


def validation_parameters(p, mobile) -> orm.Dict:
    """Thresholds of the gate and the length of its runs."""
    validation = dict(p['validation'])
    steps = {key: validation.pop(key) for key in STEPS}
    return orm.Dict({**validation, 'mobile': mobile, 'md': {**p['md'], **steps}})
