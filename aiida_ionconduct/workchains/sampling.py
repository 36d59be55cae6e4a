"""Sampling by a pretrained potential: jobs that survive walltimes and kills, and the plan over them."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessHandlerReport, ToContext, if_, process_handler, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.ase_sampling import AseSamplingCalculation
from aiida_ionconduct.calculations.functions.datasets import curate_dataset, merge_datasets
from aiida_ionconduct.calculations.functions.sampling import last_structure, plan_sampling, structure_to_cells
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.labels import RELAX, numbered
from aiida_ionconduct.sampling.tasks import deal, relaxation_tasks
from aiida_ionconduct.workchains.batches import BatchWorkChain
from aiida_ionconduct.workchains.segments import SegmentsWorkChain, out_of_walltime_handler

JOB_EXIT_CODES = AseSamplingCalculation.exit_codes
JOB = 'sampling'
DYNAMICS = ('timestep_fs', 'friction_per_ps', 'max_force_eV_per_A')


class AseSamplingWorkChain(SegmentsWorkChain):
    """A sampling job, which goes on from the frames of a job that was cut by the wall time or killed."""

    _process_class = AseSamplingCalculation

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(AseSamplingCalculation, namespace='job')
        spec.outline(cls.setup, while_(cls.should_run_process)(cls.run_process, cls.inspect_process), cls.results)
        spec.expose_outputs(AseSamplingCalculation, include=('dataset', 'output_parameters', 'restart'))
        spec.exit_code(
            412, 'ERROR_OUT_OF_MEMORY', message='The calculator does not fit into memory: take smaller cells.'
        )
        spec.exit_code(
            413,
            'ERROR_NO_PROGRESS',
            message='The wall time ends before a frame is done: raise max_wallclock_seconds.',
            invalidates_cache=True,
        )

    def setup(self) -> None:
        """Put the inputs where the restart loop expects them."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(AseSamplingCalculation, 'job'))

    def results(self) -> None:
        """Attach the frames."""
        self.attach(self.ctx.children[-1])

    def attach(self, node: orm.CalcJobNode) -> None:
        """Attach the outputs that a job has left."""
        for name in ('dataset', 'output_parameters', 'restart'):
            if name in node.outputs:
                self.out(name, node.outputs[name])

    def continue_from(self, node: orm.CalcJobNode) -> bool:
        """Go on from the frames of a job, if it has more of them than the job before."""
        before = self.ctx.inputs.restart.base.attributes.get('n_frames') if 'restart' in self.ctx.inputs else 0
        if 'restart' not in node.outputs or node.outputs.restart.base.attributes.get('n_frames') <= before:
            return False
        self.ctx.inputs.restart = node.outputs.restart
        return True

    handle_out_of_walltime = out_of_walltime_handler(JOB_EXIT_CODES.ERROR_OUT_OF_WALLTIME)

    @process_handler(priority=590, exit_codes=JOB_EXIT_CODES.ERROR_INCOMPLETE)
    def handle_killed(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Go on from the last whole frame; if there is none, repeat the job."""
        if not self.continue_from(node):
            self.report(f'{node.process_label}<{node.pk}> was killed before its first frame: repeating it')
        return ProcessHandlerReport(True)

    @process_handler(priority=580, exit_codes=[JOB_EXIT_CODES.ERROR_CALCULATOR, JOB_EXIT_CODES.ERROR_NO_FRAMES])
    def handle_calculator(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """End: the calculator itself has refused, or all its runs explode, which a repetition would not change."""
        return self.give_up(node, 'is not repeated')

    @process_handler(priority=570, exit_codes=JOB_EXIT_CODES.ERROR_OUT_OF_MEMORY)
    def handle_out_of_memory(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """End: no parameter that can be changed here makes a cell smaller."""
        return ProcessHandlerReport(True, self.exit_codes.ERROR_OUT_OF_MEMORY)


class SamplingWorkChain(BatchWorkChain):
    """Frames and labels by a pretrained potential: MD at several temperatures, strained and displaced cells, orderings.

    With ``relax`` in the parameters, the crystal is relaxed by the pretrained potential first. The tasks are dealt to
    as many jobs as may run at a time.
    """

    _child = AseSamplingWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input('structure', valid_type=orm.StructureData, help='The crystal.')
        spec.input_namespace(
            'orderings',
            valid_type=orm.StructureData,
            required=False,
            help='Other cells of the same composition, in which MD is run as well.',
        )
        spec.expose_inputs(
            AseSamplingWorkChain, namespace='base', exclude=('job.cells', 'job.tasks', 'job.dynamics', 'job.restart')
        )
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            help='Of `plan_sampling`; `timestep_fs`, `friction_per_ps` and `max_force_eV_per_A` of the MD; and for a '
            'relaxation `relax`, which is `positions` or `positions_cell`, with `relax_steps` and '
            '`relax_force_eV_per_A`.',
        )
        spec.outline(
            cls.setup,
            if_(cls.should_relax)(cls.run_relax, cls.inspect_relax),
            cls.make_plan,
            cls.run_all(),
            cls.results,
        )
        spec.output('dataset', valid_type=DatasetData, help='All frames, with the labels of the pretrained potential.')
        spec.output('structure', valid_type=orm.StructureData, required=False, help='The crystal, relaxed.')
        spec.output(
            'output_parameters', valid_type=orm.Dict, help='The pretrained potential: version, weights, device, type.'
        )
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_RELAX', message='The relaxation failed: {detail}')
        spec.exit_code(
            402, 'ERROR_SUB_PROCESS_FAILED_SAMPLING', message='No job has left a frame, the first of them: {detail}'
        )

    def setup(self) -> None:
        """Start from the inputs."""
        self.ctx.structure, self.ctx.p = self.inputs.structure, self.inputs.parameters.get_dict()

    def job(self, cells: orm.TrajectoryData, tasks: list[dict[str, Any]]) -> AttributeDict:
        """Return the inputs of a job with its restarts."""
        inputs = self.exposed_inputs(AseSamplingWorkChain, 'base')
        inputs.job.cells, inputs.job.tasks = cells, orm.List(tasks)
        inputs.job.dynamics = orm.Dict({name: self.ctx.p[name] for name in DYNAMICS})
        return inputs

    def should_relax(self) -> bool:
        """Return whether the pretrained potential relaxes the crystal."""
        return bool(relaxation_tasks(self.ctx.p))

    def run_relax(self) -> ToContext:
        """Relax the crystal."""
        inputs = self.job(structure_to_cells(self.ctx.structure), relaxation_tasks(self.ctx.p))
        return self.child(RELAX, AseSamplingWorkChain, inputs)

    def inspect_relax(self) -> ExitCode | None:
        """Go on with the relaxed crystal; a relaxation that has not converged is told."""
        if not self.ctx.relax.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_RELAX.format(detail=self.ctx.relax.exit_message)
        dataset = self.ctx.relax.outputs.dataset
        for remark in remarks_on_relaxation(dataset):
            self.report(remark)
        self.ctx.structure = last_structure(dataset)
        self.out('structure', self.ctx.structure)

    def make_plan(self) -> None:
        """Deal the tasks to jobs."""
        plan = plan_sampling(self.ctx.structure, self.inputs.parameters, **self.inputs.get('orderings', {}))
        self.ctx.cells = plan['cells']
        jobs = deal(plan['tasks'].get_list(), self.inputs.max_concurrent.value)
        self.ctx.jobs = {numbered(JOB, index): tasks for index, tasks in enumerate(jobs)}
        self.ctx.pending = list(self.ctx.jobs)

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one job."""
        return self.job(self.ctx.cells, self.ctx.jobs[label])

    def results(self) -> ExitCode | None:
        """Join the frames of all jobs; single jobs may have failed."""
        done = [node for _, node in sorted(self.ctx.finished.items())]
        if not done:
            failed = self.ctx[f'child_{self.ctx.failed[0]}']
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_SAMPLING.format(detail=failed.exit_message)
        datasets = {numbered(JOB, index): node.outputs.dataset for index, node in enumerate(done)}
        joined = merge_datasets(**datasets) if len(datasets) > 1 else datasets[numbered(JOB, 0)]
        limits = orm.Dict({'max_force_eV_per_A': self.ctx.p['max_force_eV_per_A'], 'duplicate_A': 1e-3})
        self.out('dataset', curate_dataset(joined, limits))
        self.out('output_parameters', done[0].outputs.output_parameters)


def remarks_on_relaxation(dataset: DatasetData) -> list[str]:
    """Return what has to be said of a relaxation by a pretrained potential.

    :param dataset: its frames.
    """
    frames = dataset.get_frames()
    remarks = {
        f'the pretrained potential has not relaxed the cell in {len(frames) - 1} steps: going on with its end': (
            not frames[-1].info.get('relaxed')
        ),
        'the symmetry was not kept, as spglib is missing where the pretrained potential runs, or refuses the cell': (
            not frames[-1].info.get('symmetry_kept', True)
        ),
    }
    return [remark for remark, applies in remarks.items() if applies]
