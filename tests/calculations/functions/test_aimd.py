"""Segments of pw.x: what is read, and that a seam is invisible. The files are two segments of a run that was cut."""

import io
import pathlib

import numpy as np
import pytest
from aiida import orm
from ase import Atoms, units

from aiida_ionconduct.calculations.functions.aimd import (
    continue_md,
    count_whole_steps,
    join_segments,
    md_summary,
    read_md,
    verlet_velocities,
)
from aiida_ionconduct.calculations.functions.structures import RYDBERG_VELOCITY
from aiida_ionconduct.labels import segment_label

FOLDER = pathlib.Path(__file__).parent / 'test_aimd'
TEXTS = [(FOLDER / f'segment_00{index}.out').read_text() for index in (0, 1)]
MASSES = {'Li': 6.94, 'P': 30.973761998, 'O': 15.999}
DYNAMICS = {'timestep_fs': 1.0, 'n_equilibration': 0, 'thermostat': 'none'}


def card(name, index):
    """Return the symbols and the numbers of a card of a segment's input."""
    lines = (FOLDER / f'segment_00{index}.in').read_text().partition(name)[2].splitlines()[1:17]
    rows = [line.split() for line in lines]
    return [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=float)


def start(index=0):
    """Return a segment's start with the masses that pw.x was given."""
    symbols, positions = card('ATOMIC_POSITIONS', index)
    atoms = Atoms(symbols, positions, cell=[6.115, 5.2394, 4.8554], pbc=True)
    atoms.set_masses([MASSES[symbol] for symbol in symbols])
    return atoms


def folder(text):
    """Return retrieved files with an output of pw.x."""
    node = orm.FolderData()
    node.base.repository.put_object_from_filelike(io.BytesIO(text.encode()), 'aiida.out')
    return node


def joined(*texts, **changes):
    """Return the run that is made of some outputs."""
    segments = {segment_label(index): folder(text) for index, text in enumerate(texts)}
    return join_segments(orm.StructureData(ase=start()), orm.Dict({**DYNAMICS, **changes}), **segments)


def test_steps_that_are_not_whole_are_left_out():
    """The walltime ended within the fourth step, which does not count."""
    assert [count_whole_steps(text) for text in TEXTS] == [3, 3]
    md = read_md(TEXTS[0], start().positions)
    assert md['energy'].shape == (3,)
    assert md['forces'].shape == md['positions'].shape == (3, 16, 3)
    np.testing.assert_array_equal(md['positions'][0], start().positions)
    np.testing.assert_array_equal(md['positions'][1:], md['next_positions'][:-1])
    assert md['scf_converged'].all()


def test_units():
    """Energies are as printed, times the constants; kinetic plus potential energy is the conserved energy."""
    md = read_md(TEXTS[0], start().positions)
    assert md['energy'][0] == pytest.approx(-363.47419273 * units.Rydberg, abs=1e-6)
    np.testing.assert_allclose(md['energy'] + md['kinetic_energy'], md['conserved_energy'], atol=5e-7)
    assert np.abs(md['forces'].sum(axis=1)).max() < 1e-5
    freedoms = 3 * (16 - 1)
    np.testing.assert_allclose(md['kinetic_energy'] / (0.5 * freedoms * units.kB), md['temperature'], rtol=1e-5)


def test_velocities_are_those_of_pw():
    """They have the kinetic energy that pw.x prints, and in the first step the velocities of its input."""
    atoms = start()
    md = read_md(TEXTS[0], atoms.positions)
    velocities = verlet_velocities(md, atoms.get_masses(), 1.0)
    kinetic = 0.5 * (atoms.get_masses()[:, None] * velocities**2).sum(axis=(1, 2))
    np.testing.assert_allclose(kinetic, md['kinetic_energy'], rtol=1e-6)
    np.testing.assert_allclose(velocities[0] / RYDBERG_VELOCITY, card('ATOMIC_VELOCITIES', 0)[1], atol=2e-10)


def test_forces_are_the_derivative_of_the_energy():
    """The work of the mean force over a step is the change of the energy."""
    md = read_md(TEXTS[0], start().positions)
    moved = np.diff(md['positions'], axis=0)
    work = ((md['forces'][:-1] + md['forces'][1:]) / 2 * moved).sum(axis=(1, 2))
    np.testing.assert_allclose(np.diff(md['energy']), -work, atol=0.02 * np.abs(work).max())


def test_stress():
    """Stresses are in GPa with the sign of the pressure of pw.x, and are absent if pw.x was not asked for them."""
    text = (FOLDER / 'with_stress.out').read_text()
    pressures = [float(line.split('P=')[1]) / 10 for line in text.splitlines() if 'P=' in line]
    stress = read_md(text, start().positions)['stress']
    assert len(pressures) == 2
    np.testing.assert_allclose(np.trace(stress, axis1=1, axis2=2) / 3, pressures, atol=2e-3)
    np.testing.assert_array_equal(stress, stress.swapaxes(1, 2))
    np.testing.assert_array_equal(joined(text)['trajectory'].get_array('stress'), stress)
    assert 'stress' not in joined(TEXTS[0])['trajectory'].get_arraynames()


@pytest.mark.parametrize('marker', ['Entering Dynamics', 'ATOMIC_POSITIONS', 'kinetic energy (Ekin)', 'Ekin + Etot'])
def test_output_that_breaks_off(marker):
    """Wherever the output breaks off within the third step, two whole steps are read, as from the whole output."""
    whole = read_md(TEXTS[0], start().positions)
    position = -1
    for _ in range(3):
        position = TEXTS[0].index(marker, position + 1)
    for extra in (0, len(marker) - 2, 25):
        text = TEXTS[0][: position + extra]
        if count_whole_steps(text) == 3:
            continue
        md = read_md(text, start().positions)
        assert len(md['energy']) == count_whole_steps(text) == 2
        for name, array in md.items():
            np.testing.assert_array_equal(array, whole[name][:2])


def test_output_that_breaks_off_before_the_first_step():
    text = TEXTS[0][: TEXTS[0].index('Entering Dynamics')]
    assert count_whole_steps(text) == 0
    assert read_md(text, start().positions) == {}


def test_unconverged_frames_are_flagged():
    """Only the step whose self-consistency was not reached is flagged."""
    text = TEXTS[0].replace('convergence has been achieved', 'convergence NOT achieved', 2)
    text = text.replace('convergence NOT achieved', 'convergence has been achieved', 1)
    text = text.replace('!    total energy', '     total energy')  # as pw.x prints it then
    md = read_md(text, start().positions)
    np.testing.assert_array_equal(md['scf_converged'], [1, 0, 1])
    np.testing.assert_allclose(md['energy'], read_md(TEXTS[0], start().positions)['energy'])


def test_continuation_starts_where_the_second_segment_did():
    """Positions and velocities are those from which pw.x started the second segment."""
    node = orm.StructureData(ase=start())
    settings = orm.Dict({'gamma_only': True, 'ATOMIC_VELOCITIES': []})
    result = continue_md(node, settings, orm.Float(1.0), folder(TEXTS[0]))
    np.testing.assert_allclose(result['structure'].get_ase().positions, card('ATOMIC_POSITIONS', 1)[1], atol=1e-9)
    velocities = np.array(result['settings']['ATOMIC_VELOCITIES'])
    np.testing.assert_allclose(velocities, card('ATOMIC_VELOCITIES', 1)[1], atol=1e-9)
    assert result['settings']['gamma_only'] is True
    assert [kind.mass for kind in result['structure'].kinds] == [kind.mass for kind in node.kinds]


def test_every_step_is_there_once():
    """Three and three steps that share a step make five, evenly in time."""
    result = joined(*TEXTS)
    trajectory, parameters = result['trajectory'], result['parameters'].get_dict()
    np.testing.assert_allclose(trajectory.get_times(), np.arange(5) * 1e-3)
    np.testing.assert_array_equal(trajectory.get_stepids(), np.arange(5))
    assert (np.abs(np.diff(trajectory.get_positions(), axis=0)).max(axis=(1, 2)) > 1e-3).all()
    assert (parameters['n_frames'], parameters['n_segments'], parameters['n_unconverged']) == (5, 2, 0)
    assert parameters['mean_temperature_K'] == pytest.approx(trajectory.get_array('temperature').mean())


def test_a_seam_is_invisible():
    """Newton's equation holds over the seam, and the conserved energy does not jump."""
    result = joined(*TEXTS)
    trajectory, parameters = result['trajectory'], result['parameters'].get_dict()
    positions = trajectory.get_positions()
    acceleration = np.diff(positions, n=2, axis=0) / (1.0 * units.fs) ** 2 * start().get_masses()[:, None]
    np.testing.assert_allclose(acceleration, trajectory.get_array('forces')[1:-1], atol=2e-3)
    velocities = trajectory.get_velocities()  # Å/ps
    central = (positions[2:] - positions[:-2]) / 2e-3
    np.testing.assert_allclose(velocities[1:-1], central, atol=1e-3 * np.abs(central).max())
    assert np.abs(parameters['seam_jumps_eV']).max() < 1e-6
    assert parameters['seams_conserve_energy']


def test_equilibration_is_left_out():
    result = joined(*TEXTS, n_equilibration=2)
    np.testing.assert_array_equal(result['trajectory'].get_stepids(), [2, 3, 4])
    np.testing.assert_allclose(result['trajectory'].get_times(), [2e-3, 3e-3, 4e-3])
    assert result['parameters']['n_frames'] == 3


def test_drift():
    """A drift of 0.016 eV per ps over 16 atoms is 1 meV/atom/ps; under a thermostat there is no drift."""
    n = 101
    md = {'energy': np.zeros(n), 'temperature': np.full(n, 900.0), 'scf_converged': np.ones(n), 'jumps': np.zeros(n)}
    md['conserved_energy'] = 5 + 0.016 * np.arange(n) * 1e-2
    summary = md_summary(md, {**DYNAMICS, 'timestep_fs': 10.0}, 16, [])
    assert summary['energy_drift_eV_per_atom_per_ps'] == pytest.approx(1e-3)
    assert summary['conserved_energy_scatter_eV'] == pytest.approx(0, abs=1e-9)
    assert md_summary(md, {**DYNAMICS, 'thermostat': 'rescale'}, 16, [])['energy_drift_eV_per_atom_per_ps'] is None


def test_a_jump_is_seen():
    """A jump of 0.3 eV, as to another electronic state, does not conserve energy."""
    n = 11
    md = {'energy': np.zeros(n), 'temperature': np.full(n, 900.0), 'scf_converged': np.ones(n), 'jumps': np.zeros(n)}
    md['conserved_energy'] = 0.01 * np.sin(np.arange(n))
    assert md_summary(md, DYNAMICS, 16, [0.001, -1e-5])['seams_conserve_energy']
    assert not md_summary(md, DYNAMICS, 16, [0.001, 0.3])['seams_conserve_energy']
