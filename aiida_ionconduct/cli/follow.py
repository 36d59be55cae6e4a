"""A live view of a campaign: its stages, their jobs, picoseconds of MD, epochs of training, elapsed time."""

from __future__ import annotations

import datetime
import re
import sys
import time

import click
from aiida import orm
from aiida.common import timezone
from aiida.common.links import LinkType
from tabulate import tabulate

from aiida_ionconduct.allegro.configuration import DEFAULTS
from aiida_ionconduct.cli.plan import plan
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.queries import CAMPAIGN
from aiida_ionconduct.report.graph.calls import CallTree, linked
from aiida_ionconduct.report.graph.stages import process_state
from aiida_ionconduct.report.numbers import format_duration, format_estimate, format_number, format_percent
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

INTERVAL_S = 4.0
TRAINING = 'AllegroTrainCalculation'
LABELS = {
    'relaxation': 'relax',
    'AIMD': 'aimd',
    'rattled cells': 'label_rattled',
    'training': 'train',
    'exploration': 'explore',
    'relabelling': 'label',
    'compilation': 'compile',
    'validation': 'validate',
    'validation, at most': 'validate',
    'production': 'md',
    'more, at most': 'md',
    **dict.fromkeys(('committee, at most', 'exploration, at most', 'labelling, at most'), 'active_learning'),
}
"""The labels of the calls of the stages of a plan."""


def follow(node: orm.ProcessNode) -> bool:
    """Show a process until it ends.

    On a terminal the table is redrawn in place; elsewhere a line is printed whenever something has changed.

    :return: False if the user left with Ctrl-C before the end.
    """
    terminal = sys.stdout.isatty()
    shown, height, ended = None, 0, {}
    try:
        planned = planned_hours(node)
        while True:
            done = node.is_terminated
            tree = CallTree(node)
            # Anew at the end: of a stage that ended between the look at its jobs and at its state, some were missing.
            rows = stage_rows(node, {} if done else ended, tree)
            foot = footer(node, rows, planned)
            if terminal:
                text = '\n'.join([table(rows), *present_errors(tree, node), foot])
                click.echo(f'\x1b[{height}A\x1b[J' * bool(height) + text)
                height = text.count('\n') + 1
            elif rows != shown:
                for row in rows:
                    if shown is None or row not in shown:
                        click.echo('  '.join(str(cell) for cell in row if cell != '') + f'  ({foot})')
                shown = rows
            if done:
                return True
            time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        return False


def status(node: orm.ProcessNode) -> str:
    """Return where a process is: its stages, the errors of the numbers so far, the time it took and will take."""
    tree = CallTree(node)
    rows = stage_rows(node, {}, tree)
    return '\n'.join([table(rows), *present_errors(tree, node), footer(node, rows, planned_hours(node))])


def table(rows: list[tuple]) -> str:
    """Lay the stages out."""
    return tabulate(rows, headers=('stage', 'process', 'state', 'jobs', 'progress'), tablefmt='simple')


def stage_rows(node: orm.ProcessNode, ended: dict[int, tuple], tree: CallTree | None = None) -> list[tuple]:
    """Return label, process, state, jobs done and progress of every work chain and job called by the top.

    :param ended: rows of stages that have ended, by PK; filled here, so that they are asked for once.
    :param tree: what was called, where it is known.
    """
    tree, rows = tree or CallTree(node), []
    for call in sorted(tree.calls.get(node.pk, []), key=lambda call: call.node.ctime):
        child = call.node
        if isinstance(child, orm.CalcFunctionNode):
            continue
        if child.pk in ended:
            rows.append(ended[child.pk])
            continue
        terminated = child.is_terminated
        jobs = tree.jobs(child)
        done, total = sum(job.is_finished for job in jobs), n_jobs(child, jobs)
        process = f'{child.process_label}<{child.pk}>'
        rows.append((call.label, process, state(child), f'{done}/{total}', md(child, done, total) or training(jobs)))
        if terminated:
            ended[child.pk] = rows[-1]
    return rows


def state(process: orm.ProcessNode) -> str:
    """Return ``running`` until a process ends, whatever it waits for."""
    return process_state(process) if process.is_terminated else 'running'


def n_jobs(child: orm.ProcessNode, jobs: list) -> int:
    """Return how many jobs a stage will have, where its inputs say so."""
    inputs = child.inputs
    if 'seeds' in inputs:
        n_replicas = max_replicas(len(inputs.base.md.structure.sites), inputs.atoms_per_run.value)
        return len(seed_groups(inputs.seeds.get_list(), n_replicas)) * len(inputs.temperatures_K.get_list())
    if 'frames' in inputs:
        return max(len(jobs), -(-inputs.frames.numsteps // inputs.frames_per_job.value))
    if 'temperatures_K' in inputs:
        return len(inputs.temperatures_K.get_list())
    return len(jobs)


def md(child: orm.ProcessNode, done: int, total: int) -> str:
    """Return the picoseconds done and to do of a stage of LAMMPS runs."""
    if 'seeds' not in child.inputs:
        return ''
    p = child.inputs.parameters.get_dict()
    n_runs = len(child.inputs.seeds.get_list()) * len(child.inputs.temperatures_K.get_list())
    length_ps = n_runs * p['production_steps'] * p['timestep_fs'] / 1000
    return f'{min(done / total, 1) * length_ps:g} of {length_ps:g} ps'


def training(jobs: list) -> str:
    """Return the epoch and the losses of the last training that has told of them."""
    told = [(job, job.base.extras.get('progress', None)) for job in jobs if job.process_label == TRAINING]
    for job, progress in reversed(told):
        if progress:
            n_epochs = {**DEFAULTS, **job.inputs.parameters.get_dict()}['max_epochs']
            loss = f', loss {progress["train_loss"]:.3g}' if 'train_loss' in progress else ''
            forces = progress.get('val_forces_mae_eV_per_A')
            errors = '' if forces is None else f', forces {forces:.3g} eV/Å'
            return f'epoch {progress["epoch"] + 1} of {n_epochs}{loss}{errors}'
    return ''


def footer(node: orm.ProcessNode, rows: list[tuple], planned: dict[str, float]) -> str:
    """Return the elapsed time and, of a process that runs, about when it will end."""
    end = node.mtime if node.is_terminated else timezone.now()
    elapsed_s = (end - node.ctime).total_seconds()
    minutes, seconds = divmod(int(elapsed_s), 60)
    text = f'{node.process_label}<{node.pk}> {state(node)}, {minutes}:{seconds:02d} elapsed'
    left_s = None if node.is_terminated else remaining_s(elapsed_s, rows, planned)
    if left_s is None:
        return text
    at = timezone.localtime(end + datetime.timedelta(seconds=left_s))
    return f'{text}, ends about {at:%Y-%m-%d %H:%M} ({format_duration(left_s)} to go)'


def planned_hours(node: orm.ProcessNode) -> dict[str, float]:
    """Return the core hours planned for each stage of a campaign, by the label of its call; nothing for others."""
    if node.process_type != CAMPAIGN or node.is_terminated:
        return {}
    hours: dict[str, float] = {}
    for stage in plan(node.get_builder_restart()):
        label = stage_label(stage.stage)
        hours[label] = hours.get(label, 0.0) + stage.core_hours
    return hours


def stage_label(planned: str) -> str:
    """Return the label of the call of a stage of the plan: ``train_1`` for ``training 1``."""
    name, _, number = planned.rpartition(' ') if planned[-1].isdigit() else (planned, '', '')
    label = LABELS.get(name, name)
    return f'{label}_{number or 0}' if label == 'train' or number else label


def remaining_s(elapsed_s: float, rows: list[tuple], planned: dict[str, float]) -> float | None:
    """Return about how long a process will still take, as what is done took; None before a first job is done.

    :param rows: of :func:`stage_rows`.
    :param planned: of :func:`planned_hours`; without, the jobs of all stages count alike.
    """
    shares: dict[str, list[float]] = {}
    for label, _, _, jobs, _ in rows:
        done, total = map(int, jobs.split('/'))
        shares.setdefault(re.sub(r'^(validate|md)_.*', r'\1', label), []).append(done / total if total else 0.0)
    weights = planned or dict.fromkeys(shares, 1.0)
    done = sum(hours * (sum(shares[label]) / len(shares[label])) for label, hours in weights.items() if label in shares)
    return elapsed_s * (sum(weights.values()) / done - 1) if done else None


def present_errors(tree: CallTree, node: orm.ProcessNode) -> list[str]:
    """Return what is known so far: for each temperature the newest conductivity below a process, and its error."""
    made = linked(tree.whole(node), 'outgoing', LinkType.CREATE, kind=ConductivityData)
    made.sort(key=lambda row: row.node.ctime)
    newest = {row.node.temperature_K: row.node.base.attributes.all for row in made}
    lines = []
    for T, one in sorted(newest.items()):
        sigma, stderr = one['sigma_full_S_per_cm'], one['sigma_full_stderr']
        if sigma is None:
            known = f'below {format_number(one["sigma_full_upper_S_per_cm"], 2)} S/cm'
        else:
            known = f'{format_estimate(sigma, stderr, "S/cm")}, error {format_percent(stderr / sigma)}'
        lines.append(f'{T:g} K: σ {known} after {format_number(one["total_time_ps"])} ps')
    return lines
