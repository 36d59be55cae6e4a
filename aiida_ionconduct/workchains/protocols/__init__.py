"""Protocols: named sets of inputs, each listing only what differs from the defaults."""

from __future__ import annotations

import copy
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml
from aiida_quantumespresso.workflows.protocols.utils import recursive_merge

from aiida_ionconduct.parameters import Parameters
from aiida_ionconduct.workchains.protocols.parameters import ConductivityParameters

MOST_AIMD_TEMPERATURES = 3
SCHEMAS: dict[str, type[Parameters]] = {'conductivity': ConductivityParameters}
"""All keys of each protocol file, with their types and ranges."""


def load(name: str) -> dict[str, Any]:
    """Return the content of a protocol file, such as ``conductivity``, which is read once; the copy is the caller's."""
    return copy.deepcopy(_read(name))


@functools.cache
def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((pathlib.Path(__file__).parent / f'{name}.yaml').read_text())


def protocol_inputs(
    name: str, protocol: str | None = None, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the inputs of a protocol with the user's overrides, as they stand in the file and in the overrides.

    Temperatures of AIMD that are null become those of the production.

    :param name: of the protocol file, such as ``conductivity``.
    :param protocol: one of the file's protocols; its default if not given.
    :param overrides: nested like the protocol.
    :raises ValueError: for an unknown protocol, and for every key that does not exist, with the nearest key that does,
        and every value of a wrong type or out of range.
    """
    data = load(name)
    protocol = protocol or data['default_protocol']
    if protocol not in data['protocols']:
        raise ValueError(f'unknown protocol `{protocol}`: choose one of {", ".join(data["protocols"])}.')
    changes = {key: value for key, value in data['protocols'][protocol].items() if key != 'description'}
    inputs = recursive_merge(recursive_merge(data['default_inputs'], changes), dict(overrides or {}))
    SCHEMAS[name].check(inputs)
    if inputs['aimd']['temperatures_K'] is None:
        inputs['aimd']['temperatures_K'] = aimd_temperatures(inputs['temperatures_K'])
    return inputs


def aimd_temperatures(production_K: list[float]) -> list[float]:
    """Return the temperatures of AIMD for those of a production: of more than three the lowest, middle and highest."""
    if len(production_K) <= MOST_AIMD_TEMPERATURES:
        return list(production_K)
    ordered = sorted(production_K)
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
