"""The cell at each temperature: molecular dynamics at constant pressure, and the mean over it."""

from __future__ import annotations

import numpy as np
from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ExitCode
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.expansion import expand_structure
from aiida_ionconduct.labels import cell_label, run_label, seed_label
from aiida_ionconduct.lammps.mean_cell import coupling_of
from aiida_ionconduct.lammps.parameters import RunParameters
from aiida_ionconduct.workchains.batches import BatchWorkChain
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain


class ExpansionWorkChain(BatchWorkChain):
    """Runs at constant pressure with every seed at every temperature, and their mean cells.

    A cell is the mean over all seeds at one temperature; of a disordered crystal, every ordering has its own.
    """

    _child = LammpsMdBaseWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdBaseWorkChain, namespace='base', exclude=('md.parameters', 'md.restart', 'previous'))
        spec.input(
            'parameters',
            valid_type=orm.Dict,
            help='Parameters of the runs, without temperature and seeds. Without `pressure_coupling`, the lengths '
            'change in cells with right angles, lengths and angles in others.',
        )
        spec.input('temperatures_K', valid_type=orm.List, help='Temperatures in K.')
        spec.input('seeds', valid_type=orm.List, help='Velocity seeds, the same at every temperature.')
        spec.input('max_strain', valid_type=orm.Float, help='Largest relative change of a length in the cell.')
        spec.input_namespace(
            'orderings',
            valid_type=orm.StructureData,
            required=False,
            help='Ordered cells of one composition, `ordering_01` and so on; they replace `base.md.structure`.',
        )
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output_namespace(
            'cells', valid_type=orm.StructureData, help='The structure in its mean cell: `T1200`, `T1200_ordering_01`.'
        )
        spec.output_namespace(
            'expansion', valid_type=orm.Dict, help='By the same labels: lengths, angles and volume before and after.'
        )
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_MD',
            message='no run at constant pressure has ended well for {labels}; the other cells are in the outputs.',
        )
        spec.exit_code(
            430,
            'ERROR_CELL_RAN_AWAY',
            message='the cell has changed by more than {limit:g} %: {detail}. The potential does not hold the crystal '
            'at zero pressure: train it on stress and on strained cells, or go on without `expand`.',
        )

    def setup(self) -> None:
        """List the runs, seed by seed."""
        orderings = sorted(self.inputs.get('orderings', {})) or ['']
        self.ctx.runs = {}
        for seed in self.inputs.seeds:
            for T in self.inputs.temperatures_K:
                for ordering in orderings:
                    label = '_'.join(filter(None, (run_label(T, seed), ordering)))
                    self.ctx.runs[label] = {'temperature_K': float(T), 'seed': seed, 'ordering': ordering}
        self.ctx.pending = list(self.ctx.runs)

    def structure_of(self, ordering: str) -> orm.StructureData:
        """Return the structure that runs begin with.

        :param ordering: its label; empty without orderings.
        """
        return self.inputs.orderings[ordering] if ordering else self.inputs.base.md.structure

    def child_inputs(self, label: str) -> AttributeDict:
        """Return the inputs of one run."""
        run = self.ctx.runs[label]
        inputs = self.exposed_inputs(LammpsMdBaseWorkChain, 'base')
        inputs.md.structure = self.structure_of(run['ordering'])
        inputs.md.parameters = orm.Dict(
            {
                'pressure_coupling': coupling_of(np.array(inputs.md.structure.cell)),
                **self.inputs.parameters.get_dict(),
                'ensemble': 'npt',
                'temperature_K': run['temperature_K'],
                'seeds': [run['seed']],
            }
        )
        return inputs

    def results(self) -> ExitCode | None:
        """Attach the mean cells; a temperature without a run, or a cell that has run away, is a failure."""
        parameters = RunParameters.check(self.inputs.parameters.get_dict())
        interval_ps = parameters.thermo_stride * parameters.timestep_fs / 1000
        groups: dict[str, list[str]] = {}
        for label, run in self.ctx.runs.items():
            groups.setdefault(cell_label(run['temperature_K'], run['ordering']), []).append(label)
        cells, expansion, without = {}, {}, []
        for label, names in groups.items():
            run = self.ctx.runs[names[0]]
            thermo = {
                f'{seed_label(self.ctx.runs[name]["seed"])}_{segment}': node
                for name in names
                if name in self.ctx.finished
                for segment, node in self.ctx.finished[name].outputs.thermo_segments.items()
            }
            if not thermo:
                without.append(label)
                continue
            settings = orm.Dict({'temperature_K': run['temperature_K'], 'interval_ps': interval_ps})
            made = expand_structure(self.structure_of(run['ordering']), settings, **thermo)
            cells[label], expansion[label] = made['cell'], made['expansion']
        self.out('cells', cells)
        self.out('expansion', expansion)
        if without:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(labels=', '.join(without))
        limit = 100 * self.inputs.max_strain.value
        if detail := ran_away({label: node.get_dict() for label, node in expansion.items()}, limit):
            return self.exit_codes.ERROR_CELL_RAN_AWAY.format(limit=limit, detail=detail)


def ran_away(expansion: dict[str, dict], limit_percent: float) -> str:
    """Return which cells have changed by more than a limit, or nothing.

    :param expansion: by the label of the cell, the numbers of ``expand_structure``.
    """
    changes = {label: numbers['largest_strain_percent'] for label, numbers in sorted(expansion.items())}
    return ', '.join(f'{label} {change:+.1f} %' for label, change in changes.items() if abs(change) > limit_percent)
