"""Born–Oppenheimer molecular dynamics at several temperatures."""

from aiida import orm
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_ionconduct.calculations.functions.structures import initial_conditions
from aiida_ionconduct.workchains.batches import BatchWorkChain, run_all


def temperature_label(temperature_K: float) -> str:
    """Return the label of a temperature in link names, such as ``T1200``."""
    return f'T{temperature_K:g}'.replace('.', '_')


class AimdWorkChain(BatchWorkChain):
    """One constant-energy run of pw.x at every temperature, from velocities drawn with a seed."""

    _child = PwBaseWorkChain

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(PwBaseWorkChain, namespace='base', exclude=('pw.structure', 'pw.settings'))
        spec.input('structure', valid_type=orm.StructureData, help='The cell, best relaxed.')
        spec.input('settings', valid_type=orm.Dict, default=lambda: orm.Dict({}), help='Settings of pw.x.')
        spec.input('temperatures_K', valid_type=orm.List, help='Temperatures in K.')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities; every temperature adds its index.')
        spec.outline(cls.setup, run_all, cls.results)
        spec.output_namespace('trajectories', valid_type=orm.TrajectoryData, help='By temperature: `T1200`.')
        spec.exit_code(
            401, 'ERROR_SUB_PROCESS_FAILED_AIMD', message='The AIMD at {labels} failed; see those processes.'
        )

    def setup(self):
        """List the runs."""
        self.ctx.temperatures = {temperature_label(T): float(T) for T in self.inputs.temperatures_K}
        self.ctx.pending = list(self.ctx.temperatures)

    def child_inputs(self, label):
        """Draw the velocities of one run and return its inputs."""
        inputs = self.exposed_inputs(PwBaseWorkChain, 'base')
        start = initial_conditions(
            self.inputs.structure,
            self.inputs.settings,
            orm.Float(self.ctx.temperatures[label]),
            orm.Int(self.inputs.seed.value + list(self.ctx.temperatures).index(label)),
        )
        inputs.pw.structure, inputs.pw.settings = start['structure'], start['settings']
        return inputs

    def results(self):
        """Attach the trajectories that were made, then fail if one was not."""
        self.out('trajectories', {label: node.outputs.output_trajectory for label, node in self.ctx.finished.items()})
        if self.ctx.failed:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_AIMD.format(labels=', '.join(self.ctx.failed))
