"""The formats of a model, and what a file states about itself."""

import pytest
import yaml

from aiida_ionconduct.allegro.package import FORMATS, format_of, read_metadata
from model_files import CONTINUED, PACKAGE, archive, compiled, package


@pytest.mark.parametrize('model_format', FORMATS)
def test_the_suffix_tells_the_format(model_format):
    assert format_of(f'LiPSiO{FORMATS[model_format]}') == model_format


def test_other_file():
    with pytest.raises(ValueError, match=r'`best\.ckpt` is not an Allegro model: expected one of \.nequip\.zip'):
        format_of('best.ckpt')


def test_package():
    described = {'type_names': ['Li', 'P', 'Si', 'O'], 'r_max': 4.5, 'versions': PACKAGE['versions']}
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
