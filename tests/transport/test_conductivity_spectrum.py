"""The conductivity against frequency: processes with a known spectrum, and the value at zero."""

import numpy as np
import pytest
from scipy.signal import lfilter

from aiida_ionconduct.transport import analyse, spectrum_from_centres_of_mass
from aiida_ionconduct.transport.conductivity_spectrum import current_band
from aiida_ionconduct.transport.constants import SIEMENS_PER_CM
from aiida_ionconduct.transport.displacement import as_track
from aiida_ionconduct.transport.observed import observe

DT_PS = 0.05


def langevin(rng, n_frames, n_particles, *, D=1.0, relaxation_ps=0.5):
    """Return positions (frames, particles, 3) of free Langevin particles, sampled exactly: Drude's model."""
    n, decay = 3 * n_particles, np.exp(-DT_PS / relaxation_ps)
    steps = DT_PS / relaxation_ps
    energy = D / relaxation_ps  # kT/m
    crossed = energy * relaxation_ps * (1 - decay) ** 2
    spread = energy * relaxation_ps**2 * (2 * steps - 3 + 4 * decay - decay**2)
    factor = np.linalg.cholesky([[energy * (1 - decay**2), crossed], [crossed, spread]])
    noise = np.tensordot(factor, rng.normal(size=(2, n_frames - 1, n)), 1)
    start = energy**0.5 * rng.normal(size=n)
    velocity = np.concatenate((start[None], lfilter([1], [1, -decay], noise[0], axis=0, zi=decay * start[None])[0]))
    moved = relaxation_ps * (1 - decay) * velocity[:-1] + noise[1]
    return np.concatenate((np.zeros((1, n)), np.cumsum(moved, axis=0))).reshape(n_frames, n_particles, 3)


def drude(frequency, D=1.0, relaxation_ps=0.5):
    """Return the spectrum of Langevin particles."""
    return D / (1 + (2 * np.pi * frequency * relaxation_ps) ** 2)


def caged(rng, n_frames, n_particles, *, D=0.0, relaxation_ps=2.0):
    """Return positions in a harmonic cage of variance 1 Å² without inertia, on top of a random walk."""
    n, decay = 3 * n_particles, np.exp(-DT_PS / relaxation_ps)
    start = rng.normal(size=n)
    noise = (1 - decay**2) ** 0.5 * rng.normal(size=(n_frames - 1, n))
    cage = np.concatenate((start[None], lfilter([1], [1, -decay], noise, axis=0, zi=decay * start[None])[0]))
    walk = np.cumsum((2 * D * DT_PS) ** 0.5 * rng.normal(size=(n_frames, n)), axis=0)
    return (cage + walk).reshape(n_frames, n_particles, 3)


def cage_spectrum(frequency, D=0.0, relaxation_ps=2.0):
    """Return the spectrum of the steps between frames of such motion, divided by that of a difference."""
    decay, cosine = np.exp(-DT_PS / relaxation_ps), np.cos(2 * np.pi * frequency * DT_PS)
    positions = (1 - decay**2) / (1 - 2 * decay * cosine + decay**2)
    return (D + positions * (1 - cosine) / DT_PS) / np.sinc(frequency * DT_PS) ** 2


def band_of(runs):
    """Return the spectrum of runs with its interval."""
    tracks = [as_track(run) for run in runs]
    return current_band(tracks, DT_PS, observe(tracks, DT_PS))


def covered(band, truth, lowest=0):
    """Return whether the truth is within the interval of each bin."""
    expected = truth(band.frequency)
    return ((band.low < expected) & (expected < band.high))[lowest:]


@pytest.mark.parametrize(('n_runs', 'n_frames', 'n_particles'), [(4, 2000, 8), (1, 2000, 8), (2, 20000, 1)])
def test_drude(n_runs, n_frames, n_particles):
    """95 % intervals hold in nine tenths of the bins, from the lowest frequency to where the current has no inertia.

    One run, four, and runs so long that their frames are averaged in blocks for the low frequencies.
    """
    rng = np.random.default_rng(1)
    hits = [
        covered(band_of([langevin(rng, n_frames, n_particles) for _ in range(n_runs)]), drude)
        for _ in range(12 if n_frames < 1e4 else 4)
    ]
    assert np.mean(hits) > 0.9
    assert np.mean(hits) < 0.995


def test_frequencies_go_from_the_length_of_the_run_to_a_quarter_of_the_frame_rate():
    for n_frames in (400, 20000):
        frequency = band_of([langevin(np.random.default_rng(2), n_frames, 1)]).frequency
        assert frequency[0] == pytest.approx(1 / (n_frames * DT_PS), rel=0.01)
        assert 0.8 / (4 * DT_PS) < frequency[-1] <= 1 / (4 * DT_PS)
        assert np.all(np.diff(frequency) > 0)
        assert np.diff(np.log2(frequency))[4:].max() < 0.5


def test_a_caged_particle_does_not_conduct():
    """The spectrum follows the exact one above the lowest bins, and falls by a factor of 50 or more towards zero."""
    rng = np.random.default_rng(3)
    bands = [band_of([caged(rng, 4000, 8) for _ in range(4)]) for _ in range(6)]
    # The lowest bins of a run hold what leaks from its ends.
    hits = [covered(band, cage_spectrum, lowest=8) for band in bands]
    assert 0.88 < np.mean(hits) < 0.995
    for band in bands:
        assert band.value[0] < band.value.max() / 50


def test_particles_that_move_together_are_not_independent():
    """The interval is that of three components, not of sixty."""
    rng = np.random.default_rng(4)
    together, apart = (
        [np.repeat(langevin(rng, 1000, 1), 20, axis=1) for _ in range(4)],
        [langevin(rng, 1000, 20) for _ in range(4)],
    )
    wide, narrow = (np.log(band.high / band.low)[4:].mean() for band in map(band_of, (together, apart)))
    assert 3.5 < wide / narrow < 6.0
    assert np.mean(covered(band_of(together), drude)) > 0.85


def test_runs_that_differ_widen_the_band():
    """Four runs whose D scatter by 30 % know the mean to 15 %, and their bands say so at all frequencies."""
    factors = np.exp([-0.36, -0.12, 0.15, 0.33])
    bands = [
        band_of([langevin(np.random.default_rng(10 * index + seed), 3000, 20) * spread**0.5
                 for seed, spread in enumerate(scales)])
        for index, scales in enumerate((np.ones(4), factors))
    ]  # fmt: skip
    alike, differing = ((np.log(band.high / band.low)[-8:]).mean() for band in bands)
    assert differing > 4 * alike
    assert differing > 2 * 2 * np.std(np.log(factors), ddof=1) / 2
    assert np.mean(covered(bands[1], drude)) > 0.9


def test_unequal_runs_are_cut_into_stretches():
    rng = np.random.default_rng(5)
    band = band_of([langevin(rng, n_frames, 8) for n_frames in (3000, 1000)])
    assert band.frequency[0] == pytest.approx(1 / (1000 * DT_PS), rel=0.6)
    assert np.mean(covered(band, drude)) > 0.85


def test_ions_at_rest_have_no_spectrum():
    band = band_of([np.zeros((100, 2, 3))] * 2)
    np.testing.assert_array_equal(band.value, 0)
    assert np.isfinite(band.high).all()


# As a conductivity ----------------------------------------------------------------------------------------------------


def salt_of(ions, cell_A=12.0):
    """Return the arguments of an analysis of ions (runs of (frames, n, 3)) with as many anions at rest."""
    n = ions[0].shape[1]
    return {
        'seeds': [np.concatenate((run, np.zeros_like(run)), axis=1) for run in ions],
        'symbols': ['Li'] * n + ['Cl'] * n,
        'charges': {'Li': 1, 'Cl': -1},
        'cell': cell_A * np.eye(3),
        'temperature_K': 900.0,
        'dt_ps': DT_PS,
    }


@pytest.fixture(scope='module')
def hopping():
    """Return an analysis of ions that diffuse with D = 0.3 Å²/ps and vibrate in cages."""
    rng = np.random.default_rng(6)
    return analyse(**salt_of([caged(rng, 4000, 16, D=0.3, relaxation_ps=0.5) for _ in range(4)]))


@pytest.mark.parametrize('kind', ['full', 'tracer'])
def test_the_lowest_frequencies_agree_with_the_value_at_zero(hopping, kind):
    """Of the bins below a tenth of the frequency of the cages, nine tenths hold the conductivity."""
    curves, estimate = hopping.curves, getattr(hopping, f'sigma_{kind}')
    slow = curves[f'spectrum_{kind}_frequency_THz'] < 0.1 / (2 * np.pi * 0.5)
    low, high = (curves[f'spectrum_sigma_{kind}_{end}_S_per_cm'][slow] for end in ('low', 'high'))
    bottom, top = estimate.interval()
    assert slow.sum() > 4
    assert np.mean((low < top) & (high > bottom)) > 0.9
    truth = 16 * 0.3 * SIEMENS_PER_CM / (12.0**3 * 900.0)
    assert np.mean((low < truth) & (truth < high)) > 0.8


@pytest.mark.parametrize('kind', ['full', 'tracer'])
def test_it_rises_to_the_motion_in_cages(hopping, kind):
    """Independent ions have the same spectrum, full and tracer, up to the motion within the cages."""
    curves = hopping.curves
    frequency = curves[f'spectrum_{kind}_frequency_THz']
    expected = 16 * cage_spectrum(frequency, D=0.3, relaxation_ps=0.5) * SIEMENS_PER_CM / (12.0**3 * 900.0)
    low, high = (curves[f'spectrum_sigma_{kind}_{end}_S_per_cm'] for end in ('low', 'high'))
    assert np.mean(((low < expected) & (expected < high))[4:]) > 0.85
    assert curves[f'spectrum_sigma_{kind}_S_per_cm'][-1] > 2 * curves[f'spectrum_sigma_{kind}_S_per_cm'][0]


def test_without_charges_there_is_no_spectrum():
    rng = np.random.default_rng(7)
    result = analyse(**{**salt_of([langevin(rng, 200, 4)]), 'charges': None})
    assert not any(name.startswith('spectrum_') for name in result.curves)


def test_centres_of_mass_give_the_same_as_positions(hopping):
    """The full conductivity needs no positions of atoms; with finer centres of mass it reaches higher frequencies."""
    rng = np.random.default_rng(6)
    ions = [caged(rng, 4000, 16, D=0.3, relaxation_ps=0.5) for _ in range(4)]
    centres = [np.stack((run.mean(axis=1), np.zeros((4000, 3))), axis=1) for run in ions]
    known = {'counts': {'Li': 16, 'Cl': 16}, 'charges': {'Li': 1, 'Cl': -1}, 'volume_A3': 12.0**3}
    fine = spectrum_from_centres_of_mass(centres, ['Li', 'Cl'], **known, temperature_K=900.0, dt_ps=DT_PS)
    for name, values in fine.items():
        np.testing.assert_allclose(values, hopping.curves[name], rtol=1e-6)
