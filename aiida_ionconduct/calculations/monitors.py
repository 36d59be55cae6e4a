"""Monitors, which AiiDA calls while a job runs."""

from __future__ import annotations

import math
import pathlib
import shlex
import tempfile

from aiida.engine.processes.calcjobs.monitors import CalcJobMonitorResult
from aiida.orm import CalcJobNode
from aiida.transports import Transport

from aiida_ionconduct.allegro.configuration import METRICS
from aiida_ionconduct.allegro.metrics import CURVES, read_rows
from aiida_ionconduct.engines.shell import framed, unframed
from aiida_ionconduct.lammps.log import find_explosion, read_log
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import STAGE_MARK

HEAD_LINES, TAIL_BYTES = 40, 65536
CUT = 'ionconduct cut'
"""The line between the beginnings of the stages of a log and the end of the log."""


def explosion(node: CalcJobNode, transport: Transport) -> CalcJobMonitorResult | None:
    """End a LAMMPS run that has exploded; the parser then says how, and keeps what came before.

    LAMMPS itself stops when atoms are lost or the temperature exceeds the limit, but not when energies run away or are
    not finite: without this monitor, such a run would occupy a GPU to its end.
    """
    path = f'{node.get_remote_workdir()}/{node.get_option("output_filename")}'
    log = read_log(both_ends(path, transport))
    if log.errors or log.complete:  # the run has ended by itself
        return None
    run = MdParameters.stored(node.inputs.parameters.get_dict())
    detail = find_explosion(log, run, len(node.inputs.structure.sites))
    return CalcJobMonitorResult(message=detail, override_exit_code=False) if detail else None


def both_ends(path: str, transport: Transport) -> str:
    """Return the end of a log, preceded by the first rows of the stages that began before it; empty without a log.

    The log of a long run has megabytes, and hundreds of logs may have to be looked at every minute.
    """
    log = shlex.quote(path)
    command = f"grep -m 2 -A {HEAD_LINES} '^{STAGE_MARK}' {log}; echo {CUT}; tail -c {TAIL_BYTES} {log}"
    output, _ = unframed(transport.exec_command_wait(framed(command))[1])
    stages, _, end = output.partition(f'{CUT}\n')
    if (mark := end.find(f'\n{STAGE_MARK}')) >= 0:
        return end[mark + 1 :]  # lines before the mark belong to no stage, or to a stage that has ended
    return stages + end[end.find('\n') + 1 :]


def training(node: CalcJobNode, transport: Transport) -> None:
    """Set the extra ``progress`` of a training: its epoch and its losses on the validation set."""
    path = f'{node.get_remote_workdir()}/{METRICS}'
    if not transport.isfile(path):
        return
    with tempfile.NamedTemporaryFile() as copy:
        transport.getfile(path, copy.name)
        rows = read_rows(pathlib.Path(copy.name))
    if rows:
        epoch, row = max(rows.items())
        # Values that are not finite cannot be stored.
        losses = {name: row[column] for name, column in CURVES.items() if math.isfinite(row.get(column, math.nan))}
        node.base.extras.set('progress', {'epoch': epoch, **losses})
