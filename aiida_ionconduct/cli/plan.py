"""What a campaign will do, before it does it: jobs, atoms, steps and an estimate of the cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from aiida_ionconduct.allegro.configuration import DEFAULTS
from aiida_ionconduct.structures import supercell_repeats
from aiida_ionconduct.workchains.precision import MAX_ITERATIONS, has_previous
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

# Core seconds on one core of a 2023 server, from the quickstart: `verdi process list -a` of its own runs. Good to a
# factor of three for other materials; they tell a minute from a week.
SCF_STEP_S = 2.5  # one MD step of 17 atoms at 35 Ry, zone centre
SCF_FROM_SCRATCH = 1.8  # steps' worth
SCF_ATOMS, SCF_CUTOFF_RY, SCF_EXPONENT = 17, 35.0, 2.3
TRAINING_ATOM_EPOCH_S = 4e-4  # one atom of one frame, for the quickstart's 48 features and l_max 2
MD_ATOM_STEP_S = 1.5e-4
COMPILE_S = 30.0


class Stage(NamedTuple):
    """One row of the plan."""

    stage: str
    program: str
    jobs: int
    atoms: int
    steps: int
    core_hours: float


def plan_table(builder, protocol: str) -> str:
    """Return the plan of a builder as a table."""
    stages = plan(builder)
    rows = [(*stage[:-1], duration(stage.core_hours)) for stage in stages]
    total = duration(sum(stage.core_hours for stage in stages))
    formula = builder.structure.get_formula()
    headers = ('stage', 'program', 'jobs', 'atoms', 'steps or frames each', 'core time, about')
    goal = ''
    if builder.target_relative_error is not None:
        goal = (
            f'\n\nThe production goes on until σ is known to {builder.target_relative_error.value:.3g} of its value '
            f'(standard error) at every temperature, or {builder.max_md_ns.value:g} ns of MD are spent; '
            'the last row is all that this leaves, its steps those of all its runs together, its jobs farms of runs.'
        )
    return (
        f'{formula}, {len(builder.structure.sites)} atoms, protocol {protocol}, {builder.mobile.value} mobile, charges '
        + ', '.join(f'{symbol} {charge:+d}' for symbol, charge in builder.charges.get_dict().items())
        + f'\n\n{tabulate(rows, headers=headers, tablefmt="simple")}\n\n{total} of core time in all, good to a factor '
        f'of three.{goal}'
    )


def plan(builder) -> list[Stage]:
    """Return the stages that a builder describes; relaxations are taken as 15 steps."""
    n = len(builder.structure.sites)
    supercell = n * int(np.prod(supercell_repeats(builder.structure.cell, n, builder.n_atoms_min.value)))
    stages, n_frames = [], 0
    scf = dft_step_s(builder, n)
    # An empty namespace of a builder has the keys of its ports all the same: only what is a value tells.
    if 'parameters' in builder.relax['base_relax']['pw']:
        cells = max(len(builder.candidates), 1)
        stages.append(Stage('relaxation', 'pw.x', cells, n, 15, cells * 15 * scf / 3600))
    if 'temperatures_K' in builder.aimd:
        runs, dynamics = len(builder.aimd.temperatures_K), builder.aimd.dynamics
        steps = dynamics['n_equilibration'] + dynamics['n_sampling']
        stages.append(Stage('AIMD', 'pw.x', runs, n, steps, runs * steps * scf / 3600))
        rattled = builder.rattle['n_frames'] if builder.rattle else 0
        if rattled:
            stages.append(labelling_stage('rattled cells', builder, rattled, n, scf))
        n_frames = rattled + runs * dynamics['n_sampling'] // builder.frames['stride']
    elif builder.dataset is not None:
        n_frames = builder.dataset.n_frames
    if 'parameters' in builder.allegro['train']:
        stages += training_stages(builder, n, n_frames, scf)
    else:
        stages.append(Stage('compilation', 'nequip-compile', 1, 0, 0, COMPILE_S / 3600))
    temperatures = builder.md.temperatures_K.get_list()
    for name, seeds, p in (
        ('validation', [builder.validation['seed']], builder.validation['md']),
        ('production', builder.md.seeds.get_list(), builder.md.parameters.get_dict()),
    ):
        stages.append(md_stage(name, builder, temperatures, seeds, supercell, p))
        if name == 'validation' and builder.active_learning is not None:
            stages.append(in_every_round(stages.pop(), builder.active_learning))
    if builder.target_relative_error is not None:
        if has_previous(builder.md):
            stages.pop()
        stages.append(more_stage(builder, supercell))
    return stages


def training_stages(builder, n: int, n_frames: int, scf: float) -> list[Stage]:
    """Return the first training and the rounds of relabelling."""
    p = {**DEFAULTS, **builder.allegro.train['parameters'].get_dict()}
    relabelling = builder.relabelling.get_dict()
    if builder.active_learning is not None:
        return active_learning_stages(builder, n, n_frames, scf, p)
    stages = [training_stage('training', n, n_frames, p)]
    for index in range(1, relabelling['n_rounds'] + 1):
        labels = relabelling['n_frames']
        n_frames += labels
        stages += [
            md_stage(
                f'exploration {index}',
                builder,
                relabelling['temperatures_K'],
                relabelling['seeds'],
                n,
                relabelling['md'],
            ),
            labelling_stage(f'relabelling {index}', builder, labels, n, scf),
            training_stage(f'training {index}', n, n_frames, {**p, **relabelling['training']}),
        ]
    return stages


def labelling_stage(name: str, builder, n_frames: int, n: int, scf: float) -> Stage:
    """Return single calculations of frames, some of them in each job."""
    size = min(builder.label.frames_per_job.value, n_frames)
    return Stage(name, 'pw.x', -(-n_frames // size), n, size, n_frames * SCF_FROM_SCRATCH * scf / 3600)


def active_learning_stages(builder, n: int, n_frames: int, scf: float, p: dict) -> list[Stage]:
    """Return the rounds of an active learning that spends its budget, each kind of job in one row."""
    active = builder.active_learning.get_dict()
    members, rounds = len(active['committee_seeds']), active['max_rounds'] + 1
    n_labels = min(active['max_rounds'] * active['n_frames'], active['max_frames'])
    first = training_stage('', n, n_frames, p).core_hours
    later = training_stage('', n, n_frames + n_labels // 2, {**p, **active['training']}).core_hours
    hours = members * (first + (rounds - 1) * later)
    runs = md_stage('exploration', builder, active['temperatures_K'], active['seeds'], n, active['md'])
    return [
        Stage('committee, at most', 'nequip', members * rounds, n, p['max_epochs'], hours),
        in_every_round(runs, active),
        labelling_stage('labelling, at most', builder, n_labels, n, scf),
    ]


def in_every_round(stage: Stage, active) -> Stage:
    """Return a stage that is repeated after every training of an active learning."""
    rounds = active['max_rounds'] + 1
    name = f'{stage.stage}, at most'
    return stage._replace(stage=name, jobs=stage.jobs * rounds, core_hours=stage.core_hours * rounds)


def training_stage(name: str, n: int, n_frames: int, p: dict) -> Stage:
    """Return a training with its compilation; the cost grows with the features and the neighbours."""
    size = p['num_scalar_features'] / 48 * (p['l_max'] / 2) ** 2 * p['num_layers'] * (p['r_max'] / 4.5) ** 3
    seconds = p['max_epochs'] * n_frames * n * TRAINING_ATOM_EPOCH_S * max(size, 0.2) + COMPILE_S
    return Stage(name, 'nequip', 1, n, p['max_epochs'], seconds / 3600)


def dft_step_s(builder, n: int) -> float:
    """Return the core seconds of one self-consistent MD step."""
    pw = builder.label['pw']
    if 'parameters' not in pw:
        return 0.0
    cutoff = pw['parameters']['SYSTEM']['ecutwfc']
    n_kpoints = np.prod(pw['kpoints'].get_kpoints_mesh()[0])
    scale = (n / SCF_ATOMS) ** SCF_EXPONENT * (cutoff / SCF_CUTOFF_RY) ** 1.5
    return SCF_STEP_S * scale * (1 if n_kpoints == 1 else n_kpoints)


def more_stage(builder, n: int) -> Stage:
    """Return all that the budget leaves after the first round; more runs or longer ones, the analysis will say."""
    p, n_temperatures = builder.md.parameters, len(builder.md.temperatures_K.get_list())
    if has_previous(builder.md):
        restarts = [node.base.attributes.all for node in builder.md.previous['restarts'].values()]
        steps = sum(round(one['step'] * one['timestep_fs'] / p['timestep_fs']) for one in restarts)
        done = steps + len(restarts) * p['equilibration_steps']
    else:
        runs = n_temperatures * len(builder.md.seeds.get_list())
        done = runs * (p['equilibration_steps'] + p['production_steps'])
    left = max(round(builder.max_md_ns.value * 1e6 / p['timestep_fs']) - done, 0)
    n_rounds = MAX_ITERATIONS if builder.max_iterations is None else builder.max_iterations.value
    return Stage('more, at most', 'LAMMPS', (n_rounds - 1) * n_temperatures, n, left, md_hours(n * left))


def md_stage(name: str, builder, temperatures_K: list, seeds: list, n: int, p: dict) -> Stage:
    """Return MD runs with the potential; seeds that share a run count as the atoms of it."""
    groups = seed_groups(seeds, max_replicas(n, builder.md.atoms_per_run.value))
    steps = p['equilibration_steps'] + p['production_steps']
    hours = md_hours(len(temperatures_K) * len(seeds) * n * steps)
    return Stage(name, 'LAMMPS', len(temperatures_K) * len(groups), n * len(groups[0]), steps, hours)


def md_hours(atom_steps: int) -> float:
    """Return the core hours of steps with the potential, each counted once an atom."""
    return atom_steps * MD_ATOM_STEP_S / 3600


def duration(hours: float) -> str:
    """Return a time with a unit that suits it."""
    for unit, length in (('days', 24.0), ('h', 1.0), ('min', 1 / 60)):
        if hours >= 2 * length:
            return f'{hours / length:.0f} {unit}'
    return f'{hours * 3600:.0f} s'
