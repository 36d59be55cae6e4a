"""`ValidationWorkChain`: the evidence of the runs, and an exit code that names the failed checks."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.workchains.validation import ValidationWorkChain

MD = {'timestep_fs': 2.5, 'production_steps': 400, 'equilibration_steps': 10}
THRESHOLDS = {
    'forces_mae_eV_per_A': 0.1,
    'energy_mae_eV_per_atom': 0.005,
    'nve_drift_eV_per_atom_per_ps': 1e-3,
    'temperature_fraction': 0.1,
    'energy_band_eV_per_atom': 0.01,
    'distance_fraction': 0.9,
    'mobile': 'Li',
    'md': MD,
}
RUN = {
    'nve_drift_eV_per_atom_per_ps': 1e-4,
    'n_atoms': 16,
    'mean_temperature_K': 1190.0,
    'mean_potential_energy_eV_per_atom': 0.0,
    'minimum_distances': {},
    'n_steps': 400,
}


@pytest.fixture
def validation(campaign_inputs, generate_structure, generate_workchain, model, child):
    """Return a function that makes the work chain after its runs: by temperature, exit status and parameters."""

    def make(runs, thresholds=None, trajectories=None, **others):
        inputs = campaign_inputs()['md']
        inputs['base']['md'] |= {'structure': generate_structure(), 'model': model('model.nequip.pt2')}
        inputs |= {'temperatures_K': orm.List(list(runs)), 'seeds': orm.List([1001])}
        inputs['parameters'] = orm.Dict({**inputs['parameters'].get_dict(), **MD})
        inputs |= {'thresholds': orm.Dict({**THRESHOLDS, **(thresholds or {})}), **others}
        process = generate_workchain(ValidationWorkChain, inputs)
        process.setup()
        process.has_pending()
        process.ctx.batch, process.ctx.pending = process.ctx.pending, []
        for label, (T, (status, parameters)) in zip(process.ctx.batch, runs.items(), strict=True):
            outputs = {'output_parameters__seed1001': orm.Dict(parameters)} if parameters else {}
            if trajectories:
                outputs['trajectories__seed1001'] = trajectories[T]
            process.ctx[f'child_{label}'] = child(exit_status=status, **outputs)
        process.inspect_batch()
        return process

    return make


@pytest.fixture
def good(ion_trajectory):
    """Return a function that gives the outputs of a run that went well."""
    return lambda **changes: (0, {**RUN, **changes})


def checks(process):
    return {check['name']: check for check in process.outputs['validation']['checks']}


def test_good_potential(validation, good, ion_trajectory):
    process = validation({1200: good()}, trajectories={1200: ion_trajectory()})
    assert process.results() is None
    assert process.outputs['validation']['passed']
    assert checks(process)['stability_1200K']['value'] == pytest.approx(1.0)
    assert set(process.outputs['run_parameters']) == {'T1200_seed1001'}


def test_exit_code_names_the_number(validation, good, ion_trajectory):
    process = validation(
        {1200: good(nve_drift_eV_per_atom_per_ps=-3e-3)},
        trajectories={1200: ion_trajectory()},
        training=orm.Dict({'test_forces_mae_eV_per_A': 0.2, 'test_energy_mae_eV_per_atom': 0.001}),
    )
    exit_code = process.results()
    assert exit_code.status == 420
    assert 'Force MAE, held-out frames (forces_mae): 0.2 eV/Å, allowed 0.1' in exit_code.message
    assert 'nve_drift_1200K' in exit_code.message
    assert 'energy_mae' not in exit_code.message
    assert process.outputs['validation']['failed'] == ['forces_mae', 'nve_drift_1200K']


def test_explosion_is_evidence(validation, good, ion_trajectory):
    """A run that exploded is judged by how long it lasted, not by its temperature and drift."""
    exploded = (410, {**RUN, 'n_steps': 120, 'explosion': 'the temperature is 9000 K', 'mean_temperature_K': 9000.0})
    runs = {1200: good(), 1500: exploded}
    process = validation(runs, trajectories={1200: ion_trajectory(), 1500: ion_trajectory()})
    exit_code = process.results()
    assert exit_code.status == 420
    assert process.outputs['validation']['failed'] == ['stability_1500K']
    assert checks(process)['stability_1500K']['value'] == pytest.approx(0.3)
    assert 'Time without explosion, 1500 K (stability_1500K): 0.3 ps, allowed at least 1' in exit_code.message


def test_run_that_left_nothing(validation, good, ion_trajectory):
    process = validation({1200: good(), 1500: (410, {})}, trajectories={1200: ion_trajectory(), 1500: ion_trajectory()})
    assert process.results().status == 420
    assert checks(process)['stability_1500K']['value'] == 0


def test_failure_for_another_reason(validation):
    """LAMMPS that does not start says nothing about a potential."""
    process = validation({1200: (402, {})})
    assert process.results().status == 401
    assert 'validation' not in process.outputs


def reference(run, stretch=1.0):
    """Return AIMD that walked as an ion trajectory, its displacements stretched."""
    positions = run.positions.astype(float)
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=run.symbols,
        positions=positions[0] + stretch * (positions - positions[0]),
        cells=np.repeat(run.cell[None], len(positions), axis=0),
        stepids=np.arange(len(positions)),
        times=run.times_ps,
        pbc=(True, True, True),
    )
    return trajectory.store()


@pytest.mark.parametrize(('stretch', 'failed'), [(1.0, []), (0.4, ['msd_Li_1200K'])])
def test_mobility_of_aimd(validation, good, ion_trajectory, stretch, failed):
    """AIMD with 0.4 of the displacements has 0.16 of the MSD, which is outside the limit."""
    run = ion_trajectory()
    process = validation(
        {1200: good()},
        {'msd_factor': 2.5},
        {1200: run},
        references={'T1200': reference(run, stretch)},
    )
    process.results()
    assert process.outputs['validation']['failed'] == failed
    assert checks(process)['msd_Li_1200K']['value'] == pytest.approx(1 / stretch**2, rel=1e-3)


def test_structure_of_aimd(validation, good, ion_trajectory):
    """The same walk has the same pair distribution functions; ions at rest have others."""
    run = ion_trajectory()
    for stretch, passed in ((1.0, True), (0.0, False)):
        process = validation(
            {1200: good()}, {'rdf_difference': 0.15}, {1200: run}, references={'T1200': reference(run, stretch)}
        )
        process.results()
        assert checks(process)['rdf_Li-Li_1200K']['passed'] is passed
        assert checks(process)['rdf_O-O_1200K']['passed']  # oxygen does not walk in either
