"""`AllegroModelData`: what it states of a file, and that the pickles inside are never touched."""

import hashlib
import io
import json
import pathlib
import pickle
import zipfile

import pytest
import yaml
from aiida import orm

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import read_metadata

# What nequip 0.19.1 writes into its archives, shortened; the rest of them is weights, code and pickles.
PACKAGE = {
    'atom_types': {0: 'Li', 1: 'P', 2: 'Si', 3: 'O'},
    'available_models': ['eager', 'compile'],
    'package_version_id': 2,
    'versions': {'allegro': '0.8.3', 'nequip': '0.19.1', 'torch': '2.13.0+cpu'},
}
TRANSFORMS = [
    {'_target_': 'nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper', 'model_type_names': ['Li', 'P', 'Si', 'O']},
    {'_target_': 'nequip.data.transforms.NeighborListTransform', 'r_max': 4.5},
]
SCRATCH = {'_target_': 'allegro.model.AllegroModel', 'r_max': 4.5, 'type_names': ['Li', 'P', 'Si', 'O']}
CONTINUED = {'_target_': 'nequip.model.ModelFromPackage', 'package_path': 'initial.nequip.zip'}
COMPILED = {
    'model_dtype': 'float32',
    'type_names': 'Li P Si O',
    'num_types': '4',
    'r_max': '4.5',
    'allow_tf32': '0',
    'AOTI_DEVICE_KEY': 'cpu',
    'AOTI_MACHINE': 'x86_64',
}


class Trap:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def archive(files):
    """Return the bytes of a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as handle:
        for name, content in files.items():
            handle.writestr(name, content)
    return stream.getvalue()


def package(model=SCRATCH, **others):
    """Return a packaged model as nequip lays it out, without the weights."""
    configuration = {'data': {'transforms': TRANSFORMS}, 'training_module': {'model': model}}
    files = {
        'm.nequip/model/package_metadata.txt': yaml.safe_dump(PACKAGE),
        'm.nequip/model/config.yaml': yaml.safe_dump(configuration),
    }
    return archive(files | others)


def compiled(**changes):
    """Return a compiled model as torch lays it out, without the shared library."""
    metadata = json.dumps(COMPILED | changes)
    folder = 'm.nequip/data/aotinductor/model'
    return archive({f'{folder}/abc.wrapper_metadata.json': metadata, f'{folder}/abc.wrapper.so': b'\x7fELF'})


def test_package(aiida_profile_clean):
    content = package()
    node = AllegroModelData(io.BytesIO(content), filename='m.nequip.zip', metrics={'test_forces_mae_eV_per_A': 0.05})
    node.store()
    node = orm.load_node(node.pk)
    assert node.sha256 == hashlib.sha256(content).hexdigest()
    assert node.get_content(mode='rb') == content
    assert (node.model_format, node.type_names, node.r_max) == ('package', ['Li', 'P', 'Si', 'O'], 4.5)
    assert node.base.attributes.get('versions') == PACKAGE['versions']
    assert node.base.attributes.get('metrics') == {'test_forces_mae_eV_per_A': 0.05}
    assert node.missing_types(['Li', 'S', 'O', 'Ge', 'S']) == ['Ge', 'S']
    found = orm.QueryBuilder().append(AllegroModelData, filters={'attributes.r_max': {'<': 5}}).all(flat=True)
    assert [one.uuid for one in found] == [node.uuid]


def test_package_of_continued_training():
    """A model trained on from another package does not repeat its cutoff where one trained from scratch has it."""
    assert read_metadata(package(CONTINUED))['r_max'] == 4.5


def test_compiled():
    node = AllegroModelData(io.BytesIO(compiled()), filename='m.nequip.pt2', computer='cluster')
    assert (node.model_format, node.type_names, node.r_max) == ('aotinductor', ['Li', 'P', 'Si', 'O'], 4.5)
    assert {name: node.base.attributes.get(name) for name in ('device', 'allow_tf32', 'model_dtype', 'computer')} == {
        'device': 'cpu',
        'allow_tf32': False,
        'model_dtype': 'float32',
        'computer': 'cluster',
    }
    assert read_metadata(compiled(AOTI_DEVICE_KEY='cuda', allow_tf32='1'))['allow_tf32']


def test_from_path(tmp_path):
    path = tmp_path / 'LiPSiO.nequip.zip'
    path.write_bytes(package())
    for source in (path, str(path)):
        assert AllegroModelData(source).filename == 'LiPSiO.nequip.zip'
    with path.open('rb') as stream:
        assert AllegroModelData(stream).filename == 'LiPSiO.nequip.zip'


def test_pickles_are_never_loaded(tmp_path, aiida_profile_clean):
    """A file from someone else may run anything when it is unpickled."""
    sprung = tmp_path / 'sprung'
    trap = pickle.dumps(Trap(sprung))
    content = package(
        **{f'm.nequip/model/{name}.pkl': trap for name in ('eager_model', 'compile_model', 'example_data')}
    )
    node = AllegroModelData(io.BytesIO(content), filename='m.nequip.zip').store()
    assert orm.load_node(node.pk).type_names == ['Li', 'P', 'Si', 'O']
    (tmp_path / 'm.nequip.zip').write_bytes(trap)
    with pytest.raises(ValueError, match='does not state its type names'):
        AllegroModelData(tmp_path / 'm.nequip.zip')
    assert not sprung.exists()
    pickle.loads(trap)
    assert sprung.exists()  # the trap does work


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
        AllegroModelData(io.BytesIO(content), filename='m.nequip.zip')


def test_other_file():
    with pytest.raises(ValueError, match=r'`best\.ckpt` is not an Allegro model: expected one of \.nequip\.zip'):
        AllegroModelData(io.BytesIO(package()), filename='best.ckpt')


def test_stated_by_hand():
    """The parsers know what they have asked for; the file then need not state it."""
    node = AllegroModelData(io.BytesIO(b'weights'), filename='m.nequip.zip', type_names=['Li'], r_max=5.0, label='mine')
    assert (node.type_names, node.r_max, node.label) == (['Li'], 5.0, 'mine')
