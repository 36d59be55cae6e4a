"""`AllegroEvaluateParser`: the predictions of every model, or the model that has not written all of them."""

import ase.io
import numpy as np
import pytest
from aiida import orm
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import AllegroModelData, DatasetData
from parser_fingerprints import check_fingerprint

ENTRY_POINT = 'ionconduct.allegro.evaluate'
N_FRAMES = 3


def predicted_frames(seed):
    """Return frames with energies and forces of their own."""
    frames, rng = [], np.random.default_rng(seed)
    for _ in range(N_FRAMES):
        frame = bulk('MgO', 'rocksalt', 4.2)
        frame.calc = SinglePointCalculator(frame, energy=rng.normal(), forces=rng.normal(size=(2, 3)))
        frames.append(frame)
    return frames


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Return a function that parses a job of two models, of which each has written so many frames."""

    def parse(**written):
        folder, models = tmp_path / 'job', {}
        folder.mkdir()
        for seed, (label, n_frames) in enumerate(written.items()):
            (tmp_path / f'{label}.nequip.zip').write_bytes(b'weights')
            path = tmp_path / f'{label}.nequip.zip'
            models[f'models__{label}'] = AllegroModelData(path, type_names=['Mg', 'O'], r_max=4.0)
            if n_frames:
                frames = predicted_frames(seed)[:n_frames]
                ase.io.write(folder / f'{label}_dataset0.xyz', frames, format='extxyz')
        inputs = {'frames': frames_to_trajectory(predicted_frames(0)), **models}
        node = generate_calc_job_node(ENTRY_POINT, folder, inputs)
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(folder)
        )
        assert calcfunction.exception is None
        return results, calcfunction

    return parse


def test_predictions_of_every_model(parse):
    results, calcfunction = parse(seed1=N_FRAMES, seed2=N_FRAMES)
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    predictions = results['predictions']
    assert isinstance(predictions, orm.ArrayData)
    for seed, label in enumerate(('seed1', 'seed2')):
        frames = predicted_frames(seed)
        expected = np.array([frame.get_forces() for frame in frames])
        np.testing.assert_allclose(predictions.get_array(f'forces_{label}'), expected, atol=1e-7)
        energies = [frame.get_potential_energy() for frame in frames]
        np.testing.assert_allclose(predictions.get_array(f'energies_{label}'), energies, atol=1e-7)


@pytest.mark.parametrize('n_frames', [0, 2], ids=['no file', 'a frame is missing'])
def test_missing_predictions(n_frames, parse):
    results, calcfunction = parse(seed1=N_FRAMES, seed2=n_frames)
    assert calcfunction.exit_status == 310
    assert 'The model seed2 has written no predictions' in calcfunction.exit_message
    assert not results


def test_version_changes_with_what_is_stored(parse):
    """A parser that stores other things needs a new ``CACHE_VERSION``, or the cache returns what was stored before."""
    results, calcfunction = parse(seed1=N_FRAMES, seed2=N_FRAMES)
    check_fingerprint(ENTRY_POINT, results, calcfunction.exit_status)


def test_predictions_on_a_training_set(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Its frames may differ in size: the forces are those of all atoms, one frame after the other."""
    frames = [bulk('MgO', 'rocksalt', 4.2), bulk('MgO', 'rocksalt', 4.2) * (2, 1, 1)]
    for index, frame in enumerate(frames):
        frame.calc = SinglePointCalculator(frame, energy=-index, forces=np.full((len(frame), 3), 0.1 * index))
    (tmp_path / 'initial.nequip.zip').write_bytes(b'weights')
    model = AllegroModelData(tmp_path / 'initial.nequip.zip', type_names=['Mg', 'O'], r_max=4.0)
    folder = tmp_path / 'job'
    folder.mkdir()
    ase.io.write(folder / 'initial_dataset0.xyz', frames, format='extxyz')
    inputs = {'frames': DatasetData.from_frames(frames), 'models__initial': model}
    results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
        generate_calc_job_node(ENTRY_POINT, folder, inputs),
        store_provenance=False,
        retrieved_temporary_folder=str(folder),
    )
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    assert results['predictions'].get_array('forces_initial').shape == (2 + 4, 3)
    assert results['predictions'].get_array('energies_initial').tolist() == [0, -1]
