"""Submission of a campaign, which is safe to repeat."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from aiida import orm
from aiida.common.exceptions import IntegrityError
from aiida.common.hashing import make_hash
from aiida.engine import ProcessBuilder
from aiida.engine import submit as submit_process

GROUP = 'ionconduct/submissions'
PATIENCE_S = 60
"""How long to wait for another submission of the same inputs that is under way."""


class SubmissionError(RuntimeError):
    """An earlier submission of the same inputs did not come to its end."""


def submit_once(builder: ProcessBuilder) -> tuple[orm.ProcessNode, bool]:
    """Submit a process, or return the process with the same inputs that has not ended yet.

    Of several simultaneous submissions of the same inputs, a single one is made, and all return its process. A process
    that has ended, well or not, is submitted again; its jobs that ended well then come from the cache.

    :param builder: of a work chain or a calculation.
    :return: the process, and whether it is new.
    :raises SubmissionError: if another submission of the same inputs was interrupted.
    """
    claims = orm.Group.collection
    key = submission_key(builder)
    end = time.monotonic() + PATIENCE_S
    while True:
        earlier = claims.find(filters={'label': {'like': f'{GROUP}/{key}/%'}})
        groups = sorted(earlier, key=lambda group: group.label)
        nodes = list(groups[-1].nodes) if groups else []
        if nodes and not nodes[0].is_terminated:
            return nodes[0], False
        if not groups or nodes:
            # The label is unique in the database: if two submissions try, the second fails.
            number = int(groups[-1].label.rpartition('/')[2]) + 1 if groups else 0
            label = f'{GROUP}/{key}/{number:04d}'
            try:
                claim = orm.Group(label=label, description=f'A submission of {builder.process_class.__name__}').store()
            except IntegrityError:
                continue
            node = submit_process(builder)
            claim.add_nodes(node)
            return node, True
        if time.monotonic() > end:
            raise SubmissionError(
                f'another submission of the same began and did not come to its end. If it is not under way any more: '
                f'verdi group delete {groups[-1].pk}'
            )
        time.sleep(0.5)


def submission_key(builder: ProcessBuilder) -> str:
    """Return a checksum over the contents of the inputs, which is equal for builders with the same inputs."""
    described = sorted(describe_inputs(builder._inputs(prune=True)))
    text = json.dumps([builder.process_class.__name__, described], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def describe_inputs(inputs: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield every input by its name: a node by its class and contents, anything else as it is."""
    for name, value in inputs.items():
        if isinstance(value, orm.Node):
            yield f'{prefix}{name}', f'{type(value).__name__} {make_hash(value.base.caching.get_objects_to_hash())}'
        elif isinstance(value, Mapping):
            yield from describe_inputs(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value
