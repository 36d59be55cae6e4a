"""Label frames with energies and forces by single self-consistent calculations."""

from __future__ import annotations

import itertools
from typing import Any

from aiida import orm
from aiida.engine import ExitCode
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.datasets import dataset_from_labels
from aiida_ionconduct.calculations.pw_frames import PwFramesCalculation
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.farm.preemption import was_preempted
from aiida_ionconduct.workchains.batches import BatchWorkChain


class LabelWorkChain(BatchWorkChain):
    """``pw.x`` on every frame, several frames in a job; frames without self-consistency are left out and counted.

    The labels of a job that was cut short are kept; the frames that it did not reach go into another job.
    """

    _child = PwFramesCalculation

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(PwFramesCalculation, namespace='pw', exclude=('frames', 'indices'))
        spec.input('frames', valid_type=orm.TrajectoryData, help='The unlabelled frames.')
        spec.input(
            'frames_per_job', valid_type=orm.Int, default=lambda: orm.Int(1), help='At most so many frames in a job.'
        )
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            help='Of `dataset_from_labels`; and `min_fraction` to succeed.',
        )
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output('dataset', valid_type=DatasetData, help='The labelled frames.')
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_SCF',
            message='{n_failed} of {n_frames} self-consistent calculations failed: look at one of them; frames with '
            'atoms too close do not converge.',
        )

    def setup(self) -> None:
        """Deal the frames to jobs."""
        stepids = self.inputs.frames.get_stepids().tolist()
        size = self.inputs.frames_per_job.value
        self.ctx.labelled, self.ctx.indices, self.ctx.pending, self.ctx.in_vain = {}, {}, [], []
        for first in range(0, len(stepids), size):
            self.queue(stepids[first : first + size])

    def queue(self, indices: list[int], *, in_vain: bool = False) -> None:
        """Add a job for some frames.

        :param in_vain: a job for the same frames has ended before its first frame, other than by preemption.
        """
        label = first = f'frames_{indices[0]:04d}'
        for number in itertools.count(1):  # the label of an earlier job would bring that job back
            if label not in self.ctx.indices:
                break
            label = f'{first}_{number}'
        self.ctx.indices[label] = indices
        self.ctx.pending.append(label)
        if in_vain:
            self.ctx.in_vain.append(label)

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one job."""
        inputs = self.exposed_inputs(PwFramesCalculation, 'pw')
        inputs['frames'], inputs['indices'] = self.inputs.frames, orm.List(self.ctx.indices[label])
        return inputs

    def inspect_batch(self) -> None:
        """Keep the labels, also of jobs that were cut short, and queue the frames that such jobs did not reach.

        A job that ended before its first frame is repeated once, and as often as it is preempted.
        """
        super().inspect_batch()
        for label in self.ctx.batch:
            job = self.ctx[f'child_{label}']
            outputs, indices = job.outputs, self.ctx.indices[label]
            if 'labelled' in outputs:
                self.ctx.labelled[label] = outputs.labelled
            if 'output_parameters' in outputs:
                unfinished = outputs.output_parameters['unfinished']
            else:
                unfinished = indices if job.is_failed else []
            if 0 < len(unfinished) < len(indices):
                self.queue(unfinished)
            elif unfinished and (label not in self.ctx.in_vain or was_preempted(job)):
                self.report(f'{job.process_label}<{job.pk}> ended before its first frame: repeating it')
                self.queue(unfinished, in_vain=label in self.ctx.in_vain or not was_preempted(job))

    def results(self) -> ExitCode | None:
        """Collect the labels, unless too many frames failed."""
        n_frames = self.inputs.frames.numsteps
        n_labelled = sum(frames.numsteps for frames in self.ctx.labelled.values())
        if n_labelled < max(self.inputs.parameters['min_fraction'] * n_frames, 1):
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_SCF.format(
                n_failed=n_frames - n_labelled, n_frames=n_frames
            )
        self.out('dataset', dataset_from_labels(self.inputs.parameters, **self.ctx.labelled))
