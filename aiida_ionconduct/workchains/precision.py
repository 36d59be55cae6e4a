"""Molecular dynamics until the conductivity is known to a requested error, or the budget is spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ProcessBuilder, ToContext, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.calculations.functions.decisions import decide_next, decision_settings
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.farm.ledger import total_cost
from aiida_ionconduct.labels import at_temperature, read_seed, round_label, run_label, temperature_label
from aiida_ionconduct.lammps.parameters import RunParameters
from aiida_ionconduct.studies.error_target import NOTHING, PrecisionTarget
from aiida_ionconduct.workchains.base import ParentWorkChain
from aiida_ionconduct.workchains.seeds import OUTPUTS, SeedsWorkChain

TARGET: dict[str, tuple[Any, str]] = {
    'target_relative_error': (orm.Float, 'Standard error of the full conductivity over its value, such as 0.1.'),
    'max_md_ns': (orm.Float, 'Budget in ns: MD of all runs together, equilibration included.'),
    'max_iterations': (orm.Int, 'Largest number of rounds of MD.'),
    'max_core_hours': (orm.Float, 'Budget in core hours of the jobs of MD, beside `max_md_ns`.'),
    'max_gpu_hours': (orm.Float, 'Budget in GPU hours of the jobs of MD, beside `max_md_ns`.'),
}
"""The inputs that state the target and the budget: type and help."""
HOURS = {'max_core_hours': 'core_hours', 'max_gpu_hours': 'gpu_hours'}
"""The budgets in hours, and the fields of a cost that they limit."""
MAX_ITERATIONS = 12
FRAME_STRIDE = RunParameters.model_fields['frame_stride'].default


class PrecisionWorkChain(ParentWorkChain):
    """Rounds of molecular dynamics and analysis at several temperatures.

    After each round, the runs of a temperature are made longer, seeds are added, or the temperature is left as it is.
    Earlier trajectories are joined by reference, and no run is repeated.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(SeedsWorkChain, namespace='md')
        spec.input('analysis', valid_type=orm.Dict, help='Of `analyse_trajectories`: `charges`, `mobile`, …')
        for name, (valid_type, help_text) in TARGET.items():
            default = {'default': lambda: orm.Int(MAX_ITERATIONS)} if name == 'max_iterations' else {}
            spec.input(name, valid_type=valid_type, required=name not in HOURS, help=help_text, **default)
        spec.inputs.validator = validate_target
        spec.outline(
            cls.setup,
            while_(cls.is_going_on)(cls.run_md, cls.inspect_md, cls.analyse, cls.decide),
            cls.results,
        )
        for name, (valid_type, help_text) in OUTPUTS.items():
            spec.output_namespace(name, valid_type=valid_type, help=help_text)
        spec.output_namespace('conductivities', valid_type=ConductivityData, help='By temperature: `T1200`.')
        spec.output_namespace(
            'decisions', valid_type=orm.Dict, help='By round: the decision after it, with its reasons.'
        )
        spec.output(
            'outcome',
            valid_type=orm.Dict,
            help='The last decision. Its `ending` is `converged`, `budget exhausted` or `not diffusive on this time '
            'scale`, for all and for each of its `temperatures`.',
        )
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_MD',
            message='no run at {label} has ended well; what is known from earlier rounds is in the outputs.',
        )

    @classmethod
    def get_builder_extending(cls, node: orm.WorkChainNode, **target: float | None) -> ProcessBuilder:
        """Return the builder of a work chain that goes on where an earlier one has ended.

        :param node: the earlier work chain, successful or not.
        :param target: the inputs of :data:`TARGET` that change; the budget includes the MD of the earlier work chain.
        :raises ValueError: for other names.
        """
        builder = node.get_builder_restart()
        set_target(builder, target)
        take_over(builder['md'], node)
        return builder

    def setup(self) -> None:
        """Start with the seeds and the length in the inputs, or with the runs of an earlier work chain."""
        md = self.inputs.md
        self.ctx.known = {name: dict(md.get('previous', {}).get(name, {})) for name in OUTPUTS}
        self.ctx.decisions, self.ctx.conductivities, self.ctx.lost_ns, self.ctx.outcome = [], {}, 0.0, None
        self.ctx.temperatures = {temperature_label(T): float(T) for T in md.temperatures_K}
        self.ctx.seeds, self.ctx.steps, self.ctx.last_seed, self.ctx.to_run = {}, {}, {}, []
        for label, T in self.ctx.temperatures.items():
            seeds = self.seeds_of(label)
            self.ctx.steps[label] = max(
                [md.parameters['production_steps'], *(self.steps_done(T, seed) for seed in seeds)]
            )
            self.ctx.seeds[label] = seeds or md.seeds.get_list()
            self.ctx.last_seed[label] = max(self.ctx.seeds[label])
            if not all(self.steps_done(T, seed) >= self.ctx.steps[label] for seed in self.ctx.seeds[label]):
                self.ctx.to_run.append(label)
        done = [(T, seed) for label, T in self.ctx.temperatures.items() for seed in self.seeds_of(label)]
        self.ctx.previous_ns = (
            sum(self.length_ps(self.steps_done(T, seed), equilibration=True) for T, seed in done) / 1000
        )

    def is_going_on(self) -> bool:
        """Return whether the last decision, if there is one, asks for more MD."""
        return self.ctx.outcome is None or self.ctx.outcome['ending'] is None

    def run_md(self) -> ToContext:
        """Submit the runs of all seeds, with a child for each temperature that needs more MD."""
        children: dict[str, Any] = {}
        for label in self.ctx.to_run:
            inputs = self.exposed_inputs(SeedsWorkChain, 'md')
            inputs.temperatures_K = orm.List([self.ctx.temperatures[label]])
            inputs.seeds = orm.List(self.ctx.seeds[label])
            inputs.parameters = orm.Dict(
                {**self.inputs.md.parameters.get_dict(), 'production_steps': self.ctx.steps[label]}
            )
            inputs.max_concurrent = orm.Int(max(self.inputs.md.max_concurrent.value // len(self.ctx.to_run), 1))
            inputs.previous = {name: at_temperature(label, nodes) for name, nodes in self.ctx.known.items()}
            children |= self.child(round_label(self.round, label), SeedsWorkChain, inputs)
            self.report(f'{label}: {len(self.ctx.seeds[label])} seeds, {self.length_ps(self.ctx.steps[label]):g} ps')
        return ToContext(**children)

    def inspect_md(self) -> ExitCode | None:
        """Take over the runs; a seed whose run failed is left out from now on."""
        empty = []
        for label in self.ctx.to_run:
            node = self.ctx[round_label(self.round, label)]
            made = dict(node.outputs.trajectories) if 'trajectories' in node.outputs else {}
            if not made:
                empty.append(label)
                continue
            for name, nodes in self.ctx.known.items():
                for run in at_temperature(label, nodes):
                    nodes.pop(run)
                nodes.update(dict(node.outputs[name]) if name in node.outputs else {})
            T = self.ctx.temperatures[label]
            lost = [seed for seed in self.ctx.seeds[label] if run_label(T, seed) not in made]
            if lost:
                self.report(f'{label}: the runs of the seeds {lost} failed and are left out')
                self.ctx.lost_ns += len(lost) * self.length_ps(self.ctx.steps[label], equilibration=True) / 1000
                self.ctx.seeds[label] = [seed for seed in self.ctx.seeds[label] if seed not in lost]
        if empty:
            self.attach()
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(label=', '.join(empty))

    def analyse(self) -> None:
        """Analyse every temperature that has new trajectories."""
        for label in self.ctx.temperatures:
            if label in self.ctx.to_run or label not in self.ctx.conductivities:
                trajectories = at_temperature(label, self.ctx.known['trajectories'])
                self.ctx.conductivities[label] = analyse_trajectories(self.inputs.analysis, **trajectories)

    def decide(self) -> None:
        """Decide from the conductivities and their errors what is run next."""
        self.ctx.outcome = decide_next(self.settings(), **self.ctx.conductivities, **self.decisions())
        self.ctx.decisions.append(self.ctx.outcome)
        self.ctx.to_run = []
        for label, plan in self.ctx.outcome['temperatures'].items():
            self.report(f'{label}: {plan["ending"] or plan["action"]} ({"; ".join(plan["reasons"])})')
            if plan['action'] != NOTHING:
                self.ctx.to_run.append(label)
                last, n_new = self.ctx.last_seed[label], plan['n_seeds'] - len(self.ctx.seeds[label])
                self.ctx.last_seed[label] = last + n_new
                self.ctx.seeds[label] = [*self.ctx.seeds[label], *range(last + 1, last + n_new + 1)]
                steps = round(plan['length_ps'] * 1000 / self.inputs.md.parameters['timestep_fs'])
                self.ctx.steps[label] = max(steps, self.ctx.steps[label])

    def results(self) -> None:
        """Attach the runs, conductivities and decisions, and report how it ended."""
        self.attach()
        self.report(f'{self.ctx.outcome["ending"]} after {self.ctx.outcome["md_ns"]:.4g} ns')

    # Helpers -------------------------------------------------------------------------------------------------------

    @property
    def round(self) -> int:
        """Number of the present round."""
        return len(self.ctx.decisions) + 1

    def decisions(self) -> dict[str, orm.Dict]:
        """Return the decisions by label of the round."""
        return {round_label(number): node for number, node in enumerate(self.ctx.decisions, start=1)}

    def attach(self) -> None:
        """Attach the runs, conductivities and decisions that exist."""
        for name, nodes in self.ctx.known.items():
            self.out(name, nodes)
        self.out('conductivities', self.ctx.conductivities)
        self.out('decisions', self.decisions())
        if self.ctx.outcome is not None:
            self.out('outcome', self.ctx.outcome)

    def settings(self) -> orm.Dict:
        """Return the settings of the decision."""
        p = self.inputs.md.parameters
        target = PrecisionTarget(
            target_relative_error=self.inputs.target_relative_error.value,
            max_md_ns=min(self.inputs.max_md_ns.value, self.affordable_ns()),
            max_iterations=self.inputs.max_iterations.value,
            equilibration_ps=p['equilibration_steps'] * p['timestep_fs'] / 1000,
            quantum_ps=p.get('frame_stride', FRAME_STRIDE) * p['timestep_fs'] / 1000,
        )
        return decision_settings(target, self.ctx.lost_ns)

    def affordable_ns(self) -> float:
        """Return how much MD the budgets in hours admit, at the hours that a nanosecond has taken so far.

        Jobs from the cache have cost nothing; the MD of an earlier work chain is not charged to this one.
        """
        budgets = {field: self.inputs[name].value for name, field in HOURS.items() if name in self.inputs}
        jobs = self.jobs() if budgets else []
        run = [job for job in jobs if not job.base.caching.is_created_from_cache]
        if not run:
            return math.inf
        cost, spent_ns = total_cost(run), self.spent_ns()
        paid_ns = (spent_ns - self.ctx.previous_ns) * len(run) / len(jobs)
        affordable = math.inf
        for field, budget in budgets.items():
            hours = getattr(cost, field)
            if hours:
                affordable = min(affordable, spent_ns + max(budget - hours, 0.0) / hours * paid_ns)
                name = field.replace('_', ' ').replace('gpu', 'GPU')
                self.report(
                    f'{hours:.3g} of {budget:g} {name} are spent, which admits {affordable:.4g} ns of MD in all'
                )
        return affordable

    def jobs(self) -> list[orm.CalcJobNode]:
        """Return the jobs of all rounds so far."""
        return [node for node in self.node.called_descendants if isinstance(node, orm.CalcJobNode)]

    def spent_ns(self) -> float:
        """Return the MD of all runs in ns, with their equilibration and with runs that failed."""
        lengths = {label: self.length_ps(steps, equilibration=True) for label, steps in self.ctx.steps.items()}
        return self.ctx.lost_ns + sum(len(self.ctx.seeds[label]) * length for label, length in lengths.items()) / 1000

    def length_ps(self, steps: int, equilibration: bool = False) -> float:
        """Return the length of a run in ps, with its equilibration if asked for."""
        p = self.inputs.md.parameters
        return (steps + equilibration * p['equilibration_steps']) * p['timestep_fs'] / 1000

    def seeds_of(self, label: str) -> list[int]:
        """Return the seeds that have run at a temperature."""
        return sorted(map(read_seed, at_temperature(label, self.ctx.known['trajectories'])))

    def steps_done(self, T: float, seed: int) -> int:
        """Return the number of steps that a seed has run, in time steps of the inputs."""
        restart = self.ctx.known['restarts'].get(run_label(T, seed))
        if restart is None:
            return 0
        at = restart.base.attributes.all
        return round(at['step'] * at['timestep_fs'] / self.inputs.md.parameters['timestep_fs'])


def has_previous(md: Mapping[str, Any]) -> bool:
    """Return whether the inputs of a :class:`SeedsWorkChain` hold the runs of an earlier one.

    :param md: the inputs, nested, or the namespace of a builder.
    """
    return any(len(nodes) for nodes in md.get('previous', {}).values())


def take_over(md: MutableMapping[str, Any], node: orm.WorkChainNode) -> None:
    """Let a :class:`SeedsWorkChain` go on with the runs in the outputs of a work chain, if there are any.

    :param md: its inputs, nested, or the namespace of a builder.
    """
    runs = {name: dict(node.outputs[name]) for name in OUTPUTS if name in node.outputs}
    if runs:
        md['previous'] = runs


def set_target(builder: ProcessBuilder, target: Mapping[str, float | None]) -> None:
    """Set the inputs of :data:`TARGET` that are given and not None.

    :raises ValueError: for other names.
    """
    unknown = sorted(set(target) - set(TARGET))
    if unknown:
        raise ValueError(f'{", ".join(unknown)}: choose from {", ".join(TARGET)}.')
    for name, value in target.items():
        if value is not None:
            builder[name] = TARGET[name][0](value)


def validate_target(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse a target or a budget that cannot be used, a target without a budget, and a budget without a target."""
    given = [name for name in TARGET if name in inputs]
    if not given:
        return None
    if not {'target_relative_error', 'max_md_ns'} <= set(given):
        return f'{given[0]} is given: give target_relative_error and max_md_ns together.'
    try:
        in_md = [name for name in given if name not in HOURS]
        PrecisionTarget.check({'max_iterations': MAX_ITERATIONS, **{name: inputs[name].value for name in in_md}})
    except ValueError as error:
        return str(error)
    for name in HOURS:
        if name in inputs and not 0 < inputs[name].value < math.inf:
            return f'{name} is {inputs[name].value:g}, but must be a positive number of hours.'
    md = inputs.get('md', {})
    if {'parameters', 'seeds', 'temperatures_K'} <= md.keys() and not has_previous(md):
        needed = first_round_ns(md)
        if needed > inputs['max_md_ns'].value + 1e-9:
            return (
                f'max_md_ns is {inputs["max_md_ns"].value:g}, but the first round alone takes {needed:g} ns: raise it, '
                'or take fewer seeds, fewer temperatures or shorter runs.'
            )
    return None


def first_round_ns(md: Mapping[str, Any]) -> float:
    """Return the MD of the first round in ns, all runs together."""
    p, n_runs = md['parameters'], len(md['seeds'].get_list()) * len(md['temperatures_K'].get_list())
    return n_runs * (p['production_steps'] + p['equilibration_steps']) * p['timestep_fs'] * 1e-6
