"""The readers of LAMMPS' text output."""

import re

import numpy as np
import pytest

from aiida_ionconduct.lammps.log import find_explosion, read_centres_of_mass, read_log, replica_thermo
from aiida_ionconduct.lammps.parameters import MdParameters

LOG = """LAMMPS (22 Jul 2025 - Update 4)
units metal
print "ionconduct stage: equilibration"
ionconduct stage: equilibration
run 10
   Step          Temp          PotEng
         0   900            -1.5
        10   910.5          -1.25
Loop time of 0.5 on 1 procs for 10 steps with 17 atoms
print "ionconduct stage: production"
ionconduct stage: production
run 20
   Step          Temp          PotEng
         0   900            -1.5
WARNING: something happened on step 10
        10   nan            -inf
        20   880            -1.
Loop time of 2 on 1 procs for 20 steps with 17 atoms

87.5% CPU use with 1 MPI tasks x 1 OpenMP threads
Total wall time: 0:00:03
"""


def test_stages():
    log = read_log(LOG)
    assert log.version == '22 Jul 2025 - Update 4'
    assert [(stage.name, stage.loop_time_s, stage.n_steps) for stage in log.stages] == [
        ('equilibration', 0.5, 10),
        ('production', 2.0, 20),
    ]
    assert log.stages[0].thermo.tolist() == [[0, 900, -1.5], [10, 910.5, -1.25]]
    assert np.isnan(log.production.thermo[1, 1])
    assert log.production.thermo[2].tolist() == [20, 880, -1]
    assert [stage.cpu_use_percent for stage in log.stages] == [None, 87.5]
    assert log.complete
    assert not log.errors
    assert not log.out_of_walltime


@pytest.mark.parametrize('size', range(0, len(LOG), 7))
def test_any_truncation(size):
    """A killed run leaves a log of any length; what is read is what was written."""
    log = read_log(LOG[:size])
    assert not log.complete
    for stage, whole in zip(log.stages, read_log(LOG).stages, strict=False):
        assert np.array_equal(stage.thermo, whole.thermo[: len(stage.thermo), : stage.thermo.shape[1]], equal_nan=True)


def test_errors():
    log = read_log(LOG.replace('Total', 'ERROR on proc 0: Lost atoms (src/thermo.cpp:1)\nTotal'))
    assert log.errors == ['ERROR on proc 0: Lost atoms (src/thermo.cpp:1)']
    assert not log.complete


CENTRES = """# Time-averaged data
# TimeStep Number-of-rows
# Row c_centres[1] …
0 2
1 1 2 3
2 4 5 6
5 2
1 1.5 2 3
2 4 5 6.25
"""


@pytest.mark.parametrize('cut', ['', '10 2\n1 1.5 2', '10 2\n1 1.5 2 3\n2 4', '10 2\n1 1.5 2 3\n2 4 5 6'])
def test_centres_of_mass(cut, tmp_path):
    """All whole blocks are read; a block that was cut is left out."""
    (tmp_path / 'centres.txt').write_text(CENTRES + cut)
    steps, centres = read_centres_of_mass(tmp_path / 'centres.txt')
    assert steps.tolist() == [0, 5]
    assert centres.tolist() == [[[1, 2, 3], [4, 5, 6]], [[1.5, 2, 3], [4, 5, 6.25]]]


@pytest.mark.parametrize('text', ['', '# Time', CENTRES.partition('0 2\n')[0], CENTRES.partition('2 4 5 6')[0]])
def test_no_centres_of_mass(text, tmp_path):
    (tmp_path / 'centres.txt').write_text(text)
    with pytest.raises(ValueError, match='centres of mass ends'):
        read_centres_of_mass(tmp_path / 'centres.txt')


def test_many_blocks_of_centres_of_mass(tmp_path):
    """Blocks that are read in several parts come in their order, also if comments stand between them."""
    blocks = [f'{5 * i} 2\n1 {i} 0 0\n2 0 {i} 0.5\n' for i in range(3000)]
    (tmp_path / 'centres.txt').write_text('# Time\n' + '# a comment\n'.join(blocks) + '15000 2\n1 0 0')
    steps, centres = read_centres_of_mass(tmp_path / 'centres.txt')
    assert steps.tolist() == list(range(0, 15000, 5))
    assert centres[:, 0, 0].tolist() == centres[:, 1, 1].tolist() == list(range(3000))
    assert set(centres[:, 1, 2]) == {0.5}


@pytest.mark.parametrize('lost', ['2 0 3 0.5\n', '15 2\n1 3 0 0\n', '15 2\n'])
def test_lost_part_of_centres_of_mass(lost, tmp_path):
    """Behind a part that a full disk has swallowed, numbers are not taken for numbers of other rows."""
    text = ''.join(f'{5 * i} 2\n1 {i} 0 0\n2 0 {i} 0.5\n' for i in range(10))
    assert lost in text
    (tmp_path / 'centres.txt').write_text(text.replace(lost, '', 1))
    steps, centres = read_centres_of_mass(tmp_path / 'centres.txt')
    assert steps.tolist() == [0, 5, 10]
    assert centres[:, 0, 0].tolist() == [0, 1, 2]


def test_replica_thermo():
    table = np.array([[0, 1, 2, 3, 4], [10, 5, 6, 7, 8]], dtype=float)
    assert replica_thermo(table, 2).tolist() == [[[0, 1, 2], [10, 5, 6]], [[0, 3, 4], [10, 7, 8]]]


# How a run explodes -------------------------------------------------------------------------------------------------

PARAMETERS = {
    'temperature_K': 900.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 0,
    'production_steps': 20,
    'seeds': [3],
}
RUN = MdParameters.check(PARAMETERS)


def test_peak_memory():
    """What `info memory` writes at the end of a run that asks for it."""
    memory = 'Maximum resident set size: 512.5 Mbyte\nTotal wall'
    assert read_log(LOG.replace('Total wall', memory)).peak_memory_MB == 512.5
    assert read_log(LOG).peak_memory_MB is None


def log_of(*rows, error=''):
    """Return a log of production with these rows of temperature and total energy."""
    table = ''.join(f'{10 * i} {T} 0 0 {energy} 0\n' for i, (T, energy) in enumerate(rows))
    return read_log(f'LAMMPS (22 Jul 2025)\nionconduct stage: production\nStep T pe ke E p\n{table}{error}\n')


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([(900, -10), (1800, -10.5)], None),
        ([(900, -10), (2701, -10)], r'the temperature ran away at step 10 of the production \(seed 3\)'),
        ([(900, -10), (900, -10), (900, -5.2)], 'the total energy ran away at step 20'),
        ([(900, -10), (900, -14.8)], 'the total energy ran away at step 10'),
        ([(900, -10), (900, 'nan')], 'energies are not finite at step 10'),
    ],
)
def test_explosion(rows, message):
    """The limit for ten atoms at 900 K: 3 kB (2700 K - 900 K) is 0.465 eV/atom."""
    explosion = find_explosion(log_of(*rows), RUN, 10)
    assert explosion is None if message is None else re.match(message, explosion)


def test_explosion_of_one_replica():
    log = read_log(
        'ionconduct stage: production\nStep a b c d a b c d\n0 900 0 0 0 900 0 0 0\n10 900 0 0 0 3000 0 0 0\n'
    )
    assert '(seed 8)' in find_explosion(log, MdParameters.check({**PARAMETERS, 'seeds': [7, 8]}), 10)


@pytest.mark.parametrize(
    'error',
    [
        'ERROR: Lost atoms: original 17 current 0',
        'ERROR on proc 0: pair_style allegro: no two atoms are within the cutoff of 4 A (pair_allegro.cpp:273)',
    ],
)
def test_error_of_lammps_is_an_explosion(error):
    assert find_explosion(log_of((900, -10), error=error), RUN, 10) == error
    assert find_explosion(log_of((900, -10), error='ERROR: no such file'), RUN, 10) is None
