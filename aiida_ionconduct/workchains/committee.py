"""Several potentials from the same frames, which differ only in their seeds."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.labels import seed_label
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.batches import BatchWorkChain

OUTPUTS = {
    'model': (AllegroModelData, 'Packaged potentials by seed: `seed1`.'),
    'output_parameters': (orm.Dict, 'Learning curves and errors.'),
    'parity': (orm.ArrayData, 'Predictions on the held-out frames, which are the same for all potentials.'),
}


class CommitteeWorkChain(BatchWorkChain):
    """:class:`AllegroWorkChain` for every seed; only the first potential is compiled, because only it runs."""

    _child = AllegroWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(AllegroWorkChain, namespace='allegro', exclude=('train.initial_model',))
        spec.input('seeds', valid_type=orm.List, help='Seeds of the weights and shuffles, one for each potential.')
        spec.input_namespace(
            'initial_models',
            valid_type=AllegroModelData,
            required=False,
            help='By seed: the potential from whose weights the training starts.',
        )
        spec.outline(cls.setup, cls.run_all(), cls.results)
        for name, (valid_type, help_text) in OUTPUTS.items():
            spec.output_namespace(name, valid_type=valid_type, help=help_text)
        spec.output(
            'compiled_model',
            valid_type=AllegroModelData,
            required=False,
            help='The first potential, compiled for this machine.',
        )
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_TRAINING', message='{n_failed} of {n_seeds} trainings failed.')

    def setup(self) -> None:
        """List the seeds."""
        self.ctx.seeds = {seed_label(seed): seed for seed in self.inputs.seeds}
        self.ctx.pending = list(self.ctx.seeds)

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one training."""
        inputs = self.exposed_inputs(AllegroWorkChain, 'allegro')
        parameters = {**inputs.train.parameters.get_dict(), 'seed': self.ctx.seeds[label]}
        inputs.train.parameters = orm.Dict(parameters)
        if label in self.inputs.get('initial_models', {}):
            inputs.train.initial_model = self.inputs.initial_models[label]
        if label != next(iter(self.ctx.seeds)):
            inputs.pop('compile', None)
        return inputs

    def results(self) -> ExitCode | None:
        """Attach the potentials that were made, then fail if a training failed."""
        for name in OUTPUTS:
            self.out(name, {label: node.outputs[name] for label, node in self.ctx.finished.items()})
        first = self.ctx.finished.get(next(iter(self.ctx.seeds)))
        if first is not None and 'compiled_model' in first.outputs:
            self.out('compiled_model', first.outputs.compiled_model)
        if self.ctx.failed:
            n_failed, n_seeds = len(self.ctx.failed), len(self.ctx.seeds)
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAINING.format(n_failed=n_failed, n_seeds=n_seeds)
