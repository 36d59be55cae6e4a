"""`LabelWorkChain`: a self-consistent calculation for each frame, several in a job; some may fail."""

import pytest
from aiida import orm

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.calculations.pw_frames import PwFramesCalculation
from aiida_ionconduct.workchains import label as label_module
from aiida_ionconduct.workchains.label import LabelWorkChain


@pytest.fixture
def label(campaign_inputs, crystals, generate_workchain):
    """Return a function that makes the work chain for some frames, set up."""

    def make(n_frames=4, frames_per_job=2, min_fraction=0.5, max_concurrent=3):
        frames = [crystals['Li3PO4'].copy() for _ in range(n_frames)]
        for index, frame in enumerate(frames):
            frame.positions[0, 0] = 0.01 * index
        resources = {'max_concurrent_scf': max_concurrent, 'frames_per_job': frames_per_job}
        overrides = {'dataset': {'min_fraction': min_fraction}, 'resources': resources}
        inputs = campaign_inputs(overrides=overrides)['label']
        inputs['parameters'] = orm.Dict({**inputs['parameters'].get_dict(), 'source': 'rattled'})
        inputs['frames'] = frames_to_trajectory(frames).store()
        process = generate_workchain(LabelWorkChain, inputs)
        process.setup()
        process.has_pending()
        return process

    return make


def end(process, nodes):
    """Take nodes for the children of one batch."""
    process.ctx.batch, process.ctx.pending = process.ctx.pending, []
    for name, node in zip(process.ctx.batch, nodes, strict=True):
        process.ctx[f'child_{name}'] = node
    process.inspect_batch()


@pytest.fixture
def job(child, pw_trajectory):
    """Return a function that makes a job that has ended, with its labels and the frames that it did not reach."""

    def make(n_labelled=1, first=0.0, unfinished=(), unconverged=()):
        without = {'unfinished': list(unfinished), 'unconverged': list(unconverged)}
        outputs = {'output_parameters': orm.Dict(without)}
        if n_labelled:
            outputs['labelled'] = pw_trajectory(n_labelled, first=first)
        return child(exit_status=320 if unfinished else 0, node_class=orm.CalcJobNode, **outputs)

    return make


def test_batches(label, submitted):
    """Every frame is in one job, with two frames in a job and at most two jobs at a time."""
    process = label(n_frames=5, frames_per_job=2, max_concurrent=2)
    process.run_batch()
    assert len(submitted) == 2
    process.run_batch()
    assert all(process_class is PwFramesCalculation for process_class, _ in submitted)
    assert [inputs.indices.get_list() for _, inputs in submitted] == [[0, 1], [2, 3], [4]]
    assert all(inputs.frames.uuid == process.inputs.frames.uuid for _, inputs in submitted)
    labels = [inputs.metadata.call_link_label for _, inputs in submitted]
    assert labels == ['frames_0000', 'frames_0002', 'frames_0004']
    assert all(inputs.metadata.options.max_wallclock_seconds == 3600 for _, inputs in submitted)


def test_dataset(label, job):
    """The labelled frames come back in their order."""
    process = label(n_frames=5, frames_per_job=2)
    end(process, [job(2, first=5.0), job(1, first=3.0, unconverged=[3]), job(1, first=4.0)])
    assert process.results() is None
    dataset = process.outputs['dataset']
    assert [frame.get_potential_energy() for frame in dataset.get_frames()] == [5, 6, 3, 4]
    assert dataset.base.attributes.get('sources') == {'rattled': 4}


def test_cut_short(label, job, submitted):
    """The labels of a job are kept; the frames that it did not reach are sent again, once without any progress."""
    process = label(n_frames=4, frames_per_job=4)
    end(process, [job(2, first=1.0, unfinished=[2, 3])])
    process.run_batch()
    assert [inputs.indices.get_list() for _, inputs in submitted] == [[2, 3]]
    process.ctx.pending = process.ctx.batch
    end(process, [job(1, first=7.0, unfinished=[3])])
    end(process, [job(0, unfinished=[3])])
    assert process.has_pending()
    end(process, [job(0, unfinished=[3])])
    assert not process.has_pending()
    assert process.results() is None
    energies = [frame.get_potential_energy() for frame in process.outputs['dataset'].get_frames()]
    assert energies == [1, 2, 7]


def test_cancelled_before_the_first_frame(label, job, child, submitted):
    """The job is repeated under a label of its own, whether or not its parser has found anything; once."""
    process = label(n_frames=4, frames_per_job=2)
    end(process, [job(0, unfinished=[0, 1]), child(exit_status=100, node_class=orm.CalcJobNode)])
    process.run_batch()
    assert [inputs.indices.get_list() for _, inputs in submitted] == [[0, 1], [2, 3]]
    assert [inputs.metadata.call_link_label for _, inputs in submitted] == ['frames_0000_1', 'frames_0002_1']
    process.ctx.pending = process.ctx.batch
    end(process, [job(2), job(0, unfinished=[2, 3])])
    assert not process.has_pending()
    assert process.results() is None


def test_preempted_before_the_first_frame(label, job, submitted, monkeypatch):
    """A job that is preempted is repeated as often as that happens; the first failure after that is the first."""
    monkeypatch.setattr(label_module, 'was_preempted', lambda job: True)
    process = label(n_frames=2, frames_per_job=2)
    for _ in range(3):
        end(process, [job(0, unfinished=[0, 1])])
        assert process.has_pending()
        process.run_batch()
        process.ctx.pending = process.ctx.batch
    monkeypatch.setattr(label_module, 'was_preempted', lambda job: False)
    end(process, [job(0, unfinished=[0, 1])])
    assert process.has_pending()


def test_frame_before_those_that_are_done(label, job, submitted):
    """The label of a repetition is new also if the frame that is missing is the first of its job."""
    process = label(n_frames=2, frames_per_job=2)
    end(process, [job(1, unfinished=[0])])
    process.run_batch()
    assert submitted[0][1].metadata.call_link_label == 'frames_0000_1'


def test_too_many_failed(label, job, child):
    """A job without any output counts as all of its frames."""
    process = label(frames_per_job=1)
    lost = child(exit_status=100, node_class=orm.CalcJobNode)
    end(process, [job(1), job(0, unconverged=[1]), job(0, unfinished=[2]), lost])
    exit_code = process.results()
    assert exit_code.status == 401
    assert '3 of 4 self-consistent calculations failed' in exit_code.message
    assert not process.outputs


def test_just_enough(label, job):
    process = label(frames_per_job=1, min_fraction=0.25)
    end(process, [job(1), *(job(0, unconverged=[index]) for index in (1, 2, 3))])
    assert process.results() is None


def test_none(label, job):
    """Without any label there is no training set, even if `min_fraction` is 0."""
    process = label(frames_per_job=4, min_fraction=0.0)
    end(process, [job(0, unconverged=[0, 1, 2, 3])])
    assert process.results().status == 401
