"""`AllegroCompileParser`: the compiled model and the machine it is for."""

import json
import shutil
import zipfile

import pytest
from aiida import orm

from aiida_ionconduct.data import AllegroModelData
from parser_fingerprints import check_fingerprint

ENTRY_POINT = 'ionconduct.allegro.compile'
# As nequip 0.19.1 has torch 2.13 write it into the archive.
METADATA = {
    'model_dtype': 'float32',
    'type_names': 'Li P Si O',
    'num_types': '4',
    'r_max': '4.5',
    'allow_tf32': '0',
    'AOTI_DEVICE_KEY': 'cpu',
    'AOTI_PLATFORM': 'linux',
    'AOTI_MACHINE': 'x86_64',
    'AOTI_CPU_ISA': 'AVX512 AVX512_VNNI',
}


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Return a function that parses a job, which has written the compiled model or not."""

    def parse(written, parameters=None, size=None):
        folder = tmp_path / 'job'
        folder.mkdir()
        (tmp_path / 'LiPSiO.nequip.zip').write_bytes(b'weights')
        package = AllegroModelData(tmp_path / 'LiPSiO.nequip.zip', type_names=['Li', 'P', 'Si', 'O'], r_max=4.5)
        if written:
            with zipfile.ZipFile(folder / 'model.nequip.pt2', 'w') as archive:
                archive.writestr('m.nequip/data/aotinductor/model/abc.wrapper_metadata.json', json.dumps(METADATA))
            shutil.copy(folder / 'model.nequip.pt2', folder / 'model.nequip.lmp.pt')  # which is not opened
        for path in folder.iterdir() if size else ():
            path.write_bytes(path.read_bytes()[:size])
        inputs = {'model': package, 'parameters': orm.Dict(parameters or {})}
        compiled = ['model.nequip.pt2', 'model.nequip.lmp.pt']
        node = generate_calc_job_node(ENTRY_POINT, folder, inputs, retrieved_temporary=compiled)
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(folder)
        )
        assert calcfunction.exception is None
        return results, calcfunction, package

    return parse


def test_default(parse):
    results, calcfunction, package = parse(written=True)
    assert calcfunction.is_finished_ok
    model = results['model'].store()
    assert (model.model_format, model.type_names, model.r_max) == ('aotinductor', ['Li', 'P', 'Si', 'O'], 4.5)
    attributes = model.base.attributes.all
    assert attributes['package_sha256'] == package.sha256 != model.sha256
    assert (attributes['computer'], attributes['device'], attributes['allow_tf32']) == ('localhost', 'cpu', False)


def test_mliap(parse):
    """What the file does not state comes from the package."""
    results, calcfunction, package = parse(written=True, parameters={'target': 'mliap', 'device': 'cuda'})
    assert calcfunction.is_finished_ok
    model = results['model']
    assert (model.model_format, model.type_names, model.r_max) == ('mliap', package.type_names, package.r_max)
    assert model.base.attributes.get('device') == 'cuda'


@pytest.mark.parametrize('target', ['pair_allegro', 'mliap'])
def test_killed_while_it_is_written(parse, target):
    """Half a file is not taken for a model."""
    results, calcfunction, _ = parse(written=True, parameters={'target': target}, size=100)
    assert calcfunction.exit_status == 310
    assert 'model' not in results


def test_no_model(parse):
    results, calcfunction, _ = parse(written=False)
    assert calcfunction.exit_status == 310
    assert not results


def test_version_changes_with_what_is_stored(parse):
    """A parser that stores other things needs a new ``CACHE_VERSION``, or the cache returns what was stored before."""
    results, calcfunction = parse(written=True)[:2]
    check_fingerprint(ENTRY_POINT, results, calcfunction.exit_status)
