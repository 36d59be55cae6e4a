"""Why the processes of a campaign do not move, in the words of the scheduler and the connection, and what to type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from aiida import orm
from aiida.common import timezone
from aiida.orm.logs import OrderSpecifier
from aiida.schedulers import JobState

from aiida_ionconduct.engines.causes import MAX_LENGTH
from aiida_ionconduct.engines.schedulers import BY_PLUGIN
from aiida_ionconduct.farm.scheduler import WAITS
from aiida_ionconduct.labels import printable
from aiida_ionconduct.report.graph.call_tree import CallTree

Kind = Literal['paused', 'held', 'refused', 'retried', 'queued']
"""Paused by AiiDA; held in the queue; in the queue, but the scheduler will not start it; its connection fails and is
tried again; in the queue for its turn."""

BLOCKED: tuple[Kind, ...] = ('paused', 'held', 'refused', 'retried')
"""What does not move before somebody or something intervenes."""

PAUSED_BY_USER = 'Paused with `aiida-ionconduct pause`'
"""The status of the processes of a campaign that a user has paused as a whole."""

TRANSPORT_TASK = 'Waiting for transport task: '
"""Beginning of the status that AiiDA gives to a job that is uploaded, submitted or retrieved."""

HELD = {
    'JobHeldUser': 'a user has held it',
    'JobHeldAdmin': 'an administrator has held it',
    'Dependency': 'it waits for another job',
    'BeginTime': 'its time of beginning has not come',
    'JobHoldMaxRequeue': 'it was put back into the queue too often',
}
"""Reasons of Slurm for jobs that are held."""

REFUSED = {
    'PartitionTimeLimit': 'the partition allows less wall time: lower max_wallclock_seconds',
    'PartitionNodeLimit': 'the partition has fewer machines: lower num_machines',
    'PartitionDown': 'the partition takes jobs, but starts none: ask the administrators',
    'PartitionInactive': 'the partition is closed: ask the administrators or choose another partition',
    'BadConstraints': 'no machine has what the job asks for: change the constraint, GPUs or memory',
    'AccountNotAllowed': 'the partition does not take jobs of the account: change the account or the partition',
    'QOSNotAllowed': 'the partition does not take jobs of the quality of service: change one of them',
    'InvalidAccount': 'the account does not exist: change it',
    'InvalidQOS': 'the quality of service does not exist: change it',
    'ReqNodeNotAvail': 'the machine that it needs is not available: ask the administrators',
    'DependencyNeverSatisfied': 'the job that it waits for has failed: scancel {job}',
    'launch failed requeued held': 'it could not be started and is held: scontrol release {job}',
}
"""Reasons of Slurm for which a job will not start by itself, and what to do."""
REFUSED_BEGINNINGS = ('AssocMax', 'AssocGrp', 'QOSMax', 'QOSGrp', 'MaxMemPerLimit', 'QOSUsageThreshold')
"""Beginnings of reasons that name a limit of the account or the quality of service."""


class Waiting(NamedTuple):
    """A process that does not move."""

    node: orm.ProcessNode
    kind: Kind
    sentence: str
    """What it waits for."""
    advice: str
    """What to type or to change; empty if nothing is to be done."""

    @property
    def text(self) -> str:
        """The sentence and the advice, on one line."""
        return f'{self.node.process_label}<{self.node.pk}> {self.sentence}' + f'; {self.advice}' * bool(self.advice)


def waiting_processes(tree: CallTree, root: orm.ProcessNode) -> list[Waiting]:
    """Return the processes below a process, and itself, that do not move, oldest first.

    Everything is read from the database, where AiiDA notes what the scheduler answered at its last look at the queue;
    nothing connects to a computer.
    """
    if is_paused_as_a_whole(root):
        text = 'and all that it has called is paused'
        return [Waiting(root, 'paused', text, f'to go on, type: aiida-ionconduct resume {root.pk}')]
    alive = [node for node in tree.whole(root) if not node.is_terminated]
    errors = last_errors(alive)
    entries = [_waiting(node, errors.get(node.pk)) for node in alive]
    return [entry for entry in entries if entry]


def is_paused_as_a_whole(process: orm.ProcessNode) -> bool:
    """Return whether a user has paused a process together with all that it has called."""
    return bool(process.paused) and process.process_status == PAUSED_BY_USER


def n_moving(tree: CallTree, root: orm.ProcessNode, waiting: Sequence[Waiting]) -> int:
    """Return how many jobs below a process move."""
    if is_paused_as_a_whole(root):
        return 0
    still = {entry.node.pk for entry in waiting}
    return sum(not job.is_terminated and job.pk not in still for job in tree.jobs(root))


def _waiting(node: orm.ProcessNode, error: orm.Log | None) -> Waiting | None:
    """Return why a process does not move, None if it moves or waits for its children.

    :param error: the last error that its log has.
    """
    if node.paused:
        status = printable(node.process_status or '')
        sentence = 'is paused' + f' ("{status}")' * bool(status)
        if error:
            sentence += f', last error at {_clock(error)}: "{error_line(error)}"'
        first = 'mend this, then type' if error else 'to go on, type'
        return Waiting(node, 'paused', sentence, f'{first}: verdi process play {node.pk}')
    if not isinstance(node, orm.CalcJobNode):
        return None
    status = node.process_status or ''
    if status.startswith(WAITS):
        reason = printable(status.removeprefix(f'{WAITS}: '))
        return Waiting(node, 'queued', f'waits until it can be submitted: {reason}', '')
    looked_at = node.get_scheduler_lastchecktime()
    no_answer = error and looked_at and error.time > looked_at
    if error and ((status.startswith(TRANSPORT_TASK) and _is_of(error, status)) or no_answer):
        task = status.removeprefix(TRANSPORT_TASK) if status.startswith(TRANSPORT_TASK) else 'update'
        sentence = f'has failed to {task}, last at {_clock(error)}: "{error_line(error)}"'
        return Waiting(node, 'retried', sentence, f'AiiDA tries again, then pauses it: verdi process report {node.pk}')
    return in_queue(node)


def in_queue(node: orm.CalcJobNode) -> Waiting | None:
    """Return why a job waits in the queue; None if it does not."""
    state, info = node.get_scheduler_state(), node.get_last_job_info()
    if state not in (JobState.QUEUED, JobState.QUEUED_HELD, JobState.SUSPENDED):
        return None
    job, reason = node.get_job_id(), printable((info.annotation if info else None) or '').strip('()')
    scheduler = node.computer.scheduler_type if node.computer else ''
    # Names of machines can follow a comma, as in ``ReqNodeNotAvail, UnavailableNodes:node7``.
    words, looked_at = reason.partition(',')[0], node.get_scheduler_lastchecktime()
    at = f', at {timezone.localtime(looked_at):%H:%M:%S}' if looked_at else ''
    place = f'{node.computer.label if node.computer else "the computer"}, job {job}'
    if state is JobState.SUSPENDED:
        return Waiting(node, 'held', f'was suspended by the scheduler ({place}{at})', '')
    if state is JobState.QUEUED_HELD or words in HELD:
        sentence = f'is held in the queue ({place}{at}): {HELD.get(words, words or "no reason is given")}'
        if words in HELD:
            sentence += f' ({words})'
        advice = '' if words in ('Dependency', 'BeginTime') else release(scheduler, job, words)
        return Waiting(node, 'held', sentence, advice)
    limit = words.startswith(REFUSED_BEGINNINGS)
    if words in REFUSED or limit:
        meaning = 'a limit of the account or quality of service is reached' if limit else REFUSED[words]
        meaning, _, advice = meaning.partition(': ')
        return Waiting(
            node, 'refused', f'waits in the queue ({place}{at}): {meaning} ({reason})', advice.format(job=job)
        )
    return Waiting(node, 'queued', f'waits in the queue ({place}{at})' + f': {reason}' * bool(reason), '')


def release(scheduler: str, job: str | None, reason: str) -> str:
    """Return how a held job is released.

    :param scheduler: name of the plugin.
    """
    command = BY_PLUGIN[scheduler].release if scheduler in BY_PLUGIN else ''
    advice = f'on the computer, type: {command.format(job=job)}' if command else ''
    return f'ask the administrators, or {advice}' if reason == 'JobHeldAdmin' else advice


def last_errors(processes: Iterable[orm.ProcessNode]) -> dict[int | None, orm.Log]:
    """Return the last error in the log of each process, by its primary key, where there is one."""
    pks = [process.pk for process in processes]
    if not pks:
        return {}
    filters = {'dbnode_id': {'in': pks}, 'levelname': {'in': ['ERROR', 'CRITICAL']}}
    logs = orm.Log.collection.find(filters, order_by=[OrderSpecifier('time', 'asc')])
    return {log.dbnode_id: log for log in logs}


def error_line(error: orm.Log) -> str:
    """Return the last line of an error, which names the exception, without the traceback."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    line = printable(lines[-1]) if lines else ''
    return line if len(line) <= MAX_LENGTH else f'{line[:MAX_LENGTH]}…'


def _is_of(error: orm.Log, status: str) -> bool:
    """Return whether an error belongs to the transport task that a job waits for, not to an earlier task."""
    task = status.removeprefix(TRANSPORT_TASK).strip()
    return f'do_{task}' in str(error.metadata.get('args', '')) or f'do_{task}' in error.message


def _clock(error: orm.Log) -> str:
    return f'{timezone.localtime(error.time):%H:%M:%S}'
