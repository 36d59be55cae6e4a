"""The directive ``exit-codes`` of Markdown pages: tables per process class of this package, read from the class."""

import importlib
import inspect
import pkgutil
import re

from aiida.engine import BaseRestartWorkChain, CalcJob, Process, WorkChain
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from aiida_ionconduct import calculations, workchains

PACKAGES = (calculations, workchains)
UNHANDLED = {
    'abort': 'the work chain ends',
    'restart_once': 'the job is run once more; a second such failure in a row ends the work chain',
}
"""What a restart work chain does, by the default of its input `on_unhandled_failure`."""


def process_classes():
    """Return the calculation jobs and work chains of this package by their names."""
    classes = {}
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__, f'{package.__name__}.'):
            for name, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                is_process = issubclass(member, (CalcJob, WorkChain)) and member.__module__ == module.name
                if is_process and not is_abstract(member):
                    classes[name] = member
    return classes


def is_abstract(process_class):
    """Return whether a class is a base class only: it has no exit codes of its own, or nothing to submit."""
    if issubclass(process_class, BaseRestartWorkChain):
        return process_class._process_class is None
    if issubclass(process_class, WorkChain):
        return not set(process_class.spec().exit_codes) - set(Process.spec().exit_codes)
    return process_class.prepare_for_submission is CalcJob.prepare_for_submission


def table_lines(process_class):
    """Return the exit codes of a process class as the lines of a Markdown table."""
    yield from ('| Status | Label | Meaning | Reused |', '|---|---|---|---|')
    common = Process.spec().exit_codes
    codes = [(label, code) for label, code in process_class.exit_codes.items() if label not in common]
    for label, code in sorted(codes, key=lambda item: item[1].status):
        message = re.sub(r'([\\`*_{}<>|#$])', r'\\\1', ' '.join(code.message.split()))
        yield f'| {code.status} | `{label}` | {message} | {"no" if code.invalidates_cache else "yes"} |'


def handler_lines(process_class):
    """Return the lines of a Markdown table: what a work chain does about each failure of its children."""
    if not issubclass(process_class, BaseRestartWorkChain):
        return
    yield from ('', '| After | Handler | What it does |', '|---|---|---|')
    for handler in sorted(process_class.get_process_handlers(), key=lambda handler: -handler.priority):
        # The decorator keeps the exit codes to itself.
        codes = inspect.getclosurevars(handler._self_wrapper).nonlocals['exit_codes'] or []
        statuses = ', '.join(str(code.status) for code in codes) or 'any'
        yield f'| {statuses} | `{handler.__name__}` | {" ".join((handler.__doc__ or "").split())} |'
    action = getattr(process_class, 'on_unhandled_failure', 'abort')
    yield from ('', f'After an exit status without a handler, {UNHANDLED[action]}.')


class ExitCodes(SphinxDirective):
    """One section with a table for every process class of this package."""

    def run(self):
        sections = []
        for name, process_class in process_classes().items():
            section = nodes.section(ids=[nodes.make_id(name)])
            section += nodes.title(text=name)
            lines = [*table_lines(process_class), *handler_lines(process_class)]
            self.state.nested_parse(StringList(lines, source=f'exit codes of {name}'), self.content_offset, section)
            sections.append(section)
        return sections


def setup(app):
    app.add_directive('exit-codes', ExitCodes)
    return {'parallel_read_safe': True}
