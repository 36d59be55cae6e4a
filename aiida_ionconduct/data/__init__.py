"""Node types: the training set, the model, the ion trajectory, the conductivity."""

from .conductivity import ConductivityData
from .dataset import DatasetData
from .model import AllegroModelData
from .trajectory import IonTrajectoryData

__all__ = ('AllegroModelData', 'ConductivityData', 'DatasetData', 'IonTrajectoryData')
