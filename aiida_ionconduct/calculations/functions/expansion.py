"""The cell at a temperature, from runs at constant pressure."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.lammps.mean_cell import CellSeries, cells_of, mean_cell
from aiida_ionconduct.lammps.script import CELL_THERMO
from aiida_ionconduct.lammps.structure import lammps_rotation

COLUMNS = (*CELL_THERMO.values(), 'temperature_K', 'pressure_bar')


@calcfunction
def expand_structure(structure: orm.StructureData, parameters: orm.Dict, **thermo: orm.ArrayData) -> dict[str, Any]:
    """Return a structure in the mean cell of runs at constant pressure, and what is known of that cell.

    The atoms keep their fractional coordinates: the runs that follow begin with the crystal, each with the velocities
    of its own seed, so that they stay independent. A frame of a run would hand the jumps of that run to all of them.

    :param structure: the input of the runs.
    :param parameters: ``temperature_K`` and the time between two rows, ``interval_ps``.
    :param thermo: thermodynamic columns of the segments of the runs by seed and segment: ``seed1_segment_000``.
    :return: ``cell``, the structure in the mean cell, in the orientation of the input; ``expansion``, the numbers of
        :func:`~aiida_ionconduct.lammps.mean_cell.mean_cell`.
    """
    atoms = structure.get_ase()
    rotation = lammps_rotation(atoms.cell.array)
    first = atoms.cell.array @ rotation
    segments: dict[str, list[orm.ArrayData]] = {}
    for label, segment in sorted(thermo.items()):
        segments.setdefault(label.partition('_segment_')[0], []).append(segment)
    runs = []
    for parts in segments.values():
        *columns, temperature, pressure = (np.concatenate([part.get_array(name) for part in parts]) for name in COLUMNS)
        runs.append(CellSeries(cells_of(columns, first), temperature, pressure, parameters['interval_ps']))
    mean = mean_cell(runs, first, parameters['temperature_K'])
    atoms.set_cell(mean.cell @ rotation.T, scale_atoms=True)
    numbers = {'temperature_K': parameters['temperature_K'], 'seeds': list(segments), **mean.numbers}
    return {'cell': orm.StructureData(ase=atoms), 'expansion': orm.Dict(numbers)}
