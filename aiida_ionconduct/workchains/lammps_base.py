"""One LAMMPS run, continued where it was cut, repeated where that helps."""

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ProcessHandlerReport, process_handler, while_

from aiida_ionconduct.calculations.functions.trajectories import join_segments, mean_structure_of_segments
from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.lammps.parameters import with_half_timestep
from aiida_ionconduct.structures import minimum_distances
from aiida_ionconduct.workchains.segments import SegmentsWorkChain

MONITOR = {'entry_point': 'ionconduct.explosion', 'minimum_poll_interval': 60}
JOB_EXIT_CODES = LammpsMdCalculation.exit_codes


class LammpsMdBaseWorkChain(SegmentsWorkChain):
    """:class:`LammpsMdCalculation`, in as many segments as it takes, with handlers for what can go wrong.

    A segment that was cut by the wall time or killed is continued from its restart file, and what it has left up to
    there is kept, so that the segments follow each other without a gap or an overlap. The trajectory in the outputs is
    one over all of them, by reference.
    """

    _process_class = LammpsMdCalculation

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdCalculation, namespace='md')
        spec.input_namespace(
            'previous',
            valid_type=IonTrajectoryData,
            required=False,
            help='By seed, what led to the `md.restart`: the output `trajectories` of an earlier work chain.',
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )
        spec.expose_outputs(LammpsMdCalculation, exclude=('remote_folder', 'remote_stash', 'retrieved', 'thermo'))
        spec.exit_code(410, 'ERROR_EXPLODED', message='{detail}')
        spec.exit_code(
            411, 'ERROR_OUT_OF_MEMORY', message='The run does not fit into memory: take fewer replicas, or more memory.'
        )
        spec.exit_code(
            412,
            'ERROR_NO_PROGRESS',
            message='The wall time ends before LAMMPS has written a frame: raise max_wallclock_seconds.',
        )

    def setup(self):
        """Put the inputs where the restart loop expects them."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(LammpsMdCalculation, 'md'))
        self.ctx.inputs.monitors = {'explosion': orm.Dict(MONITOR), **self.ctx.inputs.get('monitors', {})}
        self.ctx.kept, self.ctx.halved = [], False
        self.ctx.segments = {label: [node] for label, node in self.inputs.get('previous', {}).items()}
        self.ctx.descriptions = {}

    def inspect_process(self):
        """Let the handlers look at a segment; when nothing helps, keep what there is."""
        node = self.ctx.children[-1]
        exit_code = super().inspect_process()
        if exit_code is not None and exit_code.status:
            self.attach(node)
        return exit_code

    def results(self):
        """Attach the outputs of the run as a whole."""
        self.report(f'completed after {self.ctx.iteration + self.ctx.n_uncounted} segments')
        self.attach(self.ctx.children[-1])

    # What can go wrong ---------------------------------------------------------------------------------------------

    @process_handler(priority=600, exit_codes=JOB_EXIT_CODES.ERROR_OUT_OF_WALLTIME)
    def handle_out_of_walltime(self, node):
        """Continue; as long as there is progress, this does not count against `max_iterations`."""
        if not self.continue_from(node):
            return ProcessHandlerReport(True, self.exit_codes.ERROR_NO_PROGRESS)
        self.leave_uncounted()
        return ProcessHandlerReport(True)

    @process_handler(
        priority=590,
        exit_codes=[
            JOB_EXIT_CODES.ERROR_INCOMPLETE,
            JOB_EXIT_CODES.ERROR_FRAMES_MISSING,
            JOB_EXIT_CODES.ERROR_OUTPUT_TRAJECTORY_MISSING,
        ],
    )
    def handle_killed(self, node):
        """Killed, or the disk was full: continue from the last restart file, or from where the segment had begun."""
        if not self.continue_from(node):
            self.report(f'{node.process_label}<{node.pk}> has left no whole restart file to go on from: repeating it')
        return ProcessHandlerReport(True)

    @process_handler(priority=580, exit_codes=JOB_EXIT_CODES.ERROR_OUTPUT_LOG_MISSING)
    def handle_not_started(self, node):
        """Cancelled in the queue, or killed with its node: repeat. Twice in a row, it is the code that cannot start."""
        if self.has_failed_twice(node):
            return None
        self.report(f'{node.process_label}<{node.pk}> ended before LAMMPS had started: repeating it')
        return ProcessHandlerReport(True)

    @process_handler(priority=500, exit_codes=JOB_EXIT_CODES.ERROR_EXPLODED)
    def handle_exploded(self, node):
        """Repeat the segment once with half the time step; of several replicas, one by one finds the sick one."""
        if self.ctx.halved or len(self.ctx.inputs.parameters['seeds']) > 1:
            detail = f'{node.exit_message} {last_frame(node)}'
            return ProcessHandlerReport(True, self.exit_codes.ERROR_EXPLODED.format(detail=detail))
        self.ctx.halved = True
        self.ctx.inputs.parameters = orm.Dict(with_half_timestep(self.ctx.inputs.parameters.get_dict()))
        self.report(f'{node.process_label}<{node.pk}> exploded: repeating it with half the time step')
        return ProcessHandlerReport(True)

    @process_handler(priority=490, exit_codes=JOB_EXIT_CODES.ERROR_OUT_OF_MEMORY)
    def handle_out_of_memory(self, node):
        """Nothing that can be changed here makes a run smaller."""
        return ProcessHandlerReport(True, self.exit_codes.ERROR_OUT_OF_MEMORY)

    # Segments ------------------------------------------------------------------------------------------------------

    def continue_from(self, node) -> bool:
        """Keep what a segment has left and go on from its restart file, if it has written one."""
        if 'restart' not in node.outputs:
            return False
        self.keep(node)
        self.ctx.inputs.restart = node.outputs.restart
        return True

    def keep(self, node):
        """Let a segment be part of the result."""
        self.ctx.kept.append(node.pk)
        for name, kept in (('trajectories', self.ctx.segments), ('output_parameters', self.ctx.descriptions)):
            for label, output in by_seed(node, name).items():
                kept.setdefault(label, []).append(output)

    def attach(self, node):
        """Attach trajectories and descriptions over all segments, the last of which may have failed."""
        if node.pk not in self.ctx.kept:
            self.keep(node)
        trajectories, descriptions = {}, {}
        for label, parts in self.ctx.descriptions.items():
            segments = self.ctx.segments.get(label, [])
            descriptions[label] = parts[-1]
            if len(segments) == 1:
                trajectories[label] = segments[0]
            elif segments:
                named = {f'segment_{index:03d}': part for index, part in enumerate(segments)}
                named |= {f'parameters_{index:03d}': part for index, part in enumerate(parts)}
                joined = join_segments(**named)
                trajectories[label], descriptions[label] = joined['trajectory'], joined['output_parameters']
        self.out('trajectories', trajectories)
        self.out('output_parameters', descriptions)
        if 'restart' in node.outputs or 'restart' in self.ctx.inputs:
            self.out('restart', node.outputs.restart if 'restart' in node.outputs else self.ctx.inputs.restart)
        self.attach_cell()

    def attach_cell(self):
        """Attach the mean cell over all segments of a run at constant pressure."""
        jobs = [orm.load_node(pk) for pk in self.ctx.kept]
        jobs = [job for job in jobs if 'thermo' in job.outputs]
        if len(jobs) == 1:
            self.out('mean_structure', jobs[0].outputs.mean_structure)
        elif jobs:
            thermo = {f'segment_{index:03d}': job.outputs.thermo for index, job in enumerate(jobs)}
            self.out('mean_structure', mean_structure_of_segments(self.inputs.md.structure, **thermo))


def by_seed(node, name: str) -> dict[str, orm.Data]:
    """Return an output namespace of a job, empty where it has none."""
    return dict(node.outputs[name]) if name in node.outputs else {}


def last_frame(node) -> str:
    """Describe the last whole frame before an explosion."""
    for trajectory in by_seed(node, 'trajectories').values():
        n_frames, time = trajectory.base.attributes.get('n_frames'), trajectory.times_ps[-1]
        distances = minimum_distances(trajectory.positions[-1:], trajectory.symbols, trajectory.cell)
        pair = min(distances, key=distances.get)
        return (
            f'The last whole frame, {n_frames - 1} of IonTrajectoryData<{trajectory.pk}> at {time:.4g} ps, has {pair} '
            f'{distances[pair]:.2f} Å apart.'
        )
    return 'It had written no frame.'
