"""Train an Allegro potential and compile it for LAMMPS."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessHandlerReport, ToContext, if_, process_handler, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_train import MONITOR, AllegroTrainCalculation
from aiida_ionconduct.calculations.functions.datasets import split_dataset
from aiida_ionconduct.calculations.functions.sampling import fit_energy_shifts
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.labels import COMPILE, EVALUATE
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain, AllegroEvaluateWorkChain
from aiida_ionconduct.workchains.segments import SegmentsWorkChain, out_of_walltime_handler

JOB_EXIT_CODES = AllegroTrainCalculation.exit_codes
OWN_OPTIONS = (
    'parser_name', 'scheduler_stdout', 'scheduler_stderr', 'submit_script_filename', 'input_filename',
    'output_filename', 'additional_retrieve_list',
)  # fmt: skip
"""Options of the training that its evaluation does not take over."""
MAX_LOWERED, LOWERED_BY = 2, 0.3
"""How often, and by which factor, the learning rate of a training that diverges is lowered."""


class AllegroWorkChain(SegmentsWorkChain):
    """Split the frames, train and package a potential, compile it for the machine that runs LAMMPS.

    A training that was cut by the wall time or killed goes on from its last whole epoch, with the state of its
    optimiser. The outputs are the same as of a training in a single job.
    """

    _process_class = AllegroTrainCalculation

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(AllegroTrainCalculation, namespace='train', exclude=('train', 'validation', 'test'))
        spec.expose_inputs(
            AllegroCompileCalculation,
            namespace='compile',
            exclude=('model', 'check.frame'),
            namespace_options={
                'required': False,
                'populate_defaults': False,
                'help': 'If left out, only the package is made.',
            },
        )
        spec.input('dataset', valid_type=DatasetData, help='All labelled frames.')
        spec.input('split', valid_type=orm.Dict, help='Parameters of `split_dataset`.')
        spec.input(
            'fit_shifts',
            valid_type=orm.Bool,
            required=False,
            help='Whether the energies of atoms of `train.initial_model` are fitted anew to the training frames before '
            'the training, by least squares: the labels may be of another level of theory.',
        )
        spec.outline(
            cls.setup,
            if_(cls.should_fit_shifts)(cls.run_evaluation, cls.inspect_evaluation),
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
            if_(cls.should_compile)(cls.run_compile, cls.inspect_compile),
        )
        spec.expose_outputs(AllegroTrainCalculation, include=('model', 'output_parameters', 'checkpoint', 'parity'))
        spec.output('compiled_model', valid_type=AllegroModelData, required=False, help='The compiled model.')
        spec.output(
            'energy_shifts', valid_type=orm.Dict, required=False, help='The energies of atoms that were fitted anew.'
        )
        spec.exit_code(410, 'ERROR_SUB_PROCESS_FAILED_COMPILE', message='The compilation failed: {detail}')
        spec.exit_code(
            411,
            'ERROR_DIVERGED',
            message='The training diverged at learning rates down to {learning_rate:g}: look for frames with wrong '
            'labels, or start from a much lower rate.',
        )
        spec.exit_code(
            412,
            'ERROR_OUT_OF_MEMORY',
            message='One frame alone does not fit into the memory of the device: take fewer features, a shorter r_max, '
            'or smaller cells.',
        )
        spec.exit_code(
            413,
            'ERROR_NO_PROGRESS',
            message='The wall time ends before an epoch has: raise max_wallclock_seconds.',
        )
        spec.exit_code(
            414, 'ERROR_SUB_PROCESS_FAILED_EVALUATION', message='The initial model could not be evaluated: {detail}'
        )

    def setup(self) -> None:
        """Split the frames, and put the inputs where the restart loop expects them."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(AllegroTrainCalculation, 'train'))
        self.ctx.inputs.update(split_dataset(self.inputs.dataset, self.inputs.split))
        self.ctx.inputs.monitors = {'progress': orm.Dict(MONITOR), **self.ctx.inputs.get('monitors', {})}
        self.ctx.n_lowered = 0

    # Energies of atoms ---------------------------------------------------------------------------------------------

    def should_fit_shifts(self) -> bool:
        """Return whether the energies of atoms are to be fitted anew."""
        asked = 'fit_shifts' in self.inputs and self.inputs.fit_shifts.value
        return asked and 'initial_model' in self.ctx.inputs and 'checkpoint' not in self.ctx.inputs

    def run_evaluation(self) -> ToContext:
        """Evaluate the initial model on the training frames, without its own energies of atoms."""
        train = self.ctx.inputs
        options = {key: value for key, value in train.metadata.options.items() if key not in OWN_OPTIONS}
        job = {
            'code': train.code,
            'frames': train.train,
            'models': {'initial': train.initial_model},
            'accelerator': orm.Str(self.parameter('accelerator')),
            'without_shifts': orm.Bool(True),
            'metadata': {'options': options},
        }
        if 'trust_model' in train:
            job['trust_model'] = train.trust_model
        return self.child(EVALUATE, AllegroEvaluateWorkChain, {'job': job}, name='evaluation')

    def inspect_evaluation(self) -> ExitCode | None:
        """Fit the energies of atoms."""
        if not self.ctx.evaluation.is_finished_ok:
            detail = self.ctx.evaluation.exit_message
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_EVALUATION.format(detail=detail)
        shifts = fit_energy_shifts(self.ctx.inputs.train, self.ctx.evaluation.outputs.predictions)
        self.ctx.inputs.energy_shifts = shifts
        self.out('energy_shifts', shifts)
        self.report(f'energies of atoms fitted to {shifts["residual_eV_per_atom"] * 1000:.3g} meV/atom')

    # Training ------------------------------------------------------------------------------------------------------

    def results(self) -> None:
        """Attach the outputs of the training."""
        self.attach(self.ctx.children[-1])

    def attach(self, node: orm.CalcJobNode) -> None:
        """Attach the outputs that a job has left."""
        for name in ('model', 'output_parameters', 'checkpoint', 'parity'):
            if name in node.outputs:
                self.out(name, node.outputs[name])

    # What can go wrong ---------------------------------------------------------------------------------------------

    handle_out_of_walltime = out_of_walltime_handler(JOB_EXIT_CODES.ERROR_OUT_OF_WALLTIME)

    @process_handler(priority=590, exit_codes=JOB_EXIT_CODES.ERROR_INCOMPLETE)
    def handle_killed(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Continue from the last whole epoch; if there is none, repeat the job."""
        if not self.continue_from(node):
            self.report(f'{node.process_label}<{node.pk}> was killed before an epoch was over: repeating it')
        return ProcessHandlerReport(True)

    @process_handler(priority=585, exit_codes=JOB_EXIT_CODES.ERROR_OUTPUT_MODEL_MISSING)
    def handle_no_package(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Package the model again, as the job may have been killed while it did so; twice in a row is a failure."""
        if self.has_failed_twice(node):
            return self.give_up(node, 'has failed twice in a row')
        self.continue_from(node)
        self.report(f'{node.process_label}<{node.pk}> has left no whole package: packaging again')
        return ProcessHandlerReport(True)

    @process_handler(priority=580, exit_codes=JOB_EXIT_CODES.ERROR_OUT_OF_MEMORY)
    def handle_out_of_memory(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Halve the batch, down to one frame; the training goes on from its last epoch."""
        batch_size = self.parameter('batch_size') // 2
        if batch_size < 1:
            return ProcessHandlerReport(True, self.exit_codes.ERROR_OUT_OF_MEMORY)
        self.change(batch_size=batch_size)
        self.continue_from(node)
        self.report(f'{node.process_label}<{node.pk}> ran out of memory: going on with batches of {batch_size}')
        return ProcessHandlerReport(True)

    @process_handler(priority=570, exit_codes=JOB_EXIT_CODES.ERROR_DIVERGED)
    def handle_diverged(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Begin again with a lower learning rate, twice at most."""
        learning_rate = self.parameter('learning_rate')
        if self.ctx.n_lowered == MAX_LOWERED:
            return ProcessHandlerReport(True, self.exit_codes.ERROR_DIVERGED.format(learning_rate=learning_rate))
        self.ctx.n_lowered += 1
        self.ctx.inputs.pop('checkpoint', None)  # its optimiser has its own rate
        self.change(learning_rate=learning_rate * LOWERED_BY)
        self.report(f'{node.process_label}<{node.pk}> diverged: again at {learning_rate * LOWERED_BY:g}')
        return ProcessHandlerReport(True)

    def continue_from(self, node: orm.CalcJobNode) -> bool:
        """Go on from the checkpoint of a job, if it is of a later epoch than the checkpoint before."""
        if 'checkpoint' not in node.outputs or node.outputs.checkpoint.base.attributes.get('epoch') <= self.epoch():
            return False
        self.ctx.inputs.checkpoint = node.outputs.checkpoint
        return True

    def epoch(self) -> int:
        """Return the epoch from which the training goes on."""
        return self.ctx.inputs.checkpoint.base.attributes.get('epoch') if 'checkpoint' in self.ctx.inputs else -1

    def parameter(self, name: str) -> Any:
        """Return the present value of a parameter of the training."""
        return self.ctx.inputs.parameters.get_dict().get(name, TrainingParameters.model_fields[name].default)

    def change(self, **parameters: Any) -> None:
        """Change parameters of the training."""
        self.ctx.inputs.parameters = orm.Dict({**self.ctx.inputs.parameters.get_dict(), **parameters})

    # Compilation ---------------------------------------------------------------------------------------------------

    def should_compile(self) -> bool:
        """Return whether the model is to be compiled."""
        return 'compile' in self.inputs

    def run_compile(self) -> ToContext:
        """Compile the packaged model."""
        job = self.exposed_inputs(AllegroCompileCalculation, 'compile')
        job.model = self.ctx.children[-1].outputs.model
        if 'check' in job:
            job.check.frame = self.ctx.inputs.test
        return self.child(COMPILE, AllegroCompileWorkChain, {'job': job})

    def inspect_compile(self) -> ExitCode | None:
        """Attach the compiled model."""
        if not self.ctx.compile.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_COMPILE.format(detail=self.ctx.compile.exit_message)
        self.out('compiled_model', self.ctx.compile.outputs.model)
