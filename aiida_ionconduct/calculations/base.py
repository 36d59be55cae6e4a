"""The base of the jobs that load potentials: defaults of the options, GPUs, and the checks of inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, CalcJobProcessSpec

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import TRUST_HELP
from aiida_ionconduct.data.reduced import has_reduced_outputs
from aiida_ionconduct.engines.programs import RESOURCES
from aiida_ionconduct.engines.schedulers import request_gpus
from aiida_ionconduct.parameters import ParameterError, Parameters

EXIT_CODES = (
    (350, 'ERROR_CANNOT_RUN', 'The program cannot run on this machine: {detail}'),
    (351, 'ERROR_CRASHED', 'The program died: {detail}'),
)
"""Causes outside the inputs that the program or the scheduler has named."""

FIRST_REUSED_STATUS = 400
"""Exit codes below have a cause outside the inputs, so that the cache must not take the job again."""

WALLTIME_FRACTION, WALLTIME_RESERVE_S = 0.9, 120
"""A job that can stop by itself does so at this fraction of the wall time, less the reserve, which leaves time for what
comes after; it stops in no case before half of the wall time."""


def stop_after(walltime_s: float) -> float:
    """Return the time in s after which a job stops by itself."""
    return max(WALLTIME_FRACTION * walltime_s - WALLTIME_RESERVE_S, walltime_s / 2)


class EngineCalcJob(CalcJob):
    """A serial job by default, with the option ``gpus`` and the input ``trust_model``."""

    WALLTIME_STATUS: int | None = None
    """The exit status of a job that has stopped at the wall time, where it has one."""
    PROGRESS: tuple[str, str, int] | None = None
    """What grows from the restart with which a job begins to the restart that it leaves: the label of both, which is an
    input and an output, the attribute that grows, and its value without a restart."""

    @classmethod
    def is_valid_cache(cls, node: orm.CalcJobNode) -> bool:  # type: ignore[override]  # as AiiDA's own
        """Return whether the cache may take a job again.

        Wall time is not part of the hash of a job. A job that stopped at the wall time before it made progress would
        otherwise come back from the cache for ever, however much time is given to it. A job from an archive that has
        thinned or left out its outputs is not taken again either.
        """
        if (
            not super().is_valid_cache(node)
            or has_reduced_outputs(node)
            or 0 < (node.exit_status or 0) < FIRST_REUSED_STATUS
        ):
            return False
        return node.exit_status != cls.WALLTIME_STATUS or cls.has_progress(node)

    @classmethod
    def has_progress(cls, node: orm.CalcJobNode) -> bool:
        """Return whether another job can go on further than this job has begun."""
        if cls.PROGRESS is None:
            return True
        label, attribute, at_first = cls.PROGRESS
        begun, ended = (
            links[label].base.attributes.get(attribute) if label in links else at_first
            for links in (node.inputs, node.outputs)
        )
        return bool(ended > begun)

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]  # as AiiDA itself
        """Define what all these jobs share."""
        super().define(spec)
        spec.input('trust_model', valid_type=orm.Bool, required=False, help=TRUST_HELP)
        spec.input(
            'metadata.options.gpus',
            valid_type=int,
            required=False,
            help='The number of GPUs on each machine, for which the job script asks the scheduler.',
        )
        for status, label, message in EXIT_CODES:
            spec.exit_code(status, label, message, invalidates_cache=True)
        spec.input(
            'metadata.options.gpu_type',
            valid_type=str,
            required=False,
            help='The type of the GPUs, as the scheduler calls it.',
        )
        _options(spec).validator = _validate_options
        spec.inputs.validator = complaint_about_models
        set_option_defaults(spec, resources=dict(RESOURCES), withmpi=False)

    def presubmit(self, folder: Folder) -> CalcInfo:
        """Write the job script as AiiDA does, then ask for the GPUs in it."""
        calcinfo = super().presubmit(folder)
        gpus, computer = self.node.get_option('gpus'), self.node.computer
        if gpus and computer is not None:
            name = str(self.node.get_option('submit_script_filename'))
            with folder.open(name, encoding='utf8') as handle:
                script = handle.read()
            with folder.open(name, 'w', encoding='utf8') as handle:
                handle.write(request_gpus(script, computer.scheduler_type, gpus, self.node.get_option('gpu_type')))
        return calcinfo


def _options(spec: CalcJobProcessSpec) -> Any:
    """Return the namespace of the options of a job."""
    metadata: Any = spec.inputs['metadata']
    return metadata['options']


def set_option_defaults(spec: CalcJobProcessSpec, **defaults: Any) -> None:
    """Set the defaults of options of a job, by name."""
    for name, default in defaults.items():
        _options(spec)[name].default = default


def validator(parameters: type[Parameters]) -> Callable[[orm.Dict, Any], str | None]:
    """Return the validator of an input that holds a set of parameters."""

    def validate(node: orm.Dict, _: Any) -> str | None:
        try:
            parameters.check(node.get_dict())
        except ParameterError as error:
            return str(error)
        return None

    return validate


def complaint_about_models(inputs: Mapping[str, Any], _: Any = None) -> str | None:
    """Return why a model among the inputs must not be loaded, or None.

    :param inputs: the inputs of a job; models are among them or in the namespace ``models``.
    """
    nodes = [*inputs.values(), *inputs.get('models', {}).values()]
    complaints = (node.check(inputs.get('trust_model')) for node in nodes if isinstance(node, AllegroModelData))
    return next((complaint for complaint in complaints if complaint), None)


def complaint_about_format(model: AllegroModelData, name: str = 'model') -> str | None:
    """Return that a model is not a package, or None.

    :param name: what the message calls the model.
    """
    if model.model_format == 'package':
        return None
    return f'the {name} {model.filename} is compiled: give the package it came from.'


def _validate_options(options: Mapping[str, Any], _: Any) -> str | None:
    """Refuse an option ``gpus`` that is not a positive number."""
    gpus = options.get('gpus')
    if gpus is not None and (isinstance(gpus, bool) or gpus < 1):
        return f'gpus is {gpus!r}, but must be the number of GPUs on each machine, at least 1.'
    return None
