"""Labelled frames for training a potential, as one extended-XYZ file."""

from __future__ import annotations

import hashlib
import io
import pathlib
from collections.abc import Sequence
from typing import Any, BinaryIO

import ase.io
import numpy as np
from aiida import orm
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.data.display import bars, card, node_title

FILENAME = 'dataset.extxyz'


class DatasetData(orm.SinglefileData):
    """Frames with energies (eV), forces (eV/Å) and, where known, stresses, in one extended-XYZ file.

    Each frame may carry ``source`` (where it comes from, such as ``aimd``, ``rattled``, ``relabelled``) and
    ``temperature_K`` in its ``info``.
    """

    def __init__(self, file: str | pathlib.Path | BinaryIO, filename: str = FILENAME, **kwargs: Any) -> None:
        """Check and store the frames.

        :param file: path or binary stream of an extended-XYZ file.
        :raises ValueError: if the file cannot be read or a frame lacks its energy or forces.
        """
        content = pathlib.Path(file).read_bytes() if isinstance(file, (str, pathlib.Path)) else file.read()
        try:
            frames = _read_frames(content.decode())
        except Exception as exception:
            raise ValueError(f'the dataset is not a readable extended-XYZ file: {exception}') from exception
        _check_frames(frames)
        super().__init__(io.BytesIO(content), filename=filename, **kwargs)
        temperatures = {frame.info['temperature_K'] for frame in frames if 'temperature_K' in frame.info}
        sources = [frame.info.get('source', 'unknown') for frame in frames]
        self.base.attributes.set_many(
            {
                'n_frames': len(frames),
                'elements': sorted({symbol for frame in frames for symbol in frame.symbols}),
                'temperatures_K': sorted(float(value) for value in temperatures),
                'sources': {name: sources.count(name) for name in sorted(set(sources))},
                'has_stress': all('stress' in frame.calc.results for frame in frames),
                'sha256': hashlib.sha256(content).hexdigest(),
            }
        )

    @classmethod
    def from_frames(cls, frames: Sequence[Atoms], **kwargs: Any) -> DatasetData:
        """Build the node from ASE frames whose calculators hold energy, forces and, possibly, stress.

        All frames keep the same properties, as nequip needs: energy and forces, and stresses if all frames have them.

        :raises ValueError: as the constructor.
        """
        _check_frames(frames)
        with_stress = all('stress' in frame.calc.results for frame in frames)
        labels = ('energy', 'forces', *(['stress'] if with_stress else []))
        stream = io.StringIO()
        ase.io.write(stream, [_with_labels(frame, labels) for frame in frames], format='extxyz')
        return cls(io.BytesIO(stream.getvalue().encode()), **kwargs)

    def get_frames(self) -> list[Atoms]:
        """Return all frames, energies and forces in their calculators."""
        return _read_frames(self.get_content('r'))

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.base.attributes.get('n_frames')

    @property
    def elements(self) -> list[str]:
        """Chemical symbols that occur, sorted."""
        return self.base.attributes.get('elements')

    def _repr_html_(self) -> str:
        """Return the table of the frames, for notebooks, from the attributes alone."""
        a = self.base.attributes.all
        temperatures = ', '.join(f'{temperature:g}' for temperature in a['temperatures_K'])
        rows = [
            ('Frames', a['n_frames']),
            *((f'… from {source}', count) for source, count in a['sources'].items()),
            ('Elements', ', '.join(a['elements'])),
            ('Temperatures', f'{temperatures} K' if temperatures else None),
            ('Stress', 'in all frames' if a['has_stress'] else 'not in all frames'),
            ('SHA-256', f'{a["sha256"][:12]}…'),
        ]
        return card(node_title(self), rows, bars('Frames by source', a['sources']))


def _read_frames(text: str) -> list[Atoms]:
    """Return all frames of an extended-XYZ text."""
    frames = ase.io.read(io.StringIO(text), index=':', format='extxyz')
    return frames if isinstance(frames, list) else [frames]


def _with_labels(frame: Atoms, labels: Sequence[str]) -> Atoms:
    """Return a copy of a frame with some of the results of its calculator."""
    copy = frame.copy()
    copy.calc = SinglePointCalculator(copy, **{name: frame.calc.results[name] for name in labels})
    return copy


def _check_frames(frames: Sequence[Atoms]) -> None:
    """Refuse frames that cannot be trained on.

    :raises ValueError: naming the first frame that lacks an energy or forces, or holds a value that is not finite.
    """
    if not frames:
        raise ValueError('the dataset has no frames.')
    for index, frame in enumerate(frames):
        results = frame.calc.results if frame.calc else {}
        for key in ('energy', 'forces'):
            if key not in results:
                raise ValueError(f'frame {index} of the dataset has no {key}: label it with DFT first.')
            if not np.isfinite(results[key]).all():
                raise ValueError(f'frame {index} of the dataset has a value in its {key} that is not finite.')
