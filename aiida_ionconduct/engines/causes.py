"""The list of causes for which a job dies: what the program or the scheduler prints, and what it means."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from aiida_ionconduct.labels import printable

Kind = Literal['memory', 'installation', 'crash']
"""Too little memory; an installation with which no repetition can work; a crash, which may not come again."""

MAX_LENGTH = 200
"""Of a quoted line, in characters."""


class Cause(NamedTuple):
    """Why a job died."""

    kind: Kind
    meaning: str
    line: str
    """The line in which the program or the scheduler says so."""

    @property
    def sentence(self) -> str:
        """The meaning with the quoted line."""
        return f'{self.meaning}: "{self.line}"'


CAUSES: tuple[tuple[Kind, str, str], ...] = (
    (
        'memory',
        'the memory was too small',
        r'out of memory|oom[-_ ]?kill|out_of_memory|OutOfMemoryError|memory limit|bad_alloc|not enough memory'
        r'|Failed to allocate|(can.?t|cannot|could not) allocate memory|cudaErrorMemoryAllocation|\bMemoryError\b',
    ),
    (
        'installation',
        'the processor lacks an instruction that the program uses',
        r'illegal instruction|\bSIGILL\b|processor does not support|verify that both the operating system and the proc',
    ),
    (
        'installation',
        'a library is missing or too old',
        r'error while loading shared libraries|symbol lookup error|version .GLIBC\w*. not found'
        r'|ModuleNotFoundError|ImportError: .*(cannot open shared object|undefined symbol)',
    ),
    (
        'installation',
        'the driver of the GPU does not fit the program',
        r'driver version is insufficient|driver on your system is too old|forward compatibility was attempted'
        r'|no kernel image is available|cudaErrorInsufficientDriver',
    ),
    (
        'installation',
        'the program cannot be started',
        r'command not found|exec format error|cannot execute binary file|(lmp|pw\.x|nequip-\w+): No such file or dir',
    ),
    ('crash', 'no GPU was found', r'no CUDA-capable device|Found no NVIDIA driver|cudaErrorNoDevice|CUDA is not avail'),
    ('crash', 'the program accessed memory that is not its own', r'segmentation fault|\bSIGSEGV\b|bus error'),
    ('crash', 'a file or a program must not be used by this user', r'permission denied'),
)
"""Kind, meaning, and the pattern of a line that says so, whatever its case. The first in the list counts."""

_HARMLESS = re.compile('warning|ignored', flags=re.IGNORECASE)


def find_cause(text: str) -> Cause | None:
    """Return the cause of a failure that stands in a text, or None.

    :param text: what the program and the scheduler have written, best only their messages.
    """
    lines = [line for line in text.splitlines() if not _HARMLESS.search(line)]
    for kind, meaning, pattern in CAUSES:
        search = re.compile(pattern, flags=re.IGNORECASE).search
        line = next(filter(search, lines), None)
        if line is not None:
            return Cause(kind, meaning, printable(line).strip()[:MAX_LENGTH])
    return None
