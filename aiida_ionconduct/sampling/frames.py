"""The frames that a sampling job has left: whole frames only, also of a job that was killed while it wrote."""

from __future__ import annotations

import io

import ase.io
from ase import Atoms


def whole_frames(text: str) -> str:
    """Return the frames of an extended-XYZ text up to the last whole frame.

    A job that is killed may leave its last frame without some of its lines.
    """
    lines = text.splitlines(keepends=True)
    begin = 0
    while begin < len(lines):
        count = lines[begin].strip()
        end = begin + int(count) + 2 if count.isdigit() else len(lines) + 1
        if end > len(lines) or not lines[end - 1].endswith('\n'):
            break
        begin = end
    return ''.join(lines[:begin])


def read_frames(text: str) -> list[Atoms]:
    """Return the whole frames of an extended-XYZ text, with their labels; none if there is no whole frame."""
    whole = whole_frames(text)
    if not whole:
        return []
    frames = ase.io.read(io.StringIO(whole), index=':', format='extxyz')
    return frames if isinstance(frames, list) else [frames]
