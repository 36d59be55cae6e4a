"""Protocols: named sets of inputs, each listing only what differs from the defaults."""

from __future__ import annotations

import difflib
import pathlib

import yaml
from aiida_quantumespresso.workflows.protocols.utils import recursive_merge

FREE_SECTIONS = {'training', 'relax', 'scf'}
"""Sections without a fixed set of keys here: `training` is checked against the keys of the training itself."""


def load(name: str) -> dict:
    """Return the content of the protocol file of a work chain."""
    return yaml.safe_load((pathlib.Path(__file__).parent / f'{name}.yaml').read_text())


def protocol_inputs(name: str, protocol: str | None = None, overrides: dict | None = None) -> dict:
    """Return the inputs of a protocol with the user's overrides.

    :param name: of the protocol file, such as ``conductivity``.
    :param protocol: one of the file's protocols; its default if not given.
    :param overrides: nested like the protocol.
    :raises ValueError: for an unknown protocol, and for an override that names no key, with the nearest that exists.
    """
    data = load(name)
    protocol = protocol or data['default_protocol']
    if protocol not in data['protocols']:
        raise ValueError(f'unknown protocol `{protocol}`: choose one of {", ".join(data["protocols"])}.')
    check_keys(overrides or {}, data['default_inputs'])
    chosen = {key: value for key, value in data['protocols'][protocol].items() if key != 'description'}
    return recursive_merge(recursive_merge(data['default_inputs'], chosen), overrides or {})


def check_keys(overrides: dict, known: dict, path: str = '') -> None:
    """Refuse overrides that name no key of the protocol.

    :raises ValueError: naming the key and the nearest one that exists.
    """
    for key, value in overrides.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f'did you mean `{path}{nearest[0]}`?' if nearest else f'known are {", ".join(known)}.'
            raise ValueError(f'unknown override `{path}{key}`: {hint}')
        if isinstance(known[key], dict) and not isinstance(value, dict):
            raise ValueError(f'the override `{path}{key}` must be a mapping of {", ".join(known[key])}.')
        if isinstance(known[key], dict) and key not in FREE_SECTIONS:
            check_keys(value, known[key], f'{path}{key}.')
