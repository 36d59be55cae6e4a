"""`n_candidates` on the real pw.x: ordered cells are relaxed and the lowest is taken on (about a minute)."""

import json
import pathlib

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def run(installation):
    """What the script prints."""
    script = pathlib.Path(__file__).with_name('candidate_relaxations.py')
    return json.loads(installation.run('verdi', 'run', script).splitlines()[-1])


def test_as_many_as_asked_for(run):
    """Of the three orderings of Mg and a vacancy in a cube of Li2O, the two of lowest electrostatic energy."""
    assert run['exit_status'] == 0
    assert run['cells'] == {'relax_candidate_00': 0, 'relax_candidate_01': 1}
    assert run['formulas'] == ['Li6MgO4'] * (3 + 2)


def test_energies(run):
    """Those ranked are the last that pw.x has written, below the first."""
    assert set(run['energies_eV']) == set(run['ranking']['energies_eV'])
    for label, energies in run['energies_eV'].items():
        assert run['ranking']['energies_eV'][label] == pytest.approx(energies[-1], rel=1e-6)  # two Rydbergs
        assert energies[-1] < energies[0]


def test_lowest_is_taken_on(run):
    """The cell whose relaxed energy is lowest goes on to the next stage."""
    last = {label: energies[-1] for label, energies in run['energies_eV'].items()}
    assert run['handed_on'] == [min(last, key=last.get)] == [run['ranking']['lowest']]
