"""Conductivities from trajectories: frame, gauge, units, the stored form, and bad input."""

import json

import numpy as np
import pytest

from aiida_ionconduct.transport import TransportResult, analyse, diffusivity, from_centres_of_mass, from_currents
from aiida_ionconduct.transport.displacement import simple_displacement
from aiida_ionconduct.transport.reference_frame import collective_tracks

LAGS = [1, 2, 3, 10, 50, 100]
# Brute force, see data/README.md: relative to the framework's centre of mass, and charge displacement per lithium.
FRAMEWORK = [0.4462103919, 0.7082600462, 0.8935684360, 1.6028218230, 5.1153999913, 8.9418668619]
CHARGE = [0.5779314931, 0.8182767545, 0.9859595319, 1.5010959638, 2.0350145450, 5.2090479111]


@pytest.fixture
def input_(salt):
    """Return the arguments of an analysis of a toy salt."""
    return salt(np.random.default_rng(0))


@pytest.fixture
def result(input_):
    """Return the analysis of the toy salt."""
    return analyse(**input_)


def test_displacements_of_argyrodite_are_those_by_brute_force(argyrodite):
    species = [str(symbol) for symbol in argyrodite['species']]
    charges = {'Li': 1, 'P': 5, 'S': -2, 'Cl': -1}
    tracks = collective_tracks([argyrodite['pos']], species, charges, mobile='Li', cell=argyrodite['cell'])
    (charge,), (tracer,) = tracks.charge, tracks.tracer
    np.testing.assert_allclose(simple_displacement(tracer)[LAGS], FRAMEWORK, rtol=1e-9)
    np.testing.assert_allclose(simple_displacement(charge)[LAGS] / species.count('Li'), CHARGE, rtol=1e-9)


def test_values_by_hand(input_, result):
    """The numbers are those of the Nernst–Einstein and Einstein–Helfand relations, written out."""
    e, kB, volume, T = 1.602176634e-19, 1.380649e-23, 50e-10**3, 900.0
    ions = [seed[:, :12] - seed[:, 12:].mean(axis=1, keepdims=True) for seed in input_['seeds']]
    D = diffusivity(ions, 0.1).value  # cm²/s
    assert result.diffusivity.value == pytest.approx(D, rel=1e-9)
    assert result.sigma_tracer.value == pytest.approx(12 * e**2 * D * 1e-4 / (volume * kB * T) / 100, rel=1e-9)
    mu = [(seed[:, :12].sum(axis=1) - seed[:, 12:].sum(axis=1))[:, None] for seed in input_['seeds']]
    charge_D = diffusivity(mu, 0.1).value
    assert result.sigma_full.value == pytest.approx(e**2 * charge_D * 1e-4 / (volume * kB * T) / 100, rel=1e-9)
    assert result.haven_ratio.value == pytest.approx(12 * D / charge_D, rel=1e-9)


def test_attributes_are_flat_and_storable(result):
    attributes = result.attributes()
    assert json.loads(json.dumps(attributes, allow_nan=False)) == attributes
    assert attributes['n_seeds'] == 4
    assert attributes['n_frames'] == 1600
    assert attributes['n_mobile'] == 12
    assert attributes['total_time_ps'] == pytest.approx(4 * 39.9)
    assert attributes['volume_A3'] == pytest.approx(125000)
    assert attributes['diffusive'] is True
    for name in ('sigma_full', 'sigma_tracer', 'haven_ratio', 'diffusivity'):
        low, high = attributes[f'{name}_ci95']
        assert 0 < low < high
    assert any('24 atoms' in warning for warning in attributes['warnings'])


def test_curves_have_common_lags(result):
    """All curves are finite and have one lag axis up to half a run; plateau scans and spectra have other axes."""
    curves = {name: curve for name, curve in result.curves.items() if not name.startswith('spectrum_')}
    plateau = {name for name in curves if name.startswith('plateau_')}
    assert len({len(curves[name]) for name in curves if name not in plateau}) == 1
    assert len({len(curves[name]) for name in plateau}) == 1
    assert all(np.isfinite(curve).all() and curve.ndim == 1 for curve in curves.values())
    assert curves['lag_ps'][0] == pytest.approx(0.1)
    assert curves['lag_ps'][-1] <= 20
    assert len(curves['lag_ps']) <= 300


def test_curves_of_free_ions(result):
    """MSD = 6 t and beta = 1 within errors, and the running conductivity is the conductivity."""
    curves = result.curves
    for name, expected in (('msd_A2', 6 * curves['lag_ps']), ('beta', 1.0)):
        error = curves[name.replace('_A2', '') + '_stderr']
        assert (np.abs(curves[name] - expected) < 6 * error + 0.1 * expected).all()
    middle = len(curves['lag_ps']) // 2
    running = curves['running_sigma_tracer_S_per_cm'][middle]
    assert running == pytest.approx(result.sigma_tracer.value, rel=0.2)


def test_plateau_scans_share_their_lags(salt):
    """Strong vibrations of the lattice end the scan of the full conductivity at a lower frequency than the tracer's."""
    input_ = salt(np.random.default_rng(9), frames=2000)
    vibration = np.random.default_rng(10).normal(0, 3.0, (4, 2000, 12, 3))
    seeds = [
        np.concatenate((seed[:, :12], seed[:, 12:] + shift), axis=1)
        for seed, shift in zip(input_['seeds'], vibration, strict=True)
    ]
    result = analyse(**{**input_, 'seeds': seeds, 'masses': {'Li': 1.0, 'Cl': 1.0}})
    scans = [getattr(result, name).diagnostics['scan']['lag_ps'] for name in ('sigma_full', 'sigma_tracer')]
    assert len(scans[0]) != len(scans[1])
    plateau = [curve for name, curve in result.curves.items() if name.startswith('plateau_')]
    assert len({len(curve) for curve in plateau}) == 1
    assert len(plateau[0]) > 3


def test_a_moving_frame_changes_nothing(input_, result):
    """The drift, acceleration and diffusion of the whole crystal do not change any result."""
    rng = np.random.default_rng(1)
    drift = [np.cumsum(rng.normal(0.02, 0.3, (400, 1, 3)), axis=0) for _ in range(4)]
    moved = analyse(**{**input_, 'seeds': [seed + shift for seed, shift in zip(input_['seeds'], drift, strict=True)]})
    for name in ('sigma_full', 'sigma_tracer', 'haven_ratio', 'diffusivity'):
        assert getattr(moved, name).value == pytest.approx(getattr(result, name).value, rel=1e-6)


def test_barycentric_lithium_alone_would_be_too_low(salt):
    """In a barycentric frame the conductivity over lithium alone lacks the factor (1 + M_Li/M_framework)²."""
    input_ = salt(np.random.default_rng(2))
    input_['masses'] = {'Li': 1.0, 'Cl': 4.0}
    weights = np.repeat([1.0, 4.0], 12) / 60
    seeds = [seed - np.tensordot(weights, seed, (0, 1))[:, None] for seed in input_['seeds']]
    lithium = diffusivity([seed[:, :12].sum(axis=1, keepdims=True) for seed in seeds], 0.1).value
    full = analyse(**{**input_, 'seeds': seeds})
    assert full.sigma_full.value == pytest.approx(analyse(**input_).sigma_full.value, rel=1e-6)
    per_D = full.sigma_tracer.value / (12 * full.diffusivity.value)
    assert full.sigma_full.value / (lithium * per_D) == pytest.approx(1.25**2, rel=0.02)


def test_gauge_of_the_polyanions():
    """Moving the charge of bound oxygens onto their phosphorus leaves the slope, though not mu(t) itself."""
    rng = np.random.default_rng(4)
    lithium = np.cumsum(rng.normal(0, 0.4, (4, 600, 9, 3)), axis=1)
    phosphorus = rng.uniform(0, 30, (1, 1, 3, 3)) + rng.normal(0, 0.05, (4, 600, 3, 3))
    oxygen = np.repeat(phosphorus, 4, axis=2) + rng.normal(0, 0.1, (4, 600, 12, 3))
    input_ = {
        'seeds': list(np.concatenate((lithium, phosphorus, oxygen), axis=2)),
        'symbols': ['Li'] * 9 + ['P'] * 3 + ['O'] * 12,
        'cell': 30 * np.eye(3),
        'temperature_K': 600.0,
        'dt_ps': 0.1,
    }
    formal = analyse(**input_, charges={'Li': 1, 'P': 5, 'O': -2})
    moved = analyse(**input_, charges={'Li': 1, 'P': -3, 'O': 0})
    assert not np.allclose(formal.curves['charge_msd_e2A2'][0], moved.curves['charge_msd_e2A2'][0], rtol=1e-3)
    # The fitted spectrum sees the oxygens' vibrations, the slope at a lag does not.
    assert formal.sigma_full.value == pytest.approx(moved.sigma_full.value, abs=1.5 * formal.sigma_full.stderr)
    slopes = [
        analyse(**input_, charges=charges, estimator='cve').sigma_full.diagnostics['slope']
        for charges in ({'Li': 1, 'P': 5, 'O': -2}, {'Li': 1, 'P': -3, 'O': 0})
    ]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.02)
    # The charge of lithium is not free: only the charges within a polyanion may be moved.
    with pytest.raises(ValueError, match='sum to'):
        analyse(**input_, charges={'Li': 2, 'P': -3, 'O': 0})


def test_atom_order_and_time_reversal_change_nothing(input_, result):
    order = np.random.default_rng(5).permutation(24)
    shuffled = {
        **input_,
        'seeds': [seed[:, order] for seed in input_['seeds']],
        'symbols': [input_['symbols'][i] for i in order],
    }
    backwards = {**input_, 'seeds': [seed[::-1] for seed in input_['seeds']]}
    assert analyse(**shuffled).sigma_full.value == pytest.approx(result.sigma_full.value, rel=1e-9)
    assert analyse(**backwards).sigma_full.value == pytest.approx(result.sigma_full.value, rel=1e-6)


def test_single_precision_and_centres_of_mass_give_the_same(input_, result):
    single = analyse(**{**input_, 'seeds': [seed.astype(np.float32) for seed in input_['seeds']]})
    assert single.sigma_full.value == pytest.approx(result.sigma_full.value, rel=1e-4)
    coms = [np.stack((seed[:, :12].mean(axis=1), seed[:, 12:].mean(axis=1)), axis=1) for seed in input_['seeds']]
    conditions = {key: input_[key] for key in ('charges', 'cell', 'temperature_K', 'dt_ps')}
    estimate = from_centres_of_mass(coms, ['Li', 'Cl'], counts={'Li': 12, 'Cl': 12}, **conditions)
    assert estimate.value == pytest.approx(result.sigma_full.value, rel=1e-9)
    assert estimate.stderr == pytest.approx(result.sigma_full.stderr, rel=1e-9)


def test_memory_mapped_seeds_give_the_same(input_, result, tmp_path):
    for seed, positions in enumerate(input_['seeds']):
        np.save(tmp_path / f'{seed}.npy', positions)
    mapped = [np.load(tmp_path / f'{seed}.npy', mmap_mode='r') for seed in range(4)]
    assert analyse(**{**input_, 'seeds': mapped}).attributes() == result.attributes()


def test_settings_of_the_other_routes(input_):
    """A setting changes the result in the same way by all routes; an unknown setting is refused."""
    conditions = {key: input_[key] for key in ('cell', 'temperature_K', 'dt_ps')}
    settings = {'estimator': 'cve', 'lag_ps': 2.0}
    expected = analyse(**input_, **settings).sigma_full.value
    coms = [np.stack((seed[:, :12].mean(axis=1), seed[:, 12:].mean(axis=1)), axis=1) for seed in input_['seeds']]
    estimate = from_centres_of_mass(
        coms, ['Li', 'Cl'], counts={'Li': 12, 'Cl': 12}, charges=input_['charges'], **conditions, **settings
    )
    assert estimate.value == pytest.approx(expected, rel=1e-9)
    mu = [(seed[:, :12] - seed[:, 12:]).sum(axis=1) for seed in input_['seeds']]
    currents = [np.diff(displacement, axis=0) / input_['dt_ps'] for displacement in mu]
    assert from_currents(currents, **conditions, **settings).value == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match="'cve' has no setting block_ps"):
        from_currents(currents, **conditions, estimator='cve', block_ps=1.0)


def test_converged_is_what_the_interval_says(salt):
    """Few frames give a wide interval, many a narrow one; its half-width decides."""
    verdicts = set()
    for n_seeds, n_frames in ((4, 400), (8, 6000)):
        result = analyse(**salt(np.random.default_rng(4), seeds=n_seeds, frames=n_frames))
        low, high = result.sigma_full.interval(0.95)
        assert result.converged == (result.plateau and (high - low) / 2 <= 0.2 * result.sigma_full.value)
        verdicts.add(result.converged)
    assert verdicts == {True, False}


@pytest.mark.parametrize('seeds', [1, 4])
@pytest.mark.parametrize('amplitude', [0.0, 0.1])
def test_crystal_at_rest_conducts_nothing(salt, seeds, amplitude):
    """Ions at rest or rattling give no numbers, an upper bound in words, and attributes that can be stored."""
    input_ = salt(np.random.default_rng(6), seeds=seeds)
    motion = amplitude * np.random.default_rng(8).normal(size=(seeds, 400, 24, 3))
    result = analyse(**{**input_, 'seeds': list(motion)})
    attributes = result.attributes()
    assert isinstance(result, TransportResult)
    for name in ('sigma_full_S_per_cm', 'sigma_tracer_ci95', 'haven_ratio'):
        assert attributes[name] is None
    assert attributes['diffusive'] is False
    assert attributes['converged'] is False
    assert any('no full conductivity: below' in warning for warning in attributes['warnings'])
    assert all(np.isfinite(curve).all() for curve in result.curves.values())
    json.dumps(attributes, allow_nan=False)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'charges': {'Li': 1, 'Cl': -2}}, r'sum to -12 e'),
        ({'charges': {'Li': 1}}, r"`charges` lacks \['Cl'\]"),
        ({'mobile': 'Na'}, "no atom is the mobile species 'Na'"),
        ({'temperature_K': 0.0}, '`temperature_K` is 0.0'),
        ({'dt_ps': -1.0}, '`dt_ps` is -1.0'),
        ({'cell': np.zeros((3, 3))}, '`cell` must be'),
        ({'symbols': ['Li'] * 11 + ['Cl'] * 11}, r'expected \(frames, 22, 3\)'),
        ({'estimator': 'magic'}, '`estimator`'),
        ({'seeds': []}, 'no seeds'),
    ],
)
def test_bad_input_is_refused(input_, change, message):
    with pytest.raises(ValueError, match=message):
        analyse(**{**input_, **change})


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda seeds: [seed[:19] for seed in seeds], '19 frames are too few'),
        (lambda seeds: [seeds[0], seeds[1][:, :-1]], 'different shapes'),
        (lambda seeds: [seeds[0], seeds[0]], r'`seeds\[0\]` and `seeds\[1\]` are the same run'),
        (
            lambda seeds: [seeds[0], np.where(np.arange(400)[:, None, None] == 9, np.nan, seeds[1])],
            r'`seeds\[1\]`.*frame 9',
        ),
        (lambda seeds: [seeds[0], seeds[1] % 50], r'`seeds\[1\]` looks wrapped'),
        (lambda seeds: seeds[0], 'give a list'),
    ],
)
def test_bad_trajectories_are_refused(input_, spoil, message):
    with pytest.raises(ValueError, match=message):
        analyse(**{**input_, 'seeds': spoil(input_['seeds'])})
