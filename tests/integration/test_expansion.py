"""The mean cell at zero pressure, in the real LAMMPS.

Its numbers are checked with our input script and a pair style that runs in seconds, independently of the barostat: in
the mean cell, runs at constant volume must have no pressure. The work chains are checked with a trained potential.
"""

import subprocess
from typing import NamedTuple

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms
from ase.build import bulk

from aiida_ionconduct.lammps.log import read_log
from aiida_ionconduct.lammps.mean_cell import CellSeries, cells_of, coupling_of, mean_cell
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import CELL_THERMO, md_script, thermo_columns
from aiida_ionconduct.lammps.structure import data_file, lammps_rotation, species_order
from aiida_ionconduct.transport.temperature import mean_of_runs, trend
from aiida_ionconduct.workchains.expansion import ExpansionWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

pytestmark = pytest.mark.integration

TEMPERATURE_K, SEEDS, TIMESTEP_FS, STRIDE = 40.0, (1, 2), 4.0, 10
INTERVAL_PS = TIMESTEP_FS * STRIDE / 1000
NPT = {'ensemble': 'npt', 'barostat_damping_fs': 500.0}
NVT = {'ensemble': 'nvt', 'production_thermostat': 'csvr', 'production_damping_fs': 50.0}
BASES = {
    'aniso': np.eye(3),
    'tri': np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]]),
}
"""Cells of one lattice in units of the cubic cell's vectors. LAMMPS flips the second into a less skew cell at once."""
KT_BAR_A3 = 138.06 * TEMPERATURE_K
CELL_PARAMETERS = {'aniso': 3, 'tri': 6}
BULK_MODULUS_BAR, GRUENEISEN = 2e4, 3.0
"""Of solid argon, about."""


class Argon(NamedTuple):
    """Argon in its mean cell, the numbers of that cell, and the pressure there at constant volume with its error."""

    atoms: Atoms
    numbers: dict
    pressure_bar: float
    pressure_stderr_bar: float


@pytest.fixture(scope='module')
def run(tmp_path_factory, executable):
    """Return a function that runs the script on argon and returns the thermodynamic columns of the production."""
    folder = tmp_path_factory.mktemp('argon')

    def run(atoms, seed, **parameters):
        md = MdParameters(
            temperature_K=TEMPERATURE_K, timestep_fs=TIMESTEP_FS, production_steps=12000, equilibration_steps=1500,
            frame_stride=500, thermo_stride=STRIDE, com_stride=500, restart_stride=0, seeds=[seed], **parameters,
        )  # fmt: skip
        text = md_script(species_order(atoms.symbols), len(atoms), md)
        lines = [line for line in text.splitlines() if not line.startswith('pair_')]
        at = lines.index('neigh_modify every 1 delay 0 check yes')
        lines[at:at] = ['pair_style lj/cut 7.0', 'pair_coeff * * 0.0104 3.4', 'pair_modify shift yes']
        (folder / 'lammps.in').write_text('\n'.join(lines))
        (folder / 'structure.data').write_text(data_file(atoms))
        command = [executable('lmp'), '-in', 'lammps.in', '-log', 'lammps.log', '-screen', 'none']
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        table = read_log((folder / 'lammps.log').read_text()).production.thermo
        return dict(zip(thermo_columns(md), table.T, strict=True))

    return run


@pytest.fixture(scope='module')
def argon(run):
    """Argon in its mean cell, by the coupling of its pressure."""
    results = {}
    for coupling, basis in BASES.items():
        atoms = bulk('Ar', 'fcc', a=5.3, cubic=True) * (3, 3, 3)
        atoms.set_cell(basis @ atoms.cell.array)
        atoms.wrap()
        assert coupling_of(atoms.cell.array) == coupling
        rotation = lammps_rotation(atoms.cell.array)
        first, runs = atoms.cell.array @ rotation, []
        for seed in SEEDS:
            thermo = run(atoms, seed, pressure_coupling=coupling, **NPT)
            cells = cells_of([thermo[name] for name in CELL_THERMO.values()], first)
            runs.append(CellSeries(cells, thermo['temperature_K'], thermo['pressure_bar'], INTERVAL_PS))
        mean = mean_cell(runs, first, TEMPERATURE_K)
        atoms.set_cell(mean.cell @ rotation.T, scale_atoms=True)
        pressures = [run(atoms, seed, **NVT)['pressure_bar'] for seed in SEEDS]
        trends = [trend(np.arange(len(rows)) * INTERVAL_PS, rows) for rows in pressures]
        results[coupling] = Argon(atoms, mean.numbers, *mean_of_runs(trends))
    return results


@pytest.mark.parametrize('coupling', BASES)
def test_no_pressure_in_the_mean_cell(coupling, argon):
    """Zero within four standard errors, but for the cell parameters, which vibrate as the atoms do.

    At constant pressure each of them has its own part in the thermal expansion, like a coordinate of an atom. That
    pressure, γ kT/V for each, is missing at constant volume. It falls with the size of the cell.
    """
    atoms, numbers, pressure, stderr = argon[coupling]
    stderr = np.hypot(stderr, BULK_MODULUS_BAR * numbers['volume_stderr_A3'] / numbers['volume_A3'])
    of_cell = CELL_PARAMETERS[coupling] * GRUENEISEN * KT_BAR_A3 / atoms.cell.volume
    assert -2 * of_cell - 4 * stderr < pressure < 4 * stderr
    assert 4 * stderr + of_cell < 0.25 * BULK_MODULUS_BAR * numbers['volume_expansion_percent'] / 100


@pytest.mark.parametrize('coupling', BASES)
def test_run_has_its_temperature_and_pressure(coupling, argon):
    numbers = argon[coupling].numbers
    assert abs(numbers['measured_temperature_K'] - TEMPERATURE_K) < 4 * numbers['measured_temperature_stderr_K']
    assert abs(numbers['pressure_bar']) < 4 * numbers['pressure_stderr_bar']
    assert numbers['warnings'] == []


def test_mean_cell_does_not_depend_on_the_description_of_the_lattice(argon):
    """The skew cell has the volume and the shape of the cubic cell within four errors and the share of its shears."""
    cubic, skew = argon['aniso'], argon['tri']
    of_shears = 3 * GRUENEISEN * KT_BAR_A3 / BULK_MODULUS_BAR
    stderr = np.hypot(cubic.numbers['volume_stderr_A3'], skew.numbers['volume_stderr_A3'])
    assert -4 * stderr < skew.numbers['volume_A3'] - cubic.numbers['volume_A3'] < 4 * stderr + 2 * of_shears
    back = np.linalg.inv(BASES['tri']) @ skew.atoms.cell.array
    np.testing.assert_allclose(back @ back.T / skew.atoms.cell.volume ** (2 / 3), np.eye(3), atol=5e-3)


def test_production_runs_in_the_mean_cell(md_of_trained):
    """From the runs at constant pressure to a trajectory in their mean cell, which is a node with its provenance."""
    steps = {'timestep_fs': 1.0, 'equilibration_steps': 100, 'production_steps': 1000, 'frame_stride': 50}
    shared = {'base': {'md': md_of_trained}, 'temperatures_K': orm.List([250]), 'seeds': orm.List([5, 6])}
    _, expansion = run_get_node(
        ExpansionWorkChain,
        parameters=orm.Dict({**steps, 'thermo_stride': 10, 'pressure_bar': 0.0}),
        max_strain=orm.Float(0.5),
        **shared,
    )
    assert expansion.is_finished_ok, expansion.exit_message
    numbers, cell = expansion.outputs.expansion['T250'], expansion.outputs.cells['T250']
    assert numbers['seeds'] == ['seed5', 'seed6']
    assert numbers['volume_A3'] == pytest.approx(cell.get_cell_volume())
    assert 0 < abs(numbers['volume_expansion_percent']) < 50
    assert cell.creator.process_label == 'expand_structure'
    _, production = run_get_node(
        SeedsWorkChain, parameters=orm.Dict(steps), cells=dict(expansion.outputs.cells), **shared
    )
    assert production.is_finished_ok, production.exit_message
    for run in dict(production.outputs.trajectories).values():
        np.testing.assert_allclose(run.cell, cell.cell)
