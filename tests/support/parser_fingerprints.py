"""A checksum of what a parser stores, to be compared with the checksum that was noted for its ``CACHE_VERSION``."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
from collections.abc import Mapping

import numpy as np
import yaml
from aiida import orm
from aiida.plugins import ParserFactory

STORED = pathlib.Path(__file__).parents[1] / 'parsers' / 'fingerprints.yaml'


def _rounded(value):
    """Return plain data with floating-point numbers to six figures, which every machine computes alike."""
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in sorted(value.items()) if not key.endswith(('sha256', 'md5'))}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return f'{value:.6g}' if isinstance(value, float) else value


def _content(node):
    """Return the names of the files of a node, with the arrays in them; archives hold the time of the test."""
    content = {}
    for name in sorted(node.base.repository.list_object_names()):
        content[name] = None
        if name.endswith('.npy'):
            array = np.load(io.BytesIO(node.base.repository.get_object_content(name, 'rb')))
            content[name] = [str(array.dtype), list(array.shape), _rounded(array.astype(float).ravel().tolist())]
    return content


def _described(results):
    """Return all output nodes as plain data."""
    if isinstance(results, orm.Node):
        return [type(results).__name__, _rounded(results.base.attributes.all), _content(results)]
    return {label: _described(output) for label, output in sorted(results.items())}


def check_fingerprint(name: str, results, exit_status: int) -> None:
    """Compare what a parser stores with what was noted for its version.

    If this fails, raise ``CACHE_VERSION`` of the parser and store the new version and fingerprint in
    ``tests/parsers/fingerprints.yaml``: otherwise the cache returns what the earlier version has stored.

    :param name: entry point of the parser.
    :param results: the output nodes by label.
    """
    text = json.dumps([exit_status, _described(results)], sort_keys=True, default=str)
    present = {
        'version': ParserFactory(name).CACHE_VERSION,
        'fingerprint': hashlib.sha256(text.encode()).hexdigest()[:16],
    }
    stored = yaml.safe_load(STORED.read_text())[name]
    assert stored == present, f'{name}: stored {stored}, present {present}'
