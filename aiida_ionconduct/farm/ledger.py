"""What jobs have cost: core and GPU hours from the accounting of the scheduler or, where there is none, wall times."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiida import orm


class Cost(NamedTuple):
    """What jobs have cost so far."""

    core_hours: float = 0.0
    gpu_hours: float = 0.0
    accounted: bool = True
    """Whether all of it stands in the accounting of a scheduler; wall times are good to the interval of polling."""

    def plus(self, other: Cost) -> Cost:
        """Return the sum of two costs."""
        return Cost(
            self.core_hours + other.core_hours, self.gpu_hours + other.gpu_hours, self.accounted and other.accounted
        )


def total_cost(jobs: Iterable[orm.CalcJobNode]) -> Cost:
    """Return what some jobs have cost together."""
    total = Cost()
    for job in jobs:
        total = total.plus(job_cost(job))
    return total


def job_cost(job: orm.CalcJobNode) -> Cost:
    """Return what a job has cost so far; a job that was taken from the cache has cost nothing."""
    if job.base.caching.is_created_from_cache:
        return Cost()
    allocation = accounted_allocation(job.get_detailed_job_info() or {})
    if allocation:
        hours = int(allocation['ElapsedRaw']) / 3600
        return Cost(hours * int(allocation['AllocCPUS']), hours * allocated_gpus(allocation.get('AllocTRES', '')))
    hours = wall_time_s(job) / 3600
    return Cost(hours * n_cores(job), hours * n_gpus(job), accounted=hours == 0)


def accounted_allocation(info: dict[str, Any]) -> dict[str, str] | None:
    """Return the line of ``sacct`` on the whole job, by the names of its columns; None if there is none.

    :param info: what AiiDA has noted of the command: `retval`, `stdout`.
    """
    if info.get('retval') != 0:
        return None
    for row in csv.DictReader(accounting_table(info), delimiter='|', quoting=csv.QUOTE_NONE):
        if str(row.get('ElapsedRaw')).isdigit() and str(row.get('AllocCPUS')).isdigit():
            return row
    return None


def accounting_table(info: Mapping[str, Any]) -> list[str]:
    """Return the lines of ``sacct`` from the header on, without what a login shell has printed before; [] if none.

    :param info: what AiiDA has noted of the command: `stdout`.
    """
    lines = str(info.get('stdout', '')).splitlines()
    return list(itertools.dropwhile(lambda line: 'ElapsedRaw|' not in line or 'AllocCPUS|' not in line, lines))


def allocated_gpus(tres: str) -> int:
    """Return the number of GPUs in a list of what was allocated, such as ``cpu=2,gres/gpu=1,gres/gpu:a100=1``."""
    total = re.search(r'(?:^|,)gres/gpu=(\d+)', tres)
    return int(total[1]) if total else sum(map(int, re.findall(r'gres/gpu:[^=,]+=(\d+)', tres)))


def wall_time_s(job: orm.CalcJobNode) -> float:
    """Return how long a job has run, from AiiDA's looks at the queue.

    A job without a scheduler that has ended before it was seen has run at most until AiiDA has noticed the end.
    """
    info, looked_at = job.get_last_job_info(), job.get_scheduler_lastchecktime()
    seconds = float((info.wallclock_time_seconds if info else None) or 0)
    if seconds or looked_at is None or job.computer is None or job.computer.scheduler_type != 'core.direct':
        return seconds
    return max((looked_at - job.ctime).total_seconds(), 0.0)


def n_cores(job: orm.CalcJobNode) -> int:
    """Return the number of cores that a job has asked for."""
    resources = job.get_option('resources') or {}
    threads = int((job.get_option('environment_variables') or {}).get('OMP_NUM_THREADS', 1))
    n_per_process = resources.get('num_cores_per_mpiproc') or threads
    n_processes = resources.get('tot_num_mpiprocs')
    if n_processes:
        return int(n_processes) * (1 if 'parallel_env' in resources else n_per_process)
    return int(resources.get('num_machines', 1) * resources.get('num_mpiprocs_per_machine', 1) * n_per_process)


def n_gpus(job: orm.CalcJobNode) -> int:
    """Return the number of GPUs that a job has asked for."""
    return int(job.get_option('gpus') or 0) * int((job.get_option('resources') or {}).get('num_machines', 1))
