"""A loop that closes on the weaknesses of a potential: run, disagree, label, train again."""

from aiida import orm
from aiida.engine import ToContext, WorkChain, if_, while_

from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.calculations.functions.active_learning import select_frames
from aiida_ionconduct.calculations.functions.datasets import merge_datasets, pick_frames
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.workchains.committee import CommitteeWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.repeat import AllegroEvaluateWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain


class ActiveLearningWorkChain(WorkChain):
    """Train a committee, run its first member where it will be used and hotter, label what the members disagree on.

    A round ends with the question whether anything is left to learn: the members agree on fresh frames, the first
    passes the gate, what they disagree on is known already, or the budget of rounds or labels is spent. The potential
    in the outputs is always one that was trained on all the frames.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input('structure', valid_type=orm.StructureData, help='The cell that DFT can label.')
        spec.input('dataset', valid_type=DatasetData, help='Labelled frames to begin with.')
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
            namespace_options={'required': False, 'populate_defaults': False, 'help': 'Left out, it is not asked.'},
        )
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            help='Of `select_frames`; and `committee_seeds`, `temperatures_K`, `seeds` of the runs, `n_candidates` '
            'frames of theirs, `max_rounds`, `max_frames` to label in all, `training` of later rounds.',
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
        spec.output('compiled_model', valid_type=AllegroModelData, help='The same for this machine.')
        spec.output('output_parameters', valid_type=orm.Dict, help='Its learning curves and errors.')
        spec.output('parity', valid_type=orm.ArrayData, help='Its predictions on held-out frames.')
        spec.output('validation', valid_type=orm.Dict, required=False, help='The gate, check by check.')
        spec.output_namespace('models', valid_type=AllegroModelData, help='All members by seed.')
        spec.output_namespace('reports', valid_type=orm.Dict, help='Of `select_frames`, by round: `round_1`.')
        spec.output('report', valid_type=orm.Dict, help='The last of them, which says by what the loop has `ended_by`.')
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_TRAINING', message='A training of the committee failed.')
        spec.exit_code(402, 'ERROR_SUB_PROCESS_FAILED_EXPLORATION', message='No run has left a frame.')
        spec.exit_code(403, 'ERROR_SUB_PROCESS_FAILED_EVALUATION', message='The frames could not be evaluated.')
        spec.exit_code(404, 'ERROR_SUB_PROCESS_FAILED_LABELLING', message='Too many frames could not be labelled.')

    def setup(self):
        """Start from the inputs."""
        self.ctx.p = self.inputs.parameters.get_dict()
        self.ctx.dataset = self.inputs.dataset
        self.ctx.round, self.ctx.n_labelled, self.ctx.reports, self.ctx.ended_by = 0, 0, {}, None

    def has_more_to_learn(self):
        """Whether the loop has not ended."""
        return self.ctx.ended_by is None

    def run_training(self):
        """Train the committee, in a later round from the weights of the last one."""
        self.ctx.round += 1
        inputs = self.exposed_inputs(CommitteeWorkChain, 'committee')
        inputs.allegro.dataset = self.ctx.dataset
        inputs.seeds = orm.List(self.ctx.p['committee_seeds'])
        if self.ctx.round > 1:
            inputs.initial_models = dict(self.ctx.training.outputs.model)
            parameters = {**inputs.allegro.train.parameters.get_dict(), **self.ctx.p['training']}
            inputs.allegro.train.parameters = orm.Dict(parameters)
        return self.child('train', CommitteeWorkChain, inputs, 'training')

    def inspect_training(self):
        """All members are needed."""
        if not self.ctx.training.is_finished_ok:
            return self.failure('TRAINING', self.ctx.training)

    def run_exploration(self):
        """Let the first member run at and above the temperatures of its use and, beside that, through the gate."""
        inputs = self.exposed_inputs(SeedsWorkChain, 'md')
        inputs.base.md.structure = self.inputs.structure
        inputs.base.md.model = self.ctx.training.outputs.compiled_model
        inputs.temperatures_K = orm.List(self.ctx.p['temperatures_K'])
        inputs.seeds = orm.List([seed + 100 * self.ctx.round for seed in self.ctx.p['seeds']])
        children = self.child('explore', SeedsWorkChain, inputs, 'exploration')
        if 'gate' in self.inputs:
            inputs = self.exposed_inputs(ValidationWorkChain, 'gate')
            inputs.base.md.model, inputs.dataset = self.ctx.training.outputs.compiled_model, self.ctx.dataset
            inputs.training = self.ctx.training.outputs.output_parameters[self.first()]
            children |= self.child('validate', ValidationWorkChain, inputs, 'gate')
        return children

    def inspect_exploration(self):
        """Runs that exploded have left frames too, those before it."""
        outputs = self.ctx.exploration.outputs
        self.ctx.trajectories = dict(outputs.trajectories) if 'trajectories' in outputs else {}
        for run in self.ctx.exploration.called:
            if not run.is_finished_ok and 'trajectories' in run.outputs:
                left = {
                    f'exploded_{run.pk}_{key}': one
                    for key, one in run.outputs.trajectories.items()
                    if len(one.positions)
                }
                self.ctx.trajectories |= left
        if not self.ctx.trajectories:
            return self.failure('EXPLORATION', self.ctx.exploration)

    def run_evaluation(self):
        """Let every member judge frames of the runs."""
        self.ctx.candidates = pick_frames(orm.Dict({'n_frames': self.ctx.p['n_candidates']}), **self.ctx.trajectories)
        job = self.exposed_inputs(AllegroEvaluateCalculation, 'evaluate')
        job.frames, job.models = self.ctx.candidates, dict(self.ctx.training.outputs.model)
        return self.child('evaluate', AllegroEvaluateWorkChain, {'job': job}, 'evaluation')

    def inspect_evaluation(self):
        """Choose frames, or end: because the committee knows them, the gate is passed, or the budget is spent."""
        if not self.ctx.evaluation.is_finished_ok:
            return self.failure('EVALUATION', self.ctx.evaluation)
        spent = self.ctx.round > self.ctx.p['max_rounds'] or self.ctx.n_labelled >= self.ctx.p['max_frames']
        chosen = select_frames(
            orm.Dict({**self.ctx.p, 'budget_is_spent': spent, 'gate_is_passed': self.gate_is_passed()}),
            self.ctx.candidates,
            self.ctx.evaluation.outputs.predictions,
            self.ctx.dataset,
            **self.ctx.training.outputs.parity,
        )
        report = self.ctx.reports[f'round_{self.ctx.round}'] = chosen['report']
        self.ctx.ended_by, self.ctx.frames = report['ended_by'], chosen.get('frames')
        self.report(
            f'round {self.ctx.round}: {report["n_uncertain"]} of {report["n_candidates"]} frames are uncertain, the '
            f'median disagreement is {report["median_disagreement_eV_per_A"]:.3g} eV/Å'
        )
        if self.ctx.ended_by is None and self.ctx.frames is None:
            return self.failure('EXPLORATION', self.ctx.exploration)  # nothing that has not left physics

    def run_labelling(self):
        """Label the chosen frames."""
        inputs = self.exposed_inputs(LabelWorkChain, 'label')
        inputs.frames = self.ctx.frames
        source = f'active_{self.ctx.round}'
        inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), 'source': source})
        return self.child('label', LabelWorkChain, inputs, 'labelling')

    def inspect_labelling(self):
        """Add the labelled frames to the training set."""
        if not self.ctx.labelling.is_finished_ok:
            return self.failure('LABELLING', self.ctx.labelling)
        self.ctx.n_labelled += self.ctx.frames.numsteps
        self.ctx.dataset = merge_datasets(a_before=self.ctx.dataset, b_new=self.ctx.labelling.outputs.dataset)

    def results(self):
        """Attach the potential, and why the loop has ended."""
        self.attach()
        if 'gate' in self.ctx and 'validation' in self.ctx.gate.outputs:
            self.out('validation', self.ctx.gate.outputs.validation)
        self.report(f'ended by {self.ctx.ended_by} after {self.ctx.round} rounds and {self.ctx.n_labelled} labels')
        self.out('report', self.ctx.reports[f'round_{self.ctx.round}'])

    # Helpers -------------------------------------------------------------------------------------------------------

    def first(self) -> str:
        """Return the label of the member that runs."""
        return f'seed{self.ctx.p["committee_seeds"][0]}'

    def gate_is_passed(self) -> bool:
        """Whether the potential of this round is good enough."""
        outputs = self.ctx.gate.outputs if 'gate' in self.ctx else {}
        return 'validation' in outputs and outputs.validation['passed']

    def attach(self):
        """Attach what there is of the potential, its frames and the reports."""
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

    def child(self, label, process, inputs, name):
        """Submit a child under a link label with the number of the round."""
        inputs['metadata'] = {**inputs.get('metadata', {}), 'call_link_label': f'{label}_{self.ctx.round}'}
        node = self.submit(process, **inputs)
        self.report(f'launched {node.process_label}<{node.pk}> ({label}_{self.ctx.round})')
        return ToContext(**{name: node})

    def failure(self, stage, node):
        """Report a child that failed, keep what there is, and return the exit code of its stage."""
        self.report(f'{node.process_label}<{node.pk}> failed: {node.exit_message or node.process_state}')
        self.attach()
        return self.exit_codes[f'ERROR_SUB_PROCESS_FAILED_{stage}']
