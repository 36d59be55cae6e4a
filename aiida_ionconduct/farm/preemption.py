"""Jobs whose machine the scheduler has given to a job of higher priority: no fault of theirs."""

from __future__ import annotations

from aiida import orm

from aiida_ionconduct.farm.ledger import accounted_allocation

SAID = 'DUE TO PREEMPTION'
"""What Slurm writes into the error file of such a job."""


def was_preempted(job: orm.CalcJobNode) -> bool:
    """Return whether a job has been preempted, from the accounting of Slurm or from the error file of the job."""
    allocation = accounted_allocation(job.get_detailed_job_info() or {}) or {}
    return allocation.get('State', '').startswith('PREEMPTED') or SAID in (job.get_scheduler_stderr() or '')
