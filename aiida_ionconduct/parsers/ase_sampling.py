"""Parser of a sampling job."""

from __future__ import annotations

import io
import json
import pathlib
import re
from typing import Any

from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser
from ase import Atoms

from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.parsers.base import cause_of_failure, exit_code_of, messages, ran_out_of_memory, success
from aiida_ionconduct.sampling import sampler
from aiida_ionconduct.sampling.frames import read_frames, whole_frames
from aiida_ionconduct.sampling.tasks import RELAX


class AseSamplingParser(Parser):
    """Store the frames and what is known of the calculator; of a job that was cut, the frames to go on from."""

    CACHE_VERSION = 1

    def parse(self, retrieved_temporary_folder: str | None = None, **kwargs: Any) -> ExitCode | None:
        """Parse what is known of the calculator first: without it, the calculator was not there."""
        path = pathlib.Path(retrieved_temporary_folder or '.') / sampler.FRAMES
        text = whole_frames(path.read_text(encoding='utf-8')) if path.exists() else ''
        teacher, ending = self.read(sampler.TEACHER), self.read(sampler.ENDING)
        if teacher:
            self.out('output_parameters', orm.Dict({**teacher, **ending}))
        if ending.get('finished'):
            frames = read_frames(text)
            if not frames:
                return self.exit_codes.ERROR_NO_FRAMES
            self.out('dataset', DatasetData.from_frames([without_traces(frame) for frame in frames]))
            return success(self)
        if text:
            restart = orm.SinglefileData(io.BytesIO(text.encode()), filename=sampler.FRAMES)
            restart.base.attributes.set('n_frames', len(read_frames(text)))
            self.out('restart', restart)
        return self.exit_code_of_failure(stopped=bool(ending))

    def read(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file of the job; empty if it is missing or was cut."""
        try:
            content: dict[str, Any] = json.loads(self.retrieved.base.repository.get_object_content(name, 'r'))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content

    def exit_code_of_failure(self, *, stopped: bool) -> ExitCode:
        """Return why a job has not come to its end.

        :param stopped: whether the job has stopped by itself because its time was up.
        """
        if stopped:
            return self.exit_codes.ERROR_OUT_OF_WALLTIME
        told = [line for line in messages(self.node).splitlines() if line.startswith(sampler.FAILED)]
        if told and re.search('ModuleNotFoundError|ImportError', told[-1]):
            return self.exit_codes.ERROR_CANNOT_RUN.format(detail=self.with_advice(told[-1]))
        cause = cause_of_failure(self.node)
        if cause:
            return exit_code_of(self, cause)
        if ran_out_of_memory(self):
            return self.exit_codes.ERROR_OUT_OF_MEMORY.format(detail='says the scheduler')
        return self.exit_codes.ERROR_CALCULATOR.format(detail=told[-1]) if told else self.exit_codes.ERROR_INCOMPLETE

    def with_advice(self, line: str) -> str:
        """Return what a calculator said with where and how to install its package."""
        install = self.node.inputs.teacher.get_dict().get('install')
        command = f': {install}' if install else ''
        return f'{line}. Install it into the Python of the code {self.node.inputs.code.full_label}{command}'


def without_traces(frame: Atoms) -> Atoms:
    """Return a frame as it belongs into a training set: without momenta and the numbers of the job.

    The last step of a relaxation keeps its word on whether the forces are small enough.
    """
    copy = frame.copy()
    copy.calc = frame.calc
    copy.arrays.pop('momenta', None)
    for name in ('task', 'step'):
        copy.info.pop(name, None)
    if copy.info.get('source') == RELAX:
        copy.info.pop('run', None)
    return copy
