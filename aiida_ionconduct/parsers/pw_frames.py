"""Parser of :class:`~aiida_ionconduct.calculations.pw_frames.PwFramesCalculation`."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser
from aiida_quantumespresso.parsers.parse_raw.pw import parse_stdout

from aiida_ionconduct.calculations.pw_frames import output_name
from aiida_ionconduct.parsers.base import exit_code_without, success

DONE, UNCONVERGED = 'JOB DONE', 'convergence NOT achieved'
LABELS = ('energy', 'forces', 'stress')


class PwFramesParser(Parser):
    """Store energies, forces and stresses of the frames that pw.x has finished."""

    CACHE_VERSION = 1

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse what pw.x printed about every frame."""
        labels: dict[int, dict[str, Any]] = {}
        without: dict[str, list[int]] = {'unconverged': [], 'unfinished': []}
        for index in self.node.inputs.indices:
            try:
                text = self.retrieved.base.repository.get_object_content(output_name(index), 'r')
            except FileNotFoundError:
                text = ''
            if DONE not in text:
                without['unfinished'].append(index)
            elif UNCONVERGED in text:
                without['unconverged'].append(index)
            else:
                parsed, _ = parse_stdout(text, self.node.inputs.parameters.get_dict())
                labels[index] = {
                    name: parsed['trajectory'][name][-1] for name in LABELS if name in parsed['trajectory']
                }
        self.out('output_parameters', orm.Dict(without))
        if labels:
            self.out('labelled', labelled(self.node.inputs.frames, labels))
        if without['unfinished']:
            interrupted = self.exit_codes.ERROR_INTERRUPTED.format(
                n_unfinished=len(without['unfinished']), n_frames=len(self.node.inputs.indices)
            )
            return exit_code_without(self, interrupted)
        return success(self)


def labelled(frames: orm.TrajectoryData, labels: dict[int, dict[str, Any]]) -> orm.TrajectoryData:
    """Return frames with their labels, by index."""
    rows = [frames.get_index_from_stepid(index) for index in labels]
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=frames.symbols,
        pbc=frames.pbc,
        positions=frames.get_positions()[rows],
        stepids=np.array(list(labels)),
        cells=np.asarray(frames.get_cells())[rows],
    )
    for name in next(iter(labels.values())):
        trajectory.set_array(name, np.array([label[name] for label in labels.values()], dtype=float))
    return trajectory
