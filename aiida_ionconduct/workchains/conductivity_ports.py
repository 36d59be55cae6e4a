"""Inputs, outputs and exit codes of :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain`."""

from __future__ import annotations

from aiida import orm
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.data import AllegroModelData, ConductivityData, DatasetData, IonTrajectoryData
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.precision import TARGET, validate_target
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.sampling import SamplingWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

# Copied each time: `expose_inputs` empties what it is given.
OPTIONAL = {'required': False, 'populate_defaults': False}
STAGES = (
    'RELAX', 'AIMD', 'LABELLING', 'TRAINING', 'COMPILE', 'EXPLORATION', 'VALIDATION_MD', 'MD', 'SAMPLING', 'TEACHING',
    'EXPANSION',
)  # fmt: skip
"""The stages that can fail, in the order of their exit codes, which begin with 401."""


def define_inputs(spec: WorkChainSpec) -> None:
    """Define the inputs of a campaign, those of its children among them."""
    spec.input('structure', valid_type=orm.StructureData, help='The cell that DFT sees.')
    spec.input_namespace(
        'candidates',
        valid_type=orm.StructureData,
        required=False,
        help='Ordered cells of one composition: all are relaxed, and the lowest in energy replaces `structure`.',
    )
    spec.input(
        'n_orderings',
        valid_type=orm.Int,
        required=False,
        help='Spread the seeds over so many of the relaxed `candidates`, the lowest in energy.',
    )
    spec.input_namespace(
        'orderings',
        valid_type=orm.StructureData,
        required=False,
        help='Ordered cells of one composition, `ordering_01` and so on, over which the seeds are spread as they are.',
    )
    spec.input('dataset', valid_type=DatasetData, required=False, help='Labelled frames; else they are made.')
    spec.input('curation', valid_type=orm.Dict, required=False, help='Of `curate_dataset`, for the given `dataset`.')
    spec.input(
        'levels',
        valid_type=orm.Dict,
        required=False,
        help='Of `pick_level_frames` and `compare_levels`: how the level of theory of the given `dataset` is compared '
        'with DFT here, before DFT adds labels to it.',
    )
    spec.input('model', valid_type=AllegroModelData, required=False, help='A packaged potential; else one is trained.')
    spec.input('charges', valid_type=orm.Dict, help='Charges (oxidation states) by chemical symbol, neutral in total.')
    spec.input('mobile', valid_type=orm.Str, help='Chemical symbol of the mobile ion.')
    spec.input('n_atoms_min', valid_type=orm.Int, help='Least number of atoms in the supercell.')
    spec.input(
        'supercell',
        valid_type=orm.StructureData,
        required=False,
        help='The cell of the molecular dynamics, of a campaign that is extended; else it is made.',
    )
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
        exclude=('dataset', 'train.energy_shifts', 'fit_shifts'),
        namespace_options=dict(OPTIONAL),
    )
    spec.expose_inputs(AllegroCompileCalculation, namespace='compile', exclude=('model', 'check.frame'))
    spec.expose_inputs(SeedsWorkChain, namespace='md', exclude=('base.md.structure', 'base.md.model', 'orderings'))
    spec.expose_inputs(
        SamplingWorkChain, namespace='sampling', exclude=('structure',), namespace_options=dict(OPTIONAL)
    )
    spec.input(
        'selection', valid_type=orm.Dict, required=False, help='Of `choose_frames`: which sampled frames DFT labels.'
    )
    spec.input(
        'teaching',
        valid_type=orm.Dict,
        required=False,
        help='Parameters that differ in the training on the labels of the pretrained potential, before that on DFT.',
    )
    spec.input(
        'finetuning',
        valid_type=orm.Dict,
        required=False,
        help='Parameters that differ in the first training on `dataset`, if it starts from a taught potential or from '
        '`allegro.train.initial_model`.',
    )
    spec.input('rattle', valid_type=orm.Dict, required=False, help='Parameters of `rattle`, besides AIMD.')
    spec.input('frames', valid_type=orm.Dict, required=False, help='Parameters of `dataset_from_aimd`.')
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
    spec.input('validation', valid_type=orm.Dict, help='Thresholds of `validate_model`; and `seed`, `md` of its runs.')
    spec.input(
        'expansion',
        valid_type=orm.Dict,
        required=False,
        help='Of `ExpansionWorkChain`, which finds the cell at each temperature before the production: `seeds`, '
        '`max_strain`, and `md` of its runs.',
    )
    spec.input(
        'ignore_validation',
        valid_type=orm.Bool,
        default=lambda: orm.Bool(False),
        help='Go on with a potential that has failed its validation.',
    )
    for name, (valid_type, help_text) in TARGET.items():
        spec.input(name, valid_type=valid_type, required=False, help=help_text)
    spec.inputs.validator = validate_target


def define_outputs(spec: WorkChainSpec) -> None:
    """Define the outputs of a campaign, and its exit codes."""
    spec.output('structure', valid_type=orm.StructureData, help='The relaxed cell.')
    spec.output('candidates', valid_type=orm.Dict, required=False, help='DFT energies of the candidates.')
    spec.output_namespace(
        'orderings',
        valid_type=orm.StructureData,
        required=False,
        help='The orderings that the seeds are spread over, relaxed: `ordering_01`.',
    )
    spec.output(
        'disorder', valid_type=orm.Dict, required=False, help='By ordering: its energies and the seeds that use it.'
    )
    spec.output('levels', valid_type=orm.Dict, required=False, help='The given training set against DFT here.')
    spec.output('supercell', valid_type=orm.StructureData, help='The cell of the molecular dynamics.')
    spec.output('dataset', valid_type=DatasetData, required=False, help='All labelled frames.')
    spec.output(
        'teacher',
        valid_type=orm.Dict,
        required=False,
        help='The pretrained potential that has sampled: version, SHA-256 of its weights, device, floating-point type.',
    )
    spec.output(
        'teaching_set',
        valid_type=DatasetData,
        required=False,
        help='The frames with labels of the pretrained potential.',
    )
    spec.output('selection', valid_type=orm.Dict, required=False, help='Which of these frames were chosen for DFT.')
    spec.output('model', valid_type=AllegroModelData, help='The packaged potential.')
    spec.output('compiled_model', valid_type=AllegroModelData, help='The potential, compiled for this machine.')
    spec.output('training', valid_type=orm.Dict, required=False, help='Learning curves and errors.')
    spec.output('parity', valid_type=orm.ArrayData, required=False, help='Predictions on held-out frames.')
    spec.output('validation', valid_type=orm.Dict, help='The gate, check by check.')
    spec.output_namespace(
        'cells',
        valid_type=orm.StructureData,
        required=False,
        help='With `expansion`: the supercell in its mean cell at each temperature, `T1200`, or `T1200_ordering_01`.',
    )
    spec.output_namespace(
        'expansion', valid_type=orm.Dict, required=False, help='The numbers of these cells, by the same labels.'
    )
    spec.output_namespace('trajectories', valid_type=IonTrajectoryData, help='By run: `T1200_seed1`.')
    spec.output_namespace('conductivities', valid_type=ConductivityData, help='By temperature: `T1200`.')
    spec.output_namespace(
        'decisions',
        valid_type=orm.Dict,
        required=False,
        help='With a target: by round, what was run next, and why.',
    )
    spec.output('outcome', valid_type=orm.Dict, required=False, help='With a target: how the production ended.')
    spec.output('arrhenius', valid_type=orm.Dict, help='Activation energy and extrapolation.')
    failed = 'the {stage} failed; see `verdi process report` of this process and what it called.'
    for status, stage in enumerate(STAGES, start=401):
        message = failed.format(stage=stage.lower().replace('_', ' '))
        spec.exit_code(status, f'ERROR_SUB_PROCESS_FAILED_{stage}', message=message)
    spec.exit_code(
        420,
        'ERROR_VALIDATION_FAILED',
        message='the potential failed its validation ({failed}): add frames, train longer, or go on at your own '
        'risk with `ignore_validation`.',
    )
    spec.exit_code(
        421,
        'ERROR_LEVELS_DISAGREE',
        message='the given training set and DFT here are not of one level of theory: {detail}. Label all frames with '
        'one program and functional, or train without further labels (relabelling.max_rounds and '
        'active_learning.max_rounds of 0, relabelling.n_rounds too).',
    )
