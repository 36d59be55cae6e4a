"""An ion trajectory: unwrapped positions, centres of mass more often, and thermodynamic columns, each stored once."""

from __future__ import annotations

import io
import itertools
import json
import pathlib
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from aiida import orm
from aiida.common.links import LinkType
from aiida.orm.nodes.caching import NodeCaching
from ase import Atoms
from ase.formula import Formula
from ase.io import write

from aiida_ionconduct.data.display import card, node_title, plot
from aiida_ionconduct.data.reduced import REDUCED

ArrayName = Literal['positions', 'centres_of_mass', 'thermo']
ARRAYS: tuple[ArrayName, ...] = get_args(ArrayName)


class TrajectoryCaching(NodeCaching):
    """The hash of a trajectory. A trajectory that an archive has thinned in place has another hash at every call.

    An analysis of all frames, which the archive holds as well, is therefore never taken for an analysis of the frames
    that are left.
    """

    def get_objects_to_hash(self) -> dict[str, Any]:
        """Return what counts in the hash."""
        objects = super().get_objects_to_hash()
        return {**objects, REDUCED: uuid.uuid4().hex} if REDUCED in self._node.base.attributes else objects


class IonTrajectoryData(orm.Data):
    """The production part of one MD run with one velocity seed.

    Arrays (each a ``.npy`` file in the repository, which is mapped, not loaded, where the repository allows it):

    - ``positions``: float32, (frames, atoms, 3), unwrapped, Å;
    - ``centres_of_mass``: float64, (fine frames, species, 3), unwrapped, Å, the species in the order of ``species``;
    - ``thermo``: float64, (rows, columns), the columns named by ``thermo_columns``.

    A run that was cut has a trajectory for each segment, and a trajectory over all segments (:meth:`join`) that holds
    no array: its segments are the inputs of the calculation function that made it.
    """

    _CLS_NODE_CACHING = TrajectoryCaching

    def __init__(
        self,
        positions: np.ndarray | None = None,
        centres_of_mass: np.ndarray | None = None,
        thermo: np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        """Store the arrays with what is needed to analyse them.

        :param kwargs: must contain ``symbols`` (list, one per atom), ``species`` (list, the order of
            ``centres_of_mass``), ``cell`` (3×3, Å), ``temperature_K``, ``timestep_fs``, ``frame_interval_ps`` and
            ``com_interval_ps`` (time between frames and between fine frames), ``seed``, ``thermo_columns``; a segment
            that does not begin with the production has ``start_ps`` and ``com_start_ps``, the times of its first
            frame and fine frame; further keys, such as ``ensemble``, are kept as attributes.
        :raises ValueError: if an array does not fit the symbols or holds a value that is not finite.
        """
        own = {key: kwargs.pop(key) for key in ('label', 'description', 'user') if key in kwargs}
        super().__init__(**own)
        if positions is None:
            return
        positions = np.asarray(positions, dtype=np.float32)
        centres_of_mass = np.asarray(centres_of_mass, dtype=np.float64)
        symbols, species = list(kwargs['symbols']), list(kwargs['species'])
        if positions.ndim != 3 or positions.shape[1:] != (len(symbols), 3):
            raise ValueError(f'positions have shape {positions.shape}, expected (frames, {len(symbols)}, 3).')
        if centres_of_mass.ndim != 3 or centres_of_mass.shape[1:] != (len(species), 3):
            raise ValueError(
                f'centres_of_mass have shape {centres_of_mass.shape}, expected (frames, {len(species)}, 3).'
            )
        arrays = {'positions': positions, 'centres_of_mass': centres_of_mass, 'thermo': np.asarray(thermo, dtype=float)}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                frame = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
                raise ValueError(f'{name} hold a value that is not finite, first in frame {frame}.')
            with tempfile.TemporaryFile() as stream:
                np.save(stream, np.ascontiguousarray(array))
                stream.seek(0)
                self.base.repository.put_object_from_filelike(stream, f'{name}.npy')  # type: ignore[arg-type]  # any stream
        # JSON turns NumPy scalars and tuples into what the database can hold.
        attributes = json.loads(json.dumps(kwargs, default=lambda value: np.asarray(value).tolist()))
        self.base.attributes.set_many({**attributes, 'n_frames': len(positions), 'n_atoms': len(symbols)})

    @classmethod
    def join(cls, segments: Sequence[IonTrajectoryData]) -> IonTrajectoryData:
        """Return one trajectory over the segments of a run, without copying any array.

        To be called in a calculation function whose inputs are the segments, labelled in their order.

        :raises ValueError: if the segments are not of one run, or leave a gap or an overlap in time.
        """
        first = segments[0].base.attributes.all
        same = ('symbols', 'species', 'cell', 'temperature_K', 'seed', 'frame_interval_ps', 'com_interval_ps')
        for before, after in itertools.pairwise(segments):
            for name in (*same, 'thermo_columns'):
                if after.base.attributes.get(name) != first[name]:
                    raise ValueError(f'the segments differ in {name}: they are not of one run.')
            gap = after.start_ps - before.start_ps - before.base.attributes.get('n_frames') * before.frame_interval_ps
            if abs(gap) > 1e-6 * before.frame_interval_ps + 1e-9:
                raise ValueError(
                    f'there is {"a gap" if gap > 0 else "an overlap"} of {abs(gap):g} ps between segments.'
                )
        joined = cls()
        joined._segments = list(segments)
        joined.base.attributes.set_many(
            {
                **first,
                'n_frames': sum(segment.base.attributes.get('n_frames') for segment in segments),
                # The content counts in the hash by which caching finds equal nodes.
                'segments': [segment.content_hash() for segment in segments],
            }
        )
        return joined

    @property
    def parts(self) -> list[IonTrajectoryData]:
        """The trajectories that were joined to this trajectory, in order of time; none for a single run."""
        if 'segments' not in self.base.attributes:
            return []
        creator = self.base.links.get_incoming(link_type=LinkType.CREATE).one().node
        inputs = creator.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()
        joined = sorted((link.link_label, link.node) for link in inputs if isinstance(link.node, type(self)))
        return [part for _, part in joined]

    @property
    def segments(self) -> list[IonTrajectoryData]:
        """The segments in order of time; a trajectory that holds its own arrays is its own single segment.

        :raises ValueError: if an import has mixed thinned and whole segments.
        """
        if 'segments' not in self.base.attributes:
            return [self]
        if not hasattr(self, '_segments'):
            segments = [segment for part in self.parts for segment in part.segments]
            if any(segment.thinned_every != self.thinned_every for segment in segments):
                raise ValueError(
                    f'some segments of the trajectory {self.pk} are whole and some thinned, because two archives were '
                    'imported into this profile: import the larger archive into an empty profile.'
                )
            self._segments = segments
        return self._segments

    def content_hash(self) -> str | list[Any]:
        """Return a checksum of the content of the repository; of every segment for a joined trajectory."""
        return self.base.attributes.get('segments', None) or self.base.repository.hash()

    def get_array(self, name: ArrayName) -> np.ndarray:
        """Return an array by its name, read-only.

        :raises ValueError: for another name.
        """
        if name not in ARRAYS:
            raise ValueError(f'`{name}` is not one of {", ".join(ARRAYS)}.')
        if self.segments != [self]:
            return np.concatenate([segment.get_array(name) for segment in self.segments])
        with self.base.repository.open(f'{name}.npy', mode='rb') as handle:
            path = getattr(handle, 'name', None)  # a packed object, or an object in an archive, is no file
            if isinstance(path, (str, pathlib.Path)) and pathlib.Path(path).is_file():
                return np.load(path, mmap_mode='r')
            return np.load(io.BytesIO(handle.read()))

    @property
    def positions(self) -> np.ndarray:
        """Unwrapped positions, float32, (frames, atoms, 3), Å."""
        return self.get_array('positions')

    @property
    def centres_of_mass(self) -> np.ndarray:
        """Unwrapped centres of mass of the species, float64, (fine frames, species, 3), Å."""
        return self.get_array('centres_of_mass')

    @property
    def thermo(self) -> dict[str, np.ndarray]:
        """Thermodynamic columns by name: step, temperature (K), energies (eV), pressure (bar)."""
        table = self.get_array('thermo')
        return {name: table[:, index] for index, name in enumerate(self.base.attributes.get('thermo_columns'))}

    @property
    def times_ps(self) -> np.ndarray:
        """Times of the frames since the start of the production, in ps."""
        return self.start_ps + self.frame_interval_ps * np.arange(self.base.attributes.get('n_frames'))

    @property
    def thermo_times_ps(self) -> np.ndarray:
        """Times of the rows of ``thermo`` since the start of the production, in ps."""
        steps = [part.thermo['step'] * part.base.attributes.get('timestep_fs') / 1000 for part in self.segments]
        return np.concatenate(steps)

    @property
    def start_ps(self) -> float:
        """Time of the first frame since the start of the production, in ps."""
        return self.base.attributes.get('start_ps', 0.0)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols, one per atom."""
        return self.base.attributes.get('symbols')

    @property
    def cell(self) -> np.ndarray:
        """Cell vectors as rows, Å."""
        return np.array(self.base.attributes.get('cell'))

    @property
    def temperature_K(self) -> float:
        """Temperature in K at which the run was equilibrated."""
        return self.base.attributes.get('temperature_K')

    @property
    def frame_interval_ps(self) -> float:
        """Time between two frames of ``positions``, in ps."""
        return self.base.attributes.get('frame_interval_ps')

    @property
    def thinned_every(self) -> int:
        """N, if the positions are one frame in n of the frames of the run; else 1."""
        return self.base.attributes.get('thinned_every', 1)

    @property
    def length_ps(self) -> float:
        """Time between the first and the last frame, in ps."""
        return (self.base.attributes.get('n_frames') - 1) * self.frame_interval_ps

    def _repr_html_(self) -> str:
        """Return the table of the run, and its temperature against time, for notebooks; no positions are read."""
        if 'n_frames' not in self.base.attributes:
            return card(node_title(self), [('Frames', 'none yet')])
        n_frames, lengths = self.base.attributes.get('n_frames'), np.linalg.norm(self.cell, axis=1)
        rows = [
            ('Composition', f'{Formula.from_list(self.symbols):metal}, {len(self.symbols)} atoms'),
            ('Temperature', f'{self.temperature_K:g} K, {self.base.attributes.get("ensemble", "ensemble not stated")}'),
            ('Length', f'{self.length_ps:g} ps, {n_frames} frames every {1000 * self.frame_interval_ps:g} fs'),
            ('Seed', self.base.attributes.get('seed', None)),
            ('Cell', ' × '.join(f'{length:.2f}' for length in lengths) + ' Å'),
            ('Segments', len(self.segments) if len(self.segments) > 1 else None),
            ('Thinned', f'one frame in {self.thinned_every}' if self.thinned_every > 1 else None),
        ]
        drawing = ''
        if {'step', 'temperature_K'} <= set(self.base.attributes.get('thermo_columns', [])):
            drawing = plot('Temperature (K) against time (ps)', self.thermo_times_ps, self.thermo['temperature_K'])
        return card(node_title(self), rows, drawing)

    def iter_ase(self, stride: int = 1) -> Iterator[Atoms]:
        """Yield frames as ASE atoms, unwrapped, with ``time_ps`` and ``temperature_K`` as info.

        :param stride: take every ``stride``-th frame.
        """
        index = 0
        for segment in self.segments:
            times = segment.times_ps
            for time, positions in zip(times, segment.positions, strict=True):
                if index % stride == 0:
                    info = {'time_ps': float(time), 'temperature_K': self.temperature_K}
                    yield Atoms(self.symbols, positions=positions.astype(float), cell=self.cell, pbc=True, info=info)
                index += 1

    def write_extxyz(self, path: str | pathlib.Path, stride: int = 1) -> int:
        """Write frames to an extended XYZ file, one at a time, and return their number.

        :param stride: take every ``stride``-th frame.
        """
        with open(path, 'w') as handle:
            n_frames = 0
            for frame in self.iter_ase(stride):
                write(handle, frame, format='extxyz')
                n_frames += 1
        return n_frames

    def get_trajectory(self, stride: int = 1) -> orm.TrajectoryData:
        """Return frames as AiiDA's own type, not stored; positions are unwrapped, times in ps.

        :param stride: take every ``stride``-th frame.
        """
        positions = self.positions[::stride].astype(float)
        trajectory = orm.TrajectoryData()
        trajectory.set_trajectory(
            symbols=self.symbols,
            positions=positions,
            stepids=np.arange(len(positions)) * stride,
            cells=np.broadcast_to(self.cell, (len(positions), 3, 3)).copy(),
            times=self.times_ps[::stride],
            pbc=(True, True, True),
        )
        return trajectory
