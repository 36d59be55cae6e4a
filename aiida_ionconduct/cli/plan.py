"""What a campaign will do, before it does it: jobs, atoms, steps and an estimate of the cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from tabulate import tabulate

from aiida_ionconduct import labels
from aiida_ionconduct.allegro.cost import COMPILE_S, MD_ATOM_STEP_S, training_seconds
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.sampling.tasks import cost, relaxation_tasks
from aiida_ionconduct.structures import states_text, supercell_matrix
from aiida_ionconduct.workchains.precision import MAX_ITERATIONS, has_previous
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

# Core seconds on one core of a 2023 server, from `verdi process list -a` after the quickstart. Good to a factor of
# three for other materials: they tell a minute from a week.
SCF_STEP_S = 2.5  # one MD step of 17 atoms at 35 Ry, zone centre
SCF_FROM_SCRATCH = 1.8  # steps' worth
SCF_ATOMS, SCF_CUTOFF_RY, SCF_EXPONENT = 17, 35.0, 2.3
TEACHER_ATOM_STEP_S = 0.025  # SevenNet-0
RELAXATION_STEPS = {'relax': 15, 'vc-relax': 40}  # of Li13P3SiO16, with stress, until the volume stayed as it was
AFTER_TEACHER = 0.4  # of these steps, where a pretrained potential has relaxed first: 17 for the same crystal

Builder: TypeAlias = Any
"""A ``ProcessBuilder`` of a campaign, whose inputs mypy cannot know."""


class PlannedStage(NamedTuple):
    """A row of the plan."""

    label: str
    """The label of the call of its work chain."""
    name: str
    program: str
    jobs: int
    atoms: int
    steps: int
    core_hours: float


def plan_table(builder: Builder, protocol: str) -> str:
    """Return the plan of a builder as a table."""
    stages = plan(builder)
    rows = [
        (stage.name, stage.program, stage.jobs, stage.atoms, stage.steps, duration(stage.core_hours))
        for stage in stages
    ]
    total = duration(sum(stage.core_hours for stage in stages))
    formula = builder.structure.get_formula()
    headers = ('stage', 'program', 'jobs', 'atoms', 'steps or frames each', 'core time, about')
    goal = ''
    if builder.target_relative_error is not None:
        goal = (
            f'\n\nThe production goes on until σ is known to {builder.target_relative_error.value:.3g} of its value '
            f'(standard error) at every temperature, or {builder.max_md_ns.value:g} ns of MD are spent. '
            'The last row is everything that this budget leaves: its jobs are sets of runs at one temperature, and its '
            'steps are the sum over all runs.'
        )
    return (
        f'{formula}, {len(builder.structure.sites)} atoms, protocol {protocol}, {builder.mobile.value} mobile, charges '
        f'{states_text(builder.charges.get_dict())}{teacher_words(builder)}'
        f'\n\n{tabulate(rows, headers=headers, tablefmt="simple")}\n\n{total} of core time in all, good to a factor '
        f'of three.{orderings_text(builder)}{goal}'
    )


def planned_hours(stages: Sequence[PlannedStage]) -> dict[str, float]:
    """Return the core hours of a plan by the label of the stage."""
    hours: dict[str, float] = {}
    for stage in stages:
        hours[stage.label] = hours.get(stage.label, 0.0) + stage.core_hours
    return hours


def teacher_words(builder: Builder) -> str:
    """Return which pretrained potential samples, and whether it gives all labels; empty if there is none."""
    if not has_teacher(builder):
        return ''
    teacher = builder.sampling['base']['job']['teacher'].get_dict()
    model = teacher['arguments'].get('model')
    name = f'{teacher["title"]} {model}' if isinstance(model, str) else teacher['title']
    if 'parameters' in builder.label['pw']:
        return (
            f'\n\nThe pretrained potential {name} samples and teaches; DFT labels what the potential learns in the end.'
        )
    return (
        f'\n\nNo DFT is done: the potential learns energies and forces of the pretrained potential {name}, and every '
        'result will say so.'
    )


def has_teacher(builder: Builder) -> bool:
    """Return whether a pretrained potential samples or labels."""
    return 'teacher' in builder.sampling['base']['job']


def plan(builder: Builder) -> list[PlannedStage]:
    """Return the stages that a builder describes."""
    n_atoms = len(builder.structure.sites)
    matrix = supercell_matrix(np.array(builder.structure.cell), n_atoms, builder.n_atoms_min.value)
    n_supercell = n_atoms * round(np.linalg.det(matrix))
    if builder.supercell is not None:  # of the campaign that is extended
        n_supercell = len(builder.supercell.sites)
    stages, n_frames = dft_stages(builder, n_atoms)
    # An unused namespace of a builder has the keys of its ports as well, so a required input shows whether it is used.
    if 'parameters' in builder.allegro['train']:
        stages += training_stages(builder, n_atoms, n_frames)
    else:
        stages.append(PlannedStage(labels.COMPILE, 'compilation', 'nequip-compile', 1, 0, 0, COMPILE_S / 3600))
    temperatures = builder.md.temperatures_K.get_list()
    validation = md_stage(
        labels.VALIDATE,
        'validation',
        builder,
        n_atoms=n_supercell,
        temperatures_K=temperatures,
        seeds=[builder.validation['seed']],
        parameters=builder.validation['md'],
    )
    active = builder.active_learning
    stages.append(validation if active is None else in_every_round(validation, active))
    if builder.expansion is not None and not builder.md.get('cells'):
        stages.append(expansion_stage(builder, n_supercell))
    if not (builder.target_relative_error is not None and has_previous(builder.md)):
        stages.append(
            md_stage(
                labels.MD,
                'production',
                builder,
                n_atoms=n_supercell,
                temperatures_K=temperatures,
                seeds=builder.md.seeds.get_list(),
                parameters=builder.md.parameters.get_dict(),
                n_orderings=planned_orderings(builder),
            )
        )
    if builder.target_relative_error is not None:
        stages.append(more_stage(builder, n_supercell))
    return stages


def dft_stages(builder: Builder, n_atoms: int) -> tuple[list[PlannedStage], int]:
    """Return the stages before the first training, and how many frames they give to it."""
    stages, step_s = [], dft_step_s(builder, n_atoms)
    if 'parameters' in builder.relax['base_relax']['pw']:
        n_cells = max(len(builder.candidates), 1)
        if n_first := relaxation_steps_of_teacher(builder):
            hours = n_cells * n_first * n_atoms * TEACHER_ATOM_STEP_S / 3600
            stages.append(PlannedStage(labels.PRERELAX, 'first relaxation', 'ASE', n_cells, n_atoms, n_first, hours))
        calculation = builder.relax['base_relax']['pw']['parameters']['CONTROL']['calculation']
        n_steps = round(RELAXATION_STEPS[calculation] * (AFTER_TEACHER if n_first else 1))
        ratio = cutoff_Ry(builder.relax['base_relax']['pw']) / cutoff_Ry(builder.label['pw'])
        hours = n_cells * n_steps * step_s * ratio**1.5 / 3600
        stages.append(PlannedStage(labels.RELAX, 'relaxation', 'pw.x', n_cells, n_atoms, n_steps, hours))
    if builder.levels is not None:
        n_levels = builder.levels['n_frames']
        stages.append(labelling_stage(labels.LABEL_LEVELS, 'levels of theory', builder, n_levels, n_atoms=n_atoms))
    n_sampled = 0
    if has_teacher(builder) and builder.dataset is None:
        stage, n_sampled = sampling_stage(builder, n_atoms)
        stages.append(stage)
        if builder.selection is not None:
            n_taught, n_sampled = n_sampled, min(builder.selection['n_frames'], n_sampled)
            stages.append(labelling_stage(labels.LABEL_SAMPLED, 'sampled frames', builder, n_sampled, n_atoms=n_atoms))
            parameters = {**builder.allegro.train['parameters'].get_dict(), **builder.teaching.get_dict()}
            checked = TrainingParameters.check(parameters).model_dump()
            stages.append(training_stage(labels.TEACH, 'teaching', n_atoms, n_taught, parameters=checked))
    if 'temperatures_K' not in builder.aimd:
        return stages, n_sampled if builder.dataset is None else builder.dataset.n_frames
    n_runs, dynamics = len(builder.aimd.temperatures_K), builder.aimd.dynamics
    n_steps = dynamics['n_equilibration'] + dynamics['n_sampling']
    stages.append(PlannedStage(labels.AIMD, 'AIMD', 'pw.x', n_runs, n_atoms, n_steps, n_runs * n_steps * step_s / 3600))
    n_rattled = builder.rattle['n_frames'] if builder.rattle else 0
    if n_rattled:
        stages.append(labelling_stage(labels.LABEL_RATTLED, 'rattled cells', builder, n_rattled, n_atoms=n_atoms))
    return stages, n_sampled + n_rattled + n_runs * dynamics['n_sampling'] // builder.frames['stride']


def relaxation_steps_of_teacher(builder: Builder) -> int:
    """Return how many steps a pretrained potential takes at most to relax a cell; 0 if it does not."""
    if not has_teacher(builder):
        return 0
    return sum(map(cost, relaxation_tasks(builder.sampling['parameters'].get_dict())))


def sampling_stage(builder: Builder, n_atoms: int) -> tuple[PlannedStage, int]:
    """Return the sampling by a pretrained potential, and how many frames it gives."""
    p = builder.sampling['parameters'].get_dict()
    n_runs = len(p['temperatures_K']) + len(p['strains']) + len(builder.sampling.get('orderings') or {})
    n_single = p['n_hops'] + p['n_rattled']
    has_dft = 'parameters' in builder.relax['base_relax']['pw']
    n_relax = 0 if has_dft else relaxation_steps_of_teacher(builder)
    hours = (n_runs * p['steps'] + n_single + n_relax) * n_atoms * TEACHER_ATOM_STEP_S / 3600
    n_frames = n_runs * (p['steps'] // p['stride']) + n_single
    jobs = builder.sampling['max_concurrent'].value
    stage = PlannedStage(labels.SAMPLE, 'pretrained potential', 'ASE', jobs, n_atoms, p['steps'], hours)
    return stage, n_frames


def training_stages(builder: Builder, n_atoms: int, n_frames: int) -> list[PlannedStage]:
    """Return the first training and the rounds of relabelling."""
    parameters = TrainingParameters.check(builder.allegro.train['parameters'].get_dict()).model_dump()
    if builder.active_learning is not None:
        return active_learning_stages(builder, n_atoms, n_frames, parameters)
    relabelling: dict[str, Any] = {'n_rounds': 0} if builder.relabelling is None else builder.relabelling.get_dict()
    first = parameters if builder.finetuning is None else {**parameters, **builder.finetuning.get_dict()}
    stages = [training_stage(labels.numbered(labels.TRAIN, 0), 'training', n_atoms, n_frames, parameters=first)]
    for index in range(1, relabelling['n_rounds'] + 1):
        n_labels = relabelling['n_frames']
        n_frames += n_labels
        stages += [
            md_stage(
                labels.numbered(labels.EXPLORE, index),
                f'exploration {index}',
                builder,
                n_atoms=n_atoms,
                temperatures_K=relabelling['temperatures_K'],
                seeds=relabelling['seeds'],
                parameters=relabelling['md'],
                n_orderings=planned_orderings(builder),
            ),
            labelling_stage(
                labels.numbered(labels.LABEL, index), f'relabelling {index}', builder, n_labels, n_atoms=n_atoms
            ),
            training_stage(
                labels.numbered(labels.TRAIN, index),
                f'training {index}',
                n_atoms,
                n_frames,
                parameters={**parameters, **relabelling['training']},
            ),
        ]
    return stages


def labelling_stage(label: str, name: str, builder: Builder, n_frames: int, *, n_atoms: int) -> PlannedStage:
    """Return single calculations of frames, several of them in each job; by the pretrained potential without DFT."""
    if 'parameters' not in builder.label['pw']:
        hours = n_frames * n_atoms * TEACHER_ATOM_STEP_S / 3600
        return PlannedStage(label, name, 'ASE', 1, n_atoms, n_frames, hours)
    size = min(builder.label.frames_per_job.value, n_frames)
    hours = n_frames * SCF_FROM_SCRATCH * dft_step_s(builder, n_atoms) / 3600
    return PlannedStage(label, name, 'pw.x', -(-n_frames // size), n_atoms, size, hours)


def active_learning_stages(
    builder: Builder, n_atoms: int, n_frames: int, parameters: dict[str, Any]
) -> list[PlannedStage]:
    """Return the rounds of an active learning that spends its budget, each kind of job in a row of its own.

    :param n_frames: in the first training set.
    :param parameters: of the training.
    """
    active, label = builder.active_learning.get_dict(), labels.ACTIVE_LEARNING
    n_members, n_rounds = len(active['committee_seeds']), active['max_rounds'] + 1
    n_labels = min(active['max_rounds'] * active['n_frames'], active['max_frames'])
    first = training_stage(label, '', n_atoms, n_frames, parameters=parameters)
    later = training_stage(
        label, '', n_atoms, n_frames + n_labels // 2, parameters={**parameters, **active['training']}
    )
    hours = n_members * (first.core_hours + (n_rounds - 1) * later.core_hours)
    committee = PlannedStage(
        label, 'committee, at most', 'nequip', n_members * n_rounds, n_atoms, parameters['max_epochs'], hours
    )
    runs = md_stage(
        label,
        'exploration',
        builder,
        n_atoms=n_atoms,
        temperatures_K=active['temperatures_K'],
        seeds=active['seeds'],
        parameters=active['md'],
        n_orderings=planned_orderings(builder),
    )
    labelling = labelling_stage(label, 'labelling, at most', builder, n_labels, n_atoms=n_atoms)
    return [committee, in_every_round(runs, active), labelling]


def in_every_round(stage: PlannedStage, active: Mapping[str, Any]) -> PlannedStage:
    """Return a stage that is repeated after every training of an active learning.

    :param active: parameters of the active learning.
    """
    n_rounds = active['max_rounds'] + 1
    name = f'{stage.name}, at most'
    return stage._replace(name=name, jobs=stage.jobs * n_rounds, core_hours=stage.core_hours * n_rounds)


def training_stage(
    label: str, name: str, n_atoms: int, n_frames: int, *, parameters: Mapping[str, Any]
) -> PlannedStage:
    """Return a training with its compilation; the cost grows with the features and the neighbours."""
    n_epochs = parameters['max_epochs']
    seconds = training_seconds(parameters, n_frames * n_atoms, n_epochs) + COMPILE_S
    return PlannedStage(label, name, 'nequip', 1, n_atoms, n_epochs, seconds / 3600)


def dft_step_s(builder: Builder, n_atoms: int) -> float:
    """Return the core seconds of one self-consistent MD step."""
    pw = builder.label['pw']
    if 'parameters' not in pw:
        return 0.0
    n_kpoints = math.prod(pw['kpoints'].get_kpoints_mesh()[0])
    return SCF_STEP_S * (n_atoms / SCF_ATOMS) ** SCF_EXPONENT * (cutoff_Ry(pw) / SCF_CUTOFF_RY) ** 1.5 * n_kpoints


def cutoff_Ry(pw: Mapping[str, Any]) -> float:
    """Return the cutoff of the wave functions in Ry of the inputs of pw.x."""
    return float(pw['parameters']['SYSTEM']['ecutwfc'])


def more_stage(builder: Builder, n_atoms: int) -> PlannedStage:
    """Return everything that the budget leaves after the first round, as runs or as longer runs."""
    parameters, n_temperatures = builder.md.parameters, len(builder.md.temperatures_K.get_list())
    if has_previous(builder.md):
        restarts = [node.base.attributes.all for node in builder.md.previous['restarts'].values()]
        timestep_fs = parameters['timestep_fs']
        steps = sum(round(restart['step'] * restart['timestep_fs'] / timestep_fs) for restart in restarts)
        done = steps + len(restarts) * parameters['equilibration_steps']
    else:
        n_runs = n_temperatures * len(builder.md.seeds.get_list())
        done = n_runs * (parameters['equilibration_steps'] + parameters['production_steps'])
    left = max(round(builder.max_md_ns.value * 1e6 / parameters['timestep_fs']) - done, 0)
    n_rounds = MAX_ITERATIONS if builder.max_iterations is None else builder.max_iterations.value
    n_jobs = (n_rounds - 1) * n_temperatures
    return PlannedStage(labels.MD, 'more, at most', 'LAMMPS', n_jobs, n_atoms, left, md_hours(n_atoms * left))


def md_stage(
    label: str,
    name: str,
    builder: Builder,
    *,
    n_atoms: int,
    temperatures_K: Sequence[float],
    seeds: list[int],
    parameters: Mapping[str, Any],
    n_orderings: int = 0,
) -> PlannedStage:
    """Return MD runs with the potential; the atoms of a run are the atoms of all seeds that share it.

    :param n_atoms: of one seed.
    :param n_orderings: over which the seeds are spread.
    """
    groups = seed_groups(seeds, max_replicas(n_atoms, builder.md.atoms_per_run.value), n_orderings)
    n_steps = parameters['equilibration_steps'] + parameters['production_steps']
    hours = md_hours(len(temperatures_K) * len(seeds) * n_atoms * n_steps)
    n_jobs = len(temperatures_K) * len(groups)
    return PlannedStage(label, name, 'LAMMPS', n_jobs, n_atoms * len(groups[0]), n_steps, hours)


def expansion_stage(builder: Builder, n_atoms: int) -> PlannedStage:
    """Return the runs at constant pressure, each of one seed.

    :param n_atoms: of the supercell.
    """
    p, n_cells = builder.expansion.get_dict(), max(planned_orderings(builder), 1)
    n_runs = len(builder.md.temperatures_K.get_list()) * len(p['seeds']) * n_cells
    n_steps = p['md']['equilibration_steps'] + p['md']['production_steps']
    hours = md_hours(n_runs * n_atoms * n_steps)
    return PlannedStage(labels.EXPAND, 'thermal expansion', 'LAMMPS', n_runs, n_atoms, n_steps, hours)


def planned_orderings(builder: Builder) -> int:
    """Return the number of orderings over which the seeds are spread; 0 without a spread."""
    return len(builder.orderings) if builder.n_orderings is None else int(builder.n_orderings.value)


def orderings_text(builder: Builder) -> str:
    """Return which seeds start from which ordering; nothing where all start from one."""
    n_orderings = planned_orderings(builder)
    if not n_orderings:
        return ''
    groups = labels.seeds_of_orderings(builder.md.seeds.get_list(), n_orderings)
    listed = '; '.join(
        f'{number}: seeds {", ".join(map(str, seeds))}' for number, seeds in enumerate(groups.values(), start=1)
    )
    return f'\n\nThe seeds are spread over {n_orderings} orderings ({listed}).'


def md_hours(atom_steps: int) -> float:
    """Return the core hours of MD with the potential.

    :param atom_steps: the number of atoms times the number of steps.
    """
    return atom_steps * MD_ATOM_STEP_S / 3600


def duration(hours: float) -> str:
    """Return a time with a unit that suits it."""
    for unit, length in (('days', 24.0), ('h', 1.0), ('min', 1 / 60)):
        if hours >= 2 * length:
            return f'{hours / length:.0f} {unit}'
    return f'{hours * 3600:.0f} s'
