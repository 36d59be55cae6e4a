"""The formats of a model, and what a file states about itself."""

import io
import json
import time
import tracemalloc
import zipfile

import pytest
import yaml

from aiida_ionconduct.allegro.package import FORMATS, MAX_TEXT_BYTES, format_of, read_metadata
from model_files import CONTINUED, GNN, PACKAGE, SCRATCH, TRANSFORMS, archive, compiled, package


@pytest.mark.parametrize('model_format', FORMATS)
def test_the_suffix_tells_the_format(model_format):
    assert format_of(f'LiPSiO{FORMATS[model_format]}') == model_format


def test_other_file():
    with pytest.raises(ValueError, match=r'`best\.ckpt` is not an Allegro model: expected one of \.nequip\.zip'):
        format_of('best.ckpt')


def test_package():
    described = {
        'type_names': ['Li', 'P', 'Si', 'O'],
        'r_max': 4.5,
        'versions': PACKAGE['versions'],
        'architecture': 'allegro.model.AllegroModel',
    }
    assert read_metadata(package()) == described


def test_compiled():
    metadata = read_metadata(compiled(AOTI_DEVICE_KEY='cuda', allow_tf32='1'))
    assert (metadata['device'], metadata['allow_tf32'], metadata['model_dtype']) == ('cuda', True, 'float32')


def test_package_of_continued_training():
    """A model whose training started from another package has its cutoff in the neighbour lists alone."""
    assert read_metadata(package(CONTINUED))['r_max'] == 4.5


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'not an archive',
        archive({}),
        archive({'m/model/package_metadata.txt': yaml.safe_dump(PACKAGE)}),
        archive({'m/model/package_metadata.txt': 'only a line', 'm/model/config.yaml': '{data: {}}'}),
        archive({'m/model/package_metadata.txt': '}: {', 'm/model/config.yaml': ''}),
        package(model={'r_max': '${cutoff}'}),
        archive({'m/data/model/a.wrapper_metadata.json': '{"type_names": "Li O"}'}),
    ],
    ids=['empty', 'text', 'empty archive', 'no cutoff', 'odd', 'no YAML', 'unresolved', 'half compiled'],
)
def test_no_metadata(content):
    with pytest.raises(ValueError, match=r'`m\.nequip\.zip` does not state its type names and cutoff: give a model'):
        read_metadata(content, 'm.nequip.zip')


LMDB = {'_target_': 'nequip.data.dataset.NequIPLMDBDataset', 'file_path': 'train.lmdb', 'transforms': TRANSFORMS}


@pytest.mark.parametrize(
    'data',
    [
        {'_target_': 'nequip.data.datamodule.NequIPDataModule', 'train_dataset': LMDB, 'val_dataset': LMDB},
        {'train_dataset': [LMDB, LMDB]},
        {'split_dataset': {'dataset': LMDB, 'train': 0.9, 'val': 0.1}},
        {'split_dataset': [{'train': 10, 'dataset': LMDB}]},
        {'train_dataloader': {'collate_fn': {'_target_': 'my.collate', 'transforms': TRANSFORMS[1:]}}},
        {'transforms': [{'_target_': 'nequip.data.transforms.SortedNeighborListTransform', 'r_max': 4.5}]},
        {'train_file_path': 'frames.extxyz'},
    ],
    ids=['one data set', 'two', 'split', 'several splits', 'loader', 'sorted', 'no neighbour list'],
)
@pytest.mark.parametrize(
    'model',
    [
        SCRATCH,
        {'_target_': 'nequip.model.modify', 'modifiers': [{'modifier': 'enable_CuEquivariance'}], 'model': SCRATCH},
        {key: value for key, value in SCRATCH.items() if key != 'r_max'},
    ],
    ids=['model', 'modified model', 'no cutoff in the model'],
)
def test_cutoff_wherever_nequip_puts_it(data, model):
    """In the model or, as in the configuration of Allegro-OAM, in the transforms of a data set."""
    if 'r_max' in str(model) or 'NeighborList' in str(data):
        assert read_metadata(package(model, data))['r_max'] == 4.5
    else:
        with pytest.raises(ValueError, match='does not state its type names and cutoff'):
            read_metadata(package(model, data))


@pytest.mark.parametrize('r_max', [float('nan'), float('inf'), 0.0, -4.5])
def test_cutoff_that_is_no_length(r_max):
    with pytest.raises(ValueError, match='does not state its type names and cutoff'):
        read_metadata(package({**SCRATCH, 'r_max': r_max}))


@pytest.mark.parametrize(
    ('model', 'modules', 'name'),
    [
        (GNN, (), 'nequip.model.NequIPGNNModel'),
        ({'_target_': 'nequip.model.modify', 'model': GNN}, (), 'nequip.model.NequIPGNNModel'),
        ({**GNN, '_target_': 'nequip.model.PresetNequIPGNNModel'}, (), 'nequip.model.PresetNequIPGNNModel'),
        ({**GNN, '_target_': 'mace.Model'}, ('allegro/nn/_allegro.py',), 'mace.Model'),
        ({'r_max': 4.5}, (), 'unknown'),
        (CONTINUED, (), 'nequip.model.NequIPGNNModel'),
        ({**CONTINUED, '_target_': 'nequip.model.ModelFromCheckpoint'}, (), 'nequip.model.NequIPGNNModel'),
    ],
    ids=['GNN', 'modified', 'preset', 'other', 'none', 'from a package', 'from a checkpoint'],
)
def test_other_architectures_are_refused_by_name(model, modules, name):
    """A model that was loaded from another file is known by the code of its layers, which the package carries."""
    with pytest.raises(
        ValueError, match=rf'`m\.nequip\.zip` is a model of the architecture `{name}`, which pair_style'
    ):
        read_metadata(package(model, modules=modules), 'm.nequip.zip')


@pytest.mark.parametrize('name', ['allegro.model.AllegroModel', 'allegro.model.FullAllegroModel'])
def test_allegro_architectures_are_accepted(name):
    assert read_metadata(package({**SCRATCH, '_target_': name}))['architecture'] == name


def test_continued_allegro_is_accepted():
    assert read_metadata(package(CONTINUED))['architecture'] == 'allegro'


def aliases(n_levels=26):
    """Return a YAML text of less than 1 kB whose aliases stand for 9^26 words."""
    lines = ['a: &a ["x","x","x","x","x","x","x","x","x"]']
    lines += [f'{chr(98 + n)}: &{chr(98 + n)} [{",".join(["*" + chr(97 + n)] * 9)}]' for n in range(n_levels - 1)]
    return '\n'.join(lines)


def merges(n_levels=24):
    """Return a YAML text whose merged mappings double at every level."""
    lines = ['m0: &m0 {k0: 1}', *(f'm{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}' for n in range(1, n_levels))]
    return '\n'.join(lines)


@pytest.mark.parametrize(
    'text', [aliases(), merges(), 'versions: &v [*v]', '[' * 100_000], ids=['lists', 'merges', 'itself', 'depth']
)
@pytest.mark.parametrize('name', ['package_metadata.txt', 'config.yaml'])
def test_bombs_of_yaml_are_refused_at_once(name, text):
    """Aliases are refused before anything is made of them; 800 bytes would hang the command."""
    start = time.process_time()
    extra = 'versions: *z' if text == aliases() else ''
    with pytest.raises(ValueError, match='its texts hold aliases of YAML or are nested deeply'):
        read_metadata(package(**{f'm.nequip/model/{name}': f'{text}\n{extra}'}))
    assert time.process_time() - start < 10  # a bound for a busy machine: it takes a fraction of a second


@pytest.mark.parametrize('stated', [None, 100], ids=['honest', 'lying about its size'])
@pytest.mark.parametrize('name', ['package_metadata.txt', 'config.yaml', 'a.wrapper_metadata.json'])
def test_zip_bomb_is_never_expanded(name, stated):
    """50 MB of blanks in 50 kB: no more is expanded than a text may have."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as handle:
        handle.writestr(f'm.nequip/model/{name}', b' ' * 50_000_000)
    content = stream.getvalue()
    if stated:
        content = content.replace((50_000_000).to_bytes(4, 'little'), stated.to_bytes(4, 'little'))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r'is longer than \d+ bytes|does not state its type names'):
            read_metadata(content)
        assert tracemalloc.get_traced_memory()[1] < 20 * MAX_TEXT_BYTES
    finally:
        tracemalloc.stop()


def test_many_elements_fit():
    """The texts of a model of 89 elements with a shift for each of them are far below the limit."""
    symbols = [f'X{number}' for number in range(89)]
    shifts = dict.fromkeys(symbols, -1.23456789)
    model = {**SCRATCH, 'type_names': symbols, 'per_type_energy_shifts': shifts, 'per_type_energy_scales': shifts}
    metadata = {**PACKAGE, 'atom_types': dict(enumerate(symbols))}
    assert len(yaml.safe_dump(model)) < MAX_TEXT_BYTES / 10
    assert read_metadata(package(model, metadata=metadata))['type_names'] == symbols


def test_other_kinds_of_versions_are_refused():
    """What is stored as an attribute is a mapping of words, whatever the file says."""
    with pytest.raises(ValueError, match='does not state its type names'):
        read_metadata(package(metadata={**PACKAGE, 'versions': ['0.19.1']}))
    metadata = read_metadata(package(metadata={**PACKAGE, 'versions': {'torch': {'deep': [1]}}}))
    assert json.dumps(metadata['versions']) == '{"torch": "{\'deep\': [1]}"}'
