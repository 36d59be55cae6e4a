"""From a crystal to its ionic conductivity: the top work chain."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ToContext, if_, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories, fit_arrhenius
from aiida_ionconduct.calculations.functions.datasets import (
    curate_dataset,
    merge_datasets,
    pick_frames,
)
from aiida_ionconduct.calculations.functions.structures import (
    describe_orderings,
    make_supercell,
    make_supercells,
)
from aiida_ionconduct.calculations.functions.validation import describe_failure
from aiida_ionconduct.labels import (
    ACTIVE_LEARNING,
    COMPILE,
    EXPAND,
    EXPLORE,
    LABEL,
    MD,
    TRAIN,
    VALIDATE,
    at_temperature,
    numbered,
    read_seed,
    temperature_label,
)
from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.conductivity_ports import define_inputs, define_outputs
from aiida_ionconduct.workchains.dft_steps import DftSteps
from aiida_ionconduct.workchains.expansion import ExpansionWorkChain
from aiida_ionconduct.workchains.inputs import get_builder_extending, get_builder_from_protocol
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.precision import TARGET, PrecisionWorkChain
from aiida_ionconduct.workchains.repeat import AllegroCompileWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain


class ConductivityWorkChain(DftSteps):
    """Relax, sample with AIMD, train a potential, validate it, run many seeds, and analyse them.

    A stage whose product is given as an input is skipped: a ``dataset`` replaces AIMD and labelling, a ``model``
    everything before its compilation. With the namespace ``sampling``, a pretrained potential explores in the place of
    AIMD. With ``label``, DFT labels its frames, and the potential learns from both, one after the other; without, the
    pretrained potential gives all labels, and every result says so.
    """

    get_builder_from_protocol = classmethod(get_builder_from_protocol)
    get_builder_extending = classmethod(get_builder_extending)

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        define_inputs(spec)
        spec.outline(
            cls.setup,
            if_(cls.should_relax)(
                if_(cls.should_prerelax)(cls.run_prerelax, cls.inspect_prerelax),
                cls.run_relax,
                cls.inspect_relax,
            ),
            if_(cls.should_sample)(
                cls.run_sampling,
                cls.inspect_sampling,
                if_(cls.should_label_sampled)(cls.run_label_sampled, cls.inspect_label_sampled),
            ),
            if_(cls.should_compare_levels)(cls.run_levels, cls.inspect_levels),
            if_(cls.should_teach)(cls.run_teaching, cls.inspect_teaching),
            if_(cls.has_aimd_beside)(cls.await_aimd, cls.inspect_aimd),
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
            if_(cls.should_expand)(cls.run_expansion, cls.inspect_expansion),
            cls.run_seeds,
            cls.inspect_seeds,
            cls.results,
        )
        define_outputs(spec)

    def setup(self) -> None:
        """Start from the inputs."""
        self.ctx.structure = self.inputs.structure
        if 'supercell' in self.inputs:
            self.ctx.supercell = self.inputs.supercell
        self.ctx.orderings = dict(self.inputs.get('orderings', {}))
        self.ctx.ordering_supercells, self.ctx.cells = {}, dict(self.inputs.md.get('cells', {}))
        self.ctx.round, self.ctx.n_rounds, self.ctx.max_rounds = 0, 0, 0
        if 'relabelling' in self.inputs:  # after active learning, only a potential that fails its gate is relabelled
            self.ctx.n_rounds = 0 if 'active_learning' in self.inputs else self.inputs.relabelling['n_rounds']
            self.ctx.max_rounds = self.inputs.relabelling['max_rounds']
        self.ctx.on_trial = True
        if 'dataset' in self.inputs:
            curated = 'curation' in self.inputs
            self.ctx.dataset = (
                curate_dataset(self.inputs.dataset, self.inputs.curation) if curated else self.inputs.dataset
            )

    # Potential -----------------------------------------------------------------------------------------------------

    def should_train(self) -> bool:
        """Return whether a potential is to be trained."""
        return 'model' not in self.inputs

    def run_training(self) -> ToContext:
        """Train from scratch or from what was taught, in a later round from the weights of the round before."""
        if 'active_learning' in self.inputs and not self.ctx.round:
            inputs = self.active_learning_inputs()
            return self.child(ACTIVE_LEARNING, ActiveLearningWorkChain, inputs, name='training', append=True)
        inputs = self.allegro_inputs(self.ctx.dataset, None if self.ctx.round else self.inputs.get('finetuning'))
        if self.ctx.round:
            inputs.pop('fit_shifts', None)  # the labels are those of the round before
            inputs.train.initial_model = self.ctx.training[-1].outputs.model
            inputs.train.parameters = orm.Dict(
                {**inputs.train.parameters.get_dict(), **self.inputs.relabelling['training']}
            )
        return self.child(numbered(TRAIN, self.ctx.round), AllegroWorkChain, inputs, name='training', append=True)

    def inspect_training(self) -> ExitCode | None:
        """Keep the compiled model."""
        if not self.ctx.training[-1].is_finished_ok:
            return self.failure('TRAINING', self.ctx.training[-1])
        outputs = self.ctx.training[-1].outputs
        self.ctx.model, self.ctx.compiled_model = outputs.model, outputs.compiled_model
        if 'dataset' in outputs:  # active learning has added to it
            self.ctx.dataset = outputs.dataset

    def should_relabel(self) -> bool:
        """Return whether rounds are left."""
        return self.ctx.round < self.ctx.n_rounds

    def run_exploration(self) -> ToContext:
        """Run the potential at temperatures where it is not yet known to hold, in the cell that DFT can label."""
        self.ctx.round += 1
        p = self.inputs.relabelling.get_dict()
        seeds = [seed + 100 * self.ctx.round for seed in p['seeds']]
        inputs = self.md_inputs(self.ctx.structure, p['temperatures_K'], seeds, p['md'])
        if self.ctx.orderings:
            inputs.orderings = self.ctx.orderings
        return self.child(numbered(EXPLORE, self.ctx.round), SeedsWorkChain, inputs, name='exploration')

    def inspect_exploration(self) -> ExitCode | None:
        """Fail if every run has exploded; some runs may, with a potential that has seen few frames."""
        if 'trajectories' not in self.ctx.exploration.outputs:
            return self.failure('EXPLORATION', self.ctx.exploration)

    def run_labelling(self) -> ToContext:
        """Label frames of the exploration."""
        frames = pick_frames(
            orm.Dict({'n_frames': self.inputs.relabelling['n_frames']}), **self.ctx.exploration.outputs.trajectories
        )
        source = f'relabelled_{self.ctx.round}'
        return self.label_child(numbered(LABEL, self.ctx.round), frames, source, 'labelling')

    def inspect_labelling(self) -> ExitCode | None:
        """Add the labelled frames to the training set."""
        if not self.ctx.labelling.is_finished_ok:
            return self.failure('LABELLING', self.ctx.labelling)
        labelled = self.ctx.labelling.outputs.dataset
        if self.is_without_dft():
            limit = {'max_force_eV_per_A': self.inputs.sampling.parameters['max_force_eV_per_A']}
            labelled = curate_dataset(labelled, orm.Dict(limit))
        self.ctx.dataset = merge_datasets(a_before=self.ctx.dataset, b_new=labelled)

    def run_compile(self) -> ToContext:
        """Compile the model that was given."""
        job = self.exposed_inputs(AllegroCompileCalculation, 'compile')
        job.model = self.ctx.model = self.inputs.model
        if 'check' in job:
            job.check.frame = self.ctx.structure
        return self.child(COMPILE, AllegroCompileWorkChain, {'job': job}, name='compilation')

    def inspect_compile(self) -> ExitCode | None:
        """Keep the compiled model."""
        if not self.ctx.compilation.is_finished_ok:
            return self.failure('COMPILE', self.ctx.compilation)
        self.ctx.compiled_model = self.ctx.compilation.outputs.model

    # Validation ----------------------------------------------------------------------------------------------------

    def is_on_trial(self) -> bool:
        """Return whether the potential has yet to be judged."""
        return self.ctx.on_trial

    def run_validation(self) -> ToContext | None:
        """Run briefly at every temperature of the production, in its supercell, unless active learning has done so."""
        if 'training' in self.ctx and 'validation' in self.ctx.training[-1].outputs:
            self.ctx.validation_md = self.ctx.training[-1]
            return None
        inputs = self.validation_inputs()
        if 'dataset' in self.ctx:
            inputs.dataset = self.ctx.dataset
        if 'training' in self.ctx:
            inputs.training = self.ctx.training[-1].outputs.output_parameters
        return self.child(numbered(VALIDATE, self.ctx.round), ValidationWorkChain, inputs, name='validation_md')

    def inspect_validation(self) -> None:
        """Judge the potential; if it fails, it gets another round, as long as rounds are left."""
        outputs = self.ctx.validation_md.outputs
        self.ctx.validation = outputs.validation if 'validation' in outputs else None
        passed = self.ctx.validation is not None and self.ctx.validation['passed']
        self.ctx.on_trial = not passed and self.ctx.n_rounds < self.ctx.max_rounds
        if self.ctx.on_trial:
            self.report('the potential failed its validation: another round of relabelling')
            self.ctx.n_rounds += 1

    def accept_model(self) -> ExitCode | None:
        """Attach the potential and what is known of it; stop if it is not good enough."""
        names = ('structure', 'supercell', 'dataset', 'model', 'compiled_model', 'teacher', 'teaching_set', 'selection')
        for name in names:
            if name in self.ctx:
                self.out(name, self.ctx[name])
        if self.ctx.orderings:
            self.out('orderings', self.ctx.orderings)
        if 'training' in self.ctx:
            self.out('training', self.ctx.training[-1].outputs.output_parameters)
            self.out('parity', self.ctx.training[-1].outputs.parity)
        if self.ctx.validation is None:
            return self.failure('VALIDATION_MD', self.ctx.validation_md)
        self.out('validation', self.ctx.validation)
        if not self.ctx.validation['passed'] and not self.inputs.ignore_validation.value:
            failed = describe_failure(self.ctx.validation.get_dict())
            return self.exit_codes.ERROR_VALIDATION_FAILED.format(failed=failed)

    # Thermal expansion ---------------------------------------------------------------------------------------------

    def should_expand(self) -> bool:
        """Return whether the cells of the production are to be found at constant pressure."""
        return 'expansion' in self.inputs and not self.inputs.md.get('cells', {})

    def run_expansion(self) -> ToContext:
        """Run at constant pressure at every temperature of the production, in its supercell or orderings."""
        p = self.inputs.expansion.get_dict()
        inputs = self.md_inputs(self.ctx.supercell, self.inputs.md.temperatures_K.get_list(), p['seeds'], p['md'])
        inputs.pop('atoms_per_run')  # a run at constant pressure has one seed
        inputs.max_strain = orm.Float(p['max_strain'])
        inputs.orderings = self.production_orderings()
        return self.child(EXPAND, ExpansionWorkChain, inputs, name='expansion')

    def inspect_expansion(self) -> ExitCode | None:
        """Go on with the mean cell at each temperature."""
        outputs = self.ctx.expansion.outputs
        for name in ('cells', 'expansion'):
            if name in outputs:
                self.out(name, dict(outputs[name]))
        if not self.ctx.expansion.is_finished_ok:
            return self.failure('EXPANSION', self.ctx.expansion)
        self.ctx.cells = dict(outputs.cells)

    # Production and analysis ---------------------------------------------------------------------------------------

    def run_seeds(self) -> ToContext:
        """Run every seed at every temperature; with a target, as many seeds and steps as it takes."""
        p = self.inputs.md
        inputs = self.md_inputs(self.ctx.supercell, p.temperatures_K.get_list(), p.seeds.get_list(), {})
        inputs.previous = p.get('previous', {})
        inputs.orderings = self.production_orderings()
        inputs.cells = self.ctx.cells
        if 'target_relative_error' not in self.inputs:
            return self.child(MD, SeedsWorkChain, inputs, name='production')
        target = {name: self.inputs[name] for name in TARGET if name in self.inputs}
        inputs = AttributeDict({'md': inputs, 'analysis': self.analysis(), **target})
        return self.child(MD, PrecisionWorkChain, inputs, name='production')

    def inspect_seeds(self) -> ExitCode | None:
        """Attach the trajectories; every temperature needs at least one."""
        outputs = self.ctx.production.outputs
        trajectories = dict(outputs.trajectories) if 'trajectories' in outputs else {}
        self.out('trajectories', trajectories)
        labels = [temperature_label(T) for T in self.inputs.md.temperatures_K]
        self.ctx.by_temperature = {label: at_temperature(label, trajectories) for label in labels}
        if not all(self.ctx.by_temperature.values()):
            return self.failure('MD', self.ctx.production)

    def results(self) -> ExitCode | None:
        """Analyse every temperature, unless the production has done so, and fit the activation energy."""
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
        if self.ctx.orderings:
            self.out('disorder', self.describe_orderings())
        self.out('arrhenius', fit_arrhenius(**conductivities))
        if not self.ctx.production.is_finished_ok:
            return self.failure('MD', self.ctx.production)

    # Helpers -------------------------------------------------------------------------------------------------------

    def analysis(self) -> orm.Dict:
        """Return the parameters of the analysis."""
        n_orderings = {'n_orderings': len(self.ctx.orderings)} if self.ctx.orderings else {}
        return orm.Dict({'charges': self.inputs.charges.get_dict(), 'mobile': self.inputs.mobile.value, **n_orderings})

    def describe_orderings(self) -> orm.Dict:
        """Return the energies of the orderings, and the seeds whose runs exist."""
        seeds = sorted({read_seed(label) for label in self.ctx.production.outputs.trajectories})
        ranking = {'ranking': self.ctx.ranking} if 'ranking' in self.ctx else {}
        return describe_orderings(self.inputs.charges, orm.List(seeds), **self.ctx.orderings, **ranking)

    def production_orderings(self) -> dict[str, orm.StructureData]:
        """Return the supercells of the orderings over which the seeds are spread; none without a spread."""
        if self.ctx.orderings and not self.ctx.ordering_supercells:
            self.ctx.ordering_supercells = dict(make_supercells(self.inputs.n_atoms_min, **self.ctx.orderings))
        return self.ctx.ordering_supercells

    def md_inputs(
        self, structure: orm.StructureData, temperatures_K: list[float], seeds: list[int], parameters: dict[str, Any]
    ) -> AttributeDict:
        """Return the inputs of runs with the current potential.

        :param parameters: those that differ from the parameters of the production.
        """
        inputs = self.exposed_inputs(SeedsWorkChain, 'md')
        for name in ('previous', 'cells'):  # belong only to the production
            inputs.pop(name, None)
        inputs.base.md.structure = structure
        if 'compiled_model' in self.ctx:
            inputs.base.md.model = self.ctx.compiled_model
        inputs.temperatures_K, inputs.seeds = orm.List(temperatures_K), orm.List(seeds)
        inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), **parameters})
        return inputs

    def validation_inputs(self) -> AttributeDict:
        """Return the inputs of the gate, without the training and the frames of the potential on trial."""
        if 'supercell' not in self.ctx:
            self.ctx.supercell = make_supercell(self.ctx.structure, self.inputs.n_atoms_min)
        p = self.inputs.validation.get_dict()
        inputs = self.md_inputs(self.ctx.supercell, self.inputs.md.temperatures_K.get_list(), [p['seed']], p['md'])
        inputs.thresholds = self.inputs.validation
        if 'aimd' in self.ctx:
            inputs.references = dict(self.ctx.aimd.outputs.trajectories)
        return inputs

    def active_learning_inputs(self) -> AttributeDict:
        """Return the inputs of the active learning, put together from the inputs of its parts."""
        p = self.inputs.active_learning.get_dict()
        allegro = self.allegro_inputs(self.ctx.dataset, self.inputs.get('finetuning'))
        allegro.pop('dataset')
        start = {'initial_model': allegro.train.pop('initial_model')} if 'initial_model' in allegro.train else {}
        allegro.pop('fit_shifts', None)
        label = self.exposed_inputs(LabelWorkChain, 'label')
        md = self.exposed_inputs(SeedsWorkChain, 'md')
        for name in ('previous', 'cells', 'temperatures_K', 'seeds'):
            md.pop(name, None)
        md.parameters = orm.Dict({**md.parameters.get_dict(), **p.pop('md')})
        if self.ctx.orderings:
            md.orderings = self.ctx.orderings
        return AttributeDict(
            {
                **start,
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
