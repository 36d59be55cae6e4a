"""Parser of an evaluation."""

import io
import pathlib

import ase.io
import numpy as np
from aiida import orm
from aiida.parsers import Parser


class AllegroEvaluateParser(Parser):
    """Collect the predictions of every model."""

    def parse(self, retrieved_temporary_folder=None, **kwargs):
        """Every model must have written every frame."""
        predictions = orm.ArrayData()
        for label in sorted(self.node.inputs.models):
            frames = read_frames(pathlib.Path(retrieved_temporary_folder or '.') / f'{label}_dataset0.xyz')
            if len(frames) != self.node.inputs.frames.numsteps:
                return self.exit_codes.ERROR_OUTPUT_PREDICTIONS_MISSING.format(label=label)
            predictions.set_array(f'forces_{label}', np.array([frame.get_forces() for frame in frames]))
            predictions.set_array(f'energies_{label}', np.array([frame.get_potential_energy() for frame in frames]))
        self.out('predictions', predictions)
        return None


def read_frames(path: pathlib.Path) -> list[ase.Atoms]:
    """Return the frames of a file; none if it is not there, or was cut when the job was killed."""
    text = path.read_text() if path.exists() else ''
    try:
        return ase.io.read(io.StringIO(text[: text.rfind('\n') + 1]), ':', format='extxyz')
    except (ValueError, LookupError, OSError, RuntimeError):  # what ASE raises where a frame lacks lines
        return []
