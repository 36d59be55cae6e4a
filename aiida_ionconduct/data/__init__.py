"""Node types, one module each; how they look in a notebook is in ``display``.

- ``dataset``: the training set, labelled frames in one file;
- ``model``: the model, portable or compiled, and whether it may be loaded;
- ``trajectory``: the ion trajectory of one run with one velocity seed, whole or over its segments;
- ``conductivity``: the result at one temperature.
"""

from aiida_ionconduct.data.conductivity import ConductivityData
from aiida_ionconduct.data.dataset import DatasetData
from aiida_ionconduct.data.model import AllegroModelData
from aiida_ionconduct.data.trajectory import IonTrajectoryData

__all__ = ('AllegroModelData', 'ConductivityData', 'DatasetData', 'IonTrajectoryData')
