"""The readers of LAMMPS' text output."""

import numpy as np
import pytest

from aiida_ionconduct.lammps.log import read_centres_of_mass, read_log

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


def test_centres_of_mass():
    text = '# Time-averaged data\n# TimeStep c_com_Li[1] …\n0 1 2 3 4 5 6\n5 1.5 2 3 4 5 6.25\n'
    steps, centres = read_centres_of_mass(text)
    assert steps.tolist() == [0, 5]
    assert centres.tolist() == [[[1, 2, 3], [4, 5, 6]], [[1.5, 2, 3], [4, 5, 6.25]]]
    cut_steps, cut = read_centres_of_mass(text + '10 1.5 2')
    assert cut_steps.tolist() == [0, 5]
    assert np.array_equal(cut, centres)
