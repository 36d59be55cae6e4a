"""Many LAMMPS runs: velocity seeds × temperatures."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.labels import (
    cell_label,
    ordering_of_seed,
    run_label,
    seed_label,
    seeds_of_orderings,
    shared_run_label,
)
from aiida_ionconduct.lammps.parameters import MAX_REPLICAS, with_half_timestep
from aiida_ionconduct.workchains.batches import BatchWorkChain
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain

OUTPUTS = {
    'trajectories': (IonTrajectoryData, 'By run: `T1200_seed1`.'),
    'run_parameters': (orm.Dict, 'Temperature, energies and drift of each run, from its log.'),
    'restarts': (orm.SinglefileData, 'The restart file from which each run can go on.'),
}
"""The output namespaces by name, each by label of the run: type and help."""
IN_RUN = {'trajectories': 'trajectories', 'run_parameters': 'output_parameters'}
"""The names of these namespaces in the outputs of a single run, by seed; its restart file belongs to the whole run."""


class SeedsWorkChain(BatchWorkChain):
    """The same molecular dynamics for every velocity seed at every temperature.

    Seeds share a run as replicas, as long as the run has no more than ``atoms_per_run`` atoms. When a shared run dies,
    its replicas are repeated one by one. Seeds that start from different orderings do not share a run.
    """

    _child = LammpsMdBaseWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdBaseWorkChain, namespace='base', exclude=('md.parameters', 'md.restart', 'previous'))
        spec.input('parameters', valid_type=orm.Dict, help='Parameters of the runs, without temperature and seeds.')
        spec.input('temperatures_K', valid_type=orm.List, help='Temperatures in K.')
        spec.input('seeds', valid_type=orm.List, help='Velocity seeds, the same at every temperature.')
        spec.input(
            'atoms_per_run',
            valid_type=orm.Int,
            default=lambda: orm.Int(1),
            help='Number of atoms that fill the device: as many seeds share a run as do not exceed it, at least one.',
        )
        spec.input_namespace(
            'orderings',
            valid_type=orm.StructureData,
            required=False,
            help='Ordered cells of one composition, `ordering_01` and so on, over which the seeds are spread; they '
            'replace `base.md.structure`.',
        )
        spec.input_namespace(
            'cells',
            valid_type=orm.StructureData,
            required=False,
            help='The cell at each temperature, `T1200`, or of each ordering there, `T1200_ordering_01`; they replace '
            '`base.md.structure` and `orderings`.',
        )
        spec.input_namespace('previous', required=False, help='Outputs of an earlier work chain, to be continued.')
        for name, (valid_type, help_text) in OUTPUTS.items():
            spec.input_namespace(f'previous.{name}', valid_type=valid_type, required=False, help=help_text)
        spec.outline(cls.setup, cls.run_all(), cls.results)
        for name, (valid_type, help_text) in OUTPUTS.items():
            spec.output_namespace(name, valid_type=valid_type, help=help_text)
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_MD',
            message='{n_failed} of {n_runs} runs failed; the trajectories of the others are in the outputs.',
        )

    @classmethod
    def get_builder_extending(
        cls,
        node: orm.WorkChainNode,
        *,
        production_steps: int | None = None,
        seeds: list[int] | None = None,
        temperatures_K: list[float] | None = None,
    ) -> ProcessBuilder:
        """Return the builder of a work chain that goes on where an earlier one has ended.

        Runs that are long enough are taken over, shorter runs are continued, new seeds and temperatures are started.

        :param node: the earlier work chain, successful or not.
        :param production_steps: steps of each run in total; as before, if not given.
        :param seeds: all seeds, old and new; as before, if not given.
        :param temperatures_K: all temperatures in K, old and new; as before, if not given.
        """
        builder = node.get_builder_restart()
        if production_steps is not None:
            builder.parameters = orm.Dict({**node.inputs.parameters.get_dict(), 'production_steps': production_steps})
        if seeds is not None:
            builder.seeds = orm.List(seeds)
        if temperatures_K is not None:
            builder.temperatures_K = orm.List(temperatures_K)
        builder.previous = {name: dict(node.outputs[name]) for name in OUTPUTS if name in node.outputs}
        return builder

    def setup(self) -> None:
        """List the runs, seed by seed, so that every temperature has results early."""
        self.ctx.taken_over = {name: {} for name in OUTPUTS}
        n_replicas = max_replicas(len(self.inputs.base.md.structure.sites), self.inputs.atoms_per_run.value)
        plans = []
        for T in self.inputs.temperatures_K:
            continued, fresh = self.sort_seeds(T)
            runs = [{'temperature_K': float(T), 'seeds': seeds, 'continued': True} for seeds in continued] + [
                {'temperature_K': float(T), 'seeds': seeds}
                for seeds in seed_groups(fresh, n_replicas, len(self.inputs.get('orderings', {})))
            ]
            plans.append({label_of(run): run for run in runs})
        rows = (list(plan.items())[index : index + 1] for index in range(max(map(len, plans))) for plan in plans)
        self.ctx.runs = dict(run for row in rows for run in row)
        self.ctx.pending = list(self.ctx.runs)

    def sort_seeds(self, T: float) -> tuple[list[list[int]], list[int]]:
        """Take over the runs that are long enough; return the groups of seeds to continue, and the seeds to start."""
        previous = self.inputs.get('previous', {})
        parameters = self.inputs.parameters
        length_fs = parameters['production_steps'] * parameters['timestep_fs']
        continued, fresh = [], []
        for seed in self.inputs.seeds:
            label = run_label(T, seed)
            if label not in previous.get('restarts', {}) or label not in previous.get('trajectories', {}):
                fresh.append(seed)
                continue
            at = previous['restarts'][label].base.attributes.all
            if at['step'] * at['timestep_fs'] >= length_fs - 1e-9:
                for name, nodes in previous.items():
                    self.ctx.taken_over[name][label] = nodes[label]
            elif at['seeds'] not in continued:
                continued.append(at['seeds'])
        return continued, fresh

    def child_inputs(self, label: str) -> AttributeDict:
        """Return the inputs of one run."""
        run = self.ctx.runs[label]
        inputs = self.exposed_inputs(LammpsMdBaseWorkChain, 'base')
        orderings, cells, ordering = self.inputs.get('orderings', {}), self.inputs.get('cells', {}), ''
        if orderings:
            ordering = ordering_of_seed(run['seeds'][0], len(orderings))
            inputs.md.structure = orderings[ordering]
        if cells:
            inputs.md.structure = cells[cell_label(run['temperature_K'], ordering)]
        parameters = {
            **self.inputs.parameters.get_dict(),
            'temperature_K': run['temperature_K'],
            'seeds': list(run['seeds']),
        }
        if run.get('continued'):
            previous, T = self.inputs.previous, run['temperature_K']
            inputs.md.restart = previous.restarts[run_label(T, run['seeds'][0])]
            inputs.previous = {seed_label(seed): previous.trajectories[run_label(T, seed)] for seed in run['seeds']}
            if inputs.md.restart.base.attributes.get('timestep_fs') < parameters['timestep_fs']:
                parameters = with_half_timestep(parameters)  # the run had exploded with the whole time step
        inputs.md.parameters = orm.Dict(parameters)
        return inputs

    def inspect_batch(self) -> None:
        """Sort the children that ended; the replicas of a run that died are repeated one by one."""
        super().inspect_batch()
        for label in [label for label in self.ctx.failed if len(self.ctx.runs[label]['seeds']) > 1]:
            self.report(f'repeating the replicas of {label} one by one')
            self.ctx.failed.remove(label)
            run = self.ctx.runs.pop(label)
            alone = [{'temperature_K': run['temperature_K'], 'seeds': [seed]} for seed in run['seeds']]
            self.ctx.runs.update({label_of(single): single for single in alone})
            self.ctx.pending += [label_of(single) for single in alone]

    def results(self) -> ExitCode | None:
        """Attach the trajectories that were made, then fail if a run failed."""
        outputs = {name: dict(nodes) for name, nodes in self.ctx.taken_over.items()}
        for label, node in self.ctx.finished.items():
            run = self.ctx.runs[label]
            for seed in run['seeds']:
                own = run_label(run['temperature_K'], seed)
                for name, name_in_run in IN_RUN.items():
                    outputs[name][own] = node.outputs[name_in_run][seed_label(seed)]
                if 'restart' in node.outputs:
                    outputs['restarts'][own] = node.outputs.restart
        for name, nodes in outputs.items():
            self.out(name, nodes)
        if self.ctx.failed:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(
                n_failed=len(self.ctx.failed), n_runs=len(self.ctx.runs)
            )


def label_of(run: dict[str, Any]) -> str:
    """Return the label of a run, which several seeds may share."""
    return shared_run_label(run['temperature_K'], run['seeds'])


def max_replicas(n_atoms: int, atoms_per_run: int) -> int:
    """Return how many replicas of a structure may share a run."""
    return min(max(atoms_per_run // n_atoms, 1), MAX_REPLICAS)


def seed_groups(seeds: list[int], n_replicas: int, n_orderings: int = 0) -> list[list[int]]:
    """Return the seeds of each run, dealt evenly to as few runs as possible.

    :param n_orderings: over which the seeds are spread; the seeds of a run have one ordering.
    """
    if n_orderings > 1:
        groups = seeds_of_orderings(seeds, n_orderings).values()
        return [run for group in groups for run in seed_groups(group, n_replicas)]
    n_runs = -(-len(seeds) // n_replicas)
    return [part.tolist() for part in np.array_split(np.array(seeds, dtype=int), n_runs)] if n_runs else []
