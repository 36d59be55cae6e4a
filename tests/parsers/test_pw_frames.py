"""`PwFramesParser`: labels of the frames that pw.x finished, on its real output."""

import pathlib
import re
import shutil

import numpy as np
import pytest
from aiida import orm
from ase import units

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.parsers.pw_frames import PwFramesParser
from parser_fingerprints import check_fingerprint

ENTRY_POINT = 'ionconduct.pw.frames'
OUTPUTS = pathlib.Path(__file__).parent / 'fixtures' / 'pw_frames' / 'default'


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, crystals, tmp_path):
    """Return a function that parses a job on some frames, of which some outputs came back."""

    def parse(indices, written):
        folder = tmp_path / 'job'
        folder.mkdir()
        for index in written:
            shutil.copy(OUTPUTS / f'frame_{index:04d}.out', folder)
        frames = [crystals['Li3PO4'].copy() for _ in range(4)]
        for index, frame in enumerate(frames):
            frame.positions += 0.1 * index
        inputs = {
            'frames': frames_to_trajectory(frames),
            'indices': orm.List(indices),
            'parameters': orm.Dict({'CONTROL': {'calculation': 'scf'}}),
        }
        node = generate_calc_job_node(ENTRY_POINT, folder, inputs)
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(node, store_provenance=False)
        assert calcfunction.exception is None
        return results, calcfunction, frames

    return parse


def test_labels(parse):
    """Labels equal the lines that pw.x prints, read here by hand."""
    results, calcfunction, frames = parse([0], [0])
    assert calcfunction.is_finished_ok
    labelled = results['labelled']
    text = (OUTPUTS / 'frame_0000.out').read_text()
    energy_Ry = float(re.search(r'!\s+total energy\s+=\s+(\S+) Ry', text).group(1))
    assert labelled.get_array('energy') == pytest.approx([energy_Ry * units.Rydberg], rel=1e-7)
    forces = re.findall(r'atom +\d+ type +\d+ +force = +(\S+) +(\S+) +(\S+)', text)[: len(frames[0])]
    expected = np.array(forces, dtype=float) * units.Rydberg / units.Bohr
    np.testing.assert_allclose(labelled.get_array('forces')[0], expected, atol=1e-7)
    assert np.abs(expected).max() > 1


def test_without_labels(parse):
    """Frames that did not converge and frames that did not end are told apart; labels belong to their own frames."""
    results, calcfunction, frames = parse([1, 2, 0, 3], [0, 1, 2])
    assert calcfunction.exit_status == 320
    assert 'did not finish 2 of 4 frames' in calcfunction.exit_message
    assert results['output_parameters'].get_dict() == {'unconverged': [1], 'unfinished': [2, 3]}
    assert results['labelled'].get_stepids().tolist() == [0]
    np.testing.assert_allclose(results['labelled'].get_positions()[0], frames[0].positions)


def test_unconverged(parse):
    """A job whose frames do not converge has not failed."""
    results, calcfunction, _ = parse([1], [1])
    assert calcfunction.is_finished_ok
    assert 'labelled' not in results


def test_no_output_at_all(parse):
    results, calcfunction, _ = parse([0, 1], [])
    assert calcfunction.exit_status == 320
    assert results['output_parameters']['unfinished'] == [0, 1]


@pytest.mark.parametrize('status', [110, 120, 140])
def test_complete_labelling_whose_job_did_not_end(status, parse, monkeypatch):
    """A labelling that hangs at its exit has succeeded: else AiiDA keeps the scheduler's status."""
    returned, original = [], PwFramesParser.parse

    def record(self, **kwargs):
        self.node.set_exit_status(status)
        self.node.set_exit_message('The job hung.')
        returned.append(original(self, **kwargs))
        return returned[-1]

    monkeypatch.setattr(PwFramesParser, 'parse', record)
    parse([0], [0])
    ((exit_status, message, _),) = returned
    assert exit_status == 0
    assert message == 'All results are there, although the scheduler says: The job hung.'


def test_version_changes_with_what_is_stored(parse):
    """A parser that stores other things needs a new ``CACHE_VERSION``, or the cache returns what was stored before."""
    results, calcfunction = parse([1, 2, 0, 3], [0, 1, 2])[:2]
    check_fingerprint(ENTRY_POINT, results, calcfunction.exit_status)
