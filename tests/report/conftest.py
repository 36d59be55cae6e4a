"""A campaign made up for the tests: numbers as a short run of a fast conductor would give them."""

import numpy as np
import pytest

from aiida_ionconduct.density import density
from aiida_ionconduct.report.result import Campaign, Conductivity, Flow, StageRun
from aiida_ionconduct.structures.site_table import SiteRow
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.studies.error_target import Known, PrecisionTarget, decide
from aiida_ionconduct.transport import arrhenius

SIGMA = {800: 0.012, 1000: 0.034, 1200: 0.071}
TOTAL_TIME_PS, N_SEEDS, LAG_PS = 80.0, 4, 2.5


def synthetic_conductivity(temperature_K: float, relative_error: float = 0.25, **attributes) -> Conductivity:
    """Return a conductivity with attributes and curves as the transport analysis names them."""
    sigma = SIGMA[temperature_K]
    rng = np.random.default_rng(temperature_K)

    def with_errors(value):
        return {
            '': value,
            'stderr': relative_error * value,
            'ci95': [value * (1 - 2 * relative_error), value * (1 + 2 * relative_error)],
        }

    full, tracer = with_errors(sigma), with_errors(0.62 * sigma)
    haven, diffusivity = with_errors(0.62), with_errors(sigma * 2.1e-4)
    lag = np.geomspace(0.05, 10, 160)
    growth = relative_error * np.sqrt(lag / LAG_PS)
    noise = 0.06 * np.sin(2.3 * np.log(lag) + rng.uniform(0, 6))
    msd = 6 * sigma * 20 * lag * (1 + noise) + 0.8 * (1 - np.exp(-lag / 0.1))
    beta = np.gradient(np.log(msd), np.log(lag))
    slope = np.gradient(msd, lag) / 120
    plateau_lag = np.array([0.5, 1, 2.5, 4, 5])
    curves = {
        'lag_ps': lag,
        'msd_A2': msd,
        'msd_stderr': growth * msd,
        'charge_msd_e2A2': 50 * msd,
        'charge_msd_stderr': 75 * growth * msd,
        'running_sigma_full_S_per_cm': slope,
        'running_sigma_full_stderr': growth * slope,
        'running_sigma_tracer_S_per_cm': 0.62 * slope,
        'running_sigma_tracer_stderr': 0.3 * growth * slope,
        'beta': beta,
        'beta_stderr': 0.6 * growth,
        'plateau_lag_ps': plateau_lag,
        'plateau_sigma_full_S_per_cm': sigma * np.array([1.4, 1.15, 1.0, 0.97, 1.03]),
        'plateau_sigma_full_stderr': relative_error * sigma * np.sqrt(plateau_lag / LAG_PS),
        'plateau_sigma_tracer_S_per_cm': 0.62 * sigma * np.array([1.3, 1.1, 1.0, 0.99, 1.01]),
        'plateau_sigma_tracer_stderr': 0.2 * relative_error * sigma * np.sqrt(plateau_lag / LAG_PS),
    }
    flat = {
        'temperature_K': float(temperature_K),
        'sigma_full_S_per_cm': full[''],
        'sigma_full_stderr': full['stderr'],
        'sigma_full_ci95': full['ci95'],
        'sigma_tracer_S_per_cm': tracer[''],
        'sigma_tracer_stderr': tracer['stderr'],
        'sigma_tracer_ci95': tracer['ci95'],
        'haven_ratio': haven[''],
        'haven_ratio_stderr': haven['stderr'],
        'haven_ratio_ci95': haven['ci95'],
        'diffusivity_cm2_per_s': diffusivity[''],
        'diffusivity_stderr': diffusivity['stderr'],
        'diffusivity_ci95': diffusivity['ci95'],
        'estimator': 'cve',
        'frame': 'full: all species, frame-independent; tracer: relative to the centre of mass of O, P, Si',
        'n_seeds': N_SEEDS,
        'n_frames': 4000,
        'n_atoms': 68,
        'n_mobile': 28,
        'mobile': 'Li',
        'total_time_ps': TOTAL_TIME_PS,
        'dt_ps': 0.02,
        'lag_ps': LAG_PS,
        'lag_tracer_ps': 1.6,
        'volume_A3': 690.0,
        'beta': 0.96,
        'beta_stderr': 0.083,
        'diffusive': True,
        'converged': False,
        'warnings': ['the cell has 68 atoms: finite-size effects are not known.'],
    }
    return Conductivity(
        {**flat, **attributes}, curves, 1000 + int(temperature_K), f'{int(temperature_K):08d}-4a7e-4c39-9d55'
    )


@pytest.fixture(scope='session')
def make_conductivity():
    """Return the function that makes up a conductivity."""
    return synthetic_conductivity


@pytest.fixture(scope='session')
def make_campaign():
    """Return the function that makes up a campaign."""
    return make_synthetic_campaign


@pytest.fixture
def synthetic_campaign() -> Campaign:
    """Return a finished quickstart campaign with every field filled."""
    return make_synthetic_campaign()


def make_synthetic_campaign() -> Campaign:
    """Return a finished quickstart campaign with every field filled."""
    rng = np.random.default_rng(7)
    symbols = (['Li'] * 7 + ['P', 'Si'] + ['O'] * 8) * 20
    spread = np.array([{'Li': 0.5, 'P': 2.0, 'Si': 1.5, 'O': 1.2}[symbol] for symbol in symbols])
    forces = rng.normal(size=(len(symbols), 3)) * spread[:, None]
    energies = -257.3 + 0.02 * rng.normal(size=20)
    epoch = list(range(120))
    decay = np.exp(-np.arange(120) / 25)
    checks = [
        ('force_mae', 'Force MAE on held-out frames', 0.086, 0.15, 'eV/Å', True),
        ('energy_mae', 'Energy MAE on held-out frames', 0.0021, 0.005, 'eV/atom', True),
        ('nve_drift', 'NVE drift', 3.1e-5, 1e-3, 'eV/atom/ps', True),
        ('potential_energy', 'Potential energy relative to AIMD', -0.021, [-0.05, 0.05], 'eV/atom', True),
        ('shortest_distance', 'Shortest Li–O distance', 1.61, [1.55, 1.80], 'Å', True),
    ]
    names = ('name', 'label', 'value', 'limit', 'unit', 'passed')
    md_jobs = [(f'LAMMPS {temperature} K', 4) for temperature in SIGMA]
    return Campaign(
        process={
            'pk': 412,
            'uuid': '0b8c3a52-7d1e-4a7e-9d55-3f6a8c1e2b90',
            'class': 'ConductivityWorkChain',
            'state': 'finished',
            'state_text': 'finished',
            'message': '',
            'protocol': 'quickstart',
            'started': '2025-11-22 13:05:12+00:00',
            'wall_time_s': 1043.0,
        },
        composition={'formula': 'Li7PSiO8', 'n_atoms': 17, 'n_atoms_md': 68, 'supercell': [2, 2, 1], 'pk': 431},
        dataset={'n_frames': 132, 'sources': {'aimd': 100, 'rattled': 32}},
        training={
            'n_train': 96,
            'n_val': 16,
            'n_test': 20,
            'epochs': 120,
            'best_epoch': 113,
            'wall_time_s': 143.0,
            'curves': {
                'epoch': epoch,
                'train_loss': list(2 * decay + 0.02),
                'val_forces_mae_eV_per_A': list(0.6 * decay + 0.085),
            },
        },
        validation={'passed': True, 'checks': [dict(zip(names, check, strict=True)) for check in checks]},
        parity={
            'symbols': symbols,
            'forces_reference': forces,
            'forces_predicted': forces + 0.1 * spread[:, None] * rng.normal(size=forces.shape),
            'energy_reference_eV_per_atom': energies,
            'energy_predicted_eV_per_atom': energies + 0.002 * rng.normal(size=20),
        },
        conductivities=[synthetic_conductivity(temperature) for temperature in SIGMA],
        arrhenius=arrhenius(list(SIGMA), list(SIGMA.values()), [0.25 * sigma for sigma in SIGMA.values()], [3, 3, 3]),
        stages=[
            StageRun('Relaxation', 'RelaxWorkChain', 'finished', [('pw.x', 2)], 0, [415], 1, 52),
            StageRun(
                'Ab initio MD', 'AimdWorkChain', 'finished', [('pw.x 1000 K', 1), ('pw.x 1400 K', 1)], 0, [433], 55, 310
            ),
            StageRun('Build dataset', 'build_dataset', 'finished', [], 0, [470], 366, 2),
            StageRun(
                'Training',
                'AllegroWorkChain',
                'finished',
                [('nequip-train', 1), ('nequip-compile', 1)],
                1,
                [474],
                369,
                190,
            ),
            StageRun('Validate', 'validate', 'finished', [], 0, [492], 560, 9),
            StageRun('Molecular dynamics', 'SeedsWorkChain', 'finished', md_jobs, 0, [498, 500, 502], 571, 465),
            StageRun('Analyse trajectories', 'analyse_trajectories', 'finished', [], 0, [610, 614, 618], 1037, 4),
            StageRun('Fit arrhenius', 'fit_arrhenius', 'finished', [], 0, [622], 1041, 1),
        ],
        flows=[
            Flow('structure', 1, [402], None, [0]),
            Flow('structure', 1, [431], 0, [1, 5]),
            Flow('ab initio trajectory', 2, [455, 463], 1, [2]),
            Flow('training set', 1, [472], 2, [3, 4]),
            Flow('packaged model', 1, [485], 3, [4]),
            Flow('compiled model', 1, [489], 3, [5]),
            Flow('ion trajectory', 12, list(range(520, 532)), 5, [6]),
            Flow('conductivity', 3, [611, 615, 619], 6, [7]),
        ],
        codes=[
            {'label': 'pw', 'plugin': 'quantumespresso.pw'},
            {'label': 'lmp', 'plugin': 'ionconduct.lammps.md'},
        ],
        versions={'aiida-core': '2.9.4', 'aiida-ionconduct': '0.1.0', 'aiida-quantumespresso': '5.1.0'},
        inputs={'md.parameters.timestep_fs': '2.0', 'md.seeds': '[1, 2, 3, 4]'},
        details=synthetic_details(),
    )


def synthetic_details() -> dict:
    """Return the details of a campaign as `collect_details` does: lithium walks through a framework at rest."""
    rng = np.random.default_rng(11)
    cell = np.array([[6.0, 0.0, 0.0], [1.0, 7.0, 0.0], [0.0, 0.0, 8.0]])
    moves = np.where(np.arange(8) < 4, 0.1, 0.0)[None, None, :, None] * rng.normal(size=(3, 400, 8, 3))
    seeds, symbols = np.cumsum(moves, axis=1), ['Li'] * 4 + ['Cl'] * 4
    lag, msd, r = 0.01 * np.arange(30), 0.4 * np.arange(30), 0.05 + 0.1 * np.arange(50)
    g = {pair: np.exp(-((r - place) ** 2) / 0.05) for pair, place in (('Li-O', 2.0), ('O-O', 2.8), ('Li-Li', 3.0))}
    time = 0.1 * np.arange(60)
    known = Known(4, 20.0, 0.012, 0.003, 3.0, 0.018, True)
    target = PrecisionTarget(target_relative_error=0.1, max_md_ns=100.0, max_iterations=5)
    return {
        'crystal': {
            'cell': cell.tolist(),
            'positions': (rng.random((4, 3)) @ cell).tolist(),
            'sites': [{'Li': 1.0}, {'Li': 0.5}, {'P': 0.5, 'Si': 0.5}, {'O': 1.0}],
            'rows': [SiteRow('P1', 'P 1', 2, {'P': 1, 'Si': 1}), SiteRow('interstitial', '–', 1, {'Li': 1})],
            'volume_change': -0.0214,
        },
        'blocks': {
            800.0: block_size_study(
                seeds, symbols, {'Li': 1, 'Cl': -1}, cell, temperature_K=800.0, dt_ps=0.05
            )._asdict()
        },
        'density': {
            800.0: {
                'density': density([positions[:, :4] for positions in seeds], cell, 0.8),
                'framework': rng.random((4, 3)) @ cell,
                'cell': cell,
                'n_frames': 1200,
            }
        },
        'aimd': {
            800.0: {
                'r_A': r,
                'rdf': {'Allegro': g, 'AIMD': {pair: 0.95 * curve for pair, curve in g.items()}},
                'msd': {'Allegro': (lag, msd), 'AIMD': (lag[:10], msd[:10])},
            }
        },
        'studies': {'blocks': [], 'density': [synthetic_density_study()], 'sizes': []},
        'twins': [
            {
                'pk': 77,
                'time_ps': time,
                'difference_A': 1e-5 * np.exp(time)[None] * np.array([[1.0], [1.2]]),
                'lyapunov': {
                    'exponent_per_ps': 1.0,
                    'stderr': 0.05,
                    'windows_ps': [[1, 4], [1, 4]],
                    'meaning': 'Twins have nothing in common after a while.',
                },
            }
        ],
        'decisions': [decide({'T800': known}, target)],
    }


def synthetic_density_study() -> dict:
    """Return the numbers of a density study, as it is stored."""
    axis = {'percolates': True, 'barrier_eV': 0.31}
    return {
        'pk': 640,
        'arrays': {},
        'attributes': {
            'temperature_K': 800.0,
            'percolation': {'a': axis, 'b': axis, 'c': {'percolates': False, 'barrier_eV': None}},
            'n_sites': 12,
            'n_jumps': 340,
            'mean_residence_ps': 2.4,
            'mean_residence_stderr': 0.1,
            'jump_length_A': 1.96,
            'filled_share': 0.038,
            'filled_share_stderr': 0.002,
            'warnings': [],
        },
    }
