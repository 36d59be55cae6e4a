"""The folder of the services and its settings: made once, adopted and removed only by the user who made it.

A folder is adopted if its ``settings.json`` was written by this module, for this very folder, and if the folder and
the file belong to the caller, cannot be written by others and are no symbolic links. The folders above it must be such
that nobody else can put another folder in its place. Everything else is refused and left as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import stat
from collections.abc import Collection
from typing import NamedTuple

from local_services.programs import ServiceError

HOST = '127.0.0.1'
SETTINGS = 'settings.json'
MADE_BY = 'aiida-ionconduct local services, version 1'


class Settings(NamedTuple):
    """What is drawn once for a folder, so that services that are started again are found where they were."""

    ports: dict[str, int]
    password: str
    slots: int  # of the Slurm node


def free_ports(n_ports: int) -> list[int]:
    """Return ports that nothing listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n_ports)]
        for opened in sockets:
            opened.bind((HOST, 0))
        return [opened.getsockname()[1] for opened in sockets]


def locate(folder: pathlib.Path | str) -> pathlib.Path:
    """Return the absolute path of a folder, by which it is known whatever the caller writes.

    :raises ServiceError: if the folder is a symbolic link; links in the folders above it are followed.
    """
    path = pathlib.Path(folder)
    if path.is_symlink():
        raise ServiceError(f'{path} is a symbolic link. Nothing was changed.')
    return path.resolve()


def make(folder: pathlib.Path, settings: Settings) -> None:
    """Make a folder, or take an empty one of the caller, and write the settings into it.

    :raises ServiceError: if the folder is not empty, not a folder, a symbolic link, or another user's.
    """
    with _refused_if_inaccessible(folder):
        _demand_safe_parents(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _demand_own(folder, stat.S_ISDIR, 'a folder')
        if any(folder.iterdir()):
            raise ServiceError(f'{folder} is not empty and was not made by this command. Nothing was changed.')
        content = {'made_by': MADE_BY, 'folder': str(folder), **settings._asdict()}
        with open(folder / SETTINGS, 'x', opener=lambda path, flags: os.open(path, flags, 0o600)) as handle:
            json.dump(content, handle)
        folder.chmod(0o711)  # the user of PostgreSQL passes through


def adopt(folder: pathlib.Path) -> Settings:
    """Return the settings of a folder that :func:`make` has made for the caller; nothing is changed.

    :raises ServiceError: if the folder is missing or is anything else.
    """
    with _refused_if_inaccessible(folder):
        path = folder / SETTINGS
        _demand_safe_parents(folder)
        if not os.path.lexists(folder):
            raise ServiceError(f'{folder} does not exist.')
        _demand_own(folder, stat.S_ISDIR, 'a folder')
        if not os.path.lexists(path):
            raise ServiceError(f'{folder} has no {SETTINGS}: it was not made by this command. Nothing was changed.')
        _demand_own(path, stat.S_ISREG, 'a file')
        for checked in (folder, path):
            if checked.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise ServiceError(f'{checked} can be written by other users. Nothing was changed.')
        try:
            content = json.loads(path.read_text())
        except ValueError:
            content = None
    if not _is_ours(content, folder):
        raise ServiceError(f'{path} was not written by this command for this folder. Nothing was changed.')
    return Settings(**{name: content[name] for name in Settings._fields})


def remove(folder: pathlib.Path) -> None:
    """Remove a folder that :func:`make` has made for the caller, with everything in it.

    :raises ServiceError: if the folder is anything else.
    """
    adopt(folder)
    shutil.rmtree(folder)


def is_new(folder: pathlib.Path) -> bool:
    """Return whether a folder is missing or has no settings, so that :func:`make` is to be called."""
    return not os.path.lexists(folder / SETTINGS)


@contextlib.contextmanager
def _refused_if_inaccessible(folder: pathlib.Path):
    """Turn what the file system refuses into a refusal."""
    try:
        yield
    except OSError as error:
        raise ServiceError(f'{folder} cannot be used: {error}.') from error


def _demand_own(path: pathlib.Path, is_kind, kind: str) -> None:
    """Refuse a symbolic link, something of another kind, and what belongs to another user."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise ServiceError(f'{path} is a symbolic link. Nothing was changed.')
    if not is_kind(status.st_mode):
        raise ServiceError(f'{path} is not {kind}. Nothing was changed.')
    if status.st_uid != os.geteuid():
        raise ServiceError(f'{path} belongs to another user. Nothing was changed.')


def _demand_safe_parents(folder: pathlib.Path) -> None:
    """Refuse a folder below a folder in which another user could rename or replace it."""
    for parent in folder.parents:
        if not os.path.lexists(parent):
            continue
        status = parent.lstat()
        if status.st_uid not in (0, os.geteuid()):
            raise ServiceError(f'{folder} is in {parent}, which belongs to another user. Nothing was changed.')
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise ServiceError(f'{folder} is in {parent}, which everybody can write. Nothing was changed.')


def _is_ours(content: object, folder: pathlib.Path) -> bool:
    """Return whether the content of a settings file is what :func:`make` writes for a folder."""
    if not isinstance(content, dict) or content.keys() != {'made_by', 'folder', *Settings._fields}:
        return False
    ports = content['ports']
    return (
        (content['made_by'], content['folder']) == (MADE_BY, str(folder))
        and isinstance(content['password'], str)
        and _are_positive_integers([content['slots']])
        and isinstance(ports, dict)
        and _are_positive_integers(ports.values())
    )


def _are_positive_integers(values: Collection[object]) -> bool:
    """Return whether all values are positive integers, which excludes true and false."""
    return all(type(value) is int and value > 0 for value in values)
