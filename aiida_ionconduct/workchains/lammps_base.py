"""A LAMMPS run, continued where it was cut and repeated where this helps."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import ProcessHandlerReport, process_handler, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.calculations.functions.trajectories import join_segments, mean_structure_of_segments
from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.labels import segment_label
from aiida_ionconduct.lammps.parameters import with_half_timestep
from aiida_ionconduct.structures import minimum_distances
from aiida_ionconduct.workchains.segments import SegmentsWorkChain, out_of_walltime_handler

MONITOR = {'entry_point': 'ionconduct.explosion', 'minimum_poll_interval': 60}
JOB_EXIT_CODES = LammpsMdCalculation.exit_codes


class LammpsMdBaseWorkChain(SegmentsWorkChain):
    """:class:`LammpsMdCalculation`, in as many segments as it takes, with handlers for what can go wrong.

    A segment that was cut by the wall time or killed is continued from its restart file. Its frames up to there are
    kept, so that the segments follow each other without a gap or an overlap. The trajectory in the outputs refers to
    all segments.
    """

    _process_class = LammpsMdCalculation

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        spec.expose_inputs(LammpsMdCalculation, namespace='md')
        spec.input_namespace(
            'previous',
            valid_type=IonTrajectoryData,
            required=False,
            help='By seed, the trajectories up to `md.restart`: the output `trajectories` of an earlier work chain.',
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )
        spec.expose_outputs(LammpsMdCalculation, exclude=('remote_folder', 'remote_stash', 'retrieved', 'thermo'))
        spec.output_namespace(
            'thermo_segments',
            valid_type=orm.ArrayData,
            required=False,
            help='Thermodynamics and cell of a run at constant pressure, by segment: `segment_000`.',
        )
        spec.exit_code(410, 'ERROR_EXPLODED', message='{detail}')
        spec.exit_code(
            411, 'ERROR_OUT_OF_MEMORY', message='The run does not fit into memory: take fewer replicas, or more memory.'
        )
        spec.exit_code(
            412,
            'ERROR_NO_PROGRESS',
            message='The wall time ends before LAMMPS has written a frame: raise max_wallclock_seconds.',
            invalidates_cache=True,
        )

    def setup(self) -> None:
        """Put the inputs where the restart loop expects them."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(LammpsMdCalculation, 'md'))
        self.ctx.inputs.monitors = {'explosion': orm.Dict(MONITOR), **self.ctx.inputs.get('monitors', {})}
        self.ctx.kept, self.ctx.halved = [], False
        self.ctx.segments = {label: [node] for label, node in self.inputs.get('previous', {}).items()}
        self.ctx.descriptions = {}

    def results(self) -> None:
        """Attach the outputs of the run as a whole."""
        self.report(f'completed after {self.ctx.iteration + self.ctx.n_uncounted} segments')
        self.attach(self.ctx.children[-1])

    # What can go wrong ---------------------------------------------------------------------------------------------

    handle_out_of_walltime = out_of_walltime_handler(JOB_EXIT_CODES.ERROR_OUT_OF_WALLTIME)

    @process_handler(
        priority=590,
        exit_codes=[
            JOB_EXIT_CODES.ERROR_INCOMPLETE,
            JOB_EXIT_CODES.ERROR_FRAMES_MISSING,
            JOB_EXIT_CODES.ERROR_OUTPUT_TRAJECTORY_MISSING,
        ],
    )
    def handle_killed(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Continue from the last restart file, or repeat the segment: it was killed, or the disk was full."""
        if not self.continue_from(node):
            self.report(f'{node.process_label}<{node.pk}> has left no whole restart file: repeating it')
        return ProcessHandlerReport(True)

    @process_handler(priority=580, exit_codes=JOB_EXIT_CODES.ERROR_OUTPUT_LOG_MISSING)
    def handle_not_started(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Repeat a segment that was cancelled in the queue or killed with its node; twice in a row is a failure."""
        if self.has_failed_twice(node):
            return self.give_up(node, 'has failed twice in a row')
        self.report(f'{node.process_label}<{node.pk}> ended before LAMMPS had started: repeating it')
        return ProcessHandlerReport(True)

    @process_handler(priority=500, exit_codes=JOB_EXIT_CODES.ERROR_EXPLODED)
    def handle_exploded(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Repeat the segment once with half the time step; replicas are run one by one by `SeedsWorkChain`."""
        if self.ctx.halved or len(self.ctx.inputs.parameters['seeds']) > 1:
            detail = f'{node.exit_message} {last_frame(node)}'
            return ProcessHandlerReport(True, self.exit_codes.ERROR_EXPLODED.format(detail=detail))
        self.ctx.halved = True
        self.ctx.inputs.parameters = orm.Dict(with_half_timestep(self.ctx.inputs.parameters.get_dict()))
        self.report(f'{node.process_label}<{node.pk}> exploded: repeating it with half the time step')
        return ProcessHandlerReport(True)

    @process_handler(priority=490, exit_codes=JOB_EXIT_CODES.ERROR_OUT_OF_MEMORY)
    def handle_out_of_memory(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """End: no parameter that can be changed here makes a run smaller."""
        return ProcessHandlerReport(True, self.exit_codes.ERROR_OUT_OF_MEMORY)

    # Segments ------------------------------------------------------------------------------------------------------

    def continue_from(self, node: orm.CalcJobNode) -> bool:
        """Keep the frames of a segment and go on from its restart file, if it has written one."""
        if 'restart' not in node.outputs:
            return False
        self.keep(node)
        self.ctx.inputs.restart = node.outputs.restart
        return True

    def keep(self, node: orm.CalcJobNode) -> None:
        """Make a segment part of the result."""
        self.ctx.kept.append(node.pk)
        for name, kept in (('trajectories', self.ctx.segments), ('output_parameters', self.ctx.descriptions)):
            for label, output in by_seed(node, name).items():
                kept.setdefault(label, []).append(output)

    def attach(self, node: orm.CalcJobNode) -> None:
        """Attach the trajectories and descriptions of the whole run; the last segment may have failed."""
        if node.pk not in self.ctx.kept:
            self.keep(node)
        trajectories, descriptions = {}, {}
        for label, parts in self.ctx.descriptions.items():
            segments = self.ctx.segments.get(label, [])
            descriptions[label] = parts[-1]
            if len(segments) == 1:
                trajectories[label] = segments[0]
            elif segments:
                named = {segment_label(index): part for index, part in enumerate(segments)}
                named |= {f'parameters_{index:03d}': part for index, part in enumerate(parts)}
                joined = join_segments(**named)
                trajectories[label], descriptions[label] = joined['trajectory'], joined['output_parameters']
        self.out('trajectories', trajectories)
        self.out('output_parameters', descriptions)
        if 'restart' in node.outputs or 'restart' in self.ctx.inputs:
            self.out('restart', node.outputs.restart if 'restart' in node.outputs else self.ctx.inputs.restart)
        self.attach_cell()

    def attach_cell(self) -> None:
        """Attach the cell of a run at constant pressure by segment, and its mean over all segments."""
        jobs = [orm.load_node(pk) for pk in self.ctx.kept]
        jobs = [job for job in jobs if 'thermo' in job.outputs]
        thermo = {segment_label(index): job.outputs.thermo for index, job in enumerate(jobs)}
        if thermo:
            self.out('thermo_segments', thermo)
        if len(jobs) == 1:
            self.out('mean_structure', jobs[0].outputs.mean_structure)
        elif jobs:
            self.out('mean_structure', mean_structure_of_segments(self.inputs.md.structure, **thermo))


def by_seed(node: orm.CalcJobNode, name: str) -> dict[str, orm.Data]:
    """Return an output namespace of a job by seed; empty if the job has none."""
    return dict(node.outputs[name]) if name in node.outputs else {}


def last_frame(node: orm.CalcJobNode) -> str:
    """Describe the last whole frame before an explosion."""
    for trajectory in by_seed(node, 'trajectories').values():
        n_frames, time = trajectory.base.attributes.get('n_frames'), trajectory.times_ps[-1]
        distances = minimum_distances(trajectory.positions[-1:], trajectory.symbols, trajectory.cell)
        pair = min(distances, key=distances.__getitem__)
        return (
            f'The last whole frame, {n_frames - 1} of IonTrajectoryData<{trajectory.pk}> at {time:.4g} ps, has {pair} '
            f'{distances[pair]:.2f} Å apart.'
        )
    return 'It had written no frame.'
