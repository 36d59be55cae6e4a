"""Callbacks for a training that goes on in another folder. A copy of this file is put beside its configuration.

This file imports nothing of this package, which need not be installed on the computer that trains.
"""

from __future__ import annotations

import pathlib
from typing import Any

from lightning.pytorch import callbacks
from nequip.data import datamodule


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Finds the best checkpoint so far in its own folder, not at the path where the checkpoint was written."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best value so far, with paths in this folder."""

        def here(path: str) -> str:
            return path and str(pathlib.Path(self.dirpath) / pathlib.Path(path).name)

        paths = ('best_model_path', 'kth_best_model_path', 'last_model_path')
        moved = {name: here(state_dict[name]) for name in paths if name in state_dict}
        best = {here(path): value for path, value in state_dict.get('best_k_models', {}).items()}
        super().load_state_dict({**state_dict, **moved, 'best_k_models': best, 'dirpath': self.dirpath})


class Timer(callbacks.Timer):
    """Measures the time of this job alone, as the scheduler does."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Forget the time that earlier jobs took."""


class ASEDataModule(datamodule.ASEDataModule):
    """Goes on with the random numbers of the shuffles, which Lightning restores only after they have been set up."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of the generators as well."""
        super().load_state_dict(state_dict)
        for name in ('generator', 'train_generator'):
            if getattr(self, name, None) is not None:
                getattr(self, name).set_state(state_dict[f'{name}_state'])
