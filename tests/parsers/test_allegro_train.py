"""`AllegroTrainParser` on stored output of real trainings."""

import hashlib
import pathlib
import shutil
import zipfile

import ase.io
import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.calculations.allegro_train import complaint_about_checkpoint
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.parameters import ParameterError
from aiida_ionconduct.parsers.allegro_train import AllegroTrainParser
from parser_fingerprints import check_fingerprint

ENTRY_POINT = 'ionconduct.allegro.train'
FIXTURES = pathlib.Path(__file__).parent / 'fixtures' / 'allegro_train'
TEMPORARY = ('metrics.csv', 'predictions_dataset0.xyz', 'model.nequip.zip', 'best.ckpt', 'last.ckpt')
OUT_OF_MEMORY = (
    'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB',
    "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
)


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Return a function that parses a folder of outputs, after changing its files."""

    def parse(case='default', change=None, **inputs):
        folder = tmp_path / 'job'
        shutil.copytree(FIXTURES / case, folder)
        with zipfile.ZipFile(folder / 'model.nequip.zip', 'w') as archive:
            for path in sorted((FIXTURES / 'package').iterdir()):
                archive.write(path, f'model.nequip/model/{path.name}')
        if change:
            change(folder)
        inputs = {'train': DatasetData(FIXTURES / 'test.extxyz'), 'parameters': orm.Dict({'r_max': 3.5}), **inputs}
        node = generate_calc_job_node(ENTRY_POINT, folder, inputs, retrieved_temporary=TEMPORARY)
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(folder)
        )
        assert calcfunction.exception is None
        return results, calcfunction

    return parse


def test_parameters_that_are_refused_now(parse):
    """A training that an earlier version has let run keeps its results: 1e2 in YAML is a float."""
    with pytest.raises(ParameterError, match='max_epochs'):
        TrainingParameters.check({'max_epochs': 100.0})
    results, calcfunction = parse(parameters=orm.Dict({'r_max': 3.5, 'max_epochs': 100.0}))
    assert calcfunction.is_finished_ok
    assert 'model' in results


def test_default(parse, data_regression):
    results, calcfunction = parse()
    assert calcfunction.is_finished_ok, calcfunction.exit_message
    data_regression.check(
        {
            'output_parameters': results['output_parameters'].get_dict(),
            'parity': {name: list(results['parity'].get_shape(name)) for name in results['parity'].get_arraynames()},
            'model': {key: value for key, value in results['model'].base.attributes.all.items() if key != 'sha256'},
        },
        round_digits=9,
    )


def test_model(parse, tmp_path):
    model = parse()[0]['model'].store()
    assert model.sha256 == hashlib.sha256((tmp_path / 'job' / 'model.nequip.zip').read_bytes()).hexdigest()
    described = AllegroModelData(tmp_path / 'job' / 'model.nequip.zip')  # by what the file says of itself
    assert (model.type_names, model.r_max) == (described.type_names, described.r_max) == (['Li', 'O', 'P', 'Si'], 3.5)


def test_errors(parse):
    """The errors equal the metrics that nequip prints for the same frames."""
    parameters = parse()[0]['output_parameters'].get_dict()
    printed = {}
    for line in (FIXTURES / 'default' / 'training.out').read_text().splitlines():
        if line.strip().startswith('test0_epoch/'):
            name, value = line.split()
            printed[name.removeprefix('test0_epoch/')] = float(value)
    assert parameters['test_forces_mae_eV_per_A'] == pytest.approx(printed['forces_mae'], rel=1e-6)
    assert parameters['test_forces_rmse_eV_per_A'] == pytest.approx(printed['forces_rmse'], rel=1e-6)
    assert parameters['test_energy_mae_eV_per_atom'] == pytest.approx(printed['per_atom_energy_mae'], rel=1e-6)
    assert parameters['test_energy_rmse_eV_per_atom'] == pytest.approx(printed['per_atom_energy_rmse'], rel=1e-6)


def test_parity(parse):
    """The references are the labels of the frames; errors by element are sums over their atoms."""
    results, _ = parse()
    parity = results['parity']
    frames = ase.io.read(FIXTURES / 'test.extxyz', ':')
    energies = [frame.get_potential_energy() / len(frame) for frame in frames]
    np.testing.assert_allclose(parity.get_array('energy_reference_eV_per_atom'), energies)
    forces = np.concatenate([frame.get_forces() for frame in frames])
    np.testing.assert_allclose(parity.get_array('forces_reference'), forces, atol=1e-7)
    assert parity.get_array('frame').tolist() == [0] * 17 + [1] * 17
    predicted = parity.get_array('forces_predicted')
    symbols = [symbol for frame in frames for symbol in frame.symbols]
    for element, stated in results['output_parameters']['test_forces_mae_by_element'].items():
        errors = [
            abs(predicted[i, k] - forces[i, k])
            for i, symbol in enumerate(symbols)
            if symbol == element
            for k in range(3)
        ]
        assert stated == pytest.approx(sum(errors) / len(errors), rel=1e-6)


def test_learning_curves(parse):
    """The curves equal Lightning's table, where the losses of an epoch stand in two lines, and the test in another."""
    parameters = parse()[0]['output_parameters'].get_dict()
    header, *lines = (FIXTURES / 'default' / 'metrics.csv').read_text().splitlines()
    columns = header.split(',')
    values = [dict(zip(columns, line.split(','), strict=True)) for line in lines]
    training, validation = values[1:4:2], values[0:4:2]
    curves = parameters['curves']
    assert curves['epoch'] == [0, 1]
    assert curves['train_loss'] == pytest.approx([float(row['train_loss_epoch/weighted_sum']) for row in training])
    assert curves['val_forces_mae_eV_per_A'] == pytest.approx(
        [float(row['val0_epoch/forces_mae']) for row in validation]
    )
    energies = [float(row['val0_epoch/per_atom_energy_mae']) for row in validation]
    assert curves['val_energy_mae_eV_per_atom'] == pytest.approx(energies)
    assert parameters['n_epochs'] == 2
    assert parameters['best_epoch'] == 1  # 3.5429 after 3.5452


def test_best_epoch_is_not_the_last(parse):
    def worsen(folder):
        lines = (folder / 'metrics.csv').read_text().splitlines()
        lines[3] = lines[3].rsplit(',', 1)[0] + ',9.5'
        (folder / 'metrics.csv').write_text('\n'.join(lines) + '\n')

    assert parse(change=worsen)[0]['output_parameters']['best_epoch'] == 0


def test_diverged(parse):
    """Both commands end well, but the package is useless and is not stored."""
    results, calcfunction = parse('diverged')
    assert calcfunction.exit_status == 400
    assert 'Lower the learning rate' in calcfunction.exit_message
    assert results.keys() == {'output_parameters'}
    parameters = results['output_parameters'].store().get_dict()
    assert parameters['curves']['train_loss'] == [None, None, None]
    assert parameters['best_epoch'] is None


def test_diverged_in_the_end(parse):
    """The first epoch was finite, the second was not."""

    def spoil(folder):
        lines = (folder / 'metrics.csv').read_text().splitlines()
        for index in (3, 4):
            lines[index] = ','.join(value and 'nan' for value in lines[index].split(','))
            lines[index] = lines[index].replace('nan,nan', '1,3', 1)
        (folder / 'metrics.csv').write_text('\n'.join(lines) + '\n')

    results, calcfunction = parse(change=spoil)
    assert calcfunction.exit_status == 400
    parameters = results['output_parameters'].get_dict()
    assert parameters['curves']['train_loss'] == [pytest.approx(27.075974227291574), None]
    assert (parameters['n_epochs'], parameters['best_epoch']) == (2, 0)


def test_killed_within_an_epoch(parse):
    """A training loss that was never written is not a divergence."""

    def cut(folder):
        lines = (folder / 'metrics.csv').read_text().splitlines()
        (folder / 'metrics.csv').write_text('\n'.join(lines[:4]) + '\n')
        for name in TEMPORARY[1:]:
            (folder / name).unlink(missing_ok=True)

    results, calcfunction = parse(change=cut)
    assert calcfunction.exit_status == 320
    assert results.keys() == {'output_parameters'}
    assert results['output_parameters']['curves']['train_loss'] == [pytest.approx(27.075974227291574), None]


@pytest.mark.parametrize('content', [None, '', 'epoch,step,val0_epoch/weighted_sum\n'])
def test_no_metrics(content, parse):
    def remove(folder):
        (folder / 'metrics.csv').unlink()
        if content is not None:
            (folder / 'metrics.csv').write_text(content)

    results, calcfunction = parse(change=remove)
    assert calcfunction.exit_status == 310
    assert not results


@pytest.mark.parametrize('message', OUT_OF_MEMORY, ids=['GPU', 'CPU'])
@pytest.mark.parametrize('name', ['training.out', '_scheduler-stderr.txt'])
def test_out_of_memory(name, message, parse):
    """Python reports the error in either of the two streams."""

    def fail(folder):
        (folder / name).write_text(f'Traceback (most recent call last):\n  …\n{message}\n')
        (folder / 'metrics.csv').unlink()

    assert parse(change=fail)[1].exit_status == 410


def test_nothing_retrieved(parse):
    """A job that was killed before it began has left no file at all."""

    def empty(folder):
        for path in folder.iterdir():
            path.unlink()

    assert parse(change=empty)[1].exit_status == 310


def test_no_model(parse):
    results, calcfunction = parse(change=lambda folder: (folder / 'model.nequip.zip').unlink())
    assert calcfunction.exit_status == 320
    assert results.keys() == {'output_parameters', 'parity'}


def test_continued(parse, tmp_path):
    """Types and cutoff are those of the initial model."""
    (tmp_path / 'first.nequip.zip').write_bytes(b'weights')
    first = AllegroModelData(tmp_path / 'first.nequip.zip', type_names=['Si', 'P', 'O', 'Li', 'Ge'], r_max=4.25)
    model = parse(initial_model=first)[0]['model']
    assert (model.type_names, model.r_max) == (['Si', 'P', 'O', 'Li', 'Ge'], 4.25)


def with_checkpoints(folder):
    """Add the checkpoints of the last epoch; nothing looks into them."""
    for name in ('best.ckpt', 'last.ckpt'):
        (folder / name).write_bytes(f'{name} of {folder}'.encode())


def output(folder, change):
    """Change what the programs have printed."""
    path = folder / 'training.out'
    path.write_text(change(path.read_text()))


def test_checkpoint(parse):
    """The checkpoint has both files and the epochs so far; its files and the model are known as made here."""
    results, _ = parse(change=with_checkpoints)
    checkpoint = results['checkpoint']
    assert sorted(checkpoint.list_object_names()) == ['best.ckpt', 'last.ckpt']
    assert checkpoint.base.attributes.get('epoch') == 1
    assert [row['epoch'] for row in checkpoint.base.attributes.get('epochs')] == [0, 1]
    assert complaint_about_checkpoint(checkpoint, None) is None
    assert results['model'].is_made_here


def test_killed(parse):
    """After a training that was killed, nequip-package still makes a package, which is not stored."""

    def kill(folder):
        with_checkpoints(folder)
        output(folder, lambda text: text[: text.index('TRAIN RUN END')])

    results, calcfunction = parse(change=kill)
    assert calcfunction.exit_status == 330
    assert results.keys() == {'output_parameters', 'checkpoint'}
    assert results['output_parameters']['n_epochs'] == 2


@pytest.mark.parametrize(('max_epochs', 'status'), [(3, 420), (2, 0)], ids=['on the way', 'in the last epoch'])
def test_out_of_walltime(parse, max_epochs, status):
    """A training whose last epoch has ended needs no more time."""

    def stop(folder):
        with_checkpoints(folder)
        output(folder, lambda text: text + 'Time limit reached. Elapsed time is 0:00:07. Signaling Trainer to stop.')

    results, calcfunction = parse(change=stop, parameters=orm.Dict({'r_max': 3.5, 'max_epochs': max_epochs}))
    assert calcfunction.exit_status == status
    assert {'output_parameters', 'checkpoint'} <= results.keys()
    assert ('model' in results) == ('parity' in results) == (status == 0)


def test_learning_curves_go_on(parse):
    """A job that continues states the earlier epochs too; of an epoch that both jobs have, the later counts."""
    before = orm.FolderData()
    rows = [{'epoch': epoch, 'val0_epoch/weighted_sum': 90.0 - epoch, 'val0_epoch/forces_mae': 9.0} for epoch in (0, 1)]
    rows[0]['val0_epoch/weighted_sum'] = 0.5  # better than all later epochs
    before.base.attributes.set_many({'epoch': 1, 'epochs': rows})

    def shift(folder):
        with_checkpoints(folder)
        header, *lines = (folder / 'metrics.csv').read_text().splitlines()
        place = header.split(',').index('epoch')
        cells = [line.split(',') for line in lines]
        for row in cells:
            row[place] = str(int(row[place]) + 1)
        (folder / 'metrics.csv').write_text('\n'.join([header, *(','.join(row) for row in cells)]))

    parameters = parse(change=shift, checkpoint=before)[0]['output_parameters'].get_dict()
    assert parameters['curves']['epoch'] == [0, 1, 2]
    assert parameters['curves']['val_forces_mae_eV_per_A'][0] == 9.0
    assert parameters['curves']['val_forces_mae_eV_per_A'][1] != 9.0
    assert parameters['best_epoch'] == 0


def test_line_cut_in_the_middle(parse):
    def cut(folder):
        text = (folder / 'metrics.csv').read_text()
        (folder / 'metrics.csv').write_text(text + '2,')

    assert parse(change=cut)[0]['output_parameters']['n_epochs'] == 2


def test_killed_before_the_first_epoch(parse):
    """A job without a traceback was killed, not wrong: it is worth another try."""

    def kill(folder):
        (folder / 'metrics.csv').unlink()
        output(folder, lambda text: text[: text.index('TRAIN RUN END')])

    assert parse(change=kill)[1].exit_status == 330


@pytest.mark.parametrize('status', [110, 120, 140])
def test_complete_training_whose_job_did_not_end(status, parse, monkeypatch):
    """A training that hangs at its exit has succeeded: else AiiDA keeps the scheduler's status."""
    returned, original = [], AllegroTrainParser.parse

    def record(self, **kwargs):
        self.node.set_exit_status(status)
        self.node.set_exit_message('The job hung.')
        returned.append(original(self, **kwargs))
        return returned[-1]

    monkeypatch.setattr(AllegroTrainParser, 'parse', record)
    parse()
    ((exit_status, message, _),) = returned
    assert exit_status == 0
    assert message == 'All results are there, although the scheduler says: The job hung.'


def test_version_changes_with_what_is_stored(parse):
    """A parser that stores other things needs a new ``CACHE_VERSION``, or the cache returns what was stored before."""
    results, calcfunction = parse()
    check_fingerprint(ENTRY_POINT, results, calcfunction.exit_status)
