"""Active learning: run a committee of potentials, label the frames on which it disagrees, train again."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, if_, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.calculations.functions.active_learning import select_frames
from aiida_ionconduct.calculations.functions.datasets import merge_datasets, pick_frames
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.labels import EVALUATE, EXPLORE, LABEL, TRAIN, VALIDATE, numbered, seed_label
from aiida_ionconduct.workchains.base import ParentWorkChain
from aiida_ionconduct.workchains.committee import CommitteeWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.repeat import AllegroEvaluateWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain


class ActiveLearningWorkChain(ParentWorkChain):
    """Train a committee, run its first member at and above the temperatures of its use, label disputed frames.

    The loop ends after a round in which the members agree on fresh frames, the first member passes the gate, the
    disputed frames are known already, or the budget of rounds or labels is spent. The potential in the outputs was
    trained on all labelled frames.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.input('structure', valid_type=orm.StructureData, help='The cell that DFT can label.')
        spec.input('dataset', valid_type=DatasetData, help='Labelled frames to begin with.')
        spec.input(
            'initial_model',
            valid_type=AllegroModelData,
            required=False,
            help='A packaged model from whose weights all members start in the first round.',
        )
        spec.expose_inputs(
            CommitteeWorkChain, namespace='committee', exclude=('allegro.dataset', 'seeds', 'initial_models')
        )
        spec.expose_inputs(
            SeedsWorkChain,
            namespace='md',
            exclude=('base.md.structure', 'base.md.model', 'temperatures_K', 'seeds', 'previous'),
        )
        spec.expose_inputs(AllegroEvaluateCalculation, namespace='evaluate', exclude=('frames', 'models'))
        spec.expose_inputs(LabelWorkChain, namespace='label', exclude=('frames',))
        spec.expose_inputs(
            ValidationWorkChain,
            namespace='gate',
            exclude=('base.md.model', 'training', 'dataset', 'previous'),
            namespace_options={'required': False, 'populate_defaults': False, 'help': 'If left out, there is no gate.'},
        )
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            help='Parameters of `select_frames`; and `committee_seeds`; `temperatures_K` and `seeds` of the runs; '
            '`n_candidates`, the number of their frames that the committee judges; `max_rounds`; `max_frames` to label '
            'in all; `training`, the parameters that differ in later rounds.',
        )
        spec.outline(
            cls.setup,
            while_(cls.has_more_to_learn)(
                cls.run_training,
                cls.inspect_training,
                cls.run_exploration,
                cls.inspect_exploration,
                cls.run_evaluation,
                cls.inspect_evaluation,
                if_(cls.has_more_to_learn)(cls.run_labelling, cls.inspect_labelling),
            ),
            cls.results,
        )
        spec.output('dataset', valid_type=DatasetData, help='All labelled frames.')
        spec.output('model', valid_type=AllegroModelData, help='The first member of the committee.')
        spec.output(
            'compiled_model', valid_type=AllegroModelData, help='The same potential, compiled for this machine.'
        )
        spec.output('output_parameters', valid_type=orm.Dict, help='The learning curves and errors of the potential.')
        spec.output('parity', valid_type=orm.ArrayData, help='The predictions of the potential on held-out frames.')
        spec.output('validation', valid_type=orm.Dict, required=False, help='The gate, check by check.')
        spec.output_namespace('models', valid_type=AllegroModelData, help='All members of the committee by seed.')
        spec.output_namespace('reports', valid_type=orm.Dict, help='Reports of `select_frames` by round: `round_1`.')
        spec.output('report', valid_type=orm.Dict, help='The last report: `ended_by` tells why the loop ended.')
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_TRAINING', message='A training of the committee failed.')
        spec.exit_code(402, 'ERROR_SUB_PROCESS_FAILED_EXPLORATION', message='No run has left a frame.')
        spec.exit_code(403, 'ERROR_SUB_PROCESS_FAILED_EVALUATION', message='The frames could not be evaluated.')
        spec.exit_code(404, 'ERROR_SUB_PROCESS_FAILED_LABELLING', message='Too many frames could not be labelled.')

    def setup(self) -> None:
        """Start from the inputs."""
        self.ctx.p = self.inputs.parameters.get_dict()
        self.ctx.dataset = self.inputs.dataset
        self.ctx.round, self.ctx.n_labelled, self.ctx.reports, self.ctx.ended_by = 0, 0, {}, None

    def has_more_to_learn(self) -> bool:
        """Return whether the loop goes on."""
        return self.ctx.ended_by is None

    def run_training(self) -> ToContext:
        """Train the committee, in a later round from the weights of the round before."""
        self.ctx.round += 1
        inputs = self.exposed_inputs(CommitteeWorkChain, 'committee')
        inputs.allegro.dataset = self.ctx.dataset
        inputs.seeds = orm.List(self.ctx.p['committee_seeds'])
        if self.ctx.round == 1 and 'initial_model' in self.inputs:
            labels = [seed_label(seed) for seed in self.ctx.p['committee_seeds']]
            inputs.initial_models = dict.fromkeys(labels, self.inputs.initial_model)
            inputs.allegro.fit_shifts = orm.Bool(True)
        if self.ctx.round > 1:
            inputs.initial_models = dict(self.ctx.training.outputs.model)
            parameters = {**inputs.allegro.train.parameters.get_dict(), **self.ctx.p['training']}
            inputs.allegro.train.parameters = orm.Dict(parameters)
        return self.child(numbered(TRAIN, self.ctx.round), CommitteeWorkChain, inputs, name='training')

    def inspect_training(self) -> ExitCode | None:
        """Fail if a member of the committee is missing."""
        if not self.ctx.training.is_finished_ok:
            return self.failure('TRAINING', self.ctx.training)

    def run_exploration(self) -> ToContext:
        """Run the first member at and above the temperatures of its use and, at the same time, through the gate."""
        inputs = self.exposed_inputs(SeedsWorkChain, 'md')
        inputs.base.md.structure = self.inputs.structure
        inputs.base.md.model = self.ctx.training.outputs.compiled_model
        inputs.temperatures_K = orm.List(self.ctx.p['temperatures_K'])
        inputs.seeds = orm.List([seed + 100 * self.ctx.round for seed in self.ctx.p['seeds']])
        children = self.child(numbered(EXPLORE, self.ctx.round), SeedsWorkChain, inputs, name='exploration')
        if 'gate' in self.inputs:
            inputs = self.exposed_inputs(ValidationWorkChain, 'gate')
            inputs.base.md.model, inputs.dataset = self.ctx.training.outputs.compiled_model, self.ctx.dataset
            inputs.training = self.ctx.training.outputs.output_parameters[self.first()]
            children |= self.child(numbered(VALIDATE, self.ctx.round), ValidationWorkChain, inputs, name='gate')
        return children

    def inspect_exploration(self) -> ExitCode | None:
        """Collect the trajectories, also of runs that exploded, up to the explosion."""
        outputs = self.ctx.exploration.outputs
        self.ctx.trajectories = dict(outputs.trajectories) if 'trajectories' in outputs else {}
        for run in self.ctx.exploration.called:
            if not run.is_finished_ok and 'trajectories' in run.outputs:
                self.ctx.trajectories |= {
                    f'exploded_{run.pk}_{label}': trajectory
                    for label, trajectory in run.outputs.trajectories.items()
                    if len(trajectory.positions)
                }
        if not self.ctx.trajectories:
            return self.failure('EXPLORATION', self.ctx.exploration)

    def run_evaluation(self) -> ToContext:
        """Let every member judge frames of the runs."""
        self.ctx.candidates = pick_frames(orm.Dict({'n_frames': self.ctx.p['n_candidates']}), **self.ctx.trajectories)
        job = self.exposed_inputs(AllegroEvaluateCalculation, 'evaluate')
        job.frames, job.models = self.ctx.candidates, dict(self.ctx.training.outputs.model)
        return self.child(numbered(EVALUATE, self.ctx.round), AllegroEvaluateWorkChain, {'job': job}, name='evaluation')

    def inspect_evaluation(self) -> ExitCode | None:
        """Choose frames to label, or end: the committee agrees, the gate is passed, or the budget is spent."""
        if not self.ctx.evaluation.is_finished_ok:
            return self.failure('EVALUATION', self.ctx.evaluation)
        spent = self.ctx.round > self.ctx.p['max_rounds'] or self.ctx.n_labelled >= self.ctx.p['max_frames']
        chosen: dict[str, Any] = select_frames(
            orm.Dict({**self.ctx.p, 'budget_is_spent': spent, 'gate_is_passed': self.gate_is_passed()}),
            self.ctx.candidates,
            self.ctx.evaluation.outputs.predictions,
            self.ctx.dataset,
            **self.ctx.training.outputs.parity,
        )
        report = self.ctx.reports[numbered('round', self.ctx.round)] = chosen['report']
        self.ctx.ended_by, self.ctx.frames = report['ended_by'], chosen.get('frames')
        self.report(
            f'round {self.ctx.round}: {report["n_uncertain"]} of {report["n_candidates"]} frames are uncertain, the '
            f'median disagreement is {report["median_disagreement_eV_per_A"]:.3g} eV/Å'
        )
        if self.ctx.ended_by is None and self.ctx.frames is None:
            return self.failure('EXPLORATION', self.ctx.exploration)  # all frames are unphysical

    def run_labelling(self) -> ToContext:
        """Label the chosen frames."""
        inputs = self.exposed_inputs(LabelWorkChain, 'label')
        inputs.frames = self.ctx.frames
        source = f'active_{self.ctx.round}'
        inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), 'source': source})
        return self.child(numbered(LABEL, self.ctx.round), LabelWorkChain, inputs, name='labelling')

    def inspect_labelling(self) -> ExitCode | None:
        """Add the labelled frames to the training set."""
        if not self.ctx.labelling.is_finished_ok:
            return self.failure('LABELLING', self.ctx.labelling)
        self.ctx.n_labelled += self.ctx.frames.numsteps
        self.ctx.dataset = merge_datasets(a_before=self.ctx.dataset, b_new=self.ctx.labelling.outputs.dataset)

    def results(self) -> None:
        """Attach the potential and the reason why the loop has ended."""
        self.attach()
        if 'gate' in self.ctx and 'validation' in self.ctx.gate.outputs:
            self.out('validation', self.ctx.gate.outputs.validation)
        self.report(f'ended by {self.ctx.ended_by} after {self.ctx.round} rounds and {self.ctx.n_labelled} labels')
        self.out('report', self.ctx.reports[numbered('round', self.ctx.round)])

    # Helpers -------------------------------------------------------------------------------------------------------

    def first(self) -> str:
        """Return the label of the first member of the committee, which runs."""
        return seed_label(self.ctx.p['committee_seeds'][0])

    def gate_is_passed(self) -> bool:
        """Return whether the potential of this round has passed the gate."""
        if 'gate' not in self.ctx or 'validation' not in self.ctx.gate.outputs:
            return False
        return self.ctx.gate.outputs.validation['passed']

    def attach(self) -> None:
        """Attach the frames, the reports, and the potential as far as it was made."""
        self.out('dataset', self.ctx.dataset)
        self.out('reports', self.ctx.reports)
        if 'training' in self.ctx and 'model' in self.ctx.training.outputs:
            outputs, first = self.ctx.training.outputs, self.first()
            self.out('models', dict(outputs.model))
            for name in ('model', 'output_parameters', 'parity'):
                if first in outputs[name]:
                    self.out(name, outputs[name][first])
            if 'compiled_model' in outputs:
                self.out('compiled_model', outputs.compiled_model)

    def failure(self, stage: str, node: orm.ProcessNode) -> ExitCode:
        """Report a child that failed, attach what was made before, and return the exit code of the stage."""
        self.attach()
        return super().failure(stage, node)
