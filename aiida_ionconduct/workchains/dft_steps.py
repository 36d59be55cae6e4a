"""The steps of a campaign before its first training that need DFT: relaxation, sampling, and levels of theory."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext

from aiida_ionconduct.calculations.functions.datasets import dataset_from_aimd, merge_datasets
from aiida_ionconduct.calculations.functions.levels import (
    compare_levels,
    describe_levels,
    pick_level_frames,
    shift_to_level,
)
from aiida_ionconduct.calculations.functions.structures import rank_energies, rattle, rattle_orderings
from aiida_ionconduct.labels import AIMD, LABEL_LEVELS, LABEL_RATTLED, RELAX, SAMPLE, numbered, ordering_label
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.pretrained import PretrainedSteps
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.sampling import SamplingWorkChain


class DftSteps(PretrainedSteps):
    """What :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain` does before its first training."""

    # Structure -----------------------------------------------------------------------------------------------------

    def should_relax(self) -> bool:
        """Return whether the structure is to be relaxed."""
        return 'relax' in self.inputs

    def run_relax(self) -> ToContext:
        """Relax with DFT, all candidates side by side; from where the pretrained potential has got, if it was asked."""
        cells = self.cells_to_relax()
        children: dict[str, Any] = {}
        self.ctx.relaxations = list(cells)
        for label, cell in cells.items():
            inputs = self.exposed_inputs(RelaxWorkChain, 'relax')
            inputs.structure = self.ctx.get('prerelaxed', {}).get(label, cell)
            children |= self.child(label, RelaxWorkChain, inputs)
        return ToContext(**children)

    def inspect_relax(self) -> ExitCode | None:
        """Go on with the relaxed structure; of several candidates, with the lowest in energy."""
        taken = RELAX
        if 'candidates' in self.inputs:
            ended = {label: self.ctx[label] for label in self.ctx.relaxations if self.ctx[label].is_finished_ok}
            if not ended:
                return self.failure('RELAX', self.ctx[self.ctx.relaxations[0]])
            ranking = rank_energies(**{label: node.outputs.output_parameters for label, node in ended.items()})
            self.out('candidates', ranking)
            taken = ranking['lowest']
            self.ctx.relax = ended[taken]
            if 'n_orderings' in self.inputs and not self.choose_orderings(ranking, ended):
                return self.failure('RELAX', self.ctx[self.ctx.relaxations[0]])
        if not self.ctx.relax.is_finished_ok:
            return self.failure('RELAX', self.ctx.relax)
        if 'output_structure' in self.ctx.relax.outputs:
            self.ctx.structure = self.ctx.relax.outputs.output_structure
            cells = self.cells_to_relax()[taken], self.ctx.structure
            given, relaxed = (cell.get_cell_volume() for cell in cells)
            self.report(f'the relaxation has changed the volume by {relaxed / given - 1:+.1%}, to {relaxed:.1f} Å³')

    def choose_orderings(self, ranking: orm.Dict, relaxations: dict[str, orm.ProcessNode]) -> bool:
        """Take the lowest of the relaxed candidates as the orderings; return whether there are enough of them.

        :param ranking: of ``rank_energies``.
        :param relaxations: that have ended well, by label.
        """
        energies, n_orderings = ranking['energies_eV'], self.inputs.n_orderings.value
        if len(energies) < n_orderings:
            self.report(f'{len(energies)} candidates are relaxed, and the seeds need {n_orderings} orderings')
            return False
        for number, label in enumerate(sorted(energies, key=lambda label: energies[label])[:n_orderings], start=1):
            outputs, given = relaxations[label].outputs, label.removeprefix(f'{RELAX}_')
            relaxed = outputs.output_structure if 'output_structure' in outputs else self.inputs.candidates[given]
            self.ctx.orderings[ordering_label(number)] = relaxed
        self.ctx.ranking = ranking
        return True

    # Training set --------------------------------------------------------------------------------------------------

    def should_sample(self) -> bool:
        """Return whether frames are to be made."""
        return 'dataset' not in self.inputs and 'model' not in self.inputs

    def run_sampling(self) -> ToContext:
        """Run AIMD, MD with a pretrained potential, or both; and label rattled cells beside AIMD.

        Beside a pretrained potential, AIMD is not waited for: its frames are labelled, and it teaches, meanwhile.
        """
        children: dict[str, Any] = {}
        if 'sampling' in self.inputs:
            inputs = self.exposed_inputs(SamplingWorkChain, 'sampling')
            inputs.structure = self.ctx.structure
            if 'relax' in self.inputs:  # DFT has relaxed the crystal
                inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), 'relax': None})
            children |= self.child(SAMPLE, SamplingWorkChain, inputs)
        if 'aimd' in self.inputs:
            inputs = self.exposed_inputs(AimdWorkChain, 'aimd')
            inputs.structure = self.ctx.structure
            aimd = self.child(AIMD, AimdWorkChain, inputs)
            if 'sampling' in self.inputs:
                self.ctx.beside = dict(aimd)
            else:
                children |= aimd
        if 'rattle' in self.inputs:
            frames = (
                rattle_orderings(self.inputs.rattle, **self.ctx.orderings)
                if self.ctx.orderings
                else rattle(self.ctx.structure, self.inputs.rattle)
            )
            children |= self.child(LABEL_RATTLED, LabelWorkChain, self.label_inputs(frames, 'rattled'))
        return children

    def inspect_sampling(self) -> ExitCode | None:
        """Take over the frames of the pretrained potential, or else those of AIMD."""
        if 'sampling' not in self.inputs:
            return self.inspect_aimd()
        if not self.ctx.sample.is_finished_ok:
            return self.failure('SAMPLING', self.ctx.sample)
        self.take_over(self.ctx.sample.outputs)
        return None

    def has_aimd_beside(self) -> bool:
        """Return whether AIMD runs that is still to be waited for."""
        return 'beside' in self.ctx

    def await_aimd(self) -> ToContext:
        """Wait for the AIMD that runs beside the pretrained potential."""
        return ToContext(**self.ctx.pop('beside'))

    def inspect_aimd(self) -> ExitCode | None:
        """Join the frames of AIMD with the other frames of DFT; where no DFT gives labels, they are for the gate."""
        if not self.ctx.aimd.is_finished_ok:
            return self.failure('AIMD', self.ctx.aimd)
        if self.is_without_dft():
            return None
        datasets = {'aimd': dataset_from_aimd(self.inputs.frames, **self.ctx.aimd.outputs.trajectories)}
        if 'rattle' in self.inputs:
            if not self.ctx.label_rattled.is_finished_ok:
                return self.failure('LABELLING', self.ctx.label_rattled)
            datasets['rattled'] = self.ctx.label_rattled.outputs.dataset
        if 'dataset' in self.ctx:
            datasets['sampled'] = self.ctx.dataset
        self.ctx.dataset = merge_datasets(**datasets) if len(datasets) > 1 else datasets['aimd']
        return None

    def failure(self, stage: str, node: orm.ProcessNode) -> ExitCode:
        """Report a child that failed, and the AIMD that goes on without this work chain, if there is any."""
        for child in self.ctx.get('beside', {}).values():
            self.report(
                f'{child.process_label}<{child.pk}> goes on by itself; when it has ended, the same campaign takes its '
                f'result from the cache. To end it: aiida-ionconduct kill {child.pk}'
            )
        return super().failure(stage, node)

    def should_compare_levels(self) -> bool:
        """Return whether DFT will add labels to a given training set, whose level of theory may be another."""
        return 'levels' in self.inputs and 'dataset' in self.inputs

    def run_levels(self) -> ToContext | ExitCode:
        """Label some frames of the given training set again."""
        self.ctx.level_frames = pick_level_frames(self.ctx.dataset, self.inputs.structure, self.inputs.levels)
        if not self.ctx.level_frames:
            return self.exit_codes.ERROR_LEVELS_DISAGREE.format(
                detail='no frame of the training set has the elements and about the size of the cell that DFT can label'
            )
        children: dict[str, Any] = {}
        for number, (_, frames) in enumerate(sorted(self.ctx.level_frames.items())):
            inputs = self.label_inputs(frames, 'levels')
            children |= self.child(numbered(LABEL_LEVELS, number), LabelWorkChain, inputs)
        return ToContext(**children)

    def inspect_levels(self) -> ExitCode | None:
        """Shift the energies of the given training set to the level of DFT here, unless the levels disagree."""
        labelled = {}
        for number in range(len(self.ctx.level_frames)):
            label = numbered(LABEL_LEVELS, number)
            if not self.ctx[label].is_finished_ok:
                return self.failure('LABELLING', self.ctx[label])
            labelled[label] = self.ctx[label].outputs.dataset
        levels = compare_levels(self.inputs.levels, self.ctx.dataset, **labelled)
        self.out('levels', levels)
        self.report(describe_levels(levels.get_dict()))
        if not levels['agree']:
            return self.exit_codes.ERROR_LEVELS_DISAGREE.format(detail=describe_levels(levels.get_dict()))
        self.ctx.dataset = shift_to_level(self.ctx.dataset, levels)
