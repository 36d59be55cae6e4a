"""The directive ``exit-codes`` of Markdown pages: tables per process class of this package, read from the class."""

import inspect
import re
from importlib.metadata import entry_points

from aiida.engine import BaseRestartWorkChain
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

GROUPS = ('aiida.workflows', 'aiida.calculations')


def process_classes():
    """Return the calculation jobs and work chains of this package as {entry point: class}."""
    return {
        point.name: point.load()
        for group in GROUPS
        for point in sorted(entry_points(group=group), key=lambda point: point.name)
        if point.name.startswith('ionconduct.')
    }


def table_lines(process_class):
    """Return the exit codes of a process class as the lines of a Markdown table."""
    yield from ('| Status | Label | Meaning | Reused |', '|---|---|---|---|')
    for label, code in sorted(process_class.exit_codes.items(), key=lambda item: item[1].status):
        message = re.sub(r'([\\`*_{}<>|#$])', r'\\\1', ' '.join(code.message.split()))
        yield f'| {code.status} | `{label}` | {message} | {"no" if code.invalidates_cache else "yes"} |'


def handler_lines(process_class):
    """Return what a work chain does about the failures of its children as the lines of a Markdown table."""
    if not issubclass(process_class, BaseRestartWorkChain):
        return
    yield from ('', '| After | Handler | What it does |', '|---|---|---|')
    for handler in sorted(process_class.get_process_handlers(), key=lambda handler: -handler.priority):
        # The decorator keeps the exit codes to itself.
        codes = inspect.getclosurevars(handler._self_wrapper).nonlocals['exit_codes'] or []
        statuses = ', '.join(str(code.status) for code in codes) or 'any'
        yield f'| {statuses} | `{handler.__name__}` | {" ".join((handler.__doc__ or "").split())} |'


class ExitCodes(SphinxDirective):
    """One section with a table for every process class of this package."""

    def run(self):
        sections = []
        for name, process_class in process_classes().items():
            section = nodes.section(ids=[nodes.make_id(name)])
            section += nodes.title(text=f'{process_class.__name__} ({name})')
            lines = [*table_lines(process_class), *handler_lines(process_class)]
            self.state.nested_parse(StringList(lines, source=f'exit codes of {name}'), self.content_offset, section)
            sections.append(section)
        return sections


def setup(app):
    app.add_directive('exit-codes', ExitCodes)
    return {'parallel_read_safe': True}
