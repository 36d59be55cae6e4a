"""The gate between training and production as a work chain: short runs, and the judgement over them."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ExitCode
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.validation import describe_failure, validate_model
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.labels import seed_label, temperature_label
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

EXPLODED = LammpsMdBaseWorkChain.exit_codes.ERROR_EXPLODED.status


class ValidationWorkChain(SeedsWorkChain):
    """Run the potential at every temperature, and judge it by what DFT and AIMD have shown.

    Runs that explode are evidence as well. A potential that fails is kept, so that a user may still decide to use it.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input('thresholds', valid_type=orm.Dict, help='Thresholds of `validate_model`.')
        spec.input('training', valid_type=orm.Dict, required=False, help='Errors of the training on held-out frames.')
        spec.input('dataset', valid_type=DatasetData, required=False, help='What the potential was trained on.')
        spec.input_namespace(
            'references', valid_type=orm.TrajectoryData, required=False, help='AIMD by temperature: `T1200`.'
        )
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output('validation', valid_type=orm.Dict, required=False, help='The gate, check by check.')
        spec.exit_code(420, 'ERROR_VALIDATION_FAILED', message='the potential failed its validation: {failed}')

    def results(self) -> ExitCode | None:
        """Attach the runs, then judge, unless a run has failed for another reason than the potential."""
        exit_code = super().results()
        if any(self.ctx[f'child_{label}'].exit_status != EXPLODED for label in self.ctx.failed):
            return exit_code
        evidence = {name: self.inputs[name] for name in ('training', 'dataset') if name in self.inputs}
        for label, run in self.ctx.runs.items():
            node, seed = self.ctx[f'child_{label}'], seed_label(run['seeds'][0])
            T = temperature_label(run['temperature_K'])
            if T not in evidence and 'output_parameters' in node.outputs:
                evidence[T] = node.outputs.output_parameters[seed]
                if T in self.inputs.get('references', {}):
                    evidence[f'reference_{T}'] = self.inputs.references[T]
                    if label in self.ctx.finished:
                        evidence[f'trajectory_{T}'] = node.outputs.trajectories[seed]
        outcome = validate_model(self.inputs.thresholds, temperatures_K=self.inputs.temperatures_K, **evidence)
        self.out('validation', outcome)
        if not outcome['passed']:
            return self.exit_codes.ERROR_VALIDATION_FAILED.format(failed=describe_failure(outcome.get_dict()))
