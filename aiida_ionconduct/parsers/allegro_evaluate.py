"""Parser of an evaluation."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_ionconduct.allegro.configuration import PREDICTIONS_SUFFIX
from aiida_ionconduct.allegro.predictions import read_frames
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.parsers.base import exit_code_without, success


class AllegroEvaluateParser(Parser):
    """Collect the predictions of every model."""

    CACHE_VERSION = 1

    def parse(self, retrieved_temporary_folder: str | None = None, **kwargs: Any) -> ExitCode | None:
        """Store the predictions, unless a model has not written every frame."""
        predictions, asked = orm.ArrayData(), self.node.inputs.frames
        is_dataset = isinstance(asked, DatasetData)
        n_frames = asked.n_frames if is_dataset else asked.numsteps
        join = np.concatenate if is_dataset else np.array
        for label in sorted(self.node.inputs.models):
            frames = read_frames(pathlib.Path(retrieved_temporary_folder or '.') / f'{label}{PREDICTIONS_SUFFIX}')
            if len(frames) != n_frames:
                missing = self.exit_codes.ERROR_OUTPUT_PREDICTIONS_MISSING.format(label=label)
                return exit_code_without(self, missing)
            predictions.set_array(f'forces_{label}', join([frame.get_forces() for frame in frames]))
            predictions.set_array(f'energies_{label}', np.array([frame.get_potential_energy() for frame in frames]))
        self.out('predictions', predictions)
        return success(self)
