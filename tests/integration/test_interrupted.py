"""A campaign to a requested error whose daemon is stopped, and one that is given more budget later."""

import json
import pathlib
import time

import pytest

from .loop import FIRST_NS

pytestmark = pytest.mark.integration
TIMEOUT_S = 1800  # a campaign that hangs must not hang the tests
LOOP = pathlib.Path(__file__).with_name('loop.py')


@pytest.fixture(scope='module')
def loop(installation):
    """Return a function that runs a command of loop.py."""
    return lambda *words: json.loads(installation.run('verdi', 'run', LOOP, *words).splitlines()[-1])


def wait(loop, pk, ready):
    """Return the description of a campaign as soon as it is as wanted."""
    end = time.monotonic() + TIMEOUT_S
    while not ready(described := loop('describe', pk)):
        assert time.monotonic() < end, described
        time.sleep(1)
    return described


def without_gaps(runs):
    """Whether the pieces of each seed begin where the one before has ended: nothing is missing, nothing run twice."""
    for pieces in runs.values():
        begun, ended = zip(*pieces, strict=True)
        if list(begun) != [0, *ended[:-1]]:
            return False
    return True


def test_stopped_and_extended(loop, installation, trained, dft_frames, tmp_path):
    """Stopped in its second round, it goes on; with more budget it goes on from there; no step is run twice."""
    budget, gate = 3 * FIRST_NS, tmp_path / 'closed'
    gate.touch()
    pk = loop('submit', trained / 'model.nequip.pt2', dft_frames, budget, gate)
    # Until the first round is judged and a run of the second waits at the gate.
    wait(loop, pk, lambda one: any(len(pieces) > 1 for pieces in one['runs'].values()))
    installation.run('verdi', 'daemon', 'stop')
    stopped = loop('describe', pk)
    assert not stopped['terminated']
    gate.unlink()
    installation.run('aiida-ionconduct', 'setup')  # starts the daemon, and children that were on their way to it
    done = wait(loop, pk, lambda one: one['terminated'])
    assert done['exit_status'] == 0
    assert done['outcome']['ending'] == 'not diffusive on this time scale'
    assert done['outcome']['md_ns'] <= budget
    assert done['outcome']['round'] >= 2
    assert without_gaps(done['runs'])

    further = wait(loop, loop('extend', pk, 2 * budget), lambda one: one['terminated'])
    assert further['outcome']['ending'] == 'not diffusive on this time scale'
    assert done['outcome']['md_ns'] < further['outcome']['md_ns'] <= 2 * budget
    together = {seed: done['runs'][seed] + further['runs'].get(seed, []) for seed in done['runs']}
    assert without_gaps(together)
    for label, n_frames in further['frames'].items():
        steps = together[label.rpartition('_seed')[2]][-1][1]
        assert n_frames == steps // 10 + 1
