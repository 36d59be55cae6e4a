"""Parser of an Allegro training."""

import pathlib

import ase.io
import numpy as np
import pandas as pd
from aiida import orm
from aiida.parsers import Parser

from aiida_ionconduct.calculations.allegro_config import DEFAULTS, METRICS, MONITORED, PREDICTIONS
from aiida_ionconduct.calculations.allegro_train import MODEL
from aiida_ionconduct.data import AllegroModelData

CURVES = {
    'train_loss': 'train_loss_epoch/weighted_sum',
    'val_energy_mae_eV_per_atom': 'val0_epoch/per_atom_energy_mae',
    'val_forces_mae_eV_per_A': 'val0_epoch/forces_mae',
}
OUT_OF_MEMORY = ('CUDA out of memory', 'OutOfMemoryError')


class AllegroTrainParser(Parser):
    """Collect the packaged model, the learning curves and the predictions on the test set."""

    def parse(self, retrieved_temporary_folder=None, **kwargs):
        """Parse the metrics first: they tell what happened when there is no model."""
        temporary = pathlib.Path(retrieved_temporary_folder or '.')
        output = self.retrieved.base.repository.get_object_content(self.node.get_option('scheduler_stdout'))
        if any(message in output for message in OUT_OF_MEMORY):
            return self.exit_codes.ERROR_OUT_OF_MEMORY
        # nequip writes into the folder it runs in, retrieval keeps only the file's name
        metrics = next(temporary.rglob(pathlib.Path(METRICS).name), None)
        if metrics is None:
            return self.exit_codes.ERROR_OUTPUT_METRICS_MISSING
        parameters = read_metrics(metrics)
        predictions = temporary / f'{PREDICTIONS}_dataset0.xyz'
        if predictions.exists():
            parity = read_predictions(predictions)
            parameters |= test_errors(parity)
            self.out('parity', parity_node(parity))
        self.out('output_parameters', orm.Dict(parameters))
        if not np.isfinite([value for value in parameters['curves']['train_loss'] if value is not None]).all():
            return self.exit_codes.ERROR_DIVERGED
        model = temporary / MODEL
        if not model.exists():
            return self.exit_codes.ERROR_OUTPUT_MODEL_MISSING
        metrics = {key: value for key, value in parameters.items() if key.startswith('test_')}
        self.out('model', AllegroModelData(model, metrics=metrics, **self.describe()))
        return None


    def describe(self) -> dict:
        """Return the types and the cutoff of the trained model: those it started from, or those asked for."""
        if 'initial_model' in self.node.inputs:
            initial = self.node.inputs.initial_model
            return {'type_names': initial.type_names, 'r_max': initial.r_max}
        parameters = {**DEFAULTS, **self.node.inputs.parameters.get_dict()}
        return {'type_names': self.node.inputs.train.elements, 'r_max': parameters['r_max']}


def read_metrics(path: pathlib.Path) -> dict:
    """Return the learning curves by epoch and the best epoch from Lightning's CSV file."""
    table = pd.read_csv(path)
    by_epoch = table.groupby('epoch').first()
    by_epoch = by_epoch[by_epoch[MONITORED].notna()]
    curves = {name: by_epoch[column].tolist() for name, column in CURVES.items()}
    curves['epoch'] = [int(epoch) for epoch in by_epoch.index]
    return {'n_epochs': len(by_epoch), 'best_epoch': int(by_epoch[MONITORED].idxmin()), 'curves': finite(curves)}


def finite(curves: dict) -> dict:
    """Replace what JSON cannot hold by None."""
    return {name: [value if np.isfinite(value) else None for value in values] for name, values in curves.items()}


def read_predictions(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return reference and predicted energies (eV/atom) and forces (eV/Å) of all test frames."""
    frames = ase.io.read(path, ':', format='extxyz')
    sizes = np.array([len(frame) for frame in frames])
    return {
        'energy_reference_eV_per_atom': np.array([f.info['original_dataset_energy'] for f in frames]) / sizes,
        'energy_predicted_eV_per_atom': np.array([f.get_potential_energy() for f in frames]) / sizes,
        'forces_reference': np.concatenate([f.arrays['original_dataset_forces'] for f in frames]),
        'forces_predicted': np.concatenate([f.get_forces() for f in frames]),
        'numbers': np.concatenate([f.numbers for f in frames]),
        'frame': np.repeat(np.arange(len(frames)), sizes),
    }


def test_errors(parity: dict[str, np.ndarray]) -> dict:
    """Return mean absolute and root-mean-square errors on the test frames, forces also by element."""
    energy = parity['energy_predicted_eV_per_atom'] - parity['energy_reference_eV_per_atom']
    forces = parity['forces_predicted'] - parity['forces_reference']
    symbols = np.array([ase.data.chemical_symbols[number] for number in parity['numbers']])
    return {
        'n_test_frames': len(energy),
        'test_energy_mae_eV_per_atom': float(np.abs(energy).mean()),
        'test_energy_rmse_eV_per_atom': float(np.sqrt((energy**2).mean())),
        'test_forces_mae_eV_per_A': float(np.abs(forces).mean()),
        'test_forces_rmse_eV_per_A': float(np.sqrt((forces**2).mean())),
        'test_forces_mae_by_element': {
            str(symbol): float(np.abs(forces[symbols == symbol]).mean()) for symbol in np.unique(symbols)
        },
    }


def parity_node(parity: dict[str, np.ndarray]) -> orm.ArrayData:
    """Store the predictions as arrays."""
    node = orm.ArrayData()
    for name, array in parity.items():
        node.set_array(name, array)
    return node
