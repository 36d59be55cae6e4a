"""Packed files (.gz, .bz2, .xz, .zst), unpacked step by step and never beyond the memory that is there."""

from __future__ import annotations

import bz2
import gzip
import lzma
import mmap
import pathlib
import zlib
from collections.abc import Callable
from typing import IO, Any, NamedTuple, TypeAlias, cast

import psutil

Content: TypeAlias = bytes | bytearray | mmap.mmap
"""The bytes of a file, in memory or mapped."""

SUFFIXES = ('.gz', '.bz2', '.xz', '.zst')
PIECE = 1 << 24
SHARE = 0.5
"""Share of the available memory that the unpacked text may take: the positions need memory as well."""
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""What the standard library raises where a packed file is cut or damaged."""


class Opened(NamedTuple):
    """The content of a file, and whether a packed file is cut or damaged, so that only its beginning could be read."""

    content: Content
    cut: bool


def unpacked_name(path: str | pathlib.Path) -> str:
    """Return the name of a file without the suffix of its packing."""
    name = pathlib.Path(path).name
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def open_stream(path: str | pathlib.Path) -> IO[bytes]:
    """Open a file, packed or not, as a stream of its unpacked bytes.

    :raises ValueError: if the package that unpacks the file is missing.
    """
    path = pathlib.Path(path)
    if path.suffix == '.zst':
        try:
            import zstandard
        except ImportError as exception:
            raise ValueError(
                f'`{path}` is packed by zstd: install the package `zstandard`, or unpack it with `zstd -d {path}`.'
            ) from exception
        return cast('IO[bytes]', zstandard.open(path, 'rb'))
    openers: dict[str, Callable[..., Any]] = {'.gz': gzip.open, '.bz2': bz2.open, '.xz': lzma.open}
    return cast('IO[bytes]', openers.get(path.suffix, open)(path, 'rb'))


def first_bytes(path: str | pathlib.Path, size: int = 4096) -> bytes:
    """Return the first unpacked bytes of a file; fewer or none if it is shorter or cannot be unpacked."""
    with pathlib.Path(path).open('rb'):  # a file that cannot be opened is no damaged file
        pass
    try:
        with open_stream(path) as stream:
            return stream.read(size)
    except (*DAMAGED, ValueError, RuntimeError):
        return b''


def available_bytes() -> int:
    """Return the memory in bytes that can be used without swapping."""
    return int(psutil.virtual_memory().available)


def open_text(path: str | pathlib.Path) -> Opened:
    """Map a file into memory, or unpack it into memory.

    :raises ValueError: if the file is empty, cannot be unpacked at all, or does not fit into memory.
    """
    path = pathlib.Path(path)
    if not path.stat().st_size:
        raise ValueError(f'`{path}` is empty.')
    if path.suffix not in SUFFIXES:
        with path.open('rb') as handle:
            return Opened(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ), False)
    return _unpack(path, int(SHARE * available_bytes()))


def _unpack(path: pathlib.Path, limit: int) -> Opened:
    """Unpack a file, or the beginning that can be unpacked.

    :param limit: most bytes that are unpacked.
    :raises ValueError: if nothing can be unpacked, or more than the limit would be.
    """
    content, cut = bytearray(), False
    with open_stream(path) as stream:
        try:
            while piece := stream.read1(PIECE) if hasattr(stream, 'read1') else stream.read(PIECE):
                content += piece
                if len(content) > limit:
                    raise ValueError(
                        f'`{path}` ({path.stat().st_size / 1e6:.0f} MB packed) holds more than {limit / 1e6:.0f} MB, '
                        'half of the memory that is free: unpack it to a file, which is read without loading it.'
                    )
        except ValueError:
            raise
        except Exception as exception:
            if not isinstance(exception, DAMAGED) and 'zstd' not in type(exception).__name__.lower():
                raise
            if not content:
                raise ValueError(
                    f'`{path}` is damaged and cannot be unpacked ({exception}): write or copy it again.'
                ) from exception
            cut = True
    if not content:
        raise ValueError(f'`{path}` is empty.')
    return Opened(content, cut)
