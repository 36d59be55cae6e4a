"""Tests of submissions that are safe to repeat."""

import pytest
from aiida import orm
from aiida.engine import ProcessState
from aiida.plugins import CalculationFactory

from aiida_ionconduct.farm import submission


@pytest.fixture
def builder(aiida_profile_clean, fixture_code):
    """Return a function that gives the builder of an addition."""

    def make(x=1, y=2, **metadata):
        builder = CalculationFactory('core.arithmetic.add').get_builder()
        builder.code, builder.x, builder.y = fixture_code('core.arithmetic.add'), orm.Int(x), orm.Int(y)
        builder.metadata.options.resources = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        for name, value in metadata.items():
            builder.metadata[name] = value
        return builder

    return make


@pytest.fixture
def submitted(monkeypatch):
    """Let the engine only store a process that is created, and return all of these."""
    nodes = []

    def submit(builder):
        node = orm.CalcJobNode()
        node.set_process_state(ProcessState.CREATED)
        nodes.append(node.store())
        return node

    monkeypatch.setattr(submission, 'submit_process', submit)
    monkeypatch.setattr(submission, 'PATIENCE_S', 1)
    return nodes


def test_key(builder):
    """The key tells inputs apart by their contents, not by their nodes."""
    keys = [submission.submission_key(made) for made in (builder(), builder(), builder(x=2), builder(x=2, y=1))]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    stored = builder()
    stored.x = orm.Int(1).store()
    assert submission.submission_key(stored) == keys[0]


def test_twice(builder, submitted):
    """As long as a process has not ended, submitting the same gives it; another one is submitted."""
    first, is_new = submission.submit_once(builder())
    assert is_new
    second, is_new = submission.submit_once(builder())
    assert (second.uuid, is_new) == (first.uuid, False)
    assert submission.submit_once(builder(x=5))[1]
    assert len(submitted) == 2


@pytest.mark.parametrize('state', [ProcessState.FINISHED, ProcessState.EXCEPTED, ProcessState.KILLED])
def test_again(builder, submitted, state):
    """What has ended is submitted again, any number of times."""
    for count in range(1, 4):
        node, is_new = submission.submit_once(builder())
        assert (is_new, len(submitted)) == (True, count)
        node.set_process_state(state)


def test_again_after_an_old_claim_was_deleted(builder, submitted):
    """The claims are counted on from the newest, whichever of them are left."""
    for _ in range(3):
        node, _ = submission.submit_once(builder())
        node.set_process_state(ProcessState.FINISHED)
    oldest = min(orm.Group.collection.all(), key=lambda group: group.pk)
    orm.Group.collection.delete(oldest.pk)
    assert submission.submit_once(builder())[1]


def test_interrupted(builder, submitted, monkeypatch):
    """A submission that was interrupted is named, with what to do."""

    def die(builder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(submission, 'submit_process', die)
        with pytest.raises(KeyboardInterrupt):
            submission.submit_once(builder())
    with pytest.raises(submission.SubmissionError, match='verdi group delete') as error:
        submission.submit_once(builder())
    orm.Group.collection.delete(int(str(error.value).split()[-1]))
    assert submission.submit_once(builder())[1]
