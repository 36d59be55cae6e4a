"""Born–Oppenheimer molecular dynamics at several temperatures, in segments that survive walltimes and kills."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ProcessHandlerReport, ToContext, process_handler, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.workflows.protocols.utils import recursive_merge
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from ase import units

from aiida_ionconduct.calculations.functions.aimd import continue_md, count_whole_steps, join_segments, output_of
from aiida_ionconduct.calculations.functions.structures import initial_conditions
from aiida_ionconduct.farm.preemption import was_preempted
from aiida_ionconduct.labels import segment_label, temperature_label
from aiida_ionconduct.workchains.base import ParentWorkChain
from aiida_ionconduct.workchains.batches import BatchWorkChain
from aiida_ionconduct.workchains.segments import MAX_PREEMPTIONS

RYDBERG_TIME_FS = units._hbar / (units.Rydberg * units._e) * 1e15  # the unit of time steps in pw.x
THERMOSTATS = {'none': 'not_controlled', 'rescale': 'rescale-v', 'andersen': 'andersen'}
"""The thermostats that pw.x 6.7 can start from given velocities; its others divide by a temperature not yet known."""
REMEDIES: tuple[dict[str, str], ...] = ({}, {}, {'diagonalization': 'cg'})
"""What is changed after so many segments without a step: first nothing, as a node may have failed; then the solver."""


class PwSegmentWorkChain(ParentWorkChain, PwBaseWorkChain):
    """``PwBaseWorkChain`` for a segment, which has done its work when its walltime is used: nothing is run again."""

    handle_diagonalization_errors = None  # would begin the segment anew; the next segment goes on instead
    # Would go on from the last geometry without its velocities, and without its steps; excepts where there is none.
    handle_ionic_interrupted_partial_trajectory = None

    @process_handler(priority=580, exit_codes=[PwCalculation.exit_codes.ERROR_OUT_OF_WALLTIME])
    def handle_out_of_walltime(self, calculation: orm.CalcJobNode) -> ProcessHandlerReport:
        """End: the segment has done its work."""
        self.report(f'{calculation.process_label}<{calculation.pk}> has used its walltime: the next segment goes on')
        self.ctx.is_finished = True
        return ProcessHandlerReport(True)


class AimdRunWorkChain(ParentWorkChain):
    """One run: segments of pw.x from the last whole step of the one before, until it has its length.

    However a segment ends, its whole steps are kept. Only a segment without a new whole step is a failure, and the
    third such segment in a row ends the run; segments that the scheduler has preempted do not count. Every segment
    starts its self-consistency from scratch, at the cost of one or two steps, because the files of a stopped job belong
    to an unfinished step.
    """

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(PwBaseWorkChain, namespace='base', exclude=('pw.structure', 'pw.settings'))
        spec.input('structure', valid_type=orm.StructureData, help='The cell, which should be relaxed.')
        spec.input('settings', valid_type=orm.Dict, default=lambda: orm.Dict({}), help='Settings of pw.x.')
        spec.input(
            'dynamics',
            valid_type=orm.Dict,
            help='`timestep_fs`; `n_equilibration` and `n_sampling`, steps; `equilibration_thermostat` and '
            f'`thermostat`, each one of {", ".join(THERMOSTATS)}; `thermostat_steps`, over which it acts.',
        )
        spec.input('temperature_K', valid_type=orm.Float, help='Temperature in K.')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities.')
        spec.outline(cls.setup, while_(cls.is_unfinished)(cls.run_segment, cls.inspect_segment), cls.results)
        spec.output('trajectory', valid_type=orm.TrajectoryData, help='The sampling, with velocities, every step once.')
        spec.output('parameters', valid_type=orm.Dict, help='Temperature, drift, jumps at the seams.')
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_PW',
            message='{n_tries} segments in a row have not gained a step after step {step}; see the last one.',
        )
        spec.exit_code(
            402,
            'ERROR_SEAM_ENERGY',
            message='the conserved energy jumps where segments join, by up to {jump:.4f} eV: tighten '
            '`dft.conv_thr_per_atom`.',
        )

    def setup(self) -> None:
        """Draw the velocities."""
        start = initial_conditions(
            self.inputs.structure, self.inputs.settings, self.inputs.temperature_K, self.inputs.seed
        )
        self.ctx.dynamics = self.inputs.dynamics.get_dict()
        self.ctx.first = self.ctx.structure = start['structure']
        self.ctx.settings = start['settings']
        self.ctx.segments, self.ctx.n_steps, self.ctx.n_run, self.ctx.n_idle = {}, 0, 0, 0
        self.ctx.n_preempted = 0

    def phase(self) -> tuple[int, str]:
        """Return the step at which the present phase ends, and its thermostat."""
        d = self.ctx.dynamics
        split = d['equilibration_thermostat'] != d['thermostat']
        if split and self.ctx.n_steps < d['n_equilibration']:
            return d['n_equilibration'], d['equilibration_thermostat']
        return d['n_equilibration'] + d['n_sampling'], d['thermostat']

    def is_unfinished(self) -> bool:
        """Return whether steps are missing."""
        return self.ctx.n_steps < self.ctx.dynamics['n_equilibration'] + self.ctx.dynamics['n_sampling']

    def run_segment(self) -> ToContext:
        """Go on from the last whole step to the end of the phase."""
        d = self.ctx.dynamics
        end, thermostat = self.phase()
        inputs = self.exposed_inputs(PwBaseWorkChain, 'base')
        inputs.pw.structure, inputs.pw.settings = self.ctx.structure, self.ctx.settings
        ions = {'ion_temperature': THERMOSTATS[thermostat], 'ion_velocities': 'from_input'}
        if thermostat != 'none':
            ions |= {'tempw': self.inputs.temperature_K.value, 'nraise': d['thermostat_steps']}
        control = {
            'dt': d['timestep_fs'] / RYDBERG_TIME_FS,
            'nstep': end - max(self.ctx.n_steps - 1, 0),  # the last step of the segment before is done again
        }
        changes = {'CONTROL': control, 'IONS': ions, 'ELECTRONS': REMEDIES[self.ctx.n_idle]}
        inputs.pw.parameters = orm.Dict(recursive_merge(inputs.pw.parameters.get_dict(), changes))
        self.ctx.n_run += 1
        return self.child(segment_label(self.ctx.n_run - 1), PwSegmentWorkChain, inputs, name='segment')

    def inspect_segment(self) -> ExitCode | None:
        """Keep the whole steps, however the segment has ended."""
        jobs = [node for node in self.ctx.segment.called if isinstance(node, orm.CalcJobNode)]
        retrieved = jobs[-1].outputs.retrieved if jobs and 'retrieved' in jobs[-1].outputs else None
        n_whole = count_whole_steps(output_of(retrieved)) if retrieved else 0
        gained = n_whole - bool(self.ctx.segments)
        if gained <= 0 and jobs and was_preempted(jobs[-1]) and self.ctx.n_preempted < MAX_PREEMPTIONS:
            self.ctx.n_preempted += 1
            self.report(f'the segment was preempted before a step after step {self.ctx.n_steps}: repeating it')
            return None
        if gained <= 0:
            self.ctx.n_idle += 1
            self.report(f'the segment has not gained a step after step {self.ctx.n_steps}')
            if self.ctx.n_idle == len(REMEDIES):
                return self.exit_codes.ERROR_SUB_PROCESS_FAILED_PW.format(n_tries=len(REMEDIES), step=self.ctx.n_steps)
            return None
        self.ctx.segments[segment_label(self.ctx.n_run - 1)] = retrieved
        self.ctx.n_steps, self.ctx.n_idle = self.ctx.n_steps + gained, 0
        if self.is_unfinished():
            start = continue_md(
                self.ctx.structure, self.ctx.settings, orm.Float(self.ctx.dynamics['timestep_fs']), retrieved
            )
            self.ctx.structure, self.ctx.settings = start['structure'], start['settings']
            self.report(f'{self.ctx.n_steps} steps done, the next segment goes on')

    def results(self) -> ExitCode | None:
        """Join the segments."""
        joined: dict[str, Any] = join_segments(self.ctx.first, self.inputs.dynamics, **self.ctx.segments)
        self.out('trajectory', joined['trajectory'])
        self.out('parameters', joined['parameters'])
        if not joined['parameters']['seams_conserve_energy']:
            jump = max(map(abs, joined['parameters']['seam_jumps_eV']))
            return self.exit_codes.ERROR_SEAM_ENERGY.format(jump=jump)


class AimdWorkChain(BatchWorkChain):
    """A run of pw.x at every temperature, side by side, from velocities drawn with a seed."""

    _child = AimdRunWorkChain

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(AimdRunWorkChain, exclude=('temperature_K', 'seed'))
        spec.input('temperatures_K', valid_type=orm.List, help='Temperatures in K.')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities; every temperature adds its index.')
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output_namespace('trajectories', valid_type=orm.TrajectoryData, help='By temperature: `T1200`.')
        spec.output_namespace('run_parameters', valid_type=orm.Dict, help='Temperature, drift and seams of each run.')
        spec.exit_code(
            401, 'ERROR_SUB_PROCESS_FAILED_AIMD', message='The AIMD at {labels} failed; see those processes.'
        )

    def setup(self) -> None:
        """List the runs."""
        self.ctx.temperatures = {temperature_label(T): float(T) for T in self.inputs.temperatures_K}
        self.ctx.pending = list(self.ctx.temperatures)

    def child_inputs(self, label: str) -> dict[str, Any]:
        """Return the inputs of one run."""
        inputs = self.exposed_inputs(AimdRunWorkChain)
        inputs.temperature_K = orm.Float(self.ctx.temperatures[label])
        inputs.seed = orm.Int(self.inputs.seed.value + list(self.ctx.temperatures).index(label))
        return inputs

    def results(self) -> ExitCode | None:
        """Attach the trajectories that were made, then fail if a run failed."""
        self.out('trajectories', {label: node.outputs.trajectory for label, node in self.ctx.finished.items()})
        self.out('run_parameters', {label: node.outputs.parameters for label, node in self.ctx.finished.items()})
        if self.ctx.failed:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_AIMD.format(labels=', '.join(self.ctx.failed))
