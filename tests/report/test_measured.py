"""Measured conductivities: read from CSV files, and given to the campaigns of the same composition."""

import pytest

from aiida_ionconduct.report.measured import Measured, beside, read_measured

HEAD = 'material,temperature_K,sigma_S_per_cm,source\n'


def written(tmp_path, text):
    """Write a file and return its path."""
    path = tmp_path / 'measured.csv'
    path.write_text(text, encoding='utf-8')
    return path


def test_a_file_is_read(tmp_path):
    text = f'\ufeff# from two papers\n{HEAD}Li10GeP2S12, 300, 1.2e-2, "Kamaya, 2011"\n\nLi3PO4,673,7e-7\n'
    assert read_measured(written(tmp_path, text)) == [
        Measured('Li10GeP2S12', 300.0, 0.012, 'Kamaya, 2011'),
        Measured('Li3PO4', 673.0, 7e-7, ''),
    ]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('material,T\nLi3PO4,300\n', 'no column temperature_K, sigma_S_per_cm'),
        (f'{HEAD}Li3PO4,27 C,1e-3,x\n', 'line 2: could not convert'),
        (f'# note\n{HEAD}Li3PO4,300,0,x\n', 'line 3: temperature and conductivity must be positive'),
        (f'{HEAD}electrolyte,300,1e-3,x\n', 'line 2: .*a line holds a formula'),
        (f'{HEAD}Li3PO4,300\n', 'line 2: '),
        (HEAD, 'holds no measured conductivity'),
        (f'{HEAD}Li3PO4,inf,1e-3,x\n', 'line 2: temperature and conductivity must be positive and finite'),
        ('material;temperature_K;sigma_S_per_cm\nLi3PO4;300;1e-3\n', 'no column material.*with commas between'),
        ('', 'no column material'),
    ],
)
def test_bad_files_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_measured(written(tmp_path, text))


def test_a_line_is_counted_in_the_file(tmp_path):
    """Comments and sources over two lines count, too."""
    text = f'# note\n{HEAD}Li3PO4,300,1e-9,"two\nlines"\nLi4SiO4,cold,1e-9,x\n'
    with pytest.raises(ValueError, match='line 5: could not convert'):
        read_measured(written(tmp_path, text))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / 'measured.csv'
    path.write_bytes(f'{HEAD}Li3PO4,673,7e-7,'.encode() + b'Z\xfcrich\n')
    with pytest.raises(ValueError, match='save it as CSV in UTF-8'):
        read_measured(path)


def test_compositions_are_compared_by_their_shares():
    rows = [Measured(formula, 300.0, 1e-6, '') for formula in ('Li3.25Si0.25P0.75O4', 'Li3PO4', 'Li4SiO4')]
    formulas = {'cell': 'Li52O64P12Si4', 'phosphate': 'Li24P8O32', 'unknown': ''}
    assert beside(rows, formulas) == ({'cell': [rows[0]], 'phosphate': [rows[1]]}, ['Li4SiO4'])
