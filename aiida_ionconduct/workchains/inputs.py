"""From a protocol to the inputs of :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.common.links import LinkType
from aiida.engine import ProcessBuilder
from aiida_quantumespresso.common.types import ElectronicType, RelaxType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.labels import MD, temperature_label
from aiida_ionconduct.structures import check_charges, check_structure
from aiida_ionconduct.workchains.checks import (
    check_candidates,
    check_dataset,
    check_electrons,
    check_gpus,
    check_model,
    check_precision,
    check_pseudos,
)
from aiida_ionconduct.workchains.precision import TARGET, set_target, take_over
from aiida_ionconduct.workchains.protocols import protocol_inputs

if TYPE_CHECKING:
    from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain

Codes = Mapping[str, orm.AbstractCode]
"""Codes by the labels of the engines, see :func:`load_codes`."""
Inputs = Mapping[str, Any]
"""A protocol with its overrides, or a section of it."""

DYNAMICS = ('equilibration_thermostat', 'thermostat', 'thermostat_steps')
CURATION = ('max_force_eV_per_A', 'duplicate_A', 'spacing_correlation_times')
SPLIT = ('validation', 'test', 'seed', 'gap_correlation_times')
STEPS = ('equilibration_steps', 'production_steps')
ACCELERATORS = {'cpu': 'cpu', 'cuda': 'gpu'}
ATOMS_PER_RUN = {'cpu': 1, 'cuda': 2048}  # a small cell leaves a GPU idle, so seeds share it; cores do not gain


def load_codes(labels: Mapping[str, str] | None = None, computer: str = 'localhost') -> dict[str, orm.AbstractCode]:
    """Load the codes of all engines.

    :param labels: labels, PKs or UUIDs of codes that are not called ``name@computer``.
    :raises ValueError: for a code that is missing or belongs to another plugin, saying how to set it up.
    """
    unknown = sorted(set(labels or {}) - set(ENGINES))
    if unknown:
        raise ValueError(f'unknown code names {", ".join(unknown)}: choose from {", ".join(ENGINES)}.')
    codes: dict[str, orm.AbstractCode] = {}
    for name, engine in ENGINES.items():
        label = (labels or {}).get(name, f'{name}@{computer}')
        try:
            code: orm.AbstractCode = orm.load_code(label)
        except NotExistent as exception:
            raise ValueError(
                f'the code `{label}` does not exist: run `aiida-ionconduct setup`, or set it up with `verdi code '
                f'create core.code.installed --default-calc-job-plugin {engine.plugin}` and name it with --codes '
                f'{name}=LABEL.'
            ) from exception
        if code.default_calc_job_plugin != engine.plugin:
            raise ValueError(
                f'the code `{label}` is of the plugin {code.default_calc_job_plugin}, {name} needs {engine.plugin}.'
            )
        codes[name] = code
    return codes


def get_builder_from_protocol(
    cls: type[ConductivityWorkChain],
    codes: Codes,
    structure: orm.StructureData,
    protocol: str | None = None,
    *,
    overrides: Inputs | None = None,
    charges: dict[str, int] | None = None,
    mobile: str = 'Li',
    dataset: DatasetData | None = None,
    model: AllegroModelData | None = None,
    trust_model: bool = False,
    relaxed: bool = False,
    candidates: Sequence[orm.StructureData] = (),
) -> ProcessBuilder:
    """Return a builder with the inputs of a protocol, everything checked that can be checked before submission.

    :param structure: the cell that DFT is to see.
    :param protocol: ``quickstart``, ``fast``, ``balanced``, ``stringent`` or ``talk``.
    :param overrides: nested like the protocol; unknown keys are refused.
    :param charges: integer charges by chemical symbol where the usual oxidation states do not hold.
    :param mobile: chemical symbol of the mobile ion.
    :param dataset: a training set, instead of AIMD.
    :param model: a packaged model, instead of a training.
    :param trust_model: load a model that was not made by a training in this profile.
    :param relaxed: take the structure as it is.
    :param candidates: ordered cells of the structure's composition, best first; the first ``n_candidates`` of them are
        relaxed, and the lowest in energy is taken on.
    :raises ValueError: for anything wrong with the structure, charges, protocol, pseudopotentials, codes, dataset or
        model, saying what to do.
    """
    p = protocol_inputs('conductivity', protocol, overrides)
    atoms = structure.get_ase()
    check_structure(atoms, mobile)
    charges = check_charges(atoms, charges)
    check_gpus(codes, p['resources'])
    check_dataset(structure, dataset)
    check_model(structure, model, trust_model=trust_model)
    check_candidates(structure, candidates)
    labels = p['relabelling']['max_rounds'] + p['active_learning']['max_rounds'] > 0 or dataset is None
    if model is None and (labels or not relaxed):
        check_electrons(atoms)
        check_pseudos(structure, p['dft']['pseudo_family'])

    builder = cls.get_builder()
    builder.structure = structure
    builder.charges, builder.mobile = orm.Dict(charges), orm.Str(mobile)
    builder.n_atoms_min = orm.Int(p['n_atoms_min'])
    if model is None:
        if not relaxed:
            builder.relax = relax_inputs(codes['pw'], structure, p)
            builder.candidates = candidate_inputs(candidates, p)
        if dataset is None:
            builder.aimd = aimd_inputs(codes['pw'], structure, p)
            if p['rattle']['n_frames']:
                builder.rattle = orm.Dict({**p['rattle'], 'mobile': mobile})
            builder.frames = frames_parameters(p)
        else:
            builder.dataset = dataset
            builder.curation = orm.Dict(curation(p, ('equilibration_ps', *CURATION)))
        if labels or not relaxed:
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
        builder['compile'].trust_model = builder['md'].base.md.trust_model = orm.Bool(True)
    if p['precision']['target_relative_error'] is not None or p['precision']['max_md_ns'] is not None:
        check_precision(p['precision'], builder['md'])
        set_target(builder, p['precision'])
    builder.validation = validation_parameters(p, mobile)
    return builder


def get_builder_extending(
    cls: type[ConductivityWorkChain], node: orm.WorkChainNode, **target: float | None
) -> ProcessBuilder:
    """Return the builder of a campaign that goes on where the production of an earlier one has ended.

    Structure, potential and molecular dynamics of the earlier campaign are taken over.

    :param node: the earlier campaign, successful or not, as long as it has a potential.
    :param target: the values of ``target_relative_error``, ``max_md_ns`` and ``max_iterations`` that change; the budget
        includes the molecular dynamics of the earlier campaign.
    :raises ValueError: if the earlier campaign has no potential, or a name is unknown.
    """
    if 'model' not in node.outputs:
        raise ValueError(f'{node.process_label}<{node.pk}> has no potential to go on with: submit it again.')
    inputs, builder = node.get_builder_restart()._inputs(prune=True), cls.get_builder()
    for name in ('charges', 'mobile', 'n_atoms_min', 'compile', 'md', 'validation', 'ignore_validation', *TARGET):
        if name in inputs:
            builder[name] = inputs[name]
    for name in ('structure', 'model', 'dataset'):
        if name in node.outputs:
            builder[name] = node.outputs[name]
    set_target(builder, target)
    calls = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK, link_label_filter=MD)
    for production in calls.all_nodes():
        take_over(builder['md'], production)
    return builder


def candidate_inputs(candidates: Sequence[orm.StructureData], p: Inputs) -> dict[str, orm.StructureData]:
    """Return the candidates that are relaxed by label; none if there is only one."""
    chosen = candidates[: p['n_candidates']]
    return {f'candidate_{index:02d}': cell for index, cell in enumerate(chosen)} if len(chosen) > 1 else {}


def pw_inputs(
    code: orm.AbstractCode,
    structure: orm.StructureData,
    p: Inputs,
    *,
    calculation: str,
    resources: str,
    control: Inputs | None = None,
    ions: Inputs | None = None,
) -> dict[str, Any]:
    """Return the inputs of a ``PwBaseWorkChain`` without the structure, with the settings that all DFT shares.

    :param p: inputs of the protocol.
    :param calculation: the kind of calculation of pw.x.
    :param resources: the section of ``resources`` whose values replace those of ``pw``.
    :param control: further parameters of the namelist CONTROL.
    :param ions: parameters of the namelist IONS.
    """
    dft = p['dft']
    with_stress = calculation == 'vc-relax' or bool(p['training'].get('stress_coefficient'))
    parameters: dict[str, Any] = {
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
        options=job_options({**p['resources']['pw'], **stated(p['resources'][resources])}),
    )
    inputs = builder._inputs(prune=True)
    if dft['ecutwfc']:  # the density cutoff keeps the ratio of the pseudopotentials
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


def stated(resources: Inputs) -> dict[str, Any]:
    """Return the resources that are not null."""
    return {name: value for name, value in resources.items() if value is not None}


def job_options(resources: Inputs) -> dict[str, Any]:
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


def relax_inputs(code: orm.AbstractCode, structure: orm.StructureData, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the relaxation."""
    relax = p['relax']
    calculation = 'relax' if RelaxType(relax['relax_type']) is RelaxType.POSITIONS else 'vc-relax'
    control = {'forc_conv_thr': relax['forc_conv_thr']}
    base = pw_inputs(code, structure, p, calculation=calculation, resources='relax', control=control)
    return {'base_relax': base, 'meta_convergence': orm.Bool(calculation == 'vc-relax')}


def aimd_inputs(code: orm.AbstractCode, structure: orm.StructureData, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the AIMD."""
    aimd = p['aimd']
    ions = {'pot_extrapolation': 'second-order', 'wfc_extrapolation': 'second-order'}
    control = {'verbosity': 'low'}
    base = pw_inputs(code, structure, p, calculation='md', resources='pw', control=control, ions=ions)
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


def frames_parameters(p: Inputs) -> orm.Dict:
    """Return which AIMD frames become part of the training set."""
    temperatures = {temperature_label(T): T for T in p['aimd']['temperatures_K']}
    return orm.Dict({'stride': p['dataset']['stride'], 'temperatures_K': temperatures, **curation(p, CURATION)})


def curation(p: Inputs, names: Iterable[str]) -> dict[str, Any]:
    """Return the criteria of the curation by name, without those that are null or 0."""
    return {name: p['dataset'][name] for name in names if p['dataset'][name]}


def label_inputs(code: orm.AbstractCode, structure: orm.StructureData, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the labelling; single calculations share the settings of the AIMD."""
    base = pw_inputs(code, structure, p, calculation='scf', resources='scf')
    base['pw']['parameters']['SYSTEM']['nosym'] = True
    return {
        'pw': {**base['pw'], 'kpoints': base['kpoints']},
        'parameters': orm.Dict({key: p['dataset'][key] for key in ('max_force_eV_per_A', 'min_fraction')}),
        'frames_per_job': orm.Int(p['resources']['frames_per_job']),
        'max_concurrent': orm.Int(p['resources']['max_concurrent_scf']),
    }


def allegro_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the training and the compilation."""
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


def evaluation_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the evaluation by a committee, which runs where the training does."""
    return {
        'code': codes['nequip-train'],
        'accelerator': orm.Str(ACCELERATORS[p['resources']['device']]),
        'metadata': {'options': job_options(p['resources']['training'])},
    }


def compile_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the compilation, which runs where LAMMPS will."""
    resources = p['resources']
    target = {'target': 'mliap'} if resources['md']['mliap'] else {}
    return {
        'code': codes['nequip-compile'],
        'parameters': orm.Dict({'device': resources['device'], 'tf32': resources['tf32'], **target}),
        # compilation is faster on one thread
        'metadata': {'options': job_options({**resources['training'], 'threads': 1})},
    }


def relabelling_parameters(p: Inputs) -> orm.Dict:
    """Return the parameters of the rounds of relabelling."""
    relabelling = dict(p['relabelling'])
    steps = {key: relabelling.pop(key) for key in STEPS}
    return orm.Dict({**relabelling, 'md': {**p['md'], **steps}})


def active_learning_parameters(p: Inputs) -> orm.Dict:
    """Return the parameters of the active learning, with the parameters of its runs as ``md``."""
    parameters = dict(p['active_learning'])
    steps = {key: parameters.pop(key) for key in STEPS}
    return orm.Dict({**parameters, 'md': {**p['md'], **steps}})


def md_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the production."""
    resources = p['resources']
    atoms_per_run = resources['atoms_per_run'] or ATOMS_PER_RUN[resources['device']]
    md: dict[str, Any] = {'code': codes['lammps'], 'metadata': {'options': job_options(resources['md'])}}
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


def validation_parameters(p: Inputs, mobile: str) -> orm.Dict:
    """Return the thresholds of the gate, with the parameters of its runs as ``md``."""
    validation = dict(p['validation'])
    steps = {key: validation.pop(key) for key in STEPS}
    return orm.Dict({**validation, 'mobile': mobile, 'md': {**p['md'], **steps}})
