"""Parser of an Allegro training."""

import csv
import pathlib

import ase.io
import numpy as np
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
OUT_OF_MEMORY = ('CUDA out of memory', 'OutOfMemoryError', "DefaultCPUAllocator: can't allocate memory")


class AllegroTrainParser(Parser):
    """Collect the packaged model, the learning curves and the predictions on the test set."""

    def parse(self, retrieved_temporary_folder=None, **kwargs):
        """Parse the metrics first: they tell what happened when there is no model."""
        temporary = pathlib.Path(retrieved_temporary_folder or '.')
        if any(message in self.messages() for message in OUT_OF_MEMORY):
            return self.exit_codes.ERROR_OUT_OF_MEMORY
        # nequip writes into the folder it runs in, retrieval keeps only the file's name
        metrics = next(temporary.rglob(pathlib.Path(METRICS).name), None)
        parameters = read_metrics(metrics) if metrics else {'n_epochs': 0}
        if not parameters['n_epochs']:
            return self.exit_codes.ERROR_OUTPUT_METRICS_MISSING
        diverged = parameters.pop('diverged')
        predictions = temporary / f'{PREDICTIONS}_dataset0.xyz'
        if predictions.exists() and not diverged:
            parity = read_predictions(predictions)
            parameters |= test_errors(parity)
            self.out('parity', parity_node(parity))
        self.out('output_parameters', orm.Dict(parameters))
        if diverged:
            return self.exit_codes.ERROR_DIVERGED
        model = temporary / MODEL
        if not model.exists():
            return self.exit_codes.ERROR_OUTPUT_MODEL_MISSING
        metrics = {key: value for key, value in parameters.items() if key.startswith('test_')}
        self.out('model', AllegroModelData(model, metrics=metrics, **self.describe()))
        return None

    def messages(self) -> str:
        """Return all that the programs have written to the screen."""
        repository = self.retrieved.base.repository
        names = {self.node.get_option('scheduler_stdout'), self.node.get_option('scheduler_stderr')}
        return '\n'.join(repository.get_object_content(name) for name in names & set(repository.list_object_names()))

    def describe(self) -> dict:
        """Return the types and the cutoff of the trained model: those it started from, or those asked for."""
        if 'initial_model' in self.node.inputs:
            initial = self.node.inputs.initial_model
            return {'type_names': initial.type_names, 'r_max': initial.r_max}
        parameters = {**DEFAULTS, **self.node.inputs.parameters.get_dict()}
        return {'type_names': self.node.inputs.train.elements, 'r_max': parameters['r_max']}


def read_metrics(path: pathlib.Path) -> dict:
    """Return the learning curves by epoch and the best epoch from Lightning's CSV file.

    :return: ``n_epochs``, ``best_epoch``, ``curves``, and whether the training ``diverged``: a loss that is not finite.
        Such a loss, and one that was not written, is None in the curves.
    """
    rows: dict[int, dict[str, float]] = {}
    with path.open() as handle:
        for row in csv.DictReader(handle):  # the losses of an epoch stand in several rows
            values = {name: float(value) for name, value in row.items() if value}
            rows.setdefault(int(row['epoch']), {}).update(values)
    rows = {epoch: row for epoch, row in sorted(rows.items()) if MONITORED in row}
    curves = {name: [row.get(column) for row in rows.values()] for name, column in CURVES.items()}
    finite = {epoch: row[MONITORED] for epoch, row in rows.items() if np.isfinite(row[MONITORED])}
    losses = [value for curve in curves.values() for value in curve if value is not None]
    return {
        'n_epochs': len(rows),
        'best_epoch': min(finite, key=finite.get, default=None),
        'curves': {'epoch': list(rows), **{name: only_finite(curve) for name, curve in curves.items()}},
        'diverged': not np.isfinite(losses).all(),
    }


def only_finite(values: list[float | None]) -> list[float | None]:
    """Replace what JSON cannot hold by None."""
    return [value if value is not None and np.isfinite(value) else None for value in values]


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
