"""Which model? Short trainings of many settings by successive halving, each timed; a table, and what may be chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ExitCode, ProcessState, ToContext, if_, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.models import (
    TIMING,
    TRAINING,
    compare_models,
    decide_models,
    timing_cell,
)
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.labels import numbered
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.base import ParentWorkChain
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.model_trainings import ModelTimingsWorkChain, ModelTrainingsWorkChain

RUNG = 'rung'
"""The label of the trainings of a rung, with its number; the timings are labelled :data:`TIMING`."""
ENDINGS = {ProcessState.EXCEPTED: 'it was ended by an exception', ProcessState.KILLED: 'it was killed'}
"""How a process has ended that has no exit status."""
EXCEPTION = re.compile(r'^[\w.]+: .+', flags=re.MULTILINE)
"""The line of a traceback that names the exception; explanations may follow it."""


def _check_halving(node: orm.Dict, _: Any) -> str | None:
    """Refuse rungs whose epochs do not grow, and fractions that keep nothing."""
    epochs, keep = node.get_dict().get('epochs', []), node.get_dict().get('keep', 0)
    if not epochs or any(later <= earlier for earlier, later in zip([0, *epochs], epochs, strict=False)):
        return f'epochs must be whole numbers that grow from rung to rung, not {epochs}.'
    return None if 0 < keep <= 1 else f'keep must be above 0 and at most 1, not {keep}.'


class ModelsStudyWorkChain(ParentWorkChain):
    """Train many settings for a few epochs, time all, and let those go on that are good or fast.

    All settings are timed after the first rung, also those that will be stopped: the time belongs to the architecture
    and not to the weights, the decision needs it, and the effects of the settings need it for the whole grid. Timings
    run one after the other where jobs share a machine. The learning rate falls over the epochs of the last rung, so a
    setting that comes to the end has had the training that a campaign would give it.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(
            AllegroWorkChain,
            namespace='allegro',
            exclude=('dataset', 'train.initial_model', 'train.checkpoint', 'train.energy_shifts', 'fit_shifts'),
        )
        spec.expose_inputs(
            LammpsMdBaseWorkChain,
            namespace='md',
            exclude=('md.model', 'md.structure', 'md.restart', 'previous', 'md.trust_model'),
        )
        spec.input('dataset', valid_type=DatasetData, help='All labelled frames.')
        spec.input('settings', valid_type=orm.Dict, help='By label, the parameters of the training that are tried.')
        spec.input(
            'halving',
            valid_type=orm.Dict,
            validator=_check_halving,
            help='`epochs`: of every rung, counted from the start; `keep`: the fraction of the settings that goes on.',
        )
        spec.input('cell', valid_type=orm.Dict, help='Of `timing_cell`: the least number of atoms of the timings.')
        spec.input('max_concurrent', valid_type=orm.Int, default=lambda: orm.Int(2), help='Trainings at a time.')
        spec.input('max_timings', valid_type=orm.Int, default=lambda: orm.Int(1), help='Timings at a time.')
        spec.outline(
            cls.setup,
            while_(cls.has_rung)(
                cls.run_rung,
                cls.inspect_rung,
                if_(cls.should_time)(cls.run_timings, cls.inspect_timings),
                cls.decide,
            ),
            cls.results,
        )
        spec.output('structure', valid_type=orm.StructureData, required=False, help='The cell of the timings.')
        spec.output('table', valid_type=orm.Dict, required=False, help='Of `compare_models`: rows, front, effects.')
        spec.output_namespace(
            'decisions', valid_type=orm.Dict, required=False, help='Which settings went on, by rung: `rung_0`.'
        )
        spec.output_namespace(
            'models', valid_type=AllegroModelData, required=False, help='The potentials that were trained in full.'
        )
        spec.exit_code(
            401,
            'ERROR_NO_MODEL',
            message='All {n} settings have failed, see the output `table`. The first is {label}, in {step}: {reason}',
        )

    def setup(self) -> None:
        """Begin with all settings, and make the cell of the timings."""
        self.ctx.rung, self.ctx.alive = 0, sorted(self.inputs.settings.get_dict())
        self.ctx.failures, self.ctx.checkpoints = {}, {}
        self.ctx.numbers = {}
        self.ctx.decisions = {}
        self.ctx.structure = timing_cell(self.inputs.dataset, self.inputs.cell)
        self.out('structure', self.ctx.structure)

    def has_rung(self) -> bool:
        """Return whether settings are to be trained on another rung."""
        return bool(self.ctx.alive) and self.ctx.rung < len(self.inputs.halving['epochs'])

    def should_time(self) -> bool:
        """Return whether the potentials have not been timed: the time does not depend on the weights."""
        return self.ctx.rung == 0 and bool(self.ctx.alive)

    # Trainings -----------------------------------------------------------------------------------------------------

    def run_rung(self) -> ToContext:
        """Train the settings that are left up to the epochs of the rung; those of the first rung are compiled."""
        epochs, rung = self.inputs.halving['epochs'], self.ctx.rung
        self.ctx.n_tried = len(self.ctx.alive)
        allegro = self.exposed_inputs(AllegroWorkChain, 'allegro')
        allegro.dataset = self.inputs.dataset
        if rung:
            allegro.pop('compile', None)
        schedule = {'max_epochs': epochs[rung], 'schedule_epochs': epochs[-1]}
        inputs = {
            'allegro': allegro,
            'settings': orm.Dict({label: {**self.inputs.settings[label], **schedule} for label in self.ctx.alive}),
            'checkpoints': {
                label: self.ctx.checkpoints[label] for label in self.ctx.alive if label in self.ctx.checkpoints
            },
            'max_concurrent': self.inputs.max_concurrent,
        }
        return self.child(numbered(RUNG, rung), ModelTrainingsWorkChain, inputs, name='trainings')

    def inspect_rung(self) -> None:
        """Take over errors and checkpoints, and note why settings have failed."""
        outputs, rung = self.ctx.trainings.outputs, self.ctx.rung
        for label, node in _namespace(outputs, 'output_parameters').items():
            self.ctx.numbers[f'{TRAINING}_{rung}_{label}'] = node
        self.ctx.checkpoints |= _namespace(outputs, 'checkpoint')
        self.ctx.models = _namespace(outputs, 'model')
        if rung == 0:
            self.ctx.compiled = _namespace(outputs, 'compiled_model')
        made = self.ctx.compiled if rung == 0 else self.ctx.models
        self.drop_failed(self.ctx.trainings, made, f'training, rung {rung}')

    def run_timings(self) -> ToContext:
        """Run the dynamics for a moment with every compiled potential."""
        base = self.exposed_inputs(LammpsMdBaseWorkChain, 'md')
        base.md.structure = self.ctx.structure
        models = {label: self.ctx.compiled[label] for label in self.ctx.alive}
        inputs = {'base': base, 'models': models, 'max_concurrent': self.inputs.max_timings}
        return self.child(TIMING, ModelTimingsWorkChain, inputs, name='timings')

    def inspect_timings(self) -> None:
        """Take over the speeds."""
        timed = _namespace(self.ctx.timings.outputs, 'output_parameters')
        self.ctx.numbers |= {f'{TIMING}_{label}': node for label, node in timed.items()}
        self.drop_failed(self.ctx.timings, timed, TIMING)

    def drop_failed(self, batch: orm.WorkChainNode, made: Iterable[str], step: str) -> None:
        """Leave out the settings that have no result, and note the step and the reason.

        :param batch: the work chain whose children were to make the results.
        :param made: labels of the results.
        :param step: what the batch does.
        """
        children = {
            link.link_label: link.node for link in batch.base.links.get_outgoing(link_type=LinkType.CALL_WORK).all()
        }
        for label in [label for label in self.ctx.alive if label not in set(made)]:
            child = children.get(label)
            is_trained = child is not None and 'model' in child.outputs
            # A child that ended well has no result here if its batch was ended before it.
            reason = failure_reason(batch if child is None or child.is_finished_ok else child)
            self.ctx.failures[label] = {'step': 'compilation' if is_trained else step, 'reason': reason}
            self.ctx.alive.remove(label)
            self.report('{0} failed in {step}: {reason}'.format(label, **self.ctx.failures[label]))

    # Decisions -----------------------------------------------------------------------------------------------------

    def decide(self) -> None:
        """Choose the settings that go on; after the last rung there is nothing to choose."""
        rung = self.ctx.rung
        self.ctx.rung += 1
        if not self.ctx.alive or not self.has_rung():
            return
        parameters = {
            'rung': rung,
            'keep': self.inputs.halving['keep'],
            'n_tried': self.ctx.n_tried,
            'n_atoms': len(self.ctx.structure.sites),
        }
        wanted = {name for label in self.ctx.alive for name in (f'{TRAINING}_{rung}_{label}', f'{TIMING}_{label}')}
        nodes = {name: node for name, node in self.ctx.numbers.items() if name in wanted}
        decision = decide_models(orm.Dict(parameters), **nodes)
        self.ctx.decisions[numbered(RUNG, rung)] = decision
        self.ctx.alive = sorted(decision['kept'])
        self.report(f'rung {rung}: {len(self.ctx.alive)} of {self.ctx.n_tried} settings go on')

    def results(self) -> ExitCode | None:
        """Make the table of all settings, and attach the potentials of the settings that came to the end."""
        structure, failures = self.ctx.structure, self.ctx.failures
        n_atoms = len(structure.sites)
        parameters = {
            'settings': self.inputs.settings.get_dict(),
            'training': self.inputs.allegro.train.parameters.get_dict(),
            **self.inputs.halving.get_dict(),
            'failures': failures,
            'cell': f'{structure.get_formula()}, {n_atoms} atoms',
            'n_atoms': n_atoms,
        }
        self.out('decisions', self.ctx.decisions)
        self.out('table', compare_models(orm.Dict(parameters), **self.ctx.numbers))
        if not self.ctx.alive:
            label = min(failures)
            return self.exit_codes.ERROR_NO_MODEL.format(n=len(failures), label=label, **failures[label])
        self.out('models', {label: self.ctx.models[label] for label in self.ctx.alive})
        return None


def failure_reason(node: orm.ProcessNode) -> str:
    """Return why a process failed: its message, and the exception or the message of the job that made it fail."""
    last = node
    while (called := sorted(last.called, key=lambda child: child.pk or 0)) and not called[-1].is_finished_ok:
        last = called[-1]
    said = node.exit_message or ENDINGS.get(node.process_state, f'exit status {node.exit_status}')
    exceptions = EXCEPTION.findall(last.exception or '')
    cause = exceptions[-1] if exceptions else last.exit_message or ''
    return said if cause in said else f'{said.rstrip(".")}: {cause}'


def _namespace(outputs: Any, name: str) -> dict[str, orm.Node]:
    """Return the outputs of a namespace by label; none if the namespace is empty."""
    return dict(outputs[name].items()) if name in outputs else {}
