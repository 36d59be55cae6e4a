"""Parser of an Allegro training."""

from __future__ import annotations

import hashlib
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_ionconduct.allegro.configuration import (
    CHECKPOINT,
    LAST_CHECKPOINT,
    METRICS,
    PREDICTIONS,
    PREDICTIONS_SUFFIX,
)
from aiida_ionconduct.allegro.metrics import COLUMNS, Row, has_diverged, read_rows, summarise
from aiida_ionconduct.allegro.output import Output, read_output
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.allegro.predictions import held_out_errors, read_predictions
from aiida_ionconduct.calculations.allegro_train import MODEL
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.parsers.base import cause_of_failure, exit_code_of, messages, ran_out_of_memory, success
from aiida_ionconduct.sampling.statement import ATTRIBUTE


class AllegroTrainParser(Parser):
    """Collect the packaged model, the learning curves and the predictions on the test set."""

    CACHE_VERSION = 1

    def parse(self, retrieved_temporary_folder: str | None = None, **kwargs: Any) -> ExitCode | None:
        """Parse the metrics first: they tell what happened when there is no model."""
        temporary = pathlib.Path(retrieved_temporary_folder or '.')
        output = read_output(messages(self.node))
        # nequip writes into the folder it runs in, retrieval keeps only the file's name
        metrics = next(temporary.rglob(pathlib.Path(METRICS).name), None)
        rows = self.rows_before() | (read_rows(metrics) if metrics else {})
        if not rows:
            return self.exit_code_without_metrics(output)
        parameters, diverged = summarise(rows), has_diverged(rows)
        predictions = temporary / f'{PREDICTIONS}{PREDICTIONS_SUFFIX}'
        is_last = len(rows) >= TrainingParameters.stored(self.node.inputs.parameters.get_dict()).max_epochs
        finished = output.finished and (is_last or not output.time_is_up)
        errors = {}
        if predictions.exists() and finished and not diverged:
            parity = read_predictions(predictions)
            errors = held_out_errors(parity)
            self.out('parity', parity_node(parity))
        self.out('output_parameters', orm.Dict({**parameters, **errors}))
        if diverged:
            return self.exit_codes.ERROR_DIVERGED
        self.store_checkpoint(temporary, rows)
        if not finished or not zipfile.is_zipfile(temporary / MODEL):  # a file that was cut is not a zip archive
            return self.exit_code_of_failure(output, finished=finished)
        metrics_of_model = {name: value for name, value in errors.items() if name.startswith('test_')}
        model = AllegroModelData(temporary / MODEL, metrics=metrics_of_model, **self.describe())
        remember_made_here(model.sha256)
        self.out('model', model)
        return success(self)

    def exit_code_of_failure(self, output: Output, *, finished: bool) -> ExitCode:
        """Return why a training has made no model; a training that stops when its time is up has not failed."""
        cause = cause_of_failure(self.node)
        if cause and cause.kind == 'memory':
            return exit_code_of(self, cause)
        if ran_out_of_memory(self):
            return self.exit_codes.ERROR_OUT_OF_MEMORY.format(detail='says the scheduler')
        if output.time_is_up and not finished:
            return self.exit_codes.ERROR_OUT_OF_WALLTIME
        if cause:
            return exit_code_of(self, cause)
        return self.exit_codes['ERROR_OUTPUT_MODEL_MISSING' if finished else 'ERROR_INCOMPLETE']

    def exit_code_without_metrics(self, output: Output) -> ExitCode:
        """Return why a training has not come to the end of its first epoch."""
        cause = cause_of_failure(self.node)
        if cause:
            return exit_code_of(self, cause)
        if ran_out_of_memory(self):
            return self.exit_codes.ERROR_OUT_OF_MEMORY.format(detail='says the scheduler')
        return self.exit_codes['ERROR_INCOMPLETE' if output.killed else 'ERROR_OUTPUT_METRICS_MISSING']

    def rows_before(self) -> dict[int, Row]:
        """Return the epochs of the training that this training continues."""
        if 'checkpoint' not in self.node.inputs:
            return {}
        before = self.node.inputs.checkpoint.base.attributes.get('epochs', [])
        return {int(row['epoch']): row for row in before}

    def store_checkpoint(self, temporary: pathlib.Path, rows: Mapping[int, Row]) -> None:
        """Attach the last and the best epoch, with the learning curves so far, for a training that goes on from them.

        A job that came to no checkpoint of its own retrieves the checkpoint it began with, and attaches that.
        """
        if not all((temporary / name).exists() for name in (CHECKPOINT, LAST_CHECKPOINT)):
            return
        checkpoint = orm.FolderData()
        for name in (CHECKPOINT, LAST_CHECKPOINT):
            content = (temporary / name).read_bytes()
            checkpoint.base.repository.put_object_from_bytes(content, name)
            remember_made_here(hashlib.sha256(content).hexdigest())
        known = [{'epoch': epoch, **{key: row[key] for key in COLUMNS if key in row}} for epoch, row in rows.items()]
        checkpoint.base.attributes.set_many({'epoch': max(rows), 'epochs': known})
        self.out('checkpoint', checkpoint)

    def describe(self) -> dict[str, Any]:
        """Return the types and the cutoff of the trained model, and the pretrained potentials whose labels it learnt.

        Types and cutoff are those of the model it started from, or those asked for.
        """
        names = sorted(self.node.inputs.train.labelled_by)
        learnt = {ATTRIBUTE: names} if names else {}
        if 'initial_model' in self.node.inputs:
            initial = self.node.inputs.initial_model
            return {'type_names': initial.type_names, 'r_max': initial.r_max, **learnt}
        r_max = self.node.inputs.parameters.get_dict().get('r_max', TrainingParameters.model_fields['r_max'].default)
        return {'type_names': self.node.inputs.train.elements, 'r_max': r_max, **learnt}


def parity_node(parity: Mapping[str, np.ndarray]) -> orm.ArrayData:
    """Return the predictions as a node."""
    node = orm.ArrayData()
    for name, array in parity.items():
        node.set_array(name, array)
    return node
