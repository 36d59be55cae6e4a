"""From a crystal to its ionic conductivity: the top work chain."""

from aiida import orm
from aiida.common import AttributeDict
from aiida.common.links import LinkType
from aiida.engine import ToContext, WorkChain, append_, if_, while_

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
from aiida_ionconduct.calculations.functions.datasets import (
    curate_dataset,
    dataset_from_aimd,
    merge_datasets,
    pick_frames,
)
from aiida_ionconduct.calculations.functions.structures import make_supercell, rank_energies, rattle
from aiida_ionconduct.calculations.functions.validation import describe_failure
from aiida_ionconduct.data import AllegroModelData, ConductivityData, DatasetData, IonTrajectoryData
from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.aimd import AimdWorkChain, temperature_label
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.builder import get_builder_from_protocol
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.precision import TARGET, PrecisionWorkChain, set_target, take_over, validate_target
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain

# Copied each time: `expose_inputs` empties what it is given.
OPTIONAL = {'required': False, 'populate_defaults': False}


class ConductivityWorkChain(WorkChain):
    """Relax, sample with AIMD, train a potential, validate it, run many seeds, and analyse them.

    A stage whose product is given as an input is skipped: a ``dataset`` replaces AIMD and labelling, a ``model``
    everything up to its compilation.
    """

    get_builder_from_protocol = classmethod(get_builder_from_protocol)

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.input('structure', valid_type=orm.StructureData, help='The cell that DFT sees.')
        spec.input_namespace(
            'candidates',
            valid_type=orm.StructureData,
            required=False,
            help='Ordered cells of one composition: all are relaxed, the lowest is taken on instead of `structure`.',
        )
        spec.input('dataset', valid_type=DatasetData, required=False, help='Labelled frames, instead of making them.')
        spec.input('curation', valid_type=orm.Dict, required=False, help='Of `curate_dataset`, for that `dataset`.')
        spec.input('model', valid_type=AllegroModelData, required=False, help='A package, instead of training one.')
        spec.input('charges', valid_type=orm.Dict, help='Integer charges by chemical symbol, neutral in total.')
        spec.input('mobile', valid_type=orm.Str, help='Chemical symbol of the mobile ion.')
        spec.input('n_atoms_min', valid_type=orm.Int, help='Atoms of the supercell, at least.')
        spec.expose_inputs(
            RelaxWorkChain,
            namespace='relax',
            exclude=('structure', 'clean_workdir'),
            namespace_options=dict(OPTIONAL),
        )
        spec.expose_inputs(AimdWorkChain, namespace='aimd', exclude=('structure',), namespace_options=dict(OPTIONAL))
        spec.expose_inputs(LabelWorkChain, namespace='label', exclude=('frames',), namespace_options=dict(OPTIONAL))
        spec.expose_inputs(
            AllegroWorkChain,
            namespace='allegro',
            exclude=('dataset', 'train.initial_model'),
            namespace_options=dict(OPTIONAL),
        )
        spec.expose_inputs(AllegroCompileCalculation, namespace='compile', exclude=('model',))
        spec.expose_inputs(SeedsWorkChain, namespace='md', exclude=('base.md.structure', 'base.md.model'))
        spec.input('rattle', valid_type=orm.Dict, required=False, help='Of `rattle`: cells labelled beside the AIMD.')
        spec.input('frames', valid_type=orm.Dict, required=False, help='Of `dataset_from_aimd`.')
        spec.input(
            'relabelling',
            valid_type=orm.Dict,
            required=False,
            help='Rounds of MD with the potential, labelling of its frames and training from its weights: `n_rounds`, '
            'up to `max_rounds` while it fails its validation; `n_frames`, `training`; and `temperatures_K`, `seeds`, '
            '`md` of the runs.',
        )
        spec.expose_inputs(
            AllegroEvaluateCalculation,
            namespace='evaluate',
            exclude=('frames', 'models'),
            namespace_options=dict(OPTIONAL),
        )
        spec.input(
            'active_learning',
            valid_type=orm.Dict,
            required=False,
            help='Parameters of `ActiveLearningWorkChain`, which then trains the potential; and `md` of its runs.',
        )
        spec.input('validation', valid_type=orm.Dict, help='Of `validate_model`; and `seed`, `md` of its runs.')
        spec.input(
            'ignore_validation',
            valid_type=orm.Bool,
            default=lambda: orm.Bool(False),
            help='Go on with a potential that has failed its validation.',
        )
        for name, (valid_type, help_text) in TARGET.items():
            spec.input(name, valid_type=valid_type, required=False, help=help_text)
        spec.inputs.validator = validate_target
        spec.outline(
            cls.setup,
            if_(cls.should_relax)(cls.run_relax, cls.inspect_relax),
            if_(cls.should_sample)(cls.run_sampling, cls.inspect_sampling),
            if_(cls.should_train)(cls.run_training, cls.inspect_training).else_(cls.run_compile, cls.inspect_compile),
            while_(cls.is_on_trial)(
                while_(cls.should_relabel)(
                    cls.run_exploration,
                    cls.inspect_exploration,
                    cls.run_labelling,
                    cls.inspect_labelling,
                    cls.run_training,
                    cls.inspect_training,
                ),
                cls.run_validation,
                cls.inspect_validation,
            ),
            cls.accept_model,
            cls.run_seeds,
            cls.inspect_seeds,
            cls.results,
        )
        spec.output('structure', valid_type=orm.StructureData, help='The relaxed cell.')
        spec.output('candidates', valid_type=orm.Dict, required=False, help='Energies of the candidates, by DFT.')
        spec.output('supercell', valid_type=orm.StructureData, help='The cell of the molecular dynamics.')
        spec.output('dataset', valid_type=DatasetData, required=False, help='All labelled frames.')
        spec.output('model', valid_type=AllegroModelData, help='The packaged potential.')
        spec.output('compiled_model', valid_type=AllegroModelData, help='The potential for this machine.')
        spec.output('training', valid_type=orm.Dict, required=False, help='Learning curves and errors.')
        spec.output('parity', valid_type=orm.ArrayData, required=False, help='Predictions on held-out frames.')
        spec.output('validation', valid_type=orm.Dict, help='The gate, check by check.')
        spec.output_namespace('trajectories', valid_type=IonTrajectoryData, help='By run: `T1200_seed1`.')
        spec.output_namespace('conductivities', valid_type=ConductivityData, help='By temperature: `T1200`.')
        spec.output_namespace(
            'decisions',
            valid_type=orm.Dict,
            required=False,
            help='With a target: what was run next, by round, and why.',
        )
        spec.output('outcome', valid_type=orm.Dict, required=False, help='With a target: how it ended.')
        spec.output('arrhenius', valid_type=orm.Dict, help='Activation energy and extrapolation.')
        failed = 'the {stage} failed; see `verdi process report` of this process and what it called.'
        for status, stage in enumerate(
            ('RELAX', 'AIMD', 'LABELLING', 'TRAINING', 'COMPILE', 'EXPLORATION', 'VALIDATION_MD', 'MD'), start=401
        ):
            message = failed.format(stage=stage.lower().replace('_', ' '))
            spec.exit_code(status, f'ERROR_SUB_PROCESS_FAILED_{stage}', message=message)
        spec.exit_code(
            420,
            'ERROR_VALIDATION_FAILED',
            message='the potential failed its validation ({failed}): add frames, train longer, or go on at your own '
            'risk with `ignore_validation`.',
        )

    @classmethod
    def get_builder_extending(cls, node, **target):
        """Return the builder of a campaign that goes on where the production of an earlier one has ended.

        Structure and potential are those of the earlier one, and so is all of its molecular dynamics.

        :param node: the earlier one, whatever its end, as long as it has a potential.
        :param target: ``target_relative_error``, ``max_md_ns`` and ``max_iterations``, those that change; the budget
            counts what has been spent.
        :raises ValueError: if it has no potential, or a name is unknown.
        """
        if 'model' not in node.outputs:
            raise ValueError(f'{node.process_label}<{node.pk}> has no potential to go on with: submit it again.')
        inputs, builder = node.get_builder_restart()._inputs(prune=True), cls.get_builder()
        for name in ('charges', 'mobile', 'n_atoms_min', 'compile', 'md', 'validation', 'ignore_validation', *TARGET):
            if name in inputs:
                builder[name] = inputs[name]
        for name in ('structure', 'model', 'dataset'):
            if name in node.outputs:
                builder[name] = node.outputs[name]
        set_target(builder, target)
        calls = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK, link_label_filter='md')
        for production in calls.all_nodes():
            take_over(builder.md, production)
        return builder

    # Structure -----------------------------------------------------------------------------------------------------

    def setup(self):
        """Start from the inputs."""
        self.ctx.structure = self.inputs.structure
        self.ctx.round, self.ctx.n_rounds, self.ctx.max_rounds = 0, 0, 0
        if 'relabelling' in self.inputs:  # after active learning only for a potential that fails its gate
            self.ctx.n_rounds = 0 if 'active_learning' in self.inputs else self.inputs.relabelling['n_rounds']
            self.ctx.max_rounds = self.inputs.relabelling['max_rounds']
        self.ctx.on_trial = True
        if 'dataset' in self.inputs:
            curated = 'curation' in self.inputs
            self.ctx.dataset = (
                curate_dataset(self.inputs.dataset, self.inputs.curation) if curated else self.inputs.dataset
            )

    def should_relax(self):
        """Whether the structure is to be relaxed."""
        return 'relax' in self.inputs

    def run_relax(self):
        """Relax with DFT, all candidates side by side."""
        if 'candidates' in self.inputs:
            cells = {f'relax_{label}': cell for label, cell in sorted(self.inputs.candidates.items())}
        else:
            cells = {'relax': self.ctx.structure}
        self.ctx.relaxations, children = list(cells), {}
        for label, cell in cells.items():
            inputs = self.exposed_inputs(RelaxWorkChain, 'relax')
            inputs.structure = cell
            children |= self.child(label, RelaxWorkChain, inputs)
        return ToContext(**children)

    def inspect_relax(self):
        """Go on with the relaxed structure, of candidates the lowest."""
        if 'candidates' in self.inputs:
            ended = {label: self.ctx[label] for label in self.ctx.relaxations if self.ctx[label].is_finished_ok}
            if not ended:
                return self.failure('RELAX', self.ctx[self.ctx.relaxations[0]])
            ranking = rank_energies(**{label: node.outputs.output_parameters for label, node in ended.items()})
            self.out('candidates', ranking)
            self.ctx.relax = ended[ranking['lowest']]
        if not self.ctx.relax.is_finished_ok:
            return self.failure('RELAX', self.ctx.relax)
        if 'output_structure' in self.ctx.relax.outputs:
            self.ctx.structure = self.ctx.relax.outputs.output_structure

    # Training set --------------------------------------------------------------------------------------------------

    def should_sample(self):
        """Whether frames are to be made."""
        return 'dataset' not in self.inputs and 'model' not in self.inputs

    def run_sampling(self):
        """Run AIMD and, beside it, label rattled cells."""
        inputs = self.exposed_inputs(AimdWorkChain, 'aimd')
        inputs.structure = self.ctx.structure
        children = self.child('aimd', AimdWorkChain, inputs)
        if 'rattle' in self.inputs:
            frames = rattle(self.ctx.structure, self.inputs.rattle)
            children |= self.child('label_rattled', LabelWorkChain, self.label_inputs(frames, 'rattled'))
        return children

    def inspect_sampling(self):
        """Join the frames."""
        if not self.ctx.aimd.is_finished_ok:
            return self.failure('AIMD', self.ctx.aimd)
        datasets = {'aimd': dataset_from_aimd(self.inputs.frames, **self.ctx.aimd.outputs.trajectories)}
        if 'rattle' in self.inputs:
            if not self.ctx.label_rattled.is_finished_ok:
                return self.failure('LABELLING', self.ctx.label_rattled)
            datasets['rattled'] = self.ctx.label_rattled.outputs.dataset
        self.ctx.dataset = merge_datasets(**datasets) if len(datasets) > 1 else datasets['aimd']

    def label_inputs(self, frames, source):
        """Return the inputs for labelling frames."""
        inputs = self.exposed_inputs(LabelWorkChain, 'label')
        inputs.frames = frames
        inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), 'source': source})
        return inputs

    # Potential -----------------------------------------------------------------------------------------------------

    def should_train(self):
        """Whether a potential is to be trained."""
        return 'model' not in self.inputs

    def run_training(self):
        """Train from scratch, or in a later round from the weights of the last one."""
        if 'active_learning' in self.inputs and not self.ctx.round:
            inputs = self.active_learning_inputs()
            return self.child('active_learning', ActiveLearningWorkChain, inputs, append_to='training')
        inputs = self.exposed_inputs(AllegroWorkChain, 'allegro')
        inputs.dataset = self.ctx.dataset
        if self.ctx.round:
            inputs.train.initial_model = self.ctx.training[-1].outputs.model
            inputs.train.parameters = orm.Dict(
                {**inputs.train.parameters.get_dict(), **self.inputs.relabelling['training']}
            )
        return self.child(f'train_{self.ctx.round}', AllegroWorkChain, inputs, append_to='training')

    def inspect_training(self):
        """Keep the compiled model."""
        if not self.ctx.training[-1].is_finished_ok:
            return self.failure('TRAINING', self.ctx.training[-1])
        outputs = self.ctx.training[-1].outputs
        self.ctx.model, self.ctx.compiled_model = outputs.model, outputs.compiled_model
        if 'dataset' in outputs:  # of active learning, which has added to it
            self.ctx.dataset = outputs.dataset

    def should_relabel(self):
        """Whether rounds are left."""
        return self.ctx.round < self.ctx.n_rounds

    def run_exploration(self):
        """Let the potential run where it is not yet known to hold, in the cell that DFT can label."""
        self.ctx.round += 1
        p = self.inputs.relabelling.get_dict()
        seeds = [seed + 100 * self.ctx.round for seed in p['seeds']]
        inputs = self.md_inputs(self.ctx.structure, p['temperatures_K'], seeds, p['md'])
        return self.child(f'explore_{self.ctx.round}', SeedsWorkChain, inputs, name='exploration')

    def inspect_exploration(self):
        """Some runs may explode with a young potential; without any other there is nothing to label."""
        if 'trajectories' not in self.ctx.exploration.outputs:
            return self.failure('EXPLORATION', self.ctx.exploration)

    def run_labelling(self):
        """Label frames of the exploration."""
        frames = pick_frames(
            orm.Dict({'n_frames': self.inputs.relabelling['n_frames']}), **self.ctx.exploration.outputs.trajectories
        )
        inputs = self.label_inputs(frames, f'relabelled_{self.ctx.round}')
        return self.child(f'label_{self.ctx.round}', LabelWorkChain, inputs, name='labelling')

    def inspect_labelling(self):
        """Add the labelled frames to the training set."""
        if not self.ctx.labelling.is_finished_ok:
            return self.failure('LABELLING', self.ctx.labelling)
        self.ctx.dataset = merge_datasets(a_before=self.ctx.dataset, b_new=self.ctx.labelling.outputs.dataset)

    def run_compile(self):
        """Compile the model that was given."""
        job = self.exposed_inputs(AllegroCompileCalculation, 'compile')
        job.model = self.ctx.model = self.inputs.model
        return self.child('compile', AllegroCompileWorkChain, {'job': job}, name='compilation')

    def inspect_compile(self):
        """Keep the compiled model."""
        if not self.ctx.compilation.is_finished_ok:
            return self.failure('COMPILE', self.ctx.compilation)
        self.ctx.compiled_model = self.ctx.compilation.outputs.model

    # Validation ----------------------------------------------------------------------------------------------------

    def is_on_trial(self):
        """Whether the potential has yet to be judged."""
        return self.ctx.on_trial

    def run_validation(self):
        """Run briefly at every temperature of the production, in its supercell; active learning has done so."""
        if 'training' in self.ctx and 'validation' in self.ctx.training[-1].outputs:
            self.ctx.validation_md = self.ctx.training[-1]
            return None
        inputs = self.validation_inputs()
        if 'dataset' in self.ctx:
            inputs.dataset = self.ctx.dataset
        if 'training' in self.ctx:
            inputs.training = self.ctx.training[-1].outputs.output_parameters
        return self.child(f'validate_{self.ctx.round}', ValidationWorkChain, inputs, name='validation_md')

    def inspect_validation(self):
        """Judge the potential; one that fails gets another round, as long as there are any."""
        outputs = self.ctx.validation_md.outputs
        self.ctx.validation = outputs.validation if 'validation' in outputs else None
        passed = self.ctx.validation is not None and self.ctx.validation['passed']
        self.ctx.on_trial = not passed and self.ctx.n_rounds < self.ctx.max_rounds
        if self.ctx.on_trial:
            self.report('the potential failed its validation: another round of relabelling')
            self.ctx.n_rounds += 1

    def accept_model(self):
        """Attach the potential and what is known of it; stop at one that is not good enough."""
        for name in ('structure', 'supercell', 'dataset', 'model', 'compiled_model'):
            if name in self.ctx:
                self.out(name, self.ctx[name])
        if 'training' in self.ctx:
            self.out('training', self.ctx.training[-1].outputs.output_parameters)
            self.out('parity', self.ctx.training[-1].outputs.parity)
        if self.ctx.validation is None:
            return self.failure('VALIDATION_MD', self.ctx.validation_md)
        self.out('validation', self.ctx.validation)
        if not self.ctx.validation['passed'] and not self.inputs.ignore_validation.value:
            failed = describe_failure(self.ctx.validation.get_dict())
            return self.exit_codes.ERROR_VALIDATION_FAILED.format(failed=failed)

    # Production and analysis ---------------------------------------------------------------------------------------

    def run_seeds(self):
        """Run every seed at every temperature; with a target, as many and as long as it takes."""
        p = self.inputs.md
        inputs = self.md_inputs(self.ctx.supercell, p.temperatures_K.get_list(), p.seeds.get_list(), {})
        inputs.previous = p.get('previous', {})
        if 'target_relative_error' not in self.inputs:
            return self.child('md', SeedsWorkChain, inputs, name='production')
        target = {name: self.inputs[name] for name in TARGET if name in self.inputs}
        inputs = AttributeDict({'md': inputs, 'analysis': self.analysis(), **target})
        return self.child('md', PrecisionWorkChain, inputs, name='production')

    def inspect_seeds(self):
        """Attach the trajectories; a temperature needs at least one."""
        outputs = self.ctx.production.outputs
        trajectories = dict(outputs.trajectories) if 'trajectories' in outputs else {}
        self.out('trajectories', trajectories)
        labels = [temperature_label(T) for T in self.inputs.md.temperatures_K]
        self.ctx.by_temperature = {
            label: {key: node for key, node in trajectories.items() if key.split('_seed')[0] == label}
            for label in labels
        }
        if not all(self.ctx.by_temperature.values()):
            return self.failure('MD', self.ctx.production)

    def results(self):
        """Analyse every temperature, unless that is done, and fit the activation energy."""
        outputs = self.ctx.production.outputs
        if 'outcome' in outputs:
            conductivities = dict(outputs.conductivities)
            self.out('decisions', dict(outputs.decisions))
            self.out('outcome', outputs.outcome)
        else:
            parameters = self.analysis()
            conductivities = {
                label: analyse_trajectories(parameters, **trajectories)
                for label, trajectories in self.ctx.by_temperature.items()
            }
        self.out('conductivities', conductivities)
        self.out('arrhenius', fit_arrhenius(**conductivities))
        if not self.ctx.production.is_finished_ok:
            return self.failure('MD', self.ctx.production)

    # Helpers -------------------------------------------------------------------------------------------------------

    def analysis(self):
        """Return the parameters of the analysis."""
        return orm.Dict({'charges': self.inputs.charges.get_dict(), 'mobile': self.inputs.mobile.value})

    def md_inputs(self, structure, temperatures_K, seeds, parameters):
        """Return the inputs of a fan-out with the current potential; `parameters` replace those of the production."""
        inputs = self.exposed_inputs(SeedsWorkChain, 'md')
        inputs.pop('previous', None)  # belongs to the production alone
        inputs.base.md.structure = structure
        if 'compiled_model' in self.ctx:
            inputs.base.md.model = self.ctx.compiled_model
        inputs.temperatures_K, inputs.seeds = orm.List(temperatures_K), orm.List(seeds)
        inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), **parameters})
        return inputs

    def validation_inputs(self):
        """Return the inputs of the gate but for what is on trial."""
        if 'supercell' not in self.ctx:
            self.ctx.supercell = make_supercell(self.ctx.structure, self.inputs.n_atoms_min)
        p = self.inputs.validation.get_dict()
        inputs = self.md_inputs(self.ctx.supercell, self.inputs.md.temperatures_K.get_list(), [p['seed']], p['md'])
        inputs.thresholds = self.inputs.validation
        if 'aimd' in self.ctx and (p.get('rdf_difference') or p.get('msd_factor')):
            inputs.references = dict(self.ctx.aimd.outputs.trajectories)
        return inputs

    def active_learning_inputs(self):
        """Return the inputs of the active learning, put together from those of its parts here."""
        p = self.inputs.active_learning.get_dict()
        allegro = self.exposed_inputs(AllegroWorkChain, 'allegro')
        label = self.exposed_inputs(LabelWorkChain, 'label')
        md = self.exposed_inputs(SeedsWorkChain, 'md')
        for name in ('previous', 'temperatures_K', 'seeds'):
            md.pop(name, None)
        md.parameters = orm.Dict({**md.parameters.get_dict(), **p.pop('md')})
        return AttributeDict(
            {
                'structure': self.ctx.structure,
                'dataset': self.ctx.dataset,
                'committee': {'allegro': allegro, 'max_concurrent': self.inputs.md.max_concurrent},
                'evaluate': self.exposed_inputs(AllegroEvaluateCalculation, 'evaluate'),
                'label': label,
                'gate': self.validation_inputs(),
                'md': md,
                'parameters': orm.Dict(p),
            }
        )

    def child(self, label, process, inputs, name=None, append_to=None):
        """Submit a child under a link label and return what the context waits for."""
        inputs['metadata'] = {**inputs.get('metadata', {}), 'call_link_label': label}
        node = self.submit(process, **inputs)
        self.report(f'launched {node.process_label}<{node.pk}> ({label})')
        return ToContext(**{append_to or name or label: append_(node) if append_to else node})

    def failure(self, stage, node):
        """Report a child that failed and return the exit code of its stage."""
        self.report(f'{node.process_label}<{node.pk}> failed: {node.exit_message or node.process_state}')
        return self.exit_codes[f'ERROR_SUB_PROCESS_FAILED_{stage}']
