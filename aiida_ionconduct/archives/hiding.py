"""Names of folders and computers, which an archive with all jobs holds, and what stands for them where they are hidden.

Known are the folders of computers and codes, those of this installation, home folders in general, and the addresses of
computers. Their names are looked for in the database and in text files. The labels of computers and codes stay.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.manage import get_manager
from aiida.manage.configuration import get_config

import aiida_ionconduct

HOME = r'/(?:home|users|Users)/[^/\s"\':,;]+'
PACKAGE = r'/[\w./-]+(?=/aiida_ionconduct/)'
"""The folder of this package, on any machine."""
USERNAME = r'\{username\}'
"""In the folder of a computer, once escaped; the jobs have a name in its place."""
BEFORE, AFTER = r'(?<![\w.~-])', r'(?![\w-]|\.\w)'
"""What may not stand beside a name: it would be a part of a longer name."""
COMMON = ('', '.', '/', '/usr', '/usr/local', '/opt')
"""Folders that are alike on many machines; what lies in them is not."""
BINARY = b'\0'
"""What no text file holds."""


def names_to_hide(pks: set[int]) -> dict[str, str]:
    """Return what stands in an archive for each folder and each computer that is known by name.

    :param pks: of the nodes in the archive.
    """
    among = {'id': {'in': list(pks)}}
    names = {
        str(Path(aiida_ionconduct.__file__).parents[1]): '/package',
        sys.prefix: '/environment',
        str(Path(get_config().dirpath).parent): '/profile',
        str(Path.home()): '/home/user',
    }
    codes = orm.QueryBuilder().append(orm.InstalledCode, filters=among).all(flat=True)
    for code in codes:
        folder = Path(str(code.filepath_executable)).parent
        names[str(folder.parent if folder.name == 'bin' else folder)] = '/environment'
    computers = orm.QueryBuilder().append(orm.Node, filters=among, tag='node')
    computers.append(orm.Computer, with_node='node').distinct()
    for computer in computers.all(flat=True):
        names[computer.get_workdir().rstrip('/')] = '/scratch'
        if '.' in computer.hostname:  # an alias may be any word, and stands in the row of its computer alone
            names[computer.hostname] = computer.label
    return {name: stand_in for name, stand_in in names.items() if name not in COMMON}


def _pattern(name: str) -> str:
    """Return the regular expression of a folder, or of a computer with the machines of its domain."""
    known = re.escape(name).replace(USERNAME, '[^/]+')
    return known if name.startswith('/') else rf'(?:[\w-]+\.)*{known}'


class Hiding:
    """Replaces names, and counts what it has changed.

    :ivar n_rows: rows of the database in which a name was replaced.
    :ivar n_files: text files likewise.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        """Take what stands for each name; nothing is hidden without names."""
        self.names = dict(names)
        known = [(_pattern(name), names[name]) for name in sorted(names, key=len, reverse=True)]
        self._patterns = [
            (re.compile(BEFORE + pattern + AFTER), stand_in)
            for pattern, stand_in in ([*known, (PACKAGE, '/package'), (HOME, '/home/user')] if known else [])
        ]
        self._keys: dict[str, bytes | None] = {}
        self.n_rows = self.n_files = 0

    def in_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row of the database without the names."""
        hidden: dict[str, Any] = self._in_value(row)
        if self._patterns and row.get('hostname', 'localhost') != 'localhost':
            hidden['hostname'] = row['label']
        self.n_rows += hidden != row
        return hidden

    def in_file(self, key: str) -> bytes | None:
        """Return the content of a text file of the profile without the names; None if it holds none.

        :param key: of the file in the repository.
        """
        if key not in self._keys:
            self._keys[key] = self._in_content(key)
            self.n_files += self._keys[key] is not None
        return self._keys[key]

    def _in_content(self, key: str) -> bytes | None:
        repository = get_manager().get_profile_storage().get_repository()
        if not self._patterns or not repository.has_object(key):
            return None
        with repository.open(key) as stream:
            start = stream.read(2**13)
            if BINARY in start:
                return None
            content = start + stream.read()
        text = content.decode('utf-8', 'surrogateescape')
        hidden = self._in_text(text)
        return None if hidden == text else hidden.encode('utf-8', 'surrogateescape')

    def _in_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._in_text(value)
        if isinstance(value, Mapping):
            return {self._in_value(name): self._in_value(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._in_value(part) for part in value]
        return value

    def _in_text(self, text: str) -> str:
        for pattern, stand_in in self._patterns:
            text = pattern.sub(stand_in, text)
        return text
