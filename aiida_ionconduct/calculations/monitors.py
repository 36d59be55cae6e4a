"""Monitors: what AiiDA looks at while a job runs."""

import math
import pathlib
import tempfile

from aiida.engine.processes.calcjobs.monitors import CalcJobMonitorResult
from aiida.orm import CalcJobNode
from aiida.transports import Transport

from aiida_ionconduct.calculations.allegro_config import METRICS
from aiida_ionconduct.lammps.log import find_explosion, read_log
from aiida_ionconduct.parsers.allegro_train import CURVES, read_rows


def explosion(node: CalcJobNode, transport: Transport) -> CalcJobMonitorResult | None:
    """End a LAMMPS run that has exploded; the parser then says how, and keeps what came before.

    Lost atoms and a temperature beyond the limit end a run from within. What is left are energies that run away or are
    no numbers while LAMMPS goes on, at the price of a GPU.
    """
    path = f'{node.get_remote_workdir()}/{node.get_option("output_filename")}'
    if not transport.isfile(path):
        return None
    with tempfile.NamedTemporaryFile() as copy:
        transport.getfile(path, copy.name)
        log = read_log(copy.read().decode(errors='replace'))
    if log.errors or log.complete:  # it has ended by itself
        return None
    detail = find_explosion(log, node.inputs.parameters.get_dict(), len(node.inputs.structure.sites))
    return detail and CalcJobMonitorResult(message=detail, override_exit_code=False)


def training(node: CalcJobNode, transport: Transport) -> None:
    """Note how far a training has come, as the extra ``progress``: the epoch and the losses on the validation set."""
    path = f'{node.get_remote_workdir()}/{METRICS}'
    if not transport.isfile(path):
        return
    with tempfile.NamedTemporaryFile() as copy:
        transport.getfile(path, copy.name)
        rows = read_rows(pathlib.Path(copy.name))
    if rows:
        epoch = max(rows)
        losses = {name: rows[epoch].get(column, math.nan) for name, column in CURVES.items()}
        finite = {name: loss for name, loss in losses.items() if math.isfinite(loss)}  # others cannot be stored
        node.base.extras.set('progress', {'epoch': epoch, **finite})
