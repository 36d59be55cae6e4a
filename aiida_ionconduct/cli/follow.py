"""A live view of a campaign: its stages, their jobs, picoseconds of MD, epochs of training, elapsed time."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click
from aiida import orm
from aiida.common import timezone
from aiida.common.links import LinkType
from tabulate import tabulate

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.cli.plan import plan
from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.queries import CAMPAIGN
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.graph.stages import process_state
from aiida_ionconduct.report.number_format import format_duration, format_estimate, format_number, format_percent
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

INTERVAL_S = 4.0
TRAINING = 'AllegroTrainCalculation'


class StageRow(NamedTuple):
    """A row of the live view: a work chain or a job that was called by the top."""

    label: str
    process: str
    state: str
    jobs: str
    """Done and in all: ``1/4``."""
    progress: str


def follow(node: orm.ProcessNode) -> bool:
    """Show a process until it ends.

    On a terminal the table is redrawn in place; elsewhere a line is printed whenever something has changed.

    :return: False if the user left with Ctrl-C before the end.
    """
    terminal = sys.stdout.isatty()
    shown: list[StageRow] = []
    height = 0
    ended: dict[int | None, StageRow] = {}
    try:
        planned = planned_hours(node)
        while True:
            done = node.is_terminated
            tree = CallTree(node)
            # At the end all rows are made again: where a stage ended while its row was made, jobs may be missing in it.
            rows = stage_rows(node, {} if done else ended, tree)
            foot = footer(node, rows, planned)
            if terminal:
                text = '\n'.join([table(rows), *present_errors(tree, node), foot])
                click.echo(f'\x1b[{height}A\x1b[J' * bool(height), nl=False)
                echo(text)
                height = text.count('\n') + 1
            else:
                for row in rows:
                    if row not in shown:
                        echo('  '.join(cell for cell in row if cell) + f'  ({foot})')
                shown = rows
            if done:
                return True
            time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        return False


def status(node: orm.ProcessNode) -> str:
    """Return how far a process is: its stages, the errors of the numbers so far, the time it took and will take."""
    tree = CallTree(node)
    rows = stage_rows(node, {}, tree)
    return '\n'.join([table(rows), *present_errors(tree, node), footer(node, rows, planned_hours(node))])


def table(rows: Sequence[StageRow]) -> str:
    """Lay the stages out."""
    return tabulate(rows, headers=('stage', 'process', 'state', 'jobs', 'progress'), tablefmt='simple')


def stage_rows(
    node: orm.ProcessNode, ended: dict[int | None, StageRow], tree: CallTree | None = None
) -> list[StageRow]:
    """Return a row for every work chain and job that the top has called.

    :param ended: rows of stages that have ended, by PK; they are added here, so that each is asked for only once.
    :param tree: the calls, where they are known.
    """
    tree, rows = tree or CallTree(node), []
    for label, child in tree.called_by(node):
        if isinstance(child, orm.CalcFunctionNode):
            continue
        terminated = child.is_terminated
        row = ended.get(child.pk) or _stage_row(label, child, tree.jobs(child))
        if terminated:
            ended[child.pk] = row
        rows.append(row)
    return rows


def _stage_row(label: str, child: orm.ProcessNode, jobs: Sequence[orm.CalcJobNode]) -> StageRow:
    """Return the row of a stage."""
    done, total = sum(job.is_finished for job in jobs), n_jobs(child, jobs)
    progress = md_progress(child, done, total) or training_progress(jobs)
    return StageRow(label, f'{child.process_label}<{child.pk}>', state(child), f'{done}/{total}', progress)


def state(process: orm.ProcessNode) -> str:
    """Return ``running`` until a process ends, whatever it waits for."""
    return process_state(process) if process.is_terminated else 'running'


def n_jobs(child: orm.ProcessNode, jobs: Sequence[orm.CalcJobNode]) -> int:
    """Return how many jobs a stage will have, where its inputs tell; else how many it has.

    :param jobs: that it has so far.
    """
    inputs = child.inputs
    if 'seeds' in inputs:
        n_replicas = max_replicas(len(inputs.base.md.structure.sites), inputs.atoms_per_run.value)
        return len(seed_groups(inputs.seeds.get_list(), n_replicas)) * len(inputs.temperatures_K.get_list())
    if 'frames' in inputs:
        return max(len(jobs), -(-inputs.frames.numsteps // inputs.frames_per_job.value))
    if 'temperatures_K' in inputs:
        return len(inputs.temperatures_K.get_list())
    return len(jobs)


def md_progress(child: orm.ProcessNode, done: int, total: int) -> str:
    """Return the picoseconds of MD done and in all, for a stage of LAMMPS runs.

    :param done: jobs that have ended.
    :param total: jobs in all.
    """
    if 'seeds' not in child.inputs:
        return ''
    parameters = child.inputs.parameters.get_dict()
    n_runs = len(child.inputs.seeds.get_list()) * len(child.inputs.temperatures_K.get_list())
    length_ps = n_runs * parameters['production_steps'] * parameters['timestep_fs'] / 1000
    return f'{min(done / total, 1) * length_ps:g} of {length_ps:g} ps'


def training_progress(jobs: Sequence[orm.CalcJobNode]) -> str:
    """Return the epoch and the losses of the last training for which the monitor has noted them."""
    noted = [(job, job.base.extras.get('progress', None)) for job in jobs if job.process_label == TRAINING]
    for job, progress in reversed(noted):
        if progress:
            n_epochs = TrainingParameters.stored(job.inputs.parameters.get_dict()).max_epochs
            loss = f', loss {progress["train_loss"]:.3g}' if 'train_loss' in progress else ''
            forces = progress.get('val_forces_mae_eV_per_A')
            errors = '' if forces is None else f', forces {forces:.3g} eV/Å'
            return f'epoch {progress["epoch"] + 1} of {n_epochs}{loss}{errors}'
    return ''


def footer(node: orm.ProcessNode, rows: Sequence[StageRow], planned: Mapping[str, float]) -> str:
    """Return the elapsed time and, for a process that runs, about when it will end."""
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
    """Return the core hours planned for each stage of a campaign that runs, by the label of its call; else nothing."""
    if node.process_type != CAMPAIGN or node.is_terminated:
        return {}
    hours: dict[str, float] = {}
    for stage in plan(node.get_builder_restart()):
        hours[stage.label] = hours.get(stage.label, 0.0) + stage.core_hours
    return hours


def remaining_s(elapsed_s: float, rows: Sequence[StageRow], planned: Mapping[str, float]) -> float | None:
    """Return about how long a process will still take, in proportion to what is done; None before a first job is done.

    :param planned: of :func:`planned_hours`; if empty, all stages so far count alike.
    """
    shares: dict[str, list[float]] = {}
    for row in rows:
        done, total = map(int, row.jobs.split('/'))
        shares.setdefault(planned_label(row.label, planned), []).append(done / total if total else 0.0)
    weights = planned or dict.fromkeys(shares, 1.0)
    spent = sum(hours * sum(shares[label]) / len(shares[label]) for label, hours in weights.items() if label in shares)
    return elapsed_s * (sum(weights.values()) / spent - 1) if spent else None


def planned_label(label: str, planned: Mapping[str, float]) -> str:
    """Return the label under which a stage was planned: all rounds of ``validate_0`` were planned as ``validate``.

    :param label: of the call.
    :param planned: of :func:`planned_hours`.
    """
    shared = [name for name in planned if label.startswith(f'{name}_')]
    return label if label in planned or not shared else max(shared, key=len)


def present_errors(tree: CallTree, node: orm.ProcessNode) -> list[str]:
    """Return a line for each temperature: the newest conductivity below a process, and its error."""
    made = linked(tree.whole(node), 'outgoing', LinkType.CREATE, kind=ConductivityData)
    conductivities = sorted((link.node for link in made), key=lambda conductivity: conductivity.ctime)
    newest = {conductivity.base.attributes.get('temperature_K'): conductivity for conductivity in conductivities}
    lines = []
    for T, conductivity in sorted(newest.items()):
        attributes = conductivity.base.attributes.all
        sigma, stderr = attributes['sigma_full_S_per_cm'], attributes['sigma_full_stderr']
        if sigma is None:
            known = f'below {format_number(attributes["sigma_full_upper_S_per_cm"], 2)} S/cm'
        else:
            known = f'{format_estimate(sigma, stderr, "S/cm")}, error {format_percent(stderr / sigma)}'
        lines.append(f'{T:g} K: σ {known} after {format_number(attributes["total_time_ps"])} ps')
    return lines
