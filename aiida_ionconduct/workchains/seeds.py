"""Many LAMMPS runs: velocity seeds × temperatures."""

from aiida import orm

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.workchains.aimd import temperature_label
from aiida_ionconduct.workchains.batches import BatchWorkChain, run_all
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain


class SeedsWorkChain(BatchWorkChain):
    """The same molecular dynamics for every velocity seed at every temperature."""

    _child = LammpsMdBaseWorkChain

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdBaseWorkChain, namespace='base', exclude=('md.parameters',))
        spec.input('parameters', valid_type=orm.Dict, help='Of the runs, without temperature and seed.')
        spec.input('temperatures_K', valid_type=orm.List, help='Temperatures in K.')
        spec.input('seeds', valid_type=orm.List, help='Velocity seeds, the same at every temperature.')
        spec.outline(cls.setup, run_all, cls.results)
        spec.output_namespace('trajectories', valid_type=IonTrajectoryData, help='By run: `T1200_seed1`.')
        spec.output_namespace('run_parameters', valid_type=orm.Dict, help='What the log of each run says.')
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_MD',
            message='{n_failed} of {n_runs} runs failed; the trajectories of the others are in the outputs.',
        )

    def setup(self):
        """List the runs, seed by seed, so that every temperature has some early."""
        self.ctx.runs = {
            f'{temperature_label(T)}_seed{seed}': {'temperature_K': float(T), 'seed': int(seed)}
            for seed in self.inputs.seeds
            for T in self.inputs.temperatures_K
        }
        self.ctx.pending = list(self.ctx.runs)

    def child_inputs(self, label):
        """Return the inputs of one run."""
        inputs = self.exposed_inputs(LammpsMdBaseWorkChain, 'base')
        inputs.md.parameters = orm.Dict({**self.inputs.parameters.get_dict(), **self.ctx.runs[label]})
        return inputs

    def results(self):
        """Attach what was made, then fail if a run failed."""
        finished = self.ctx.finished.items()
        self.out('trajectories', {label: node.outputs.trajectory for label, node in finished})
        self.out('run_parameters', {label: node.outputs.output_parameters for label, node in finished})
        if self.ctx.failed:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_MD.format(
                n_failed=len(self.ctx.failed), n_runs=len(self.ctx.runs)
            )
