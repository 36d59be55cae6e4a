"""Molecular dynamics until the conductivity is known to a requested error, or the budget is spent."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, WorkChain, while_

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.calculations.functions.decisions import decide_next, decision_settings
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.lammps.parameters import RunParameters
from aiida_ionconduct.studies.error_target import NOTHING, PrecisionTarget
from aiida_ionconduct.workchains.aimd import temperature_label
from aiida_ionconduct.workchains.seeds import OUTPUTS, SeedsWorkChain, label_of

TARGET = {
    'target_relative_error': (orm.Float, 'Standard error of the full conductivity over its value, such as 0.1.'),
    'max_md_ns': (orm.Float, 'MD of all runs together in ns, equilibration included, that must not be exceeded.'),
    'max_iterations': (orm.Int, 'Rounds of MD, the first included.'),
}
"""The inputs that say what is wanted and what it may cost: type and help."""
MAX_ITERATIONS = 12


class PrecisionWorkChain(WorkChain):
    """Rounds of molecular dynamics and analysis at several temperatures.

    After each round every temperature is made longer, given more seeds, or left alone. What has been computed is
    joined by reference and never repeated.
    """

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(SeedsWorkChain, namespace='md')
        spec.input('analysis', valid_type=orm.Dict, help='Of `analyse_trajectories`: `charges`, `mobile`, …')
        for name, (valid_type, help_text) in TARGET.items():
            default = {'default': lambda: orm.Int(MAX_ITERATIONS)} if name == 'max_iterations' else {}
            spec.input(name, valid_type=valid_type, help=help_text, **default)
        spec.inputs.validator = validate_target
        spec.outline(
            cls.setup,
            while_(cls.is_going_on)(cls.run_md, cls.inspect_md, cls.analyse, cls.decide),
            cls.results,
        )
        for name, (valid_type, help_text) in OUTPUTS.items():
            spec.output_namespace(name, valid_type=valid_type, help=help_text)
        spec.output_namespace('conductivities', valid_type=ConductivityData, help='By temperature: `T1200`.')
        spec.output_namespace('decisions', valid_type=orm.Dict, help='By round: what was decided after it, and why.')
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
    def get_builder_extending(cls, node, **target):
        """Return the builder of a work chain that goes on where an earlier one has ended.

        :param node: the earlier one, whatever its end.
        :param target: those of :data:`TARGET` that change; a budget counts what the earlier one has spent.
        :raises ValueError: for other names.
        """
        builder = node.get_builder_restart()
        set_target(builder, target)
        take_over(builder.md, node)
        return builder

    def setup(self):
        """Start with the seeds and the length of the inputs, or with what an earlier work chain has reached."""
        md = self.inputs.md
        self.ctx.known = {name: dict(md.get('previous', {}).get(name, {})) for name in OUTPUTS}
        self.ctx.decisions, self.ctx.conductivities, self.ctx.lost_ns, self.ctx.outcome = [], {}, 0.0, None
        self.ctx.temperatures = {temperature_label(T): float(T) for T in md.temperatures_K}
        self.ctx.seeds, self.ctx.steps, self.ctx.last_seed, self.ctx.to_run = {}, {}, {}, []
        for label, T in self.ctx.temperatures.items():
            seeds = self.seeds_of(label)
            self.ctx.steps[label] = max(
                [md.parameters['production_steps'], *(self.steps_done(T, one) for one in seeds)]
            )
            self.ctx.seeds[label] = seeds or md.seeds.get_list()
            self.ctx.last_seed[label] = max(self.ctx.seeds[label])
            if not all(self.steps_done(T, seed) >= self.ctx.steps[label] for seed in self.ctx.seeds[label]):
                self.ctx.to_run.append(label)

    def is_going_on(self):
        """Whether the last decision, if there is one, asks for more."""
        return self.ctx.outcome is None or self.ctx.outcome['ending'] is None

    def run_md(self):
        """Submit one farm for every temperature that needs more."""
        children = {}
        for label in self.ctx.to_run:
            inputs = self.exposed_inputs(SeedsWorkChain, 'md')
            inputs.temperatures_K = orm.List([self.ctx.temperatures[label]])
            inputs.seeds = orm.List(self.ctx.seeds[label])
            inputs.parameters = orm.Dict(
                {**self.inputs.md.parameters.get_dict(), 'production_steps': self.ctx.steps[label]}
            )
            inputs.max_concurrent = orm.Int(max(self.inputs.md.max_concurrent.value // len(self.ctx.to_run), 1))
            inputs.previous = {name: self.only(label, nodes) for name, nodes in self.ctx.known.items()}
            name = f'round_{self.round:02d}_{label}'
            inputs.metadata = {'call_link_label': name}
            children[name] = self.submit(SeedsWorkChain, **inputs)
            self.report(
                f'launched SeedsWorkChain<{children[name].pk}>: {label}, {len(self.ctx.seeds[label])} seeds, '
                f'{self.length_ps(self.ctx.steps[label]):g} ps'
            )
        return ToContext(**children)

    def inspect_md(self):
        """Take over what was made; a seed that was lost is left out from now on."""
        empty = []
        for label in self.ctx.to_run:
            node = self.ctx[f'round_{self.round:02d}_{label}']
            made = dict(node.outputs.trajectories) if 'trajectories' in node.outputs else {}
            if not made:
                empty.append(label)
                continue
            for name, nodes in self.ctx.known.items():
                for key in self.only(label, nodes):
                    nodes.pop(key)
                nodes.update(dict(node.outputs[name]) if name in node.outputs else {})
            T = self.ctx.temperatures[label]
            lost = [seed for seed in self.ctx.seeds[label] if label_of(T, seed) not in made]
            if lost:
                self.report(f'{label}: the runs of the seeds {lost} failed and are left out')
                self.ctx.lost_ns += len(lost) * self.length_ps(self.ctx.steps[label], equilibration=True) / 1000
                self.ctx.seeds[label] = [seed for seed in self.ctx.seeds[label] if seed not in lost]
        if empty:
            self.attach()
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(label=', '.join(empty))

    def analyse(self):
        """Analyse every temperature that has something new."""
        for label in self.ctx.temperatures:
            if label in self.ctx.to_run or label not in self.ctx.conductivities:
                trajectories = self.only(label, self.ctx.known['trajectories'])
                self.ctx.conductivities[label] = analyse_trajectories(self.inputs.analysis, **trajectories)

    def decide(self):
        """Let the analysis say what is run next."""
        earlier = {f'round_{index:02d}': node for index, node in enumerate(self.ctx.decisions, start=1)}
        self.ctx.outcome = decide_next(self.settings(), **self.ctx.conductivities, **earlier)
        self.ctx.decisions.append(self.ctx.outcome)
        self.ctx.to_run = []
        for label, one in self.ctx.outcome['temperatures'].items():
            self.report(f'{label}: {one["ending"] or one["action"]} ({"; ".join(one["reasons"])})')
            if one['action'] != NOTHING:
                self.ctx.to_run.append(label)
                last, n_new = self.ctx.last_seed[label], one['n_seeds'] - len(self.ctx.seeds[label])
                self.ctx.last_seed[label] = last + n_new
                self.ctx.seeds[label] = [*self.ctx.seeds[label], *range(last + 1, last + n_new + 1)]
                steps = round(one['length_ps'] * 1000 / self.inputs.md.parameters['timestep_fs'])
                self.ctx.steps[label] = max(steps, self.ctx.steps[label])

    def results(self):
        """Attach everything."""
        self.attach()
        self.report(f'{self.ctx.outcome["ending"]} after {self.ctx.outcome["md_ns"]:.4g} ns')

    # Helpers -------------------------------------------------------------------------------------------------------

    @property
    def round(self) -> int:
        """Number of the round that runs."""
        return len(self.ctx.decisions) + 1

    def attach(self):
        """Attach what there is."""
        for name, nodes in self.ctx.known.items():
            self.out(name, nodes)
        self.out('conductivities', self.ctx.conductivities)
        self.out('decisions', {f'round_{index:02d}': node for index, node in enumerate(self.ctx.decisions, start=1)})
        if self.ctx.outcome is not None:
            self.out('outcome', self.ctx.outcome)

    def settings(self) -> orm.Dict:
        """Return the settings of the decision."""
        p = self.inputs.md.parameters
        target = PrecisionTarget(
            target_relative_error=self.inputs.target_relative_error.value,
            max_md_ns=self.inputs.max_md_ns.value,
            max_iterations=self.inputs.max_iterations.value,
            equilibration_ps=p['equilibration_steps'] * p['timestep_fs'] / 1000,
            quantum_ps=p.get('frame_stride', RunParameters.model_fields['frame_stride'].default) * p['timestep_fs'] / 1000,
        )
        return decision_settings(target, self.ctx.lost_ns)

    def length_ps(self, steps: int, equilibration: bool = False) -> float:
        """Return the length of a run."""
        p = self.inputs.md.parameters
        return (steps + equilibration * p['equilibration_steps']) * p['timestep_fs'] / 1000

    def only(self, label: str, nodes: dict) -> dict:
        """Return those nodes, by run, that belong to a temperature."""
        return {key: node for key, node in nodes.items() if key.rpartition('_seed')[0] == label}

    def seeds_of(self, label: str) -> list[int]:
        """Return the seeds that have run at a temperature."""
        return sorted(int(key.rpartition('_seed')[2]) for key in self.only(label, self.ctx.known['trajectories']))

    def steps_done(self, T: float, seed: int) -> int:
        """Return the steps, in time steps of the inputs, that a seed has run."""
        restart = self.ctx.known['restarts'].get(label_of(T, seed))
        if restart is None:
            return 0
        at = restart.base.attributes.all
        return round(at['step'] * at['timestep_fs'] / self.inputs.md.parameters['timestep_fs'])


def has_previous(md) -> bool:
    """Whether the inputs of a farm, nested or a builder's, hold runs of an earlier one."""
    return any(len(nodes) for nodes in md.get('previous', {}).values())


def take_over(md, node) -> None:
    """Let a farm go on with the runs in the outputs of a work chain, if it has any."""
    found = {name: dict(node.outputs[name]) for name in OUTPUTS if name in node.outputs}
    if found:
        md['previous'] = found


def set_target(builder, target: dict) -> None:
    """Set those of :data:`TARGET` that are given and not None.

    :raises ValueError: for other names.
    """
    unknown = sorted(set(target) - set(TARGET))
    if unknown:
        raise ValueError(f'{", ".join(unknown)}: choose from {", ".join(TARGET)}.')
    for name, value in target.items():
        if value is not None:
            builder[name] = TARGET[name][0](value)


def validate_target(inputs, _) -> str | None:
    """Refuse a target or a budget that makes no sense, or one without the other."""
    given = [name for name in TARGET if name in inputs]
    if not given:
        return None
    if not {'target_relative_error', 'max_md_ns'} <= set(given):
        return f'{given[0]} is given: give target_relative_error and max_md_ns together.'
    try:
        PrecisionTarget.check({'max_iterations': MAX_ITERATIONS, **{name: inputs[name].value for name in given}})
    except ValueError as error:
        return str(error)
    md = inputs.get('md', {})
    if {'parameters', 'seeds', 'temperatures_K'} <= md.keys() and not has_previous(md):
        needed = first_round_ns(md)
        if needed > inputs['max_md_ns'].value + 1e-9:
            return (
                f'max_md_ns is {inputs["max_md_ns"].value:g}, but the first round alone takes {needed:g} ns: raise it, '
                'or take fewer seeds, fewer temperatures or shorter runs.'
            )
    return None


def first_round_ns(md) -> float:
    """Return the MD of the first round in ns."""
    p, n_runs = md['parameters'], len(md['seeds'].get_list()) * len(md['temperatures_K'].get_list())
    return n_runs * (p['production_steps'] + p['equilibration_steps']) * p['timestep_fs'] * 1e-6
