"""The steps of a campaign with a pretrained potential: its frames, labels for them, and the teaching."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ToContext
from aiida.orm.utils.managers import NodeLinksManager

from aiida_ionconduct.calculations.functions.sampling import choose_frames, last_structure, structure_to_cells
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.labels import LABEL_SAMPLED, PRERELAX, RELAX, TEACH
from aiida_ionconduct.sampling.tasks import relaxation_tasks, single_tasks
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.base import ParentWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.sampling import (
    DYNAMICS,
    AseSamplingWorkChain,
    SamplingWorkChain,
    remarks_on_relaxation,
)

MAX_VOLUME_CHANGE = 0.25
"""Relative; a guest ion in a small cell changes the volume by less."""


class PretrainedSteps(ParentWorkChain):
    """What :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain` does with a pretrained potential.

    With the namespace ``label``, DFT labels chosen frames, and the potential learns from both, one after the other;
    without, the pretrained potential gives all labels.
    """

    def cells_to_relax(self) -> dict[str, orm.StructureData]:
        """Return the candidates, or the structure, by the labels of their relaxations."""
        if 'candidates' not in self.inputs:
            return {RELAX: self.inputs.structure}
        return {f'{RELAX}_{label}': cell for label, cell in sorted(self.inputs.candidates.items())}

    def should_prerelax(self) -> bool:
        """Return whether the pretrained potential relaxes the cells first, so that DFT has less to do."""
        return 'sampling' in self.inputs and bool(relaxation_tasks(self.inputs.sampling.parameters.get_dict()))

    def run_prerelax(self) -> ToContext:
        """Relax every cell that DFT is to relax."""
        tasks = relaxation_tasks(self.inputs.sampling.parameters.get_dict())
        children: dict[str, Any] = {}
        for label, cell in self.cells_to_relax().items():
            inputs = self.pretrained_job(structure_to_cells(cell), tasks)
            children |= self.child(label.replace(RELAX, PRERELAX, 1), AseSamplingWorkChain, inputs)
        return ToContext(**children)

    def inspect_prerelax(self) -> None:
        """Let DFT go on from the relaxed cells; where the potential has failed or gone far, from the cells as given."""
        self.ctx.prerelaxed = {}
        for label, cell in self.cells_to_relax().items():
            child = self.ctx[label.replace(RELAX, PRERELAX, 1)]
            if not child.is_finished_ok:
                self.report(f'{label}: DFT takes the cell as given, as the relaxation failed: {child.exit_message}')
                continue
            for remark in remarks_on_relaxation(child.outputs.dataset):
                self.report(f'{label}: {remark}')
            relaxed = last_structure(child.outputs.dataset)
            change = relaxed.get_cell_volume() / cell.get_cell_volume() - 1
            if abs(change) > MAX_VOLUME_CHANGE:
                self.report(
                    f'{label}: DFT takes the cell as given, as the pretrained potential changes its volume by '
                    f'{change:+.0%}, which is not trusted'
                )
                continue
            self.ctx.prerelaxed[label] = relaxed

    def take_over(self, outputs: NodeLinksManager) -> None:
        """Keep the frames of the pretrained potential; without DFT they are the training set.

        :param outputs: of :class:`SamplingWorkChain`.
        """
        self.ctx.teacher, self.ctx.teaching_set = outputs.output_parameters, outputs.dataset
        if self.is_without_dft():
            self.ctx.dataset = outputs.dataset
            if 'structure' in outputs:
                self.ctx.structure = outputs.structure

    def is_without_dft(self) -> bool:
        """Return whether the pretrained potential gives all labels."""
        return 'sampling' in self.inputs and 'label' not in self.inputs

    def should_label_sampled(self) -> bool:
        """Return whether DFT is to label frames of the pretrained potential."""
        return 'selection' in self.inputs and 'teaching_set' in self.ctx

    def run_label_sampled(self) -> ToContext:
        """Label frames that differ as much as possible."""
        chosen = choose_frames(self.inputs.selection, self.ctx.teaching_set)
        self.ctx.selection = chosen['report']
        return self.child(LABEL_SAMPLED, LabelWorkChain, self.label_inputs(chosen['frames'], 'sampled'))

    def inspect_label_sampled(self) -> ExitCode | None:
        """Make the training set of these frames; those of AIMD, if it runs, join them later."""
        if not self.ctx.label_sampled.is_finished_ok:
            return self.failure('LABELLING', self.ctx.label_sampled)
        self.ctx.dataset = self.ctx.label_sampled.outputs.dataset
        return None

    def label_child(self, label: str, frames: orm.TrajectoryData, source: str, name: str) -> ToContext:
        """Let DFT label frames, or the pretrained potential where no DFT is done.

        :param label: of the call link.
        :param source: under which the dataset counts the frames.
        :param name: of the child in the context.
        """
        if not self.is_without_dft():
            return self.child(label, LabelWorkChain, self.label_inputs(frames, source), name=name)
        inputs = self.pretrained_job(frames, single_tasks(frames.numsteps, source))
        return self.child(label, AseSamplingWorkChain, inputs, name=name)

    def pretrained_job(self, cells: orm.TrajectoryData, tasks: list[dict[str, Any]]) -> AttributeDict:
        """Return the inputs of a job of the pretrained potential."""
        inputs = self.exposed_inputs(SamplingWorkChain, 'sampling').base
        inputs.job.cells, inputs.job.tasks = cells, orm.List(tasks)
        inputs.job.dynamics = orm.Dict({key: self.inputs.sampling.parameters[key] for key in DYNAMICS})
        return inputs

    def label_inputs(self, frames: orm.TrajectoryData, source: str) -> AttributeDict:
        """Return the inputs for labelling frames, which the dataset will count under their source."""
        inputs = self.exposed_inputs(LabelWorkChain, 'label')
        inputs.frames = frames
        inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), 'source': source})
        return inputs

    def should_teach(self) -> bool:
        """Return whether the potential learns from the pretrained potential before it learns from DFT."""
        return 'teaching' in self.inputs and 'teaching_set' in self.ctx

    def run_teaching(self) -> ToContext:
        """Train on the labels of the pretrained potential; the result is only a start, and not compiled."""
        inputs = self.allegro_inputs(self.ctx.teaching_set, self.inputs.teaching)
        inputs.pop('compile', None)
        return self.child(TEACH, AllegroWorkChain, inputs, name='teaching')

    def inspect_teaching(self) -> ExitCode | None:
        """Go on from the taught potential."""
        if not self.ctx.teaching.is_finished_ok:
            return self.failure('TEACHING', self.ctx.teaching)

    def allegro_inputs(self, dataset: DatasetData, changes: orm.Dict | None) -> AttributeDict:
        """Return the inputs of a training; the energies of atoms of a model to start from are fitted anew.

        :param changes: parameters of the training that differ.
        """
        inputs = self.exposed_inputs(AllegroWorkChain, 'allegro')
        inputs.dataset = dataset
        if 'teaching' in self.ctx:
            inputs.train.initial_model = self.ctx.teaching.outputs.model
        if 'initial_model' in inputs.train:
            inputs.fit_shifts = orm.Bool(True)
        if changes is not None:
            inputs.train.parameters = orm.Dict({**inputs.train.parameters.get_dict(), **changes.get_dict()})
        return inputs
