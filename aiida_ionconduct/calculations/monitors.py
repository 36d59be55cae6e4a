"""Monitors: what AiiDA looks at while a job runs."""

import math
import pathlib
import shlex
import tempfile

from aiida.engine.processes.calcjobs.monitors import CalcJobMonitorResult
from aiida.orm import CalcJobNode
from aiida.transports import Transport

from aiida_ionconduct.allegro.configuration import METRICS
from aiida_ionconduct.lammps.log import find_explosion, read_log
from aiida_ionconduct.lammps.script import STAGE_MARK
from aiida_ionconduct.parsers.allegro_train import CURVES, read_rows

HEAD_LINES, TAIL_BYTES = 40, 65536
CUT = 'ionconduct cut'
"""Stands between the beginnings of the stages of a log and its end."""


def explosion(node: CalcJobNode, transport: Transport) -> CalcJobMonitorResult | None:
    """End a LAMMPS run that has exploded; the parser then says how, and keeps what came before.

    Lost atoms and a temperature beyond the limit end a run from within. What is left are energies that run away or are
    no numbers while LAMMPS goes on, at the price of a GPU.
    """
    path = f'{node.get_remote_workdir()}/{node.get_option("output_filename")}'
    log = read_log(both_ends(path, transport))
    if log.errors or log.complete:  # it has ended by itself
        return None
    detail = find_explosion(log, node.inputs.parameters.get_dict(), len(node.inputs.structure.sites))
    return detail and CalcJobMonitorResult(message=detail, override_exit_code=False)


def both_ends(path: str, transport: Transport) -> str:
    """Return the end of a log and, before it, the first rows of the stages that are not in it; empty without a log.

    The log of a long run has megabytes, and there may be hundreds of them to look at every minute.
    """
    log = shlex.quote(path)
    command = f"grep -m 2 -A {HEAD_LINES} '^{STAGE_MARK}' {log}; echo {CUT}; tail -c {TAIL_BYTES} {log}"
    _, output, _ = transport.exec_command_wait(command)
    stages, _, end = output.partition(f'{CUT}\n')
    if (mark := end.find(f'\n{STAGE_MARK}')) >= 0:
        return end[mark + 1 :]  # what is before belongs to no stage, or to one that is over
    return stages + end[end.find('\n') + 1 :]


def training(node: CalcJobNode, transport: Transport) -> None:
    """Note how far a training has come, as the extra ``progress``: the epoch and the losses on the validation set."""
    path = f'{node.get_remote_workdir()}/{METRICS}'
    if not transport.isfile(path):
        return
    with tempfile.NamedTemporaryFile() as copy:
        transport.getfile(path, copy.name)
        rows = read_rows(pathlib.Path(copy.name))
    if rows:
        epoch, row = max(rows.items())
        # What is not finite cannot be stored.
        losses = {name: row[column] for name, column in CURVES.items() if math.isfinite(row.get(column, math.nan))}
        node.base.extras.set('progress', {'epoch': epoch, **losses})
