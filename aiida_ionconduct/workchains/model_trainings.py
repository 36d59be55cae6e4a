"""The trainings and the timings of a study of models: one child for each setting."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.allegro.cost import relative_size
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.labels import seed_label
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.batches import BatchWorkChain
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain

OUTPUTS = {
    'model': (AllegroModelData, 'Packaged potentials by setting: `model_001`.'),
    'output_parameters': (orm.Dict, 'Learning curves and errors by setting.'),
    'checkpoint': (orm.FolderData, 'What a longer training goes on from, by setting.'),
    'compiled_model': (AllegroModelData, 'Compiled potentials by setting.'),
}


class ModelTrainingsWorkChain(BatchWorkChain):
    """:class:`AllegroWorkChain` for every setting, the cheapest first; the failure of a setting does not end it.

    Settings of a similar cost run side by side, so that little time is spent waiting for the slowest of a batch.
    """

    _child = AllegroWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(AllegroWorkChain, namespace='allegro', exclude=('train.initial_model', 'train.checkpoint'))
        spec.input('settings', valid_type=orm.Dict, help='By label, parameters that replace those of `allegro.train`.')
        spec.input_namespace(
            'checkpoints',
            valid_type=orm.FolderData,
            required=False,
            help='By label: the training of the setting goes on from here.',
        )
        spec.outline(cls.setup, cls.run_all(), cls.results)
        for name, (valid_type, help_text) in OUTPUTS.items():
            spec.output_namespace(name, valid_type=valid_type, required=False, help=help_text)

    def setup(self) -> None:
        """List the settings by their cost."""
        self.ctx.pending = sorted(self.inputs.settings.get_dict(), key=self.cost)

    def parameters(self, label: str) -> dict[str, Any]:
        """Return the parameters of the training of a setting."""
        return {**self.inputs.allegro.train.parameters.get_dict(), **self.inputs.settings[label]}

    def cost(self, label: str) -> float:
        """Return the relative cost of a setting."""
        return relative_size(TrainingParameters.stored(self.parameters(label)).model_dump())

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one training."""
        inputs = self.exposed_inputs(AllegroWorkChain, 'allegro')
        inputs.train.parameters = orm.Dict(self.parameters(label))
        if label in self.inputs.get('checkpoints', {}):
            inputs.train.checkpoint = self.inputs.checkpoints[label]
        return inputs

    def results(self) -> None:
        """Attach what was made, also by a setting whose training ended well and whose compilation failed."""
        nodes = {label: self.ctx[f'child_{label}'] for label in [*self.ctx.finished, *self.ctx.failed]}
        for name in OUTPUTS:
            self.out(name, {label: node.outputs[name] for label, node in nodes.items() if name in node.outputs})


class ModelTimingsWorkChain(BatchWorkChain):
    """A short run of LAMMPS with every compiled potential, on a machine that does nothing else for the study."""

    _child = LammpsMdBaseWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdBaseWorkChain, namespace='base', exclude=('md.model', 'md.restart', 'previous'))
        spec.input_namespace('models', valid_type=AllegroModelData, help='Compiled potentials by setting.')
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output_namespace('output_parameters', valid_type=orm.Dict, required=False, help='By setting.')

    def setup(self) -> None:
        """List the settings."""
        self.ctx.pending = sorted(self.inputs.models)

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one run."""
        inputs = self.exposed_inputs(LammpsMdBaseWorkChain, 'base')
        inputs.md.model = self.inputs.models[label]
        return inputs

    def results(self) -> None:
        """Attach the speeds."""
        seed = seed_label(self.inputs.base.md.parameters['seeds'][0])
        made = {label: node.outputs.output_parameters[seed] for label, node in self.ctx.finished.items()}
        self.out('output_parameters', made)
