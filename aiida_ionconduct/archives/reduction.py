"""Archives with every job, but with thinned trajectories and without the files that only a running job needs.

The nodes keep their UUIDs and links. :class:`ReducingFormat` changes them while AiiDA writes the archive, so that
nothing is stored in the profile. Each of them states in its attribute ``reduced`` what was taken away. Names of folders
and computers can be hidden as well (:mod:`~aiida_ionconduct.archives.hiding`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from aiida import orm
from aiida.orm.entities import EntityTypes
from aiida.repository import Repository
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip
from aiida.tools.archive.implementations.sqlite_zip.writer import ArchiveWriterSqlZip
from aiida.tools.graph.graph_traversers import get_nodes_export
from tabulate import tabulate

from aiida_ionconduct.archives.hiding import Hiding
from aiida_ionconduct.calculations.functions.trajectories import thinned, thinned_attributes
from aiida_ionconduct.data import AllegroModelData, IonTrajectoryData
from aiida_ionconduct.data.reduced import REDUCED
from aiida_ionconduct.queries import stored_pk
from aiida_ionconduct.report.number_format import format_bytes
from aiida_ionconduct.transport.estimators import MIN_FRAMES

POSITIONS, CENTRES = 'positions.npy', 'centres_of_mass.npy'
COMPILED = 'compiled models'
WORKING_OUTPUTS = {
    ('aiida.calculations:ionconduct.lammps.md', 'restart'): 'restart files of LAMMPS',
    ('aiida.calculations:ionconduct.allegro.train', 'checkpoint'): 'checkpoints of trainings',
}
"""Outputs of jobs, by process type and link label, that only another job needs, which goes on from them."""
LOGS = {('aiida.calculations:ionconduct.lammps.md', 'retrieved'): 'logs of LAMMPS'}
LOG = 'lammps.log'
"""Its columns are an array of the trajectories, or of the output `thermo`."""


class SmallerFile(NamedTuple):
    """A file of a node as the archive has it."""

    kind: str
    n_bytes: int
    """Of the whole file."""
    content: bytes | None
    """None if the file is left out."""
    every: int = 1


class Change(NamedTuple):
    """What an archive changes in a node: its attributes, and its files, which are read only when they are written."""

    attributes: dict[str, Any]
    files: Callable[[], dict[str, SmallerFile]]
    text: str


class Reduced(NamedTuple):
    """A file of a node that an archive has thinned or left out."""

    uuid: str
    node: str
    name: str
    kind: str
    n_bytes: int
    left_bytes: int | None


def nodes_behind(node: orm.Node) -> set[int]:
    """Return the PKs of the nodes of an archive with all jobs."""
    nodes: set[int] = get_nodes_export(starting_pks=[stored_pk(node)])['nodes']
    return nodes


def plan_changes(
    node: orm.Node, *, every: int = 1, centres_every: int = 1, working_files: bool = True, logs: bool = True
) -> dict[str, Change]:
    """Return what an archive of everything behind a node changes, by UUID.

    :param every: positions are thinned to one frame in n, of runs that keep at least 20 frames.
    :param centres_every: centres of mass of these runs likewise.
    :param working_files: whether compiled models, restart files and checkpoints stay.
    :param logs: whether the logs of LAMMPS stay.
    """
    among = {'id': {'in': list(nodes_behind(node))}}
    changes: dict[str, Change] = {}
    if max(every, centres_every) > 1:
        runs = orm.QueryBuilder().append(IonTrajectoryData, filters=among).all(flat=True)
        changes |= _thinnings(runs, every, centres_every)
    if not working_files:
        query = orm.QueryBuilder()
        query.append(AllegroModelData, filters={**among, 'attributes.model_format': {'!==': 'package'}})
        changes |= {str(model.uuid): _left_out(model, COMPILED) for model in query.all(flat=True)}
        changes |= _without_outputs(among, WORKING_OUTPUTS)
    if not logs:
        changes |= _without_outputs(among, LOGS, LOG)
    return changes


def _thinnings(runs: Sequence[IonTrajectoryData], every: int, centres_every: int) -> dict[str, Change]:
    """Return the changes of trajectories; segments are thinned so that their join is thinned evenly."""
    changes: dict[str, Change] = {}

    def thin(run: IonTrajectoryData, before: tuple[int, int]) -> tuple[int, int]:
        """Add the changes of a run and of its parts; return the numbers of frames and centres of mass at its end."""
        attributes = thinned_attributes(run, every, centres_every, before)
        n_frames = run.base.attributes.get('n_frames')
        text = f'{run.temperature_K:g} K, seed {run.base.attributes.get("seed", None)}'
        if parts := run.parts:
            end = before
            for part in parts:
                end = thin(part, end)
            factors = {POSITIONS: every, CENTRES: centres_every}
            known = attributes.get(REDUCED, {})
            attributes[REDUCED] = known | {
                name: {'every': known.get(name, {}).get('every', 1) * n} for name, n in factors.items() if n > 1
            }
            changes[str(run.uuid)] = Change(attributes, dict, text)
            return end
        text = f'{text}, {n_frames} frames, {attributes["n_frames"]} left'
        changes[str(run.uuid)] = Change(attributes, partial(_thinned_files, run, every, centres_every, before), text)
        return before[0] + n_frames, before[1] + len(run.centres_of_mass)

    parts_of_others = {part.uuid for run in runs for part in run.parts}
    for run in runs:
        if run.uuid not in parts_of_others and run.base.attributes.get('n_frames') // every >= MIN_FRAMES:
            thin(run, (0, 0))
    return changes


def _thinned_files(
    run: IonTrajectoryData, every: int, centres_every: int, before: tuple[int, int]
) -> dict[str, SmallerFile]:
    """Return the arrays of a run that holds its own, thinned."""
    fewer = thinned(run, every, centres_every, before)
    kinds = {POSITIONS: ('positions', every), CENTRES: ('centres of mass', centres_every)}
    return {
        name: SmallerFile(f'{kind}, one in {n}', len(_content(run, name)), _content(fewer, name), n)
        for name, (kind, n) in kinds.items()
        if n > 1
    }


def _content(node: orm.Data, name: str) -> bytes:
    """Return the bytes of a file of a node."""
    return node.base.repository.get_object_content(name, mode='rb')


def _without_outputs(
    among: dict[str, Any], outputs: Mapping[tuple[str, str], str], name: str | None = None
) -> dict[str, Change]:
    """Return the changes that leave out files of outputs of jobs.

    :param among: filter of the nodes in the archive.
    :param outputs: their kind by process type and link label.
    :param name: of the file; by default all files.
    """
    changes: dict[str, Change] = {}
    for (process_type, label), kind in outputs.items():
        query = orm.QueryBuilder().append(orm.CalcJobNode, filters={'process_type': process_type}, tag='job')
        query.append(orm.Data, filters=among, with_incoming='job', edge_filters={'label': label})
        changes |= {str(output.uuid): _left_out(output, kind, name) for output in query.all(flat=True)}
    return changes


def _left_out(node: orm.Data, kind: str, name: str | None = None) -> Change:
    """Return the change that leaves out a file of a node, or all its files."""
    return Change(dict(node.base.attributes.all), partial(_files_left_out, node, kind, name), kind)


def _files_left_out(node: orm.Data, kind: str, name: str | None) -> dict[str, SmallerFile]:
    """Return a file of a node, or all its files, as left out; nothing if the node has no such file."""
    names = [known for known in node.base.repository.list_object_names() if name in (None, known)]
    return {known: SmallerFile(kind, len(_content(node, known)), None) for known in names}


class ReducingFormat(ArchiveFormatSqlZip):
    """AiiDA's format of archives, whose writer makes changes.

    :ivar reduced: what was thinned or left out, once an archive has been written.
    """

    def __init__(self, changes: Mapping[str, Change], hiding: Hiding) -> None:
        """Take the changes by the UUIDs of the nodes, and the names to hide."""
        super().__init__()
        self.changes, self.hiding = changes, hiding
        self.reduced: list[Reduced] = []

    def open(self, path: str | Path, mode: Any = 'r', **kwargs: Any) -> Any:
        """Open an archive; a new archive is written with the changes."""
        if mode not in ('x', 'w'):
            return super().open(path, mode, **kwargs)
        return _Writer(path, self, mode=mode, **kwargs)


class _Writer(ArchiveWriterSqlZip):
    """Write nodes with their changes, and no file to which no node refers any more.

    AiiDA writes all nodes before it writes the files of their repositories.
    """

    def __init__(self, path: str | Path, fmt: ReducingFormat, **kwargs: Any) -> None:
        super().__init__(path, fmt, **kwargs)
        self.changes, self.hiding, self.reduced = fmt.changes, fmt.hiding, fmt.reduced
        self.keys: set[str | None] = set()

    def bulk_insert(self, entity_type: EntityTypes, rows: list[dict[str, Any]], allow_defaults: bool = False) -> None:
        """Write rows of the database; nodes are changed first."""
        if entity_type == EntityTypes.NODE:
            rows = [self._without_names(self._changed(row)) for row in rows]
            for row in rows:
                self.keys.update(Repository.flatten(row['repository_metadata']).values())
        elif entity_type in (EntityTypes.COMPUTER, EntityTypes.LOG, EntityTypes.COMMENT):
            rows = [self.hiding.in_row(row) for row in rows]
        super().bulk_insert(entity_type, rows, allow_defaults=allow_defaults)

    def put_object(self, stream: Any, *, buffer_size: int | None = None, key: str | None = None) -> str:
        """Write a file, unless it is of no node in the archive."""
        if key is not None and key not in self.keys:
            return key
        return super().put_object(stream, buffer_size=buffer_size, key=key)

    def _changed(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row of a node as the archive has it, and write the files that are its own there."""
        change = self.changes.get(str(row['uuid']))
        if change is None:
            return row
        metadata = row['repository_metadata']
        objects, attributes = dict(metadata.get('o', {})), dict(change.attributes)
        statements = dict(attributes.get(REDUCED, {}))
        for name, file in change.files().items():
            statement: dict[str, Any] = {'bytes': file.n_bytes, 'sha256': objects.pop(name)['k']}
            statement |= statements.get(name, {})  # of an archive that was thinned before, the whole file counts
            if file.content is not None:
                objects[name] = {'k': self.put_object(io.BytesIO(file.content))}
                statement['every'] = statement.get('every', 1) * file.every
            statements[name] = statement
            left = None if file.content is None else len(file.content)
            text = f'{row["node_type"].rstrip(".").rpartition(".")[2]}, {change.text}'
            self.reduced.append(Reduced(str(row['uuid']), text, name, file.kind, file.n_bytes, left))
        if statements:
            attributes[REDUCED] = statements
        return {
            **row,
            'attributes': attributes,
            'extras': _without_hash(row['extras']),
            'repository_metadata': {**metadata, 'o': objects} if objects else {},
        }

    def _without_names(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row of a node without the names to hide, and write the files that are its own then.

        The hash of a process is that of its inputs, so that the cache still knows it.
        """
        hidden = self.hiding.in_row(row)
        metadata = self._files_without_names(row['repository_metadata'])
        own = hidden != row or metadata != row['repository_metadata']
        if own and row['node_type'].startswith('data.'):
            hidden['extras'] = _without_hash(hidden['extras'])
        return {**hidden, 'repository_metadata': metadata}

    def _files_without_names(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Return the tree of files of a node in which the text files without the names stand for those with names."""
        if key := metadata.get('k'):
            content = self.hiding.in_file(key)
            return metadata if content is None else {**metadata, 'k': self.put_object(io.BytesIO(content))}
        if 'o' not in metadata:
            return metadata
        return {**metadata, 'o': {name: self._files_without_names(part) for name, part in metadata['o'].items()}}


def _without_hash(extras: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extras of a node that is no longer what its hash says."""
    return {name: value for name, value in extras.items() if name != '_aiida_hash'}


def reduction_table(reduced: Sequence[Reduced]) -> str:
    """Return what was thinned and left out by kind, with the bytes before and after, uncompressed."""
    rows = []
    for kind in dict.fromkeys(row.kind for row in reduced):
        files = [row for row in reduced if row.kind == kind]
        left = [row.left_bytes for row in files if row.left_bytes is not None]
        after = format_bytes(sum(left)) if left else 'left out'
        rows.append((kind, len(files), format_bytes(sum(row.n_bytes for row in files)), after))
    return tabulate(rows, headers=('', 'files', 'whole', 'here'), colalign=('left', 'right', 'right', 'right'))


def reduction_list(reduced: Sequence[Reduced]) -> str:
    """Return a line for every file that was thinned or left out."""
    lines = [
        f'- `{row.uuid}`, {row.node}: `{row.name}`, {format_bytes(row.n_bytes)}, '
        + ('left out' if row.left_bytes is None else f'here {format_bytes(row.left_bytes)}')
        for row in reduced
    ]
    return '\n'.join(lines)
