"""`AllegroModelData`: what is stored of a file, and that the pickles inside are never touched."""

import hashlib
import io
import pathlib
import pickle

import pytest
from aiida import orm

from aiida_ionconduct.data import AllegroModelData
from model_files import PACKAGE, compiled, package


class Trap:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_package(aiida_profile_clean):
    """The file, its SHA-256, what it states and what the caller adds are stored, and can be queried."""
    content = package()
    node = AllegroModelData(io.BytesIO(content), filename='m.nequip.zip', metrics={'test_forces_mae_eV_per_A': 0.05})
    node.store()
    node = orm.load_node(node.pk)
    assert node.sha256 == hashlib.sha256(content).hexdigest()
    assert node.get_content(mode='rb') == content
    assert (node.model_format, node.type_names, node.r_max) == ('package', ['Li', 'P', 'Si', 'O'], 4.5)
    assert node.base.attributes.get('versions') == PACKAGE['versions']
    assert node.base.attributes.get('metrics') == {'test_forces_mae_eV_per_A': 0.05}
    nodes = orm.QueryBuilder().append(AllegroModelData, filters={'attributes.r_max': {'<': 5}}).all(flat=True)
    assert [match.uuid for match in nodes] == [node.uuid]


def test_missing_types():
    node = AllegroModelData(io.BytesIO(package()), filename='m.nequip.zip')
    assert node.missing_types(['Li', 'S', 'O', 'Ge', 'S']) == ['Ge', 'S']


def test_compiled():
    node = AllegroModelData(io.BytesIO(compiled()), filename='m.nequip.pt2', computer='cluster')
    assert (node.model_format, node.type_names, node.r_max) == ('aotinductor', ['Li', 'P', 'Si', 'O'], 4.5)
    assert {name: node.base.attributes.get(name) for name in ('device', 'allow_tf32', 'model_dtype', 'computer')} == {
        'device': 'cpu',
        'allow_tf32': False,
        'model_dtype': 'float32',
        'computer': 'cluster',
    }


def test_from_path(tmp_path):
    path = tmp_path / 'LiPSiO.nequip.zip'
    path.write_bytes(package())
    for source in (path, str(path)):
        assert AllegroModelData(source).filename == 'LiPSiO.nequip.zip'
    with path.open('rb') as stream:
        assert AllegroModelData(stream).filename == 'LiPSiO.nequip.zip'


def test_pickles_are_never_loaded(tmp_path, aiida_profile_clean):
    """Making and loading a node never unpickles the file, which could run anything."""
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


def test_other_file():
    with pytest.raises(ValueError, match=r'`best\.ckpt` is not an Allegro model: expected one of \.nequip\.zip'):
        AllegroModelData(io.BytesIO(package()), filename='best.ckpt')


def test_stated_by_the_caller():
    """A file that does not state its types is taken when the caller states them, as the parsers do."""
    node = AllegroModelData(io.BytesIO(b'weights'), filename='m.nequip.zip', type_names=['Li'], r_max=5.0, label='mine')
    assert (node.type_names, node.r_max, node.label) == (['Li'], 5.0, 'mine')
