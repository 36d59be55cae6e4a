"""A whole campaign is paused, resumed or killed: its processes, its jobs at the schedulers, and what they start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiida import orm
from aiida.engine import ProcessState
from aiida.engine.processes import control

from aiida_ionconduct.cli.waiting import PAUSED_BY_USER
from aiida_ionconduct.farm import queue
from aiida_ionconduct.farm.daemon import daemon_client
from aiida_ionconduct.farm.once import set_aside
from aiida_ionconduct.report.graph.call_tree import CallTree

PATIENCE_S = 120.0
"""How long the workers have to answer."""
ROUND_S, BREAK_S = 15.0, 0.2
"""How long a single request has to be answered, and how long after that it is made again."""
KILLED_BY_USER = 'Killed with `aiida-ionconduct kill`'
UNBEGUN = (None, ProcessState.CREATED)


class ControlError(RuntimeError):
    """A campaign that is not in the state that was asked for; the message says what is left and what to do."""


def pause(root: orm.ProcessNode, *, hold: bool = True, patience_s: float = PATIENCE_S) -> str:
    """Pause a process and all processes below it, and hold their jobs that wait in a queue.

    Jobs that run at a scheduler go on to their end; their results are fetched when the campaign is resumed.

    :param hold: whether to hold jobs.
    :return: what was done, in a sentence.
    :raises ControlError: if processes are left that are not paused.
    """
    require_daemon()

    def request(processes: Sequence[orm.ProcessNode], timeout_s: float) -> None:
        # The callers come first, so that they start nothing new in the meantime.
        control.pause_processes(list(processes), msg_text=PAUSED_BY_USER, timeout=timeout_s)

    left = _repeat(request, lambda: [node for node in alive(root) if not node.paused], patience_s)
    processes = alive(root)
    n_held = queue.hold(node for node in processes if isinstance(node, orm.CalcJobNode)) if hold else 0
    done = f'{_count(len(processes) - len(left), "process")} paused, {_count(n_held, "job")} held in the queue'
    if left:
        raise ControlError(
            f'{done}; {_names(left)} cannot be paused now: a worker is busy, or has no free slot for it. Type this '
            'again.'
        )
    return done


def resume(root: orm.ProcessNode, *, patience_s: float = PATIENCE_S) -> str:
    """Let all paused processes below a process go on, also those that AiiDA has paused, and release their jobs.

    :return: what was done, in a sentence.
    :raises ControlError: if processes are left that are paused.
    """
    require_daemon()
    paused = [node for node in alive(root) if node.paused]
    n_released = queue.release(node for node in alive(root) if isinstance(node, orm.CalcJobNode))

    def request(processes: Sequence[orm.ProcessNode], timeout_s: float) -> None:
        control.play_processes(list(processes), timeout=timeout_s)

    pks = {node.pk for node in paused}  # a process that meets its error again is paused again
    left = _repeat(request, lambda: [node for node in alive(root) if node.paused and node.pk in pks], patience_s)
    if left:
        raise ControlError(f'still paused: {_names(left)}. Its log: verdi process report {left[0].pk}')
    return f'{_count(len(paused), "process")} resumed, {_count(n_released, "job")} released'


def kill(root: orm.ProcessNode, *, force: bool = False, patience_s: float = PATIENCE_S) -> str:
    """Kill a process and all processes below it, and see to it that nothing of them is left at the schedulers.

    What has been computed stays in the profile.

    :param force: kill the processes also where a computer cannot be reached, and leave their jobs there.
    :return: what was done, in a sentence.
    :raises ControlError: if processes or jobs are left.
    """
    require_daemon()
    victims = alive(root)
    ended = {job.pk for job in CallTree(root).jobs(root) if job.is_terminated}

    def request(processes: Sequence[orm.ProcessNode], timeout_s: float) -> None:
        # A process that is killed kills the processes that it has called.
        pks = {node.pk for node in processes}
        tops = [node for node in processes if node.caller is None or node.caller.pk not in pks]
        control.kill_processes(tops, msg_text=KILLED_BY_USER, force=force, timeout=timeout_s)
        for node in alive(root):
            if node.process_state in UNBEGUN and (node.pk == root.pk or (node.caller and node.caller.is_terminated)):
                set_aside(node, KILLED_BY_USER)

    left = _repeat(request, lambda: alive(root), patience_s)
    if left:
        raise ControlError(
            f'{_names(left)} cannot be killed now. Type this again; if a computer cannot be reached, --force kills the '
            'processes and leaves their jobs there.'
        )
    jobs = [job for job in CallTree(root).jobs(root) if job.pk not in ended]
    done = f'{_count(len(victims), "process")} killed'
    if force:
        ids = [f'{job.computer.label}: {job.get_job_id()}' for job in jobs if job.get_job_id() and job.computer]
        return done + (f'. Cancel what is left of these jobs yourself: {", ".join(ids)}' if ids else '')
    n_cancelled, left_jobs = queue.cancel(jobs, patience_s)
    if left_jobs:
        raise ControlError(
            f'{done}, but jobs are still at their schedulers: {", ".join(left_jobs)}. Cancel them there.'
        )
    return f'{done}, {_count(n_cancelled, "job")} cancelled that AiiDA had left; none is at a scheduler any more'


def alive(root: orm.ProcessNode) -> list[orm.ProcessNode]:
    """Return a process and the processes below it that have not ended, callers first."""
    return [node for node in CallTree(root).whole(root) if not node.is_terminated]


def require_daemon() -> None:
    """Check that there are workers that can be asked.

    :raises ControlError: if there are none.
    """
    if not daemon_client().is_daemon_running:
        raise ControlError('the daemon does not run, and only its workers can do this: verdi daemon start')


def _repeat(
    request: Callable[[Sequence[orm.ProcessNode], float], None],
    remaining: Callable[[], list[orm.ProcessNode]],
    patience_s: float,
) -> list[orm.ProcessNode]:
    """Make a request for processes until none remains, and return those that remain when the patience has ended."""
    end = time.monotonic() + patience_s
    with _quiet():
        while processes := remaining():
            request(processes, max(min(ROUND_S, end - time.monotonic()), 1.0))
            if time.monotonic() > end:
                return remaining()
            time.sleep(BREAK_S)
    return []


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what AiiDA prints of every request."""
    level = control.LOGGER.level
    control.LOGGER.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        control.LOGGER.setLevel(level)


def _names(processes: Sequence[orm.ProcessNode], shown: int = 3) -> str:
    """Return the names of some processes, the first of many."""
    names = ', '.join(f'{node.process_label}<{node.pk}>' for node in processes[:shown])
    return names + (f' and {len(processes) - shown} more' if len(processes) > shown else '')


def _count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    plural = {'process': 'processes', 'job': 'jobs'}[noun]
    return f'{number} {noun if number == 1 else plural}'
