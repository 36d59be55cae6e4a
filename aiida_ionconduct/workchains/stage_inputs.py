"""From a protocol to the inputs of each stage of a campaign."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida_quantumespresso.common.types import ElectronicType, RelaxType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_ionconduct.allegro.configuration import ACCELERATORS
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.farm.site import options_of_job
from aiida_ionconduct.labels import temperature_label
from aiida_ionconduct.sampling.tasks import sampling_temperatures
from aiida_ionconduct.sampling.teachers import calculator_arguments, teacher_named

Codes = Mapping[str, orm.AbstractCode]
"""Codes by the labels of the engines, see :func:`load_codes`."""
Inputs = Mapping[str, Any]
"""A protocol with its overrides, or a section of it."""

DYNAMICS = ('equilibration_thermostat', 'thermostat', 'thermostat_steps')
CURATION = ('max_force_eV_per_A', 'duplicate_A', 'spacing_correlation_times')
SPLIT = ('validation', 'test', 'seed', 'gap_correlation_times')
SAMPLING = (
    'steps', 'stride', 'strains', 'n_hops', 'n_rattled', 'seed', 'timestep_fs', 'friction_per_ps', 'max_force_eV_per_A',
    'relax_steps', 'relax_force_eV_per_A',
)  # fmt: skip
STEPS = ('equilibration_steps', 'production_steps')
BAROSTAT = ('pressure_bar', 'thermostat_damping_fs', 'barostat_damping_fs', 'pressure_coupling')
CELL_INTERVAL_FS = 50.0  # between two rows of a run at constant pressure: several in a vibration of the cell
EXPANSION_STRESS = 1000.0
"""Weight of the stress, in eV/Å³, in a training for runs at constant pressure, where none is stated. Beside a weight of
10 of the forces, an error of the stress of 1 kbar counts as much as 60 meV/Å in the choice of the best epoch. In the
loss, which has squares, the stress counts as much as the forces where it is off by 16 kbar and they by 0.1 eV/Å."""
NEWTONIAN = {'ensemble': 'nve'}
"""Runs that try a potential are at constant energy: a potential that falls into a minimum of its own making heats up,
which shows, while a thermostat would take the heat away."""
ATOMS_PER_RUN = {'cpu': 1, 'cuda': 2048}  # a small cell leaves a GPU idle, so seeds share it; cores do not gain


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

    A relaxation with the cell takes at least the cutoff that the pseudopotentials recommend: the stress is converged
    far later than the forces, and plane waves that are missing pull the cell together (Pulay stress).

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
        options=job_options(code, {**p['resources']['pw'], **stated(p['resources'][resources])}),
    )
    inputs = builder._inputs(prune=True)
    system = inputs['pw']['parameters']['SYSTEM']  # with the cutoffs of the pseudopotentials
    cutoff = dft['ecutwfc'] or system['ecutwfc']
    if calculation == 'vc-relax':
        cutoff = max(cutoff, system['ecutwfc'])
    system |= {'ecutwfc': cutoff, 'ecutrho': cutoff * system['ecutrho'] / system['ecutwfc']}
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


def job_options(code: orm.AbstractCode, resources: Inputs) -> dict[str, Any]:
    """Return the options of a job from a section of ``resources``, over what the site says of the computer.

    :raises ValueError: for what the scheduler of the computer cannot be asked for.
    """
    return options_of_job(code, stated(resources))


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


def levels_parameters(p: Inputs) -> orm.Dict:
    """Return how the level of theory of a given training set is compared with DFT here."""
    dataset = p['dataset']
    return orm.Dict(
        {
            'n_frames': dataset['level_frames'],
            'max_forces_rmse_eV_per_A': dataset['level_forces_rmse_eV_per_A'],
            'max_energy_mae_eV_per_atom': dataset['level_energy_mae_eV_per_atom'],
        }
    )


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
            'metadata': {'options': job_options(codes['nequip-train'], p['resources']['training'])},
        },
        'compile': compile_inputs(codes, p),
        'split': orm.Dict({key: p['dataset'][key] for key in SPLIT}),
    }


def evaluation_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the evaluation by a committee, which runs where the training does."""
    return {
        'code': codes['nequip-train'],
        'accelerator': orm.Str(ACCELERATORS[p['resources']['device']]),
        'metadata': {'options': job_options(codes['nequip-train'], p['resources']['training'])},
    }


def compile_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the compilation, which runs where LAMMPS will, and of its check, without the frame."""
    resources = p['resources']
    target = {'target': 'mliap'} if resources['md']['mliap'] else {}
    accelerations = stated(resources['compilation'])
    check: dict[str, Any] = {'train_code': train_code_beside(codes), 'lammps_code': codes['lammps']}
    if resources['md']['kokkos']:
        check['settings'] = orm.Dict({'kokkos_gpus': 1})
    return {
        'code': codes['nequip-compile'],
        'check': check,
        'parameters': orm.Dict({'device': resources['device'], 'tf32': resources['tf32'], **target, **accelerations}),
        # compilation is faster on one thread
        'metadata': {'options': job_options(codes['nequip-compile'], {**resources['training'], 'threads': 1})},
    }


def train_code_beside(codes: Codes) -> orm.AbstractCode:
    """Return a code of nequip-train on the computer of nequip-compile, where a compiled model is compared with nequip.

    :raises ValueError: if there is none, or LAMMPS is on another computer.
    """
    compiler, trainer = codes['nequip-compile'], codes['nequip-train']
    computer = compiler.computer
    if codes['lammps'].computer != computer:
        raise ValueError(
            f'the code {compiler.full_label} is not on the computer of {codes["lammps"].full_label}: a compiled model '
            'belongs to the machine that compiled it. Set up nequip-compile on the computer of LAMMPS, and name it '
            'with --codes nequip-compile=LABEL.'
        )
    if trainer.computer == computer:
        return trainer
    label = f'nequip-train@{computer.label if computer else ""}'
    try:
        beside: orm.AbstractCode = orm.load_code(label)
    except NotExistent as exception:
        raise ValueError(
            f'the code `{label}` does not exist: nequip-compile runs there, and the compiled model is compared with '
            f'nequip by nequip-train on the same computer. Add it to the site file, or make it by verdi code create '
            'core.code.installed --label nequip-train --default-calc-job-plugin ionconduct.allegro.train.'
        ) from exception
    return beside


def sampling_inputs(code: orm.AbstractCode, p: Inputs, mobile: str, orderings: Sequence[orm.StructureData]) -> Inputs:
    """Return the inputs of the sampling by a pretrained potential.

    :param orderings: other cells of the structure's composition, the best first.
    """
    pretrained, resources = p['pretrained'], p['resources']
    teacher = teacher_named(pretrained['calculator'])
    device = pretrained['device'] or (resources['device'] if teacher.device else None)
    arguments = calculator_arguments(teacher, pretrained['arguments'], device=device, dtype=pretrained['dtype'])
    parameters = {name: pretrained[name] for name in SAMPLING}
    parameters['temperatures_K'] = sampling_temperatures(pretrained['temperatures_K'], p['temperatures_K'])
    parameters |= {'mobile': mobile, 'rattle': {name: p['rattle'][name] for name in ('amplitudes_A', 'mobile_factor')}}
    job = {
        'code': code,
        'teacher': orm.Dict(
            {'title': teacher.title, 'target': teacher.target, 'arguments': arguments, 'install': teacher.install}
        ),
        'metadata': {'options': job_options(code, resources['training'])},
    }
    chosen = orderings[: pretrained['n_orderings']]
    return {
        'base': {'job': job},
        'parameters': orm.Dict(parameters),
        'orderings': {f'ordering_{index:02d}': cell for index, cell in enumerate(chosen, start=1)},
        'max_concurrent': orm.Int(resources['max_concurrent']),
    }


def relabelling_parameters(p: Inputs) -> orm.Dict:
    """Return the parameters of the rounds of relabelling; see :data:`NEWTONIAN` for the ensemble of their runs."""
    relabelling = dict(p['relabelling'])
    steps = {key: relabelling.pop(key) for key in STEPS}
    return orm.Dict({**relabelling, 'md': {**p['md'], **steps, **NEWTONIAN}})


def active_learning_parameters(p: Inputs) -> orm.Dict:
    """Return the parameters of the active learning, with the parameters of its runs as ``md``."""
    parameters = dict(p['active_learning'])
    steps = {key: parameters.pop(key) for key in STEPS}
    return orm.Dict({**parameters, 'md': {**p['md'], **steps, **NEWTONIAN}})


def with_safe_thermostat(p: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with a Nosé–Hoover chain where Langevin dynamics are known to fail, unless it is stated.

    `fix langevin … zero yes` has crashed with Kokkos on GPUs (https://github.com/lammps/lammps/issues/4912), and wrong
    local temperatures were reported with ML-IAP.
    """
    md, resources = p['md'], p['resources']['md']
    if not (resources['kokkos'] or resources['mliap']) or md.get('thermostat') == 'nose-hoover':
        return p
    cause = 'Kokkos' if resources['kokkos'] else 'ML-IAP'
    if 'thermostat' in md:
        warnings.warn(
            f'md.thermostat is {md["thermostat"]}, which is known to fail with {cause} on GPUs: take nose-hoover.',
            stacklevel=3,
        )
        return p
    warnings.warn(
        f'the thermostat is nose-hoover instead of langevin, which is known to fail with {cause} on GPUs; state '
        '`thermostat: langevin` in `md` to have it nevertheless.',
        stacklevel=3,
    )
    return {**p, 'md': {**md, 'thermostat': 'nose-hoover'}}


def with_stress_for_expansion(p: dict[str, Any], model: AllegroModelData | None) -> dict[str, Any]:
    """Return the parameters with a weight of the stress in the training where `expand` needs it, unless it is stated.

    :param model: in place of a training, which then has no weight.
    """
    if not p['expand'] or model is not None or 'stress_coefficient' in p['training']:
        return p
    warnings.warn(
        f'expand is true: the potential is trained on stress with training.stress_coefficient {EXPANSION_STRESS:g}, '
        'which was assumed; DFT computes the stresses. State training.stress_coefficient to have another weight.',
        stacklevel=3,
    )
    return {
        **p,
        'training': {**p['training'], 'stress_coefficient': EXPANSION_STRESS},
        'expansion': {**p['expansion'], 'assumed': {'training.stress_coefficient': EXPANSION_STRESS}},
    }


def md_inputs(codes: Codes, p: Inputs) -> dict[str, Any]:
    """Return the inputs of the production."""
    resources = p['resources']
    atoms_per_run = resources['atoms_per_run'] or ATOMS_PER_RUN[resources['device']]
    md: dict[str, Any] = {
        'code': codes['lammps'],
        'metadata': {'options': job_options(codes['lammps'], resources['md'])},
    }
    settings = stated(resources['pair_style'])
    if resources['md']['kokkos']:
        settings['kokkos_gpus'] = resources['md'].get('gpus') or 1
    if settings:
        md['settings'] = orm.Dict(settings)
    return {
        'base': {'md': md},
        'parameters': orm.Dict(p['md']),
        'temperatures_K': orm.List(p['temperatures_K']),
        'seeds': orm.List(p['seeds']),
        'atoms_per_run': orm.Int(atoms_per_run),
        'max_concurrent': orm.Int(resources['max_concurrent']),
    }


def expansion_parameters(p: Inputs) -> orm.Dict:
    """Return the parameters of the stage that finds the cell at each temperature, with those of its runs as ``md``.

    ``assumed`` are parameters of other stages that were not stated, see :func:`with_stress_for_expansion`.
    """
    expansion, timestep_fs = p['expansion'], p['md']['timestep_fs']
    md = {name: expansion[name] for name in BAROSTAT if expansion[name] is not None}
    md |= {
        'ensemble': 'npt',
        'production_thermostat': None,
        'equilibration_steps': round(expansion['equilibration_ps'] * 1000 / timestep_fs),
        'production_steps': round(expansion['time_ps'] * 1000 / timestep_fs),
        'thermo_stride': max(round(CELL_INTERVAL_FS / timestep_fs), 1),
    }
    stated_or_assumed = {name: expansion[name] for name in ('seeds', 'max_strain', 'assumed') if name in expansion}
    return orm.Dict({**stated_or_assumed, 'md': md})


def validation_parameters(p: Inputs, mobile: str) -> orm.Dict:
    """Return the thresholds of the gate, with the length of the production, and the parameters of its runs as ``md``.

    The runs of the gate are at constant energy, whatever the production is: it asks whether the energy is conserved.
    """
    validation = {key: value for key, value in p['validation'].items() if key != 'aimd'}  # no threshold, but a stage
    steps = {key: validation.pop(key) for key in STEPS}
    production_ps = p['md']['production_steps'] * p['md']['timestep_fs'] / 1000
    md = {**p['md'], **steps, **NEWTONIAN}
    return orm.Dict({**validation, 'mobile': mobile, 'production_ps': production_ps, 'md': md})
