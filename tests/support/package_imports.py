"""What the modules of the package import, read from their text: for the tests of dependencies and of directions."""

from __future__ import annotations

import ast
import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import aiida_ionconduct

PACKAGE = pathlib.Path(aiida_ionconduct.__file__).parent


class Import(NamedTuple):
    """An import of a module by another one; ``deferred`` if it happens in a function, and so when that is called."""

    importer: str
    imported: str
    line: int
    deferred: bool

    @property
    def where(self) -> str:
        """The file and line of the import, relative to the repository."""
        parts = self.importer.split('.')
        path = PACKAGE.parent.joinpath(*parts)
        file = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
        return f'{file.relative_to(PACKAGE.parent)}:{self.line}'


def modules() -> dict[str, pathlib.Path]:
    """Return the Python files of the package by the names of their modules."""
    names = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        names['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return names


@functools.cache
def imports() -> list[Import]:
    """Return every import in the package that happens at run time, which leaves out ``if TYPE_CHECKING:``.

    ``from package import name`` is an import of ``package.name`` where that is a module of ours.
    """
    ours = modules()
    trees = {name: ast.parse(path.read_text()) for name, path in ours.items()}
    return [statement for name, tree in trees.items() for statement in _imports_of(name, tree, ours)]


def _imports_of(
    importer: str, tree: ast.AST, ours: dict[str, pathlib.Path], deferred: bool = False
) -> Iterator[Import]:
    """Yield the imports below a node of a syntax tree."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith('TYPE_CHECKING'):
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(importer, alias.name, node.lineno, deferred)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f'{node.module}.{alias.name}'
                yield Import(importer, full if full in ours else node.module, node.lineno, deferred)
        else:
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports_of(importer, node, ours, deferred or is_function)
