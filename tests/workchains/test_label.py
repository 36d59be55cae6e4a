"""`LabelWorkChain`: a self-consistent calculation per frame, some of which may fail."""

import pytest
from aiida import orm
from aiida_quantumespresso.calculations.pw import PwCalculation

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.workchains.label import LabelWorkChain


@pytest.fixture
def label(campaign_inputs, crystals, generate_workchain):
    """Return a function that makes the work chain for some frames, set up."""

    def make(n_frames=4, min_fraction=0.5, max_concurrent=3):
        frames = [crystals['Li3PO4'].copy() for _ in range(n_frames)]
        for index, frame in enumerate(frames):
            frame.positions[0, 0] = 0.01 * index
        overrides = {'dataset': {'min_fraction': min_fraction}, 'resources': {'max_concurrent_scf': max_concurrent}}
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


def test_batches(label, submitted):
    """Every frame once, at most three at a time."""
    process = label()
    process.run_batch()
    assert len(submitted) == 3
    process.run_batch()
    assert len(submitted) == 4
    assert all(process_class is PwCalculation for process_class, _ in submitted)
    first = [inputs.structure.sites[0].position[0] for _, inputs in submitted]
    assert first == pytest.approx([0, 0.01, 0.02, 0.03])
    assert [inputs.metadata.call_link_label for _, inputs in submitted] == [f'frame_00{index}' for index in range(4)]
    assert all(inputs.metadata.options.max_wallclock_seconds == 3600 for _, inputs in submitted)


def test_dataset(label, child, pw_trajectory):
    """The frames that came back are labelled, in their order."""
    process = label()
    ended = [child(node_class=orm.CalcJobNode, output_trajectory=pw_trajectory(1, first=e)) for e in (5.0, 3.0, 4.0)]
    end(process, [*ended[:1], child(exit_status=410, node_class=orm.CalcJobNode), *ended[1:]])
    assert process.results() is None
    dataset = process.outputs['dataset']
    assert [frame.get_potential_energy() for frame in dataset.get_frames()] == [5, 3, 4]
    assert dataset.base.attributes.get('sources') == {'rattled': 3}


def test_too_many_failed(label, child, pw_trajectory):
    process = label()
    ended = child(node_class=orm.CalcJobNode, output_trajectory=pw_trajectory(1))
    end(process, [ended] + [child(exit_status=410, node_class=orm.CalcJobNode) for _ in range(3)])
    exit_code = process.results()
    assert exit_code.status == 401
    assert '3 of 4 self-consistent calculations failed' in exit_code.message
    assert not process.outputs


def test_just_enough(label, child, pw_trajectory):
    process = label(min_fraction=0.25)
    ended = child(node_class=orm.CalcJobNode, output_trajectory=pw_trajectory(1))
    end(process, [ended] + [child(exit_status=410, node_class=orm.CalcJobNode) for _ in range(3)])
    assert process.results() is None
