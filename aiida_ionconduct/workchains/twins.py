"""Twin runs for the Lyapunov study: every seed runs twice, the second time with slightly changed momenta."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.studies import compare_twins
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.workchains.base import ParentWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

SIDES = ('reference', 'twin')


class TwinsWorkChain(ParentWorkChain):
    """Run every seed twice, identically up to the start of the production, and compare.

    The equilibration has to be reproducible, as it is with LAMMPS on one thread. On a device where it is not, start
    from an equilibrated structure with ``equilibration_steps`` 0.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(SeedsWorkChain, namespace='md', exclude=('previous',))
        spec.input(
            'momentum_epsilon',
            valid_type=orm.Float,
            help='Relative change of the momenta, such as 1e-3: large enough to be seen in single precision.',
            validator=lambda node, _: None if 0 < node.value < 0.1 else 'must be above 0 and below 0.1.',
        )
        spec.outline(cls.run_md, cls.compare)
        spec.output_namespace('trajectories', valid_type=IonTrajectoryData, help='By side and run: `twin_T1200_seed1`.')
        spec.output('divergence', valid_type=orm.ArrayData, help='`time_ps` and `difference_A` (pairs, frames).')
        spec.output('lyapunov', valid_type=orm.Dict, help='The exponent with its error, and what it means.')
        spec.exit_code(401, 'ERROR_SUB_PROCESS_FAILED_MD', message='the runs of the {side} failed.')

    def run_md(self) -> ToContext:
        """Submit the runs of all seeds, once for each side."""
        children: dict[str, Any] = {}
        for side in SIDES:
            inputs = self.exposed_inputs(SeedsWorkChain, 'md')
            if side == 'twin':
                kick = {'momentum_epsilon': self.inputs.momentum_epsilon.value}
                inputs.parameters = orm.Dict({**inputs.parameters.get_dict(), **kick})
            children |= self.child(side, SeedsWorkChain, inputs)
        return ToContext(**children)

    def compare(self) -> ExitCode | None:
        """Attach the runs and their comparison."""
        runs: dict[str, IonTrajectoryData] = {}
        for side in SIDES:
            if 'trajectories' not in self.ctx[side].outputs:
                return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(side=side)
            runs |= {f'{side}_{label}': node for label, node in self.ctx[side].outputs.trajectories.items()}
        self.out('trajectories', runs)
        parameters = orm.Dict({'momentum_epsilon': self.inputs.momentum_epsilon.value})
        for name, node in compare_twins(parameters, **runs).items():
            self.out(name, node)
        if not all(self.ctx[side].is_finished_ok for side in SIDES):
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(side='reference or the twin, some of them,')
