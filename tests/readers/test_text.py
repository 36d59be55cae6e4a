"""Numbers in columns of text, against Python's own reading of numbers."""

import numpy as np
import pytest

from aiida_ionconduct.readers.text import read_rows


def rows_of_three(text, n_rows):
    """Return the numbers of a text with three columns, read as one frame, (1, rows, 3)."""
    return read_rows(text.encode(), [0], n_rows, columns='xyz', coordinates='xyz').positions


@pytest.mark.parametrize(
    'word',
    ['0', '-0', '+1.5', '.5', '5.', '1e3', '-2.5E-7', '1.7976931348623157e308', '5e-324', 'nan', 'inf', '-inf',
     '123456789012345678', '1234567890123456789012', '0.1', '0.30000000000000004', '9007199254740993', '1e-400',
     '0.00000000000000000000012345', '3.141592653589793238462643'],
)  # fmt: skip
def test_numbers_are_those_of_python(word):
    """A number is read to the last bit and with its sign, with tabs and carriage returns about it."""
    values = rows_of_three(f'{word}\t {word} -{word.lstrip("+-")}\r\n', 1)
    expected = [float(word), float(word), -float(word.lstrip('+-'))]
    np.testing.assert_array_equal(values[0, 0], expected)
    assert np.signbit(values[0, 0, :2]).tolist() == [np.signbit(float(word))] * 2 or word == 'nan'


def test_random_numbers_are_those_of_python():
    """Random numbers with 1 to 19 digits are read to the last bit."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**63, 3000, dtype=np.int64).view(float)
    words = [f'{value:.{digits}g}' for value, digits in zip(bits, rng.integers(1, 20, 3000), strict=True)]
    words[1::2] = [
        f'{value:.{digits}f}' for value, digits in zip(rng.normal(size=1500), rng.integers(0, 20, 1500), strict=True)
    ]
    text = '\n'.join(' '.join(words[k : k + 3]) for k in range(0, 3000, 3)) + '\n'
    values = rows_of_three(text, 1000)
    np.testing.assert_array_equal(values.ravel(), [float(word) for word in words])


@pytest.mark.parametrize('word', ['', '-', '1.2.3', '1e', 'x', '1x', '0x10g', '--1', '1' * 70])
def test_words_that_are_no_numbers(word):
    with pytest.raises(ValueError, match='words where numbers'):
        rows_of_three(f'1 2 {word}\n', 1)
