"""Parser of an Allegro training."""

import csv
import hashlib
import io
import pathlib
import zipfile

import ase.io
import numpy as np
from aiida import orm
from aiida.parsers import Parser

from aiida_ionconduct.allegro.configuration import (
    CHECKPOINT,
    DEFAULTS,
    LAST_CHECKPOINT,
    METRICS,
    MONITORED,
    PREDICTIONS,
)
from aiida_ionconduct.calculations.allegro_train import MODEL
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here

CURVES = {
    'train_loss': 'train_loss_epoch/weighted_sum',
    'val_energy_mae_eV_per_atom': 'val0_epoch/per_atom_energy_mae',
    'val_forces_mae_eV_per_A': 'val0_epoch/forces_mae',
}
COLUMNS = (*CURVES.values(), MONITORED)
STARTED = 'Starting fresh training'
FINISHED = ('TRAIN RUN END', 'TEST RUN END')  # of nequip-train
TIME_IS_UP = 'Time limit reached'  # of Lightning's timer
SCHEDULER_OUT_OF_MEMORY = 110
OUT_OF_MEMORY = ('CUDA out of memory', 'OutOfMemoryError', "DefaultCPUAllocator: can't allocate memory")


class AllegroTrainParser(Parser):
    """Collect the packaged model, the learning curves and the predictions on the test set."""

    def parse(self, retrieved_temporary_folder=None, **kwargs):
        """Parse the metrics first: they tell what happened when there is no model."""
        temporary = pathlib.Path(retrieved_temporary_folder or '.')
        messages = self.messages()
        out_of_memory = any(message in messages for message in OUT_OF_MEMORY)
        # nequip writes into the folder it runs in, retrieval keeps only the file's name
        metrics = next(temporary.rglob(pathlib.Path(METRICS).name), None)
        rows = self.rows_before() | (read_rows(metrics) if metrics else {})
        if not rows:
            killed = STARTED in messages and not any(word in messages for word in (FINISHED[0], 'Traceback'))
            name = 'OUT_OF_MEMORY' if out_of_memory else 'INCOMPLETE' if killed else 'OUTPUT_METRICS_MISSING'
            return self.exit_codes[f'ERROR_{name}']
        parameters = summarise(rows)
        diverged = parameters.pop('diverged')
        predictions = temporary / f'{PREDICTIONS}_dataset0.xyz'
        is_last = len(rows) >= {**DEFAULTS, **self.node.inputs.parameters.get_dict()}['max_epochs']
        finished = all(message in messages for message in FINISHED) and (is_last or TIME_IS_UP not in messages)
        if predictions.exists() and finished and not diverged:
            parity = read_predictions(predictions)
            parameters |= test_errors(parity)
            self.out('parity', parity_node(parity))
        self.out('output_parameters', orm.Dict(parameters))
        if diverged:
            return self.exit_codes.ERROR_DIVERGED
        self.store_checkpoint(temporary, rows)
        if out_of_memory or self.node.exit_status == SCHEDULER_OUT_OF_MEMORY:
            return self.exit_codes.ERROR_OUT_OF_MEMORY
        if not finished:
            return self.exit_codes['ERROR_OUT_OF_WALLTIME' if TIME_IS_UP in messages else 'ERROR_INCOMPLETE']
        if not zipfile.is_zipfile(temporary / MODEL):  # one that was cut is none
            return self.exit_codes.ERROR_OUTPUT_MODEL_MISSING
        errors = {key: value for key, value in parameters.items() if key.startswith('test_')}
        model = AllegroModelData(temporary / MODEL, metrics=errors, **self.describe())
        remember_made_here(model.sha256)
        self.out('model', model)
        return None

    def rows_before(self) -> dict[int, dict]:
        """Return the epochs of the training that this one continues."""
        if 'checkpoint' not in self.node.inputs:
            return {}
        before = self.node.inputs.checkpoint.base.attributes.get('epochs', [])
        return {int(row['epoch']): row for row in before}

    def store_checkpoint(self, temporary: pathlib.Path, rows: dict[int, dict]):
        """Attach the last and the best epoch with the learning curves up to there, which their successor goes on with.

        A job that came to no checkpoint of its own hands on the one it began with.
        """
        if not all((temporary / name).exists() for name in (CHECKPOINT, LAST_CHECKPOINT)):
            return
        checkpoint = orm.FolderData()
        for name in (CHECKPOINT, LAST_CHECKPOINT):
            content = (temporary / name).read_bytes()
            checkpoint.base.repository.put_object_from_filelike(io.BytesIO(content), name)
            remember_made_here(hashlib.sha256(content).hexdigest())
        known = [{'epoch': epoch, **{key: row[key] for key in COLUMNS if key in row}} for epoch, row in rows.items()]
        checkpoint.base.attributes.set_many({'epoch': max(rows), 'epochs': known})
        self.out('checkpoint', checkpoint)

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


def read_rows(path: pathlib.Path) -> dict[int, dict[str, float]]:
    """Return the losses of every whole epoch from Lightning's CSV file, by epoch and column."""
    rows: dict[int, dict[str, float]] = {}
    whole, _, _ = path.read_text().rpartition('\n')  # the last line may have been cut when the job was killed
    for row in csv.DictReader(whole.splitlines()):  # the losses of an epoch stand in several rows
        values = {name: float(value) for name, value in row.items() if value}
        rows.setdefault(int(row['epoch']), {}).update(values)
    return {epoch: row for epoch, row in sorted(rows.items()) if MONITORED in row}


def summarise(rows: dict[int, dict[str, float]]) -> dict:
    """Return the learning curves by epoch and the best epoch.

    :return: ``n_epochs``, ``best_epoch``, ``curves``, and whether the training ``diverged``: a loss that is not finite.
        Such a loss, and one that was not written, is None in the curves.
    """
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
    """Return reference and predicted energies (eV/atom), forces (eV/Å) and, where both are known, stresses (eV/Å³)."""
    frames = ase.io.read(path, ':', format='extxyz')
    sizes = np.array([len(frame) for frame in frames])
    stress = {}
    if all('original_dataset_stress' in frame.info for frame in frames):
        stress = {
            'stress_reference': np.array([np.reshape(f.info['original_dataset_stress'], (3, 3)) for f in frames]),
            'stress_predicted': np.array([f.get_stress(voigt=False) for f in frames]),
        }
    return {
        'energy_reference_eV_per_atom': np.array([f.info['original_dataset_energy'] for f in frames]) / sizes,
        'energy_predicted_eV_per_atom': np.array([f.get_potential_energy() for f in frames]) / sizes,
        'forces_reference': np.concatenate([f.arrays['original_dataset_forces'] for f in frames]),
        'forces_predicted': np.concatenate([f.get_forces() for f in frames]),
        'numbers': np.concatenate([f.numbers for f in frames]),
        'frame': np.repeat(np.arange(len(frames)), sizes),
        **stress,
    }


def test_errors(parity: dict[str, np.ndarray]) -> dict:
    """Return mean absolute and root-mean-square errors on the test frames, forces also by element."""
    energy = parity['energy_predicted_eV_per_atom'] - parity['energy_reference_eV_per_atom']
    forces = parity['forces_predicted'] - parity['forces_reference']
    symbols = np.array([ase.data.chemical_symbols[number] for number in parity['numbers']])
    by_element = {str(symbol): forces[symbols == symbol] for symbol in np.unique(symbols)}
    errors = {
        'n_test_frames': len(energy),
        'test_energy_mae_eV_per_atom': mae(energy),
        'test_energy_rmse_eV_per_atom': rmse(energy),
        'test_forces_mae_eV_per_A': mae(forces),
        'test_forces_rmse_eV_per_A': rmse(forces),
        'test_forces_mae_by_element': {symbol: mae(errors) for symbol, errors in by_element.items()},
        'test_forces_rmse_by_element': {symbol: rmse(errors) for symbol, errors in by_element.items()},
    }
    if 'stress_reference' in parity:
        stress = parity['stress_predicted'] - parity['stress_reference']
        errors |= {'test_stress_mae_eV_per_A3': mae(stress), 'test_stress_rmse_eV_per_A3': rmse(stress)}
    return errors


def mae(errors: np.ndarray) -> float:
    """Return the mean absolute error over all components."""
    return float(np.abs(errors).mean())


def rmse(errors: np.ndarray) -> float:
    """Return the root-mean-square error over all components."""
    return float(np.sqrt((errors**2).mean()))


def parity_node(parity: dict[str, np.ndarray]) -> orm.ArrayData:
    """Store the predictions as arrays."""
    node = orm.ArrayData()
    for name, array in parity.items():
        node.set_array(name, array)
    return node
