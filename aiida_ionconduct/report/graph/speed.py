"""How fast the molecular dynamics of a campaign was."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.queries import stored_pk
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.result import MdSpeed

MD_JOB = 'LammpsMdCalculation'
S_PER_DAY = 86400


class _Job(NamedTuple):
    n_atoms: int
    cores: int
    step_s: float
    timestep_fs: float


def md_speeds(node: orm.ProcessNode, tree: CallTree | None = None) -> list[MdSpeed]:
    """Return the speed of each stage of molecular dynamics below a process, in the order in which the stages began.

    Jobs from the cache count as the jobs that they were taken from; jobs that were cut state no speed.

    :param tree: the calls, where they are known.
    """
    tree = tree or CallTree(node)
    speeds = []
    for label, child in tree.called_by(node):
        jobs = _jobs([job for job in tree.jobs(child) if job.process_label == MD_JOB])
        if jobs:
            step_s = median(job.step_s for job in jobs)
            speeds.append(
                MdSpeed(
                    label=label,
                    n_jobs=len(jobs),
                    n_atoms=round(median(job.n_atoms for job in jobs)),
                    cores=round(median(job.cores for job in jobs)),
                    step_ms=1000 * step_s,
                    ps_per_day=median(job.timestep_fs / 1000 / job.step_s for job in jobs) * S_PER_DAY,
                )
            )
    return speeds


def _jobs(jobs: Sequence[orm.CalcJobNode]) -> list[_Job]:
    """Return what is known of the jobs that state their speed."""
    steps_per_s: dict[int, float] = {}
    for link in linked(jobs, 'outgoing', LinkType.CREATE, kind=orm.Dict):
        if speed := link.node.base.attributes.get('steps_per_second', None):
            steps_per_s[link.process_pk] = speed
    used = linked(jobs, 'incoming', LinkType.INPUT_CALC)
    parameters = {link.process_pk: link.node.base.attributes.all for link in used if link.label == 'parameters'}
    n_atoms = {link.process_pk: len(link.node.sites) for link in used if isinstance(link.node, orm.StructureData)}
    return [
        _Job(
            n_atoms=n_atoms[pk] * len(parameters[pk].get('seeds', [0])),
            cores=_cores(job),
            step_s=1 / steps_per_s[pk],
            timestep_fs=parameters[pk]['timestep_fs'],
        )
        for job in jobs
        if (pk := stored_pk(job)) in steps_per_s and pk in parameters and pk in n_atoms
    ]


def _cores(job: orm.CalcJobNode) -> int:
    """Return the number of processes that a job has asked for, times the threads of each."""
    resources = job.get_option('resources') or {}
    processes = resources.get('num_machines', 1) * resources.get('num_mpiprocs_per_machine', 1)
    return int(processes * (resources.get('num_cores_per_mpiproc') or 1))
