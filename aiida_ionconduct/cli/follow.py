"""A live view of a campaign: its stages, their jobs, picoseconds of MD, epochs of training, elapsed time."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import click
from aiida import orm
from aiida.common import timezone
from aiida.common.links import LinkType
from tabulate import tabulate

from aiida_ionconduct import labels
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.cli.forecast import Forecast, StageProgress, forecast, shared_times
from aiida_ionconduct.cli.plan import PlannedStage, plan, planned_hours
from aiida_ionconduct.cli.waiting import BLOCKED, Waiting, is_paused_as_a_whole, n_moving, waiting_processes
from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.labels import in_namespace, printable
from aiida_ionconduct.queries import CAMPAIGN
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.graph.costs import stage_costs
from aiida_ionconduct.report.graph.stages import process_state
from aiida_ionconduct.report.number_format import format_duration, format_estimate, format_number, format_percent
from aiida_ionconduct.report.tables.costs import cost_line
from aiida_ionconduct.report.tables.expansion import expansion_lines
from aiida_ionconduct.workchains.seeds import max_replicas, seed_groups

INTERVAL_S = 4.0
SHARE = 0.02
"""Of a processor, at most, for the looks at a campaign that runs for days: the larger it is, the rarer they are."""
TRAINING, EXPANSION = 'AllegroTrainCalculation', 'ExpansionWorkChain'
CHILDREN_OF = {'ModelTrainingsWorkChain': 'settings', 'ModelTimingsWorkChain': 'models'}
"""The input that has an entry for each setting of a study of models, by the process."""
MAX_QUEUED = 3
"""Number of jobs waiting for their turn that are shown one by one."""


class StageRow(NamedTuple):
    """A row of the live view: a work chain or a job that was called by the top."""

    label: str
    process: str
    state: str
    jobs: str
    """Done and in all: ``1/4``."""
    progress: str


def follow(node: orm.ProcessNode, notify: Callable[[str, str], None] | None = None) -> bool:
    """Show a process until it ends.

    On a terminal the table is redrawn in place; elsewhere a line is printed whenever something has changed.

    :param notify: is called with a subject and a text when something does not move, and at the end.
    :return: False if the user left with Ctrl-C before the end.
    """
    terminal = sys.stdout.isatty()
    shown: list[StageRow] = []
    said: list[str] = []
    height = 0
    ended: dict[int | None, StageRow] = {}
    try:
        planned = planned_stages(node)
        while True:
            begin = time.process_time()
            done = node.is_terminated
            tree = CallTree(node)
            # At the end all rows are made again: where a stage ended while its row was made, jobs may be missing in it.
            waiting = waiting_processes(tree, node)
            rows = stage_rows(node, {} if done else ended, tree, waiting)
            foot = footer(node, tree, planned, waiting)
            # The line of a process changes with every look at the queue, so it is told once.
            begun = [entry for entry in waiting if f'{entry.kind}{entry.node.pk}' not in said]
            said = [f'{entry.kind}{entry.node.pk}' for entry in waiting]
            if terminal:
                lines = [
                    *expansion_lines(known_expansion(tree, node)),
                    *present_errors(tree, node),
                    *waiting_lines(waiting),
                    *cost_lines(node, tree, planned),
                ]
                text = '\n'.join([table(rows), *lines, foot])
                click.echo(f'\x1b[{height}A\x1b[J' * bool(height), nl=False)
                echo(text)
                height = text.count('\n') + 1
            else:
                for row in rows:
                    if row not in shown:
                        echo('  '.join(cell for cell in row if cell) + f'  ({foot})')
                shown = rows
                for line in waiting_lines(begun):
                    echo(line)
            blocked = [entry for entry in begun if entry.kind in BLOCKED]
            if notify and blocked:
                notify(f'{node.process_label}<{node.pk}> does not move', '\n'.join(waiting_lines(blocked)))
            if done:
                if notify:
                    notify(ended_subject(node), '\n'.join([table(rows), foot]))
                return True
            time.sleep(max(INTERVAL_S, (time.process_time() - begin) / SHARE))
    except KeyboardInterrupt:
        return False


def ended_subject(node: orm.ProcessNode) -> str:
    """Return how a process has ended, in a line."""
    name = f'{node.process_label}<{node.pk}>'
    if node.is_finished_ok:
        return f'{name} has ended well'
    why = node.exit_message or node.exception or (node.process_state.value if node.process_state else '')
    return f'{name} has failed: {printable(str(why))[:200]}'


def status(node: orm.ProcessNode) -> str:
    """Return how far a process is: stages, errors of the numbers so far, what does not move, time so far and to go."""
    tree = CallTree(node)
    waiting = waiting_processes(tree, node)
    rows, planned = stage_rows(node, {}, tree, waiting), planned_stages(node)
    foot = footer(node, tree, planned, waiting)
    costs = cost_lines(node, tree, planned)
    cells = expansion_lines(known_expansion(tree, node))
    return '\n'.join([table(rows), *cells, *present_errors(tree, node), *waiting_lines(waiting), *costs, foot])


def table(rows: Sequence[StageRow]) -> str:
    """Lay the stages out."""
    return tabulate(rows, headers=('stage', 'process', 'state', 'jobs', 'progress'), tablefmt='simple')


def stage_rows(
    node: orm.ProcessNode,
    ended: dict[int | None, StageRow],
    tree: CallTree | None = None,
    waiting: Sequence[Waiting] = (),
) -> list[StageRow]:
    """Return a row for every work chain and job that the top has called.

    :param ended: rows of stages that have ended, by PK; they are added here, so that each is asked for only once.
    :param tree: the calls, where they are known.
    :param waiting: the processes that do not move.
    """
    tree, rows = tree or CallTree(node), []
    for label, child in tree.called_by(node):
        if isinstance(child, orm.CalcFunctionNode):
            continue
        terminated = child.is_terminated
        row = ended.get(child.pk) or _stage_row(label, child, tree, waiting)
        if terminated:
            ended[child.pk] = row
        rows.append(row)
    return rows


def _stage_row(label: str, child: orm.ProcessNode, tree: CallTree, waiting: Sequence[Waiting]) -> StageRow:
    """Return the row of a stage."""
    jobs = tree.jobs(child)
    done, total = sum(job.is_finished for job in jobs), n_jobs(child, jobs)
    progress = md_progress(child, done, total) or training_progress(jobs)
    pks = {process.pk for process in tree.whole(child)}
    own = [entry for entry in waiting if entry.node.pk in pks]
    shown = own[0].kind if own and not n_moving(tree, child, own) else state(child)
    if not child.is_terminated and is_paused_as_a_whole(child):
        shown = 'paused'
    return StageRow(label, f'{child.process_label}<{child.pk}>', shown, f'{done}/{total}', progress)


def state(process: orm.ProcessNode) -> str:
    """Return ``running`` until a process ends, whatever it waits for."""
    return process_state(process) if process.is_terminated else 'running'


def n_jobs(child: orm.ProcessNode, jobs: Sequence[orm.CalcJobNode]) -> int:
    """Return how many jobs a stage will have, where its inputs tell; else how many it has.

    :param jobs: that it has so far.
    """
    inputs = child.inputs
    if 'max_strain' in inputs:  # runs at constant pressure do not share jobs
        return n_runs_of(child)
    if 'seeds' in inputs:
        n_replicas = max_replicas(len(inputs.base.md.structure.sites), inputs.atoms_per_run.value)
        return len(seed_groups(inputs.seeds.get_list(), n_replicas)) * len(inputs.temperatures_K.get_list())
    if 'frames' in inputs:
        return max(len(jobs), -(-inputs.frames.numsteps // inputs.frames_per_job.value))
    if child.process_label in CHILDREN_OF:
        n_children = len(list(inputs[CHILDREN_OF[child.process_label]].keys()))
        is_compiled = child.base.links.get_incoming(link_label_filter='allegro__compile__%').first()
        return max(len(jobs), n_children * (2 if is_compiled else 1))
    if 'temperatures_K' in inputs:
        return len(inputs.temperatures_K.get_list())
    return len(jobs)


def n_runs_of(child: orm.ProcessNode) -> int:
    """Return the number of runs of a stage: seeds times temperatures; at constant pressure, of every ordering."""
    inputs = child.inputs
    n_cells = len(inputs.orderings) if 'max_strain' in inputs and 'orderings' in inputs else 1
    return len(inputs.seeds.get_list()) * len(inputs.temperatures_K.get_list()) * n_cells


def md_progress(child: orm.ProcessNode, done: int, total: int) -> str:
    """Return the picoseconds of MD done and in all, for a stage of LAMMPS runs.

    :param done: jobs that have ended.
    :param total: jobs in all.
    """
    if 'seeds' not in child.inputs:
        return ''
    parameters = child.inputs.parameters.get_dict()
    n_runs = n_runs_of(child)
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


def footer(node: orm.ProcessNode, tree: CallTree, planned: Sequence[PlannedStage], waiting: Sequence[Waiting]) -> str:
    """Return the elapsed time and, for a campaign that moves, between which times it will end.

    :param planned: of :func:`planned_stages`.
    :param waiting: of :func:`~aiida_ionconduct.cli.waiting.waiting_processes`.
    """
    now = node.mtime if node.is_terminated else timezone.now()
    elapsed_s = (now - node.ctime).total_seconds()
    minutes, seconds = divmod(int(elapsed_s), 60)
    moves = n_moving(tree, node, waiting) > 0 or not waiting
    shown_state = state(node) if node.is_terminated or moves else 'waiting'
    text = f'{node.process_label}<{node.pk}> {shown_state}, {minutes}:{seconds:02d} elapsed'
    if node.is_terminated:
        return text
    n_blocked = sum(entry.kind in BLOCKED for entry in waiting)
    if n_blocked:
        subject = '1 process does' if n_blocked == 1 else f'{n_blocked} processes do'
        return f'{text}; the end cannot be predicted while {subject} not move'
    if not moves:
        return f'{text}; the end cannot be predicted while all jobs wait in the queue'
    if not planned:
        return text
    return f'{text}; {ending(now, forecast(stage_progress(node, tree, planned, elapsed_s)))}'


def ending(now: datetime.datetime, predicted: Forecast | None) -> str:
    """Return between which times a campaign will end, in words."""
    if predicted is None:
        return 'the end can be predicted when the first stage has a result'
    first, last = (
        timezone.localtime(now + datetime.timedelta(seconds=seconds)) for seconds in (predicted.low_s, predicted.high_s)
    )
    last_text = f'{last:%H:%M}' if first.date() == last.date() else f'{last:%Y-%m-%d %H:%M}'
    low, high = (format_duration(seconds) for seconds in (predicted.low_s, predicted.high_s))
    return f'ends between {first:%Y-%m-%d %H:%M} and {last_text} ({low} to {high} to go)'


def cost_lines(node: orm.ProcessNode, tree: CallTree, planned: Sequence[PlannedStage]) -> list[str]:
    """Return a line with what a process has cost so far, if it has had jobs."""
    costs = stage_costs(node, tree, planned_hours(planned))
    return [f'{cost_line(costs)}: aiida-ionconduct cost {node.pk}'] if any(cost.n_jobs for cost in costs) else []


def waiting_lines(waiting: Sequence[Waiting]) -> list[str]:
    """Return a line for each process that does not move; of jobs that wait for their turn the first."""
    lines = [entry.text for entry in waiting if entry.kind in BLOCKED]
    queued = [entry for entry in waiting if entry.kind == 'queued']
    if len(queued) > MAX_QUEUED:
        return [
            *lines,
            *(entry.text for entry in queued[:MAX_QUEUED]),
            f'… and {len(queued) - MAX_QUEUED} more in the queue',
        ]
    return [*lines, *(entry.text for entry in queued)]


def planned_stages(node: orm.ProcessNode) -> list[PlannedStage]:
    """Return the plan of a campaign that runs; else nothing."""
    if node.process_type != CAMPAIGN or node.is_terminated:
        return []
    return plan(node.get_builder_restart())


def stage_progress(
    node: orm.ProcessNode, tree: CallTree, planned: Sequence[PlannedStage], elapsed_s: float
) -> list[StageProgress]:
    """Return how far each planned stage of a campaign is.

    :param elapsed_s: time since the campaign was submitted.
    """
    rows: dict[str, list[PlannedStage]] = {}
    for stage in planned:
        rows.setdefault(stage.label, []).append(stage)
    spans: dict[str, list[tuple[float, float]]] = {}
    children: dict[str, list[tuple[orm.ProcessNode, Sequence[orm.CalcJobNode]]]] = {}
    for call, child in tree.called_by(node):
        label = labels.planned_label(call, rows)
        if isinstance(child, orm.CalcFunctionNode) or label not in rows:
            continue
        begin = (child.ctime - node.ctime).total_seconds()
        end = (child.mtime - node.ctime).total_seconds() if child.is_terminated else elapsed_s
        spans.setdefault(label, []).append((begin, end))
        children.setdefault(label, []).append((child, tree.jobs(child)))
    times = shared_times(spans)
    begun = [label for label in rows if label in children]
    progress = []
    for label, stages in rows.items():
        called = children.get(label, [])
        hours, n_planned = sum(stage.core_hours for stage in stages), sum(stage.jobs for stage in stages)
        optional = sum(stage.core_hours for stage in stages if stage.name.endswith('at most'))
        # Of rounds up to a limit, the last has ended when a later stage has begun.
        over = called and all(child.is_terminated for child, _ in called) and (not optional or label != begun[-1])
        done = 1.0 if over else share_done(called, n_planned)
        ended = [job for _, jobs in called for job in jobs if job.is_finished]
        n_cached = sum(job.base.caching.is_created_from_cache for job in ended)
        progress.append(
            StageProgress(
                label=label,
                program='/'.join(sorted({stage.program for stage in stages})),
                hours=hours,
                n_jobs=n_planned,
                done=done,
                n_done=len(ended) - n_cached,
                cached=done * n_cached / len(ended) if ended else 0.0,
                elapsed_s=times.get(label, 0.0),
                unknown_steps=label in (labels.PRERELAX, labels.RELAX),
                optional=optional / hours if hours else 0.0,
            )
        )
    return progress


def share_done(children: Sequence[tuple[orm.ProcessNode, Sequence[orm.CalcJobNode]]], n_planned: int) -> float:
    """Return which share of a stage is done, from 0 to 1.

    :param children: the work chains of the stage with the jobs that each has so far.
    :param n_planned: number of jobs that are planned for it.
    """
    if not children:
        return 0.0
    done, total = 0.0, 0.0
    for child, jobs in children:
        # A stage that does not say how many jobs it will have is done when it ends, unless the plan knows several jobs.
        n_all = n_jobs(child, []) or (n_planned if n_planned > 1 and not child.is_terminated else 0)
        size = max(n_all, len(jobs), 1)
        n_done = size if child.is_terminated else min(sum(job.is_finished for job in jobs), size - 1) if n_all else 0
        done, total = done + n_done, total + size
    return done / max(total, n_planned)


def known_expansion(tree: CallTree, node: orm.ProcessNode) -> dict[str, dict]:
    """Return the mean cells below a process that are known so far, by their labels."""
    stages = [process for process in tree.whole(node) if process.process_label == EXPANSION]
    made = linked(stages, 'outgoing', LinkType.RETURN, kind=orm.Dict)
    cells = in_namespace('expansion', {link.label: link.node for link in made})
    return {label: dict(cell.base.attributes.all) for label, cell in cells.items()}


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
