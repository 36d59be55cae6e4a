"""A campaign to a requested error goes on after its daemon was stopped, and after it was given more budget."""

import json
import pathlib
import time

import pytest

from .precision_campaign import FIRST_NS

pytestmark = pytest.mark.integration
TIMEOUT_S = 1800  # a campaign that hangs must not hang the tests
SCRIPT = pathlib.Path(__file__).with_name('precision_campaign.py')


@pytest.fixture(scope='module')
def command(installation):
    """Return a function that runs a command of precision_campaign.py."""
    return lambda *words: json.loads(installation.run('verdi', 'run', SCRIPT, *words).splitlines()[-1])


def wait(command, pk, ready):
    """Return the description of a campaign as soon as it is as wanted."""
    end = time.monotonic() + TIMEOUT_S
    while not ready(described := command('describe', pk)):
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


def test_stopped_and_extended(command, installation, trained, dft_frames, tmp_path):
    """Stopped in its second round, it goes on; with more budget it goes on from there; no step is run twice."""
    budget, gate = 3 * FIRST_NS, tmp_path / 'closed'
    gate.touch()
    pk = command('submit', trained / 'model.nequip.pt2', dft_frames, budget, gate)
    # Until the first round is judged and a run of the second waits at the gate.
    wait(command, pk, lambda campaign: any(len(pieces) > 1 for pieces in campaign['runs'].values()))
    installation.run('verdi', 'daemon', 'stop', '--timeout', '60')
    stopped = command('describe', pk)
    assert not stopped['terminated']
    gate.unlink()
    installation.run('aiida-ionconduct', 'setup')  # starts the daemon, and children that were on their way to it
    done = wait(command, pk, lambda campaign: campaign['terminated'])
    assert done['exit_status'] == 0
    assert done['outcome']['ending'] == 'not diffusive on this time scale'
    assert done['outcome']['md_ns'] <= budget
    assert done['outcome']['round'] >= 2
    assert without_gaps(done['runs'])

    further = wait(command, command('extend', pk, 2 * budget), lambda campaign: campaign['terminated'])
    assert further['outcome']['ending'] == 'not diffusive on this time scale'
    assert done['outcome']['md_ns'] < further['outcome']['md_ns'] <= 2 * budget
    together = {seed: done['runs'][seed] + further['runs'].get(seed, []) for seed in done['runs']}
    assert without_gaps(together)
    for label, n_frames in further['frames'].items():
        steps = together[label.rpartition('_seed')[2]][-1][1]
        assert n_frames == steps // 10 + 1
