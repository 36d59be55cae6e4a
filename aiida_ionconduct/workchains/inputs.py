"""From a protocol to the inputs of :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.common.links import LinkType
from aiida.engine import ProcessBuilder

from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.labels import MD, ordering_label
from aiida_ionconduct.structures import check_charges, check_structure
from aiida_ionconduct.workchains.checks import (
    check_candidates,
    check_dataset,
    check_electrons,
    check_engines,
    check_expansion,
    check_foundation,
    check_gpus,
    check_model,
    check_mpi,
    check_orderings,
    check_precision,
    check_pseudos,
    enough_atoms_for,
    valence_electrons,
)
from aiida_ionconduct.workchains.precision import TARGET, set_target, take_over
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.stage_inputs import (
    CURATION,
    Codes,
    Inputs,
    active_learning_parameters,
    aimd_inputs,
    allegro_inputs,
    compile_inputs,
    curation,
    evaluation_inputs,
    expansion_parameters,
    frames_parameters,
    label_inputs,
    levels_parameters,
    md_inputs,
    relabelling_parameters,
    relax_inputs,
    sampling_inputs,
    validation_parameters,
    with_safe_thermostat,
    with_stress_for_expansion,
)

if TYPE_CHECKING:
    from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain


def needed_engines(p: Inputs) -> set[str]:
    """Return the labels of the engines that a campaign cannot do without.

    :param p: the protocol with its overrides.
    """
    needed = {name for name, engine in ENGINES.items() if not engine.is_optional}
    if p['sampling'] == 'pretrained':
        needed.add('ase')
    return needed - {'pw'} if p['labels'] == 'pretrained' else needed


def load_codes(
    labels: Mapping[str, str] | None = None, computer: str = 'localhost', *, needed: Collection[str] | None = None
) -> dict[str, orm.AbstractCode]:
    """Load the codes of all engines, or of those that are needed and those that are named.

    :param labels: labels, PKs or UUIDs of codes that are not called ``name@computer``.
    :param needed: labels of the engines that are needed, see :func:`needed_engines`; None loads all, of which an
        optional engine may have no code.
    :raises ValueError: for a code that is missing or belongs to another plugin, saying how to set it up.
    """
    unknown = sorted(set(labels or {}) - set(ENGINES))
    if unknown:
        raise ValueError(f'unknown code names {", ".join(unknown)}: choose from {", ".join(ENGINES)}.')
    codes: dict[str, orm.AbstractCode] = {}
    for name, engine in ENGINES.items():
        is_named = name in (labels or {})
        if needed is not None and name not in needed and not is_named:
            continue
        label = (labels or {}).get(name, f'{name}@{computer}')
        try:
            code: orm.AbstractCode = orm.load_code(label)
        except NotExistent as exception:
            if needed is None and engine.is_optional and not is_named:
                continue
            raise ValueError(
                f'the code `{label}` does not exist: run `aiida-ionconduct setup`, or set it up with `verdi code '
                f'create core.code.installed --default-calc-job-plugin {engine.plugin}` and name it with --codes '
                f'{name}=LABEL.'
            ) from exception
        if code.default_calc_job_plugin != engine.plugin:
            raise ValueError(
                f'the code `{label}` is of the plugin {code.default_calc_job_plugin}, {name} needs {engine.plugin}.'
            )
        codes[name] = code
    return codes


def get_builder_from_protocol(
    cls: type[ConductivityWorkChain],
    codes: Codes,
    structure: orm.StructureData,
    protocol: str | None = None,
    *,
    overrides: Inputs | None = None,
    charges: Mapping[str, float] | None = None,
    mobile: str = 'Li',
    dataset: DatasetData | None = None,
    model: AllegroModelData | None = None,
    foundation: AllegroModelData | None = None,
    trust_model: bool = False,
    relaxed: bool = False,
    candidates: Sequence[orm.StructureData] = (),
) -> ProcessBuilder:
    """Return a builder with the inputs of a protocol, everything checked that can be checked before submission.

    :param structure: the cell that DFT is to see.
    :param protocol: ``quickstart``, ``fast``, ``balanced``, ``stringent``, ``talk``, ``screen`` or ``overnight``.
    :param overrides: nested like the protocol; unknown keys are refused.
    :param charges: oxidation states by chemical symbol where the usual oxidation states do not hold.
    :param mobile: chemical symbol of the mobile ion.
    :param dataset: a training set, instead of AIMD.
    :param model: a packaged model, instead of a training.
    :param foundation: a packaged model from whose weights the training starts; its architecture replaces that of the
        protocol.
    :param trust_model: load a model that was not made by a training in this profile.
    :param relaxed: take the structure as it is.
    :param candidates: ordered cells of the structure's composition, best first, of which ``n_candidates`` are relaxed.
    :raises ValueError: for anything wrong with these, the pseudopotentials or the codes, saying what to do.
    """
    p = with_safe_thermostat(protocol_inputs('conductivity', protocol, overrides))
    p = with_stress_for_expansion(p, model)
    atoms = structure.get_ase()
    check_structure(atoms, mobile)
    codes = {name: code for name, code in codes.items() if name in needed_engines(p)}
    charges = check_charges(atoms, charges)
    check_mpi(codes)
    check_gpus(codes, p['resources'])
    check_expansion(p, model, dataset)
    check_dataset(structure, dataset, p['training'] if model is None else {})
    check_model(structure, model, trust_model=trust_model)
    check_foundation(structure, foundation, model, trust_model=trust_model)
    check_candidates(structure, candidates)
    check_orderings(p['orderings'], candidates, p['seeds'])
    with_dft = p['labels'] == 'dft'
    relabels = p['relabelling']['max_rounds'] + p['active_learning']['max_rounds'] > 0
    check_engines(codes, p, model=model, dataset=dataset)
    labels = relabels or dataset is None
    if model is None and with_dft and (labels or not relaxed):
        check_electrons(atoms, charges, valence_electrons(structure, p['dft']['pseudo_family']))
        check_pseudos(structure, p['dft']['pseudo_family'])

    builder = cls.get_builder()
    builder.structure = structure
    builder.charges, builder.mobile = orm.Dict(charges), orm.Str(mobile)
    builder.n_atoms_min = orm.Int(enough_atoms_for(atoms, p, model or foundation))
    if model is None:
        if not relaxed and with_dft:
            builder.relax = relax_inputs(codes['pw'], structure, p)
            builder.candidates = candidate_inputs(candidates, p)
            if p['orderings'] > 1:
                builder.n_orderings = orm.Int(p['orderings'])
        if dataset is None:
            if p['sampling'] == 'aimd' or p['validation']['aimd']:
                add_sampling(builder, codes['pw'], p, mobile)
            if p['sampling'] == 'pretrained' and with_dft:
                builder.selection = orm.Dict({'n_frames': p['pretrained']['n_frames']})
                builder.teaching = orm.Dict(p['pretrained']['training'])
        else:
            builder.dataset = dataset
            builder.curation = orm.Dict(curation(p, ('equilibration_ps', *CURATION)))
            if relabels and with_dft and p['dataset']['level_frames']:
                builder.levels = levels_parameters(p)
        if p['sampling'] == 'pretrained' and (dataset is None or not with_dft):
            add_pretrained(builder, codes['ase'], p, mobile=mobile, relaxed=relaxed, orderings=candidates[1:])
        if with_dft and (labels or not relaxed):
            builder.label = label_inputs(codes['pw'], structure, p)
        add_training(builder, codes, p)
        if foundation is not None or 'teaching' in builder:
            builder.finetuning = orm.Dict(p['finetuning'])
        if foundation is not None:
            builder['allegro'].train.initial_model = foundation
            if not foundation.is_made_here:
                builder['allegro'].train.trust_model = orm.Bool(True)
    else:
        builder.model = model
    if p['orderings'] > 1 and (model is not None or relaxed):
        builder.orderings = {
            ordering_label(number): cell for number, cell in enumerate(candidates[: p['orderings']], 1)
        }
    builder.compile = compile_inputs(codes, p)
    builder.md = md_inputs(codes, p)
    if model is not None and not model.is_made_here:
        builder['compile'].trust_model = builder['md'].base.md.trust_model = orm.Bool(True)
    add_target(builder, p)
    builder.validation = validation_parameters(p, mobile)
    if p['expand']:
        builder.expansion = expansion_parameters(p)
    return builder


def add_sampling(builder: ProcessBuilder, code: orm.AbstractCode, p: Inputs, mobile: str) -> None:
    """Add the inputs of AIMD and of rattled cells, from which the training set is made.

    :param builder: with the structure.
    """
    builder.aimd = aimd_inputs(code, builder['structure'], p)
    builder.frames = frames_parameters(p)
    if p['rattle']['n_frames'] and p['sampling'] == 'aimd':
        builder.rattle = orm.Dict({**p['rattle'], 'mobile': mobile})


def add_pretrained(
    builder: ProcessBuilder,
    code: orm.AbstractCode,
    p: Inputs,
    *,
    mobile: str,
    relaxed: bool,
    orderings: Sequence[orm.StructureData],
) -> None:
    """Add the inputs of the sampling by a pretrained potential, which relaxes the crystal too, before DFT does.

    :param relaxed: take the structure as it is.
    :param orderings: other cells of the structure's composition, the best first.
    """
    inputs = dict(sampling_inputs(code, p, mobile, orderings))
    relax = None if relaxed else p['relax']['relax_type']
    inputs['parameters'] = orm.Dict({**inputs['parameters'].get_dict(), 'relax': relax})
    builder.sampling = inputs


def add_training(builder: ProcessBuilder, codes: Codes, p: Inputs) -> None:
    """Add the inputs of the training, of the rounds of relabelling, and of active learning, if it is asked for."""
    builder.allegro = allegro_inputs(codes, p)
    builder.relabelling = relabelling_parameters(p)
    if p['active_learning']['max_rounds']:
        builder.active_learning = active_learning_parameters(p)
        builder.evaluate = evaluation_inputs(codes, p)


def add_target(builder: ProcessBuilder, p: Inputs) -> None:
    """Add the target of the production and its budget, if there are any.

    :raises ValueError: if they cannot be used.
    """
    precision = p['precision']
    if any(precision[name] is not None for name in TARGET if name != 'max_iterations'):
        check_precision(precision, builder['md'])
        set_target(builder, precision)


def get_builder_extending(
    cls: type[ConductivityWorkChain], node: orm.WorkChainNode, **target: float | None
) -> ProcessBuilder:
    """Return the builder of a campaign that goes on where the production of an earlier one has ended.

    Structure, supercell, potential and molecular dynamics of the earlier campaign are taken over.

    :param node: the earlier campaign, successful or not, as long as it has a potential.
    :param target: the values of the target and the budgets that change; ``max_md_ns`` includes the molecular dynamics
        of the earlier campaign, budgets in hours do not.
    :raises ValueError: if the earlier campaign has no potential, or a name is unknown.
    """
    if 'model' not in node.outputs:
        raise ValueError(f'{node.process_label}<{node.pk}> has no potential to go on with: submit it again.')
    inputs, builder = node.get_builder_restart()._inputs(prune=True), cls.get_builder()
    for name in ('charges', 'mobile', 'n_atoms_min', 'compile', 'md', 'validation', 'ignore_validation', *TARGET):
        if name in inputs:
            builder[name] = inputs[name]
    for name in ('structure', 'supercell', 'model', 'dataset', 'orderings'):
        if name in node.outputs:
            builder[name] = node.outputs[name]
    if 'expansion' in inputs:
        builder.expansion = inputs['expansion']
    if 'cells' in node.outputs and 'trajectories' in node.outputs:  # the cells are complete: the production has begun
        builder['md'].cells = dict(node.outputs.cells)
    set_target(builder, target)
    calls = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK, link_label_filter=MD)
    for production in calls.all_nodes():
        take_over(builder['md'], production)
    return builder


def candidate_inputs(candidates: Sequence[orm.StructureData], p: Inputs) -> dict[str, orm.StructureData]:
    """Return the candidates that are relaxed by label, at least as many as there are orderings; none of only one."""
    chosen = candidates[: max(p['n_candidates'], p['orderings'])]
    return {f'candidate_{index:02d}': cell for index, cell in enumerate(chosen)} if len(chosen) > 1 else {}
