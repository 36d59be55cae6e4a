"""Train an Allegro potential and compile it for LAMMPS."""

from aiida import orm
from aiida.engine import ToContext, WorkChain

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation
from aiida_ionconduct.calculations.functions.datasets import split_dataset
from aiida_ionconduct.data import AllegroModelData, DatasetData


class AllegroWorkChain(WorkChain):
    """Split the frames, train and package a potential, compile it for the machine that runs LAMMPS."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(AllegroTrainCalculation, namespace='train', exclude=('train', 'validation', 'test'))
        spec.expose_inputs(AllegroCompileCalculation, namespace='compile', exclude=('model',))
        spec.input('dataset', valid_type=DatasetData, help='All labelled frames.')
        spec.input('split', valid_type=orm.Dict, help='Of `split_dataset`.')
        spec.outline(
            cls.run_train,
            cls.inspect_train,
            cls.run_compile,
            cls.inspect_compile,
        )
        spec.expose_outputs(AllegroTrainCalculation, include=('model', 'output_parameters', 'parity'))
        spec.output('compiled_model', valid_type=AllegroModelData, help='The model for this machine.')
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_TRAIN', message='The training failed: {detail}')
        spec.exit_code(402, 'ERROR_SUB_PROCESS_FAILED_COMPILE', message='The compilation failed: {detail}')

    def run_train(self):
        """Split the frames and train."""
        inputs = self.exposed_inputs(AllegroTrainCalculation, 'train')
        inputs.update(split_dataset(self.inputs.dataset, self.inputs.split))
        inputs.metadata.call_link_label = 'train'
        return ToContext(train=self.submit(AllegroTrainCalculation, **inputs))

    def inspect_train(self):
        """Attach the model, or what is known of the failure."""
        if not self.ctx.train.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_TRAIN.format(detail=self.ctx.train.exit_message)
        self.out_many(self.exposed_outputs(self.ctx.train, AllegroTrainCalculation))

    def run_compile(self):
        """Compile the packaged model."""
        inputs = self.exposed_inputs(AllegroCompileCalculation, 'compile')
        inputs.model = self.ctx.train.outputs.model
        inputs.metadata.call_link_label = 'compile'
        return ToContext(compile=self.submit(AllegroCompileCalculation, **inputs))

    def inspect_compile(self):
        """Attach the compiled model."""
        if not self.ctx.compile.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_COMPILE.format(detail=self.ctx.compile.exit_message)
        self.out('compiled_model', self.ctx.compile.outputs.model)
