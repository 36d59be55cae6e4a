"""The directives ``parameters`` and ``protocols``: tables of all keys that a user may write, read from the code.

``parameters`` takes a subclass of :class:`aiida_ionconduct.parameters.Parameters` as ``module:Class``. Its options:
``path``, what stands before the keys; ``protocols``, a protocol file whose defaults come before the defaults of the
class; ``exclude``, sections that are documented elsewhere. ``protocols`` takes the name of a protocol file and shows
what each protocol changes.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from aiida_ionconduct.parameters import Key, Parameters, in_yaml, model_at
from aiida_ionconduct.workchains.protocols import load

NOT_CODE = re.compile(r'(`[^`]*`)')


def load_class(reference: str) -> type[Parameters]:
    """Return the class that ``module:Class`` names."""
    module, _, name = reference.partition(':')
    return getattr(importlib.import_module(module), name)


def by_section(keys: Iterable[Key]) -> Iterator[tuple[str, list[Key]]]:
    """Yield the keys of each section under what their paths begin with; the keys without a section come first."""
    keys = sorted(keys, key=lambda key: '.' in key.path)
    return ((name, list(group)) for name, group in itertools.groupby(keys, lambda key: key.path.rpartition('.')[0]))


def key_lines(keys: Iterable[Key], path: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table of keys.

    :param path: what stands before the keys, such as ``training``.
    :param defaults: by the path of a key; they come before the default of the class.
    """
    yield from ('| Key | Kind | Default | Meaning |', '|---|---|---|---|')
    for key in keys:
        default = in_yaml(defaults[key.path]) if key.path in defaults else key.default
        name = f'{path}.{key.path}' if path else key.path
        meaning = cell(key.description[:1].upper() + key.description[1:])
        yield f'| `{name}` | {cell(key.kind)} | {code(default) or "must be given"} | {meaning} |'


def protocol_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table of what each protocol of a file changes.

    :param data: the content of the protocol file.
    """
    defaults = flat(data['default_inputs'])
    changes = {
        name: flat({key: value for key, value in protocol.items() if key != 'description'})
        for name, protocol in data['protocols'].items()
    }
    unchanged = [f'`{name}`' for name, changed in changes.items() if not changed]
    changes = {name: changed for name, changed in changes.items() if changed}
    known = dict.fromkeys([*defaults, *itertools.chain.from_iterable(changes.values())])
    yield ' | '.join(['| Key', ', '.join(['default', *unchanged]), *(f'`{name}`' for name in changes)]) + ' |'
    yield '|---' * (2 + len(changes)) + '|'
    for key in known:
        if any(key in changed for changed in changes.values()):
            values = (code(in_yaml(values[key])) if key in values else '' for values in (defaults, *changes.values()))
            yield ' | '.join([f'| `{key}`', *values]) + ' |'


def flat(values: Mapping[str, Any], path: str = '') -> dict[str, Any]:
    """Return nested values by their whole path, such as ``md.timestep_fs``; an empty mapping has none."""
    result = {}
    for key, value in values.items():
        result |= flat(value, f'{path}{key}.') if isinstance(value, Mapping) else {f'{path}{key}': value}
    return result


def code(value: str) -> str:
    """Return a value as code; nothing for an empty value."""
    return f'`{value}`' if value else ''


def cell(words: str) -> str:
    """Return words for a cell of a Markdown table, as they are but for what is in backticks."""
    parts = NOT_CODE.split(' '.join(words.split()))
    return ''.join(
        part.replace('|', r'\|') if index % 2 else re.sub(r'([\\*_{}<>|#$])', r'\\\1', part)
        for index, part in enumerate(parts)
    )


class ParameterTables(SphinxDirective):
    """One table for the keys without a section, and one section with a table for every nested set of keys."""

    required_arguments = 1
    option_spec = dict.fromkeys(('path', 'protocols', 'exclude'), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        path, protocols = self.options.get('path', ''), self.options.get('protocols')
        defaults = flat(load(protocols)['default_inputs']) if protocols else {}
        excluded = self.options.get('exclude', '').split()
        model, content = load_class(self.arguments[0]), []
        for name, keys in by_section(model.keys()):
            if name in excluded:
                continue
            parent = nodes.section(ids=[nodes.make_id(f'{path}-{name}')]) if name else nodes.container()
            if name:
                parent += nodes.title(text=name)
            purpose = inspect.getdoc(model_at(model, name.split('.'))).splitlines()[0]
            lines = StringList(
                [cell(purpose), '', *key_lines(keys, path, defaults)], source=f'parameters of {model.__name__}'
            )
            self.state.nested_parse(lines, self.content_offset, parent)
            content += [parent] if name else parent.children
        return content


class ProtocolTables(SphinxDirective):
    """What each protocol is for, and a table of what it changes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name, parent = self.arguments[0], nodes.container()
        data = load(name)
        purposes = [(f'- `{label}`: {cell(item["description"])}') for label, item in data['protocols'].items()]
        lines = StringList([*purposes, '', *protocol_lines(data)], source=f'protocols of {name}')
        self.state.nested_parse(lines, self.content_offset, parent)
        return parent.children


def setup(app):
    app.add_directive('parameters', ParameterTables)
    app.add_directive('protocols', ProtocolTables)
    return {'parallel_read_safe': True}
