"""One LAMMPS run, restarted where that helps."""

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ProcessHandlerReport, process_handler, while_

from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation


class LammpsMdBaseWorkChain(BaseRestartWorkChain):
    """:class:`LammpsMdCalculation` with handlers for what can go wrong."""

    _process_class = LammpsMdCalculation

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdCalculation, namespace='md')
        spec.expose_outputs(LammpsMdCalculation)
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )
        spec.exit_code(
            410, 'ERROR_EXPLODED', message='The run exploded: the potential does not know where the atoms went.'
        )

    def setup(self):
        """Put the inputs where the restart loop expects them."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(LammpsMdCalculation, 'md'))

    @process_handler(priority=500, exit_codes=LammpsMdCalculation.exit_codes.ERROR_EXPLODED)
    def handle_exploded(self, node):
        """An explosion repeats itself with the same model and seed, so it is reported instead of repeated."""
        self.report(f'{node.process_label}<{node.pk}> exploded: {node.exit_message}')
        return ProcessHandlerReport(True, self.exit_codes.ERROR_EXPLODED)
