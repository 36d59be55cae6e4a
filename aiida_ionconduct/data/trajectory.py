"""An ion trajectory: unwrapped positions once, centres of mass finely, thermodynamics, and nothing twice."""

from __future__ import annotations

import io
import json

import numpy as np
from aiida import orm

ARRAYS = ('positions', 'centres_of_mass', 'thermo')


class IonTrajectoryData(orm.Data):
    """The production part of one MD run with one velocity seed.

    Arrays (each a ``.npy`` file in the repository):

    - ``positions``: float32, (frames, atoms, 3), unwrapped, Å;
    - ``centres_of_mass``: float64, (fine frames, species, 3), unwrapped, Å, the species in the order of ``species``;
    - ``thermo``: float64, (rows, columns), the columns named by ``thermo_columns``.
    """

    def __init__(
        self,
        positions: np.ndarray | None = None,
        centres_of_mass: np.ndarray | None = None,
        thermo: np.ndarray | None = None,
        **kwargs,
    ):
        """Store the arrays with what is needed to analyse them.

        :param kwargs: must contain ``symbols`` (list, one per atom), ``species`` (list, the order of
            ``centres_of_mass``), ``cell`` (3×3, Å), ``temperature_K``, ``timestep_fs``, ``frame_interval_ps`` and
            ``com_interval_ps`` (time between frames and between fine frames), ``seed``, ``thermo_columns``;
            further keys, such as ``ensemble``, are kept as attributes.
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
            stream = io.BytesIO()
            np.save(stream, np.ascontiguousarray(array))
            stream.seek(0)
            self.base.repository.put_object_from_filelike(stream, f'{name}.npy')
        # JSON turns NumPy scalars and tuples into what the database can hold.
        attributes = json.loads(json.dumps(kwargs, default=lambda value: np.asarray(value).tolist()))
        self.base.attributes.set_many({**attributes, 'n_frames': len(positions), 'n_atoms': len(symbols)})

    def get_array(self, name: str) -> np.ndarray:
        """Return one of ``positions``, ``centres_of_mass``, ``thermo``."""
        if name not in ARRAYS:
            raise ValueError(f'`{name}` is not one of {", ".join(ARRAYS)}.')
        return np.load(io.BytesIO(self.base.repository.get_object_content(f'{name}.npy', mode='rb')))

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
    def symbols(self) -> list[str]:
        """Chemical symbols, one per atom."""
        return self.base.attributes.get('symbols')

    @property
    def cell(self) -> np.ndarray:
        """Cell vectors as rows, Å."""
        return np.array(self.base.attributes.get('cell'))

    @property
    def temperature_K(self) -> float:
        """Temperature the run was equilibrated at."""
        return self.base.attributes.get('temperature_K')

    @property
    def frame_interval_ps(self) -> float:
        """Time between two frames of ``positions``."""
        return self.base.attributes.get('frame_interval_ps')

    @property
    def length_ps(self) -> float:
        """Time between the first and the last frame."""
        return (self.base.attributes.get('n_frames') - 1) * self.frame_interval_ps
