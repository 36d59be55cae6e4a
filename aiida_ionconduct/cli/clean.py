"""The remote folders of finished runs: which may be removed, how large they are, and their removal."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from aiida import orm
from aiida.common.escaping import escape_for_bash
from aiida.common.links import LinkType
from aiida.transports import Transport

from aiida_ionconduct.farm import shell

PROCESS_TYPE = 'aiida.calculations:ionconduct.lammps.md'


class Folder(NamedTuple):
    """The folder of a finished run."""

    job: orm.CalcJobNode
    computer: orm.Computer
    remote: orm.RemoteData
    reason: str
    """Why it must stay; empty if it may be removed."""


def remote_folders(older_than_days: float = 0.0) -> list[Folder]:
    """Return the folders of all LAMMPS runs that ended well and were not cleaned, sorted by computer.

    :param older_than_days: only of jobs that ended at least this long ago.
    """
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=older_than_days)
    query = orm.QueryBuilder()
    filters = {'process_type': PROCESS_TYPE, 'attributes.process_state': 'finished', 'attributes.exit_status': 0}
    query.append(orm.CalcJobNode, filters=filters | {'mtime': {'<=': since}}, project='*', tag='job')
    query.append(orm.RemoteData, with_incoming='job', edge_filters={'label': 'remote_folder'}, project='*')
    folders = [
        Folder(job, remote.computer, remote, why_it_stays(job, remote))
        for job, remote in query.all()
        # What came from the cache refers to the folder of another job.
        if not job.base.caching.is_created_from_cache and not remote.base.extras.get(remote.KEY_EXTRA_CLEANED, False)
    ]
    return sorted(folders, key=lambda folder: (folder.computer.label, folder.job.pk))


def why_it_stays(job: orm.CalcJobNode, remote: orm.RemoteData) -> str:
    """Return why a folder must not be removed; an empty text where it may."""
    seeds = job.inputs.parameters['seeds']
    trajectories = dict(job.outputs.trajectories) if 'trajectories' in job.outputs else {}
    if len(trajectories) != len(seeds):
        return f'{len(trajectories)} of {len(seeds)} trajectories are stored'
    for label, trajectory in trajectories.items():
        if not trajectory.is_stored or not set(trajectory.base.repository.list_object_names()) >= {'positions.npy'}:
            return f'the trajectory of {label} is not in the repository'
    users = remote.base.links.get_outgoing(link_type=LinkType.INPUT_CALC).all_nodes()
    if any(not user.is_terminated for user in users):
        return 'a running job reads from it'
    folder = remote.get_remote_path().rstrip('/')
    if folder != (job.get_remote_workdir() or '').rstrip('/') or folder.count('/') < 4:
        return 'it is not a folder that AiiDA has made for one job'
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
