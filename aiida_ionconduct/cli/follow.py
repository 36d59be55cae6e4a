"""A live view of a campaign: its stages, their jobs, picoseconds of MD, epochs of training, elapsed time."""

from __future__ import annotations

import sys
import time

import click
from aiida import orm
from aiida.common import timezone
from tabulate import tabulate

from aiida_ionconduct.calculations.allegro_config import DEFAULTS
from aiida_ionconduct.report.stages import process_state
from aiida_ionconduct.report.tree import CallTree
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

INTERVAL_S = 4.0
TRAINING = 'AllegroTrainCalculation'


def follow(node: orm.ProcessNode) -> bool:
    """Show a process until it ends.

    On a terminal the table is redrawn in place; elsewhere a line is printed whenever something has changed.

    :return: False if the user left with Ctrl-C before the end.
    """
    terminal = sys.stdout.isatty()
    shown, height, ended = None, 0, {}
    try:
        while True:
            done = node.is_terminated
            rows = stage_rows(node, ended)
            if terminal:
                text = f'{table(rows)}\n{footer(node)}'
                click.echo(f'\x1b[{height}A\x1b[J' * bool(height) + text)
                height = text.count('\n') + 1
            elif rows != shown:
                for row in rows:
                    if shown is None or row not in shown:
                        click.echo('  '.join(str(cell) for cell in row if cell != '') + f'  ({footer(node)})')
                shown = rows
            if done:
                return True
            time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        return False


def table(rows: list[tuple]) -> str:
    """Lay the stages out."""
    return tabulate(rows, headers=('stage', 'process', 'state', 'jobs', 'progress'), tablefmt='simple')


def stage_rows(node: orm.ProcessNode, ended: dict[int, tuple]) -> list[tuple]:
    """Return label, process, state, jobs done and progress of every work chain and job called by the top.

    :param ended: rows of stages that have ended, by PK; filled here, so that they are asked for once.
    """
    tree, rows = CallTree(node), []
    for call in tree.calls.get(node.pk, []):
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


def footer(node: orm.ProcessNode) -> str:
    """Return the elapsed time."""
    end = node.mtime if node.is_terminated else timezone.now()
    minutes, seconds = divmod(int((end - node.ctime).total_seconds()), 60)
    return f'{node.process_label}<{node.pk}> {state(node)}, {minutes}:{seconds:02d} elapsed'
