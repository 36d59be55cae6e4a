"""What a pretrained potential samples: temperatures, cells, tasks and how they are dealt to jobs."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from aiida_ionconduct.sampling.cells import hop_cells, in_order_of, rattled_cells, soft_contacts, strained
from aiida_ionconduct.sampling.tasks import cost, deal, relax_task, sampling_plan, sampling_temperatures
from aiida_ionconduct.structures import crystal

P = {'temperatures_K': [900.0, 1350.0], 'strains': [-0.02, 0.04], 'steps': 50, 'stride': 10, 'n_hops': 3,
     'n_rattled': 4, 'seed': 1}  # fmt: skip
RATTLE = {'amplitudes_A': [0.03, 0.1], 'mobile_factor': 2.0}


@pytest.fixture
def atoms():
    return crystal('beta-Li3PO4')


@pytest.fixture
def plan(atoms):
    return sampling_plan(atoms, P, mobile='Li', orderings={'ordering_01': atoms[::-1]}, rattle=RATTLE)


def test_temperatures_are_at_and_above_the_production():
    assert sampling_temperatures(None, [600, 1000, 800]) == [1000.0, 1500.0]
    assert sampling_temperatures([1200, 700], [600]) == [700.0, 1200.0]


def test_runs_of_a_plan(plan):
    """The crystal at every temperature; strained cells and orderings at the highest, without stating it."""
    runs = [(task['run'], task['temperature_K'], task['states_temperature']) for task in plan.tasks[:5]]
    assert runs == [
        ('T900', 900.0, True),
        ('T1350', 1350.0, True),
        ('strain_m0_020', 1350.0, False),
        ('strain_p0_040', 1350.0, False),
        ('ordering_01', 1350.0, False),
    ]


def test_every_task_has_a_cell_of_its_own(plan):
    assert [task['index'] for task in plan.tasks] == list(range(len(plan.cells)))
    assert [task['source'] for task in plan.tasks[5:]] == 3 * ['hops'] + 4 * ['rattled']


def test_all_cells_have_the_same_order_of_atoms(plan, atoms):
    """They are stored in one node, which has one list of symbols."""
    assert {tuple(cell.symbols) for cell in plan.cells} == {tuple(atoms.symbols)}


def test_ordering_of_another_composition_is_refused(atoms):
    with pytest.raises(ValueError, match='another composition'):
        in_order_of(atoms[1:], list(atoms.symbols))


def test_strain(atoms):
    larger = strained(atoms, 0.04)
    assert larger.get_volume() == pytest.approx(1.04**3 * atoms.get_volume())
    np.testing.assert_allclose(larger.get_scaled_positions(), atoms.get_scaled_positions(), atol=1e-12)


def test_hops(atoms):
    """A mobile ion has left its site by a fifth of the way to a neighbour or more, the framework has not."""
    cells = hop_cells(atoms, 'Li', 5, np.random.default_rng(1))
    assert len(cells) == 5
    for cell in cells:
        moved = np.linalg.norm(cell.positions - atoms.positions, axis=1)
        is_mobile = np.array(atoms.symbols) == 'Li'
        assert moved[is_mobile].max() > 0.4
        assert moved[~is_mobile].max() < 0.25
        assert not len(neighbor_list('i', cell, soft_contacts(atoms, 'Li')))


def test_hops_need_a_neighbour(atoms):
    """A crystal without two mobile ions near each other has none, which is no error."""
    del atoms[[index for index, symbol in enumerate(atoms.symbols) if symbol == 'Li'][1:]]
    far = strained(atoms, 0.6)
    assert hop_cells(far, 'Li', 5, np.random.default_rng(1)) == []


def test_rattled_cells_without_hard_contacts(atoms):
    cells = rattled_cells(atoms, 'Li', 6, np.random.default_rng(1), amplitudes_A=[0.03, 0.1], factor=2.0)
    assert len(cells) == 6
    assert not any(len(neighbor_list('i', cell, soft_contacts(atoms, 'Li'))) for cell in cells)


def test_tasks_are_dealt_evenly(plan):
    """No task is lost, and the jobs differ by no more than a task."""
    jobs = deal(plan.tasks, 2)
    assert sorted(task['index'] for job in jobs for task in job) == list(range(len(plan.tasks)))
    costs = [sum(map(cost, job)) for job in jobs]
    assert abs(costs[0] - costs[1]) <= P['steps']
    assert deal(plan.tasks[:1], 3) == [plan.tasks[:1]]


def test_relaxation_is_a_task():
    task = relax_task({'relax_steps': 7, 'relax_force_eV_per_A': 0.1}, with_cell=False)
    assert (task['kind'], task['steps'], task['with_cell']) == ('relax', 7, False)
