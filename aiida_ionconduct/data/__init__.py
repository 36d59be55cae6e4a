"""Node types: the training set, the model, the ion trajectory, the conductivity."""

from aiida_ionconduct.data.conductivity import ConductivityData
from aiida_ionconduct.data.dataset import DatasetData
from aiida_ionconduct.data.model import AllegroModelData
from aiida_ionconduct.data.trajectory import IonTrajectoryData

__all__ = ('AllegroModelData', 'ConductivityData', 'DatasetData', 'IonTrajectoryData')
