"""Trial jobs: every code runs once with a tiny input, as a job of the daemon."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiida import orm
from aiida.calculations.templatereplacer import TemplatereplacerCalculation
from aiida.common.links import LinkType
from aiida.engine import submit
from aiida.tools import delete_nodes

from aiida_ionconduct.engines.programs import INPUT_FILE, TRIALS, Trial
from aiida_ionconduct.farm import pseudopotentials
from aiida_ionconduct.farm.site import options_of_job, usable_computers

OUTPUT_FILE = 'doctor.out'
POLL_S = 1.0
WALLTIME_S = 600


class Result(NamedTuple):
    """Whether a code works, what its job has shown, and what to do if it does not work."""

    code: str
    works: bool
    finding: str
    remedy: str = ''


def run_trials(timeout_s: float) -> Iterator[Result]:
    """Run every code that has a trial job; the jobs of codes that work are deleted again.

    :param timeout_s: time for all jobs to end.
    """
    running = {code: submit_trial(code) for code in _codes()}
    end = time.monotonic() + timeout_s
    while running and time.monotonic() < end:
        for code, node in list(running.items()):
            if node.is_terminated:
                del running[code]
                yield judge(code, node)
        time.sleep(POLL_S)
    for code, node in running.items():
        remedy = f'is the daemon running, is the queue full? verdi process report {node.pk}'
        yield Result(code.full_label, False, f'did not end in {timeout_s:.0f} s', remedy)


def _codes() -> list[orm.InstalledCode]:
    """Return the codes that have a trial job, on computers that can run it."""
    usable = {computer.uuid for computer in usable_computers()}
    return [
        code
        for code in orm.QueryBuilder().append(orm.InstalledCode).all(flat=True)
        if code.default_calc_job_plugin in TRIALS and not code.is_hidden and code.computer.uuid in usable
    ]


def _trial(code: orm.InstalledCode) -> Trial:
    """Return the trial job of the engine that a code is."""
    return TRIALS[str(code.default_calc_job_plugin)]


def submit_trial(code: orm.InstalledCode) -> orm.ProcessNode:
    """Submit the trial job of a code."""
    trial = _trial(code)
    template: dict[str, Any] = {
        'cmdline_params': list(trial.arguments), 'input_file_name': INPUT_FILE, 'input_file_template': '{text}',
        'output_file_name': OUTPUT_FILE,
    }  # fmt: skip
    builder: Any = TemplatereplacerCalculation.get_builder()
    builder.code, builder.parameters = code, orm.Dict({'text': trial.text})
    if trial.element:
        template['files_to_copy'] = [['potential', f'{trial.element}.upf']]
        with _potential(trial.element).open(mode='rb') as handle:
            builder.files = {'potential': orm.SinglefileData(handle, filename=f'{trial.element}.upf')}
    builder.template = orm.Dict(template)
    for name, value in options_of_job(code, {'max_wallclock_seconds': WALLTIME_S}).items():
        builder.metadata.options[name] = value
    builder.metadata.options.withmpi = code.with_mpi
    builder.metadata.label = 'aiida-ionconduct doctor'
    builder.metadata.disable_cache = True
    return submit(builder)


def _potential(element: str) -> orm.SinglefileData:
    """Return the pseudopotential of an element."""
    family: Any = orm.load_group(pseudopotentials.LABEL)
    return family.get_pseudo(element)


def judge(code: orm.InstalledCode, node: orm.ProcessNode) -> Result:
    """Return what the trial job of a code has shown, and delete the job if the code works."""
    output = ''
    if 'retrieved' in node.outputs:
        repository = node.outputs.retrieved.base.repository
        output = '\n'.join(repository.get_object_content(name) for name in repository.list_object_names())
    if re.search(_trial(code).expected, output, flags=re.MULTILINE):
        inputs = [link.node for link in node.base.links.get_incoming(link_type=LinkType.INPUT_CALC)]
        pks = [data.pk for data in (node, *inputs) if data.pk is not None and not isinstance(data, orm.AbstractCode)]
        logging.getLogger('aiida.delete').setLevel(logging.WARNING)  # AiiDA reports each deletion in three lines
        delete_nodes(pks, dry_run=False)
        return Result(code.full_label, True, 'runs')
    last = next((line for line in reversed(output.splitlines()) if line.strip()), node.exit_message or 'no output')
    remedy = f'verdi calcjob outputcat {node.pk} {OUTPUT_FILE}; {code.get_executable()}'
    return Result(code.full_label, False, last[:200], remedy)
