"""The production of a campaign with other potentials of the same training set, for the error of the potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.common.links import LinkType
from aiida.engine import ExitCode, ProcessBuilder
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.calculations.functions.studies import compare_potentials
from aiida_ionconduct.data import AllegroModelData, ConductivityData
from aiida_ionconduct.labels import ACTIVE_LEARNING, TEACH, read_temperature, run_label, seed_label
from aiida_ionconduct.workchains.batches import BatchWorkChain
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.precision import TARGET

GIVEN = ('charges', 'mobile', 'n_atoms_min', 'compile', 'md', 'validation', 'ignore_validation', *TARGET)
"""The inputs of a campaign that its production depends on, beside its cells and its potential."""
CAMPAIGN = 'campaign'
"""The label of the conductivities of the campaign itself, instead of a seed."""


class PotentialsStudyWorkChain(BatchWorkChain):
    """Compilation, gate and production of a campaign again with each of several other potentials.

    The potentials are the other members of the campaign's committee, or are trained here on its frames with other
    seeds. Cells, velocity seeds and lengths of the runs are those of the campaign.
    """

    _child = ConductivityWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(ConductivityWorkChain, namespace='campaign', exclude=('model',))
        spec.input('training_seeds', valid_type=orm.List, help='Of the training, one for each potential.')
        spec.input_namespace(
            'models',
            valid_type=AllegroModelData,
            required=False,
            help='By seed: the potentials that exist, `seed2`; the others are trained.',
        )
        spec.input_namespace(
            'reference', valid_type=ConductivityData, help='What the campaign has found, by temperature: `T1200`.'
        )
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output_namespace('models', valid_type=AllegroModelData, help='By seed: `seed2`.')
        spec.output_namespace(
            'conductivities', valid_type=ConductivityData, help='By temperature and training seed: `T1200_seed2`.'
        )
        spec.output('comparison', valid_type=orm.Dict, required=False, help='Of `compare_potentials`.')
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_PRODUCTION',
            message='{n_failed} of {n} potentials have no conductivity; the others are compared.',
        )

    def setup(self) -> None:
        """List the potentials."""
        self.ctx.seeds = {seed_label(seed): seed for seed in self.inputs.training_seeds}
        self.ctx.pending = list(self.ctx.seeds)

    def child_inputs(self, label: str) -> AttributeDict:
        """Return the inputs of a campaign with another potential."""
        inputs = self.exposed_inputs(ConductivityWorkChain, 'campaign')
        if label in self.inputs.get('models', {}):
            for name in ('dataset', 'allegro', 'finetuning'):
                inputs.pop(name, None)
            inputs.model = self.inputs.models[label]
            return inputs
        parameters = {**inputs.allegro.train.parameters.get_dict(), 'seed': self.ctx.seeds[label]}
        inputs.allegro.train.parameters = orm.Dict(parameters)
        return inputs

    def results(self) -> ExitCode | None:
        """Attach what was found and compare it, then fail if a potential has no conductivity."""
        known = {f'{label}_{CAMPAIGN}': node for label, node in self.inputs.reference.items()}
        made = {
            run_label(read_temperature(temperature), self.ctx.seeds[label]): node
            for label, child in self.ctx.finished.items()
            for temperature, node in child.outputs.conductivities.items()
        }
        self.out('models', {label: child.outputs.model for label, child in self.ctx.finished.items()})
        self.out('conductivities', made)
        if made:
            self.out('comparison', compare_potentials(**known, **made))
        if self.ctx.failed:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_PRODUCTION.format(
                n_failed=len(self.ctx.failed), n=len(self.ctx.seeds)
            )
        return None


def potentials_builder(
    node: orm.WorkChainNode, training_seeds: Sequence[int] = (), temperatures_K: Sequence[float] = ()
) -> ProcessBuilder:
    """Return the builder of a study of potentials, everything checked that can be checked before submission.

    :param node: the campaign, with conductivities.
    :param training_seeds: of the potentials to train; if none is given, the other members of its committee run.
    :param temperatures_K: of the production; by default those of the campaign.
    :raises ValueError: if the campaign has no conductivity, there is no other potential, or a temperature is another.
    """
    name = f'{node.process_label}<{node.pk}>'
    if 'conductivities' not in node.outputs:
        raise ValueError(f'{name} has no conductivity to compare with: give a campaign that has ended well.')
    inputs = AttributeDict(node.get_builder_restart()._inputs(prune=True))
    campaign = {key: inputs[key] for key in GIVEN if key in inputs}
    outputs = ('structure', 'supercell', 'orderings')
    campaign |= {key: node.outputs[key] for key in outputs if key in node.outputs}
    known = dict(node.outputs.conductivities.items())
    by_temperature = {read_temperature(label): label for label in known}
    if other := sorted(set(temperatures_K) - set(by_temperature)):
        raise ValueError(
            f'{name} has no conductivity at {", ".join(f"{T:g} K" for T in other)}: choose from '
            f'{", ".join(f"{T:g} K" for T in sorted(by_temperature))}.'
        )
    chosen = sorted(set(temperatures_K or by_temperature))
    md = {key: value for key, value in campaign['md'].items() if key != 'previous'}
    campaign['md'] = {**md, 'temperatures_K': orm.List(chosen)}
    if 'cells' in node.outputs:
        campaign['md']['cells'] = dict(node.outputs.cells.items())
    models = {} if training_seeds else other_members(node)
    builder = PotentialsStudyWorkChain.get_builder()
    if models:
        builder.models = {seed_label(seed): model for seed, model in models.items()}
    else:
        campaign |= training_inputs(node, inputs, training_seeds)
    builder.campaign = campaign
    builder.training_seeds = orm.List(list(training_seeds or models))
    builder.reference = {by_temperature[T]: known[by_temperature[T]] for T in chosen}
    builder.max_concurrent = orm.Int(1)  # a campaign fills the machine
    return builder


def other_members(node: orm.WorkChainNode) -> dict[int, AllegroModelData]:
    """Return the potentials of a campaign's committee that its production has not used, by the seed of the training."""
    links = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK, link_label_filter=ACTIVE_LEARNING)
    members = {
        seed: learning.outputs.models[seed_label(seed)]
        for learning in links.all_nodes()
        if 'models' in learning.outputs
        for seed in learning.inputs.parameters['committee_seeds']
    }
    return {seed: model for seed, model in members.items() if model.uuid != node.outputs.model.uuid}


def training_inputs(node: orm.WorkChainNode, inputs: AttributeDict, training_seeds: Sequence[int]) -> dict[str, Any]:
    """Return the inputs of trainings on all frames of a campaign, from what was taught if it has taught.

    :param inputs: of the campaign.
    :raises ValueError: if there is nothing to train on, no seed, or a seed that the campaign has used.
    """
    name = f'{node.process_label}<{node.pk}>'
    if 'allegro' not in inputs or 'dataset' not in node.outputs:
        raise ValueError(f'the potential of {name} was given to it: there are no frames to train others on.')
    if not training_seeds:
        raise ValueError(f'{name} has no committee: name seeds for further trainings, such as --training-seeds 2,3.')
    parameters = inputs.allegro.train.parameters.get_dict()
    used = TrainingParameters.stored(parameters).seed
    if used in training_seeds or len(set(training_seeds)) < len(training_seeds):
        raise ValueError(
            f'the seeds {list(training_seeds)} of the trainings must differ from each other and from {used}, that of '
            f'the potential of {name}.'
        )
    for seed in training_seeds:
        TrainingParameters.check({**parameters, 'seed': seed})
    training: dict[str, Any] = {'dataset': node.outputs.dataset, 'allegro': inputs.allegro}
    if 'finetuning' in inputs:
        training['finetuning'] = inputs.finetuning
    links = node.base.links.get_outgoing(link_type=LinkType.CALL_WORK, link_label_filter=TEACH)
    for taught in links.all_nodes():
        training['allegro'].train.initial_model = taught.outputs.model
    return training
