"""The remote folders of finished jobs: which may be removed, how large they are, and their removal."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aiida import orm
from aiida.common.escaping import escape_for_bash
from aiida.common.links import LinkType
from aiida.transports import Transport

from aiida_ionconduct.farm import shell

OWN_WORK_CHAINS = 'aiida.workflows:ionconduct.'
MD = 'ionconduct.lammps.md'
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    MD: (),  # every replica has a trajectory of its own
    'ionconduct.allegro.train': ('model', 'checkpoint', 'output_parameters', 'parity'),
    'ionconduct.allegro.compile': ('model',),
    'ionconduct.allegro.evaluate': ('predictions',),
    'ionconduct.ase.sampling': ('dataset', 'output_parameters'),
    'ionconduct.pw.frames': ('labelled', 'output_parameters'),
    'quantumespresso.pw': ('output_parameters', 'output_trajectory'),
}
"""The jobs whose folders can go, by their plugins, and the outputs that must be stored before."""


class Folder(NamedTuple):
    """The folder of a finished job."""

    job: orm.CalcJobNode
    computer: orm.Computer
    remote: orm.RemoteData
    reason: str
    """Why it must stay; empty if it may be removed."""


def remote_folders(older_than_days: float = 0.0) -> list[Folder]:
    """Return the folders of all jobs that ended well and were not cleaned, sorted by computer.

    Jobs of ``pw.x`` count only where they belong to a work chain of this package: others are the user's own.

    :param older_than_days: only of jobs that ended at least this long ago.
    """
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=older_than_days)
    filters = {
        'process_type': {'in': [f'aiida.calculations:{plugin}' for plugin in OUTPUTS]},
        'attributes.process_state': 'finished',
        'attributes.exit_status': 0,
        'mtime': {'<=': since},
    }
    query = orm.QueryBuilder()
    query.append(orm.CalcJobNode, filters=filters, project='*', tag='job')
    query.append(orm.RemoteData, with_incoming='job', edge_filters={'label': 'remote_folder'}, project='*')
    folders = [
        Folder(job, remote.computer, remote, why_it_stays(job, remote))
        for job, remote in query.all()
        # What came from the cache refers to the folder of another job.
        if not job.base.caching.is_created_from_cache
        and not remote.base.extras.get(remote.KEY_EXTRA_CLEANED, False)
        and (_plugin(job).startswith('ionconduct.') or any(_is_own(caller) for caller in _callers(job)))
    ]
    return sorted(folders, key=lambda folder: (folder.computer.label, folder.job.pk))


def _plugin(job: orm.CalcJobNode) -> str:
    """Return the entry point of a job."""
    return str(job.process_type).partition(':')[2]


def _callers(process: orm.ProcessNode) -> Iterator[orm.ProcessNode]:
    """Yield the work chain that has called a process, the work chain that has called that one, and so on."""
    caller = process.caller
    while caller is not None:
        yield caller
        caller = caller.caller


def _is_own(caller: orm.ProcessNode) -> bool:
    """Return whether a work chain is one of this package."""
    return str(caller.process_type).startswith(OWN_WORK_CHAINS)


def why_it_stays(job: orm.CalcJobNode, remote: orm.RemoteData) -> str:
    """Return why a folder must not be removed; an empty text where it may."""
    if reason := _missing_outputs(job):
        return reason
    users = remote.base.links.get_outgoing(link_type=LinkType.INPUT_CALC).all_nodes()
    if any(not user.is_terminated for user in users):
        return 'a running job reads from it'
    # pw.x goes on from the folder of an earlier job, which its work chain has not submitted yet.
    running = next((caller for caller in _callers(job) if not caller.is_terminated), None)
    if running is not None and _plugin(job) != MD:
        return f'its work chain {running.process_label}<{running.pk}> has not ended'
    folder = remote.get_remote_path().rstrip('/')
    if folder != (job.get_remote_workdir() or '').rstrip('/') or folder.count('/') < 4:
        return 'it is not a folder that AiiDA has made for one job'
    return ''


def _missing_outputs(job: orm.CalcJobNode) -> str:
    """Return which results of a job are not stored; an empty text if all are."""
    plugin = _plugin(job)
    if plugin != MD:
        missing = [name for name in OUTPUTS[plugin] if name not in job.outputs]
        return f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} not stored' if missing else ''
    seeds = job.inputs.parameters['seeds']
    trajectories = dict(job.outputs.trajectories) if 'trajectories' in job.outputs else {}
    if len(trajectories) != len(seeds):
        return f'{len(trajectories)} of {len(seeds)} trajectories are stored'
    for label, trajectory in trajectories.items():
        if not trajectory.is_stored or not set(trajectory.base.repository.list_object_names()) >= {'positions.npy'}:
            return f'the trajectory of {label} is not in the repository'
    return ''


def sizes(transport: Transport, paths: list[str]) -> dict[str, int]:
    """Return the bytes in some remote folders; folders that are gone are left out."""
    words = ' '.join(escape_for_bash(path) for path in paths)
    _, output, _ = shell.run(transport, f'du -sk -- {words} 2>/dev/null')
    pairs = (line.split('\t', 1) for line in output.splitlines() if '\t' in line)
    return {path: 1024 * int(size) for size, path in pairs}


def clean(removable: list[Folder], *, apply: bool, batch: int = 50) -> Iterator[tuple[str, int, int]]:
    """Measure the folders of each computer and, if asked for, remove them.

    A node whose folder was removed says so in an extra, as after ``verdi calcjob cleanworkdir``.

    :param apply: whether to remove.
    :param batch: folders to be measured by one command.
    :return: iterator over (label of the computer, number of folders, bytes).
    """
    for label, group in itertools.groupby(removable, key=lambda folder: folder.computer.label):
        members = list(group)
        n_bytes = 0
        with members[0].computer.get_transport() as transport:
            for begin in range(0, len(members), batch):
                part = members[begin : begin + batch]
                n_bytes += sum(sizes(transport, [folder.remote.get_remote_path() for folder in part]).values())
                for folder in part if apply else ():
                    folder.remote._clean(transport)
        yield label, len(members), n_bytes
