"""Callbacks for a training that goes on in another folder. A copy of this file is put beside its configuration.

Imports nothing of this package, which the computer that trains need not have.
"""

import pathlib

from lightning.pytorch import callbacks
from nequip.data import datamodule


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Finds the best checkpoint so far beside itself, not at the path where it was written."""

    def load_state_dict(self, state_dict):
        """Take over the best value so far with the paths of this folder."""

        def here(path):
            return path and str(pathlib.Path(self.dirpath) / pathlib.Path(path).name)

        paths = ('best_model_path', 'kth_best_model_path', 'last_model_path')
        moved = {name: here(state_dict[name]) for name in paths if name in state_dict}
        best = {here(path): value for path, value in state_dict.get('best_k_models', {}).items()}
        super().load_state_dict({**state_dict, **moved, 'best_k_models': best, 'dirpath': self.dirpath})


class Timer(callbacks.Timer):
    """Measures this job alone, as the wall time does."""

    def load_state_dict(self, state_dict):
        """Forget the time of the jobs before."""


class ASEDataModule(datamodule.ASEDataModule):
    """Goes on with the shuffles where they were; Lightning loads their state when they have been set up already."""

    def load_state_dict(self, state_dict):
        """Hand the state to the generators too."""
        super().load_state_dict(state_dict)
        for name in ('generator', 'train_generator'):
            if getattr(self, name, None) is not None:
                getattr(self, name).set_state(state_dict[f'{name}_state'])
