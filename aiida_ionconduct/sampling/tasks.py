"""What a sampling job does: a list of tasks, each a relaxation, a run of molecular dynamics, or a single calculation.

A task is a plain dictionary, because it is stored and written for :mod:`~aiida_ionconduct.sampling.sampler`:

- ``index``: of its first cell among the cells of the job, and ``kind``: ``md``, ``relax`` or ``single``;
- ``source``: what the frames state as their origin, and for MD ``run``, ``temperature_K``, ``steps``, ``stride``;
- ``states_temperature``: whether the frames state this temperature, because they may be compared with other runs at it;
- ``seed``: of the velocities and the thermostat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from aiida_ionconduct.labels import temperature_label
from aiida_ionconduct.sampling.cells import hop_cells, in_order_of, rattled_cells, strained

Task = dict[str, Any]
HIGHEST, HIGHER = 1.0, 1.5
"""The temperatures of the MD, in units of the highest temperature of the production, where none are stated."""
MD, RELAX, SINGLE = 'md', 'relax', 'single'


class Plan(NamedTuple):
    """Cells, and the tasks that start from them."""

    cells: list[Atoms]
    tasks: list[Task]


def sampling_temperatures(stated: Sequence[float] | None, production_K: Sequence[float]) -> list[float]:
    """Return the temperatures of the MD in K, ascending.

    :param stated: temperatures of the protocol; None takes the highest of the production and above.
    :param production_K: temperatures of the production.
    """
    return sorted(float(T) for T in stated or (HIGHEST * max(production_K), HIGHER * max(production_K)))


def sampling_plan(
    atoms: Atoms, p: Mapping[str, Any], *, mobile: str, orderings: Mapping[str, Atoms], rattle: Mapping[str, Any]
) -> Plan:
    """Return what is sampled: MD in the crystal, in strained cells and other orderings; displaced cells.

    :param atoms: the crystal, relaxed.
    :param p: ``temperatures_K`` (a list), ``strains``, ``steps``, ``stride``, ``n_hops``, ``n_rattled`` and ``seed`` of
        :class:`~aiida_ionconduct.sampling.parameters.PretrainedParameters`.
    :param mobile: chemical symbol of the mobile ion.
    :param orderings: other cells of the same composition, by label.
    :param rattle: ``amplitudes_A`` and ``mobile_factor`` of the rattled cells.
    """
    rng = np.random.default_rng(p['seed'])
    temperatures = p['temperatures_K']
    symbols, hottest = list(atoms.symbols), max(temperatures)
    plan = Plan([], [])

    def add_run(cell: Atoms, source: str, run: str, temperature_K: float, *, states_temperature: bool) -> None:
        seed = p['seed'] + len(plan.tasks)
        plan.tasks.append(
            {
                'index': len(plan.cells), 'kind': MD, 'source': source, 'run': run, 'temperature_K': temperature_K,
                'states_temperature': states_temperature, 'steps': p['steps'], 'stride': p['stride'], 'seed': seed,
            }
        )  # fmt: skip
        plan.cells.append(cell)

    for T in temperatures:
        add_run(atoms, 'pretrained_md', temperature_label(T), T, states_temperature=True)
    for strain in p['strains']:
        label = f'strain_{strain:+.3f}'.replace('+', 'p').replace('-', 'm').replace('.', '_')
        add_run(strained(atoms, strain), 'strained', label, hottest, states_temperature=False)
    for label, cell in sorted(orderings.items()):
        add_run(in_order_of(cell, symbols), 'orderings', label, hottest, states_temperature=False)
    displaced = {
        'hops': hop_cells(atoms, mobile, p['n_hops'], rng),
        'rattled': rattled_cells(
            atoms, mobile, p['n_rattled'], rng, amplitudes_A=rattle['amplitudes_A'], factor=rattle['mobile_factor']
        ),
    }
    for source, cells in displaced.items():
        first = len(plan.cells)
        plan.tasks.extend({'index': first + index, 'kind': SINGLE, 'source': source} for index in range(len(cells)))
        plan.cells.extend(cells)
    return plan


def single_tasks(n_cells: int, source: str) -> list[Task]:
    """Return single calculations of some cells."""
    return [{'index': index, 'kind': SINGLE, 'source': source} for index in range(n_cells)]


def relax_task(p: Mapping[str, Any], *, with_cell: bool) -> Task:
    """Return the relaxation of the first cell.

    :param p: ``relax_steps`` and ``relax_force_eV_per_A``.
    :param with_cell: whether the cell is relaxed with the positions.
    """
    return {
        'index': 0, 'kind': RELAX, 'source': RELAX, 'run': RELAX, 'with_cell': with_cell, 'steps': p['relax_steps'],
        'force_eV_per_A': p['relax_force_eV_per_A'],
    }  # fmt: skip


def relaxation_tasks(p: Mapping[str, Any]) -> list[Task]:
    """Return the relaxation of the first cell as the only task; none where nothing is to be relaxed.

    :param p: ``relax``, which is ``positions``, ``positions_cell`` or missing, and what :func:`relax_task` takes.
    """
    if not (p.get('relax') and p['relax_steps']):
        return []
    return [relax_task(p, with_cell=p['relax'] == 'positions_cell')]


def cost(task: Mapping[str, Any]) -> int:
    """Return how many calculations a task takes, at most."""
    return int(task.get('steps', 1))


def deal(tasks: Sequence[Task], n_jobs: int) -> list[list[Task]]:
    """Deal tasks to jobs of about the same length; jobs without a task are left out.

    The longest tasks are dealt first. The single calculations of a job stay in their order.
    """
    jobs: list[list[Task]] = [[] for _ in range(n_jobs)]
    costs = [0] * n_jobs
    for task in sorted(tasks, key=cost, reverse=True):
        lightest = costs.index(min(costs))
        jobs[lightest].append(task)
        costs[lightest] += cost(task)
    return [job for job in jobs if job]
