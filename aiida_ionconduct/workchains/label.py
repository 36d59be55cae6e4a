"""Label frames with energies and forces by single self-consistent calculations."""

from aiida import orm
from aiida_quantumespresso.calculations.pw import PwCalculation

from aiida_ionconduct.calculations.functions.datasets import dataset_from_labels
from aiida_ionconduct.calculations.functions.structures import split_frames
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.workchains.batches import BatchWorkChain


class LabelWorkChain(BatchWorkChain):
    """``pw.x`` on every frame; frames without self-consistency are left out, and counted."""

    _child = PwCalculation

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(PwCalculation, namespace='pw', exclude=('structure',))
        spec.input('frames', valid_type=orm.TrajectoryData, help='The unlabelled frames.')
        spec.input('parameters', valid_type=orm.Dict, help='Of `dataset_from_labels`, and `min_fraction` to succeed.')
        spec.outline(cls.setup, cls.run_all(), cls.results)
        spec.output('dataset', valid_type=DatasetData, help='The labelled frames.')
        spec.exit_code(
            401,
            'ERROR_SUB_PROCESS_FAILED_SCF',
            message='{n_failed} of {n_frames} self-consistent calculations failed: look at one of them; frames with '
            'atoms too close do not converge.',
        )

    def setup(self):
        """Take the frames apart."""
        self.ctx.structures = split_frames(self.inputs.frames)
        self.ctx.pending = sorted(self.ctx.structures)

    def child_inputs(self, label):
        """Return the inputs of one calculation."""
        inputs = self.exposed_inputs(PwCalculation, 'pw')
        inputs['structure'] = self.ctx.structures[label]
        return inputs

    def results(self):
        """Collect the labels, unless too many frames failed."""
        n_frames = self.inputs.frames.numsteps
        if len(self.ctx.finished) < self.inputs.parameters['min_fraction'] * n_frames:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED_SCF.format(n_failed=len(self.ctx.failed), n_frames=n_frames)
        labelled = {label: node.outputs.output_trajectory for label, node in self.ctx.finished.items()}
        self.out('dataset', dataset_from_labels(self.inputs.parameters, **labelled))
