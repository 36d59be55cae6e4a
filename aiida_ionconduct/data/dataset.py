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

from aiida_ionconduct.choices import StressUnit
from aiida_ionconduct.data.display import bars, card, node_title
from aiida_ionconduct.readers.label_formats import read_extended_xyz
from aiida_ionconduct.readers.label_keys import LabelKeys
from aiida_ionconduct.readers.labelled import DETECTED, LabelledFrames, label_frames, read_labelled_frames
from aiida_ionconduct.sampling.statement import ATTRIBUTE

FILENAME = 'dataset.extxyz'


class DatasetData(orm.SinglefileData):
    """Frames with energies (eV), forces (eV/Å) and, where known, stresses, in one extended-XYZ file.

    Each frame may carry ``source`` (where it comes from, such as ``aimd``, ``rattled``, ``relabelled``),
    ``temperature_K``, and ``labelled_by`` in its ``info``: the pretrained potential that has given its energy and
    forces in the place of DFT.
    """

    def __init__(
        self,
        file: str | pathlib.Path | BinaryIO,
        filename: str = FILENAME,
        *,
        keys: LabelKeys = DETECTED,
        stress_unit: StressUnit | None = None,
        as_it_is: bool = False,
        **kwargs: Any,
    ) -> None:
        """Check and store the frames.

        A file of extended XYZ with ASE's names and units is kept byte by byte. Other files are converted; the attribute
        ``notes`` says what was assumed and changed.

        :param file: binary stream of an extended-XYZ file; or path of such a file, of a file that ASE reads, of an npz
            archive, or of a folder of DeePMD.
        :param keys: the names of energy, forces and stress, where several fit.
        :param stress_unit: the unit of the stress, where energies and magnitudes do not tell.
        :param as_it_is: whether a stream has been written here, with ASE's names and units.
        :raises ValueError: if the file cannot be read, or its frames cannot be trained on, with what to do.
        """
        if isinstance(file, (str, pathlib.Path)):
            labelled = read_labelled_frames(pathlib.Path(file), keys, stress_unit)
            content = b'' if labelled.mended else pathlib.Path(file).read_bytes()
        else:
            content = file.read()
            try:
                raw = read_extended_xyz(content.decode())
            except Exception as exception:
                raise ValueError(f'the dataset is not a readable extended-XYZ file: {exception}') from exception
            labelled = LabelledFrames(raw) if as_it_is else label_frames(raw, keys, stress_unit)
        frames = labelled.frames
        _check_frames(frames)
        if labelled.mended:
            content = _as_extended_xyz(frames)
        super().__init__(io.BytesIO(content), filename=filename, **kwargs)
        temperatures = {frame.info['temperature_K'] for frame in frames if 'temperature_K' in frame.info}
        sources = [frame.info.get('source', 'unknown') for frame in frames]
        teachers = [str(frame.info[ATTRIBUTE]) for frame in frames if ATTRIBUTE in frame.info]
        self.base.attributes.set_many(
            {
                'n_frames': len(frames),
                'elements': sorted({symbol for frame in frames for symbol in frame.symbols}),
                'temperatures_K': sorted(float(value) for value in temperatures),
                'sources': {name: sources.count(name) for name in sorted(set(sources))},
                'has_stress': all('stress' in frame.calc.results for frame in frames),
                'sha256': hashlib.sha256(content).hexdigest(),
                **({'notes': labelled.notes} if labelled.notes else {}),
                **({'isolated_energies_eV': labelled.isolated_eV} if labelled.isolated_eV else {}),
                **({ATTRIBUTE: {name: teachers.count(name) for name in sorted(set(teachers))}} if teachers else {}),
            }
        )

    @classmethod
    def from_frames(cls, frames: Sequence[Atoms], **kwargs: Any) -> DatasetData:
        """Build the node from ASE frames whose calculators hold energy, forces and, possibly, stress.

        All frames keep the same properties, as nequip needs: energy and forces, and stresses if all frames have them.

        :raises ValueError: as the constructor.
        """
        _check_frames(frames)
        return cls(io.BytesIO(_as_extended_xyz(frames)), as_it_is=True, **kwargs)

    def get_frames(self) -> list[Atoms]:
        """Return all frames, energies and forces in their calculators."""
        return read_extended_xyz(self.get_content('r'))

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.base.attributes.get('n_frames')

    @property
    def has_stress(self) -> bool:
        """Whether all frames have a stress."""
        return self.base.attributes.get('has_stress')

    @property
    def notes(self) -> list[str]:
        """What was assumed and changed when the frames were read, in sentences."""
        return self.base.attributes.get('notes', [])

    @property
    def isolated_energies_eV(self) -> dict[str, float]:
        """Energies of isolated atoms by chemical symbol, as far as the file has them."""
        return self.base.attributes.get('isolated_energies_eV', {})

    @property
    def labelled_by(self) -> dict[str, int]:
        """Numbers of frames by the pretrained potential that has labelled them; empty if all labels are of DFT."""
        return dict(self.base.attributes.get(ATTRIBUTE, {}))

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
            *((f'… labelled by {teacher}, not by DFT', count) for teacher, count in a.get(ATTRIBUTE, {}).items()),
            ('Elements', ', '.join(a['elements'])),
            ('Temperatures', f'{temperatures} K' if temperatures else None),
            ('Stress', 'in all frames' if a['has_stress'] else 'not in all frames'),
            ('SHA-256', f'{a["sha256"][:12]}…'),
        ]
        return card(node_title(self), rows, bars('Frames by source', a['sources']))


def _as_extended_xyz(frames: Sequence[Atoms]) -> bytes:
    """Return frames as extended XYZ, all with energy and forces, and with stresses if all frames have them."""
    with_stress = all('stress' in frame.calc.results for frame in frames)
    labels = ('energy', 'forces', *(['stress'] if with_stress else []))
    stream = io.StringIO()
    ase.io.write(stream, [_with_labels(frame, labels) for frame in frames], format='extxyz')
    return stream.getvalue().encode()


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
