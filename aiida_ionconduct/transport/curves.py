"""What a reader looks at: displacements, running conductivities and the growth exponent against the lag."""

from __future__ import annotations

import math

import numpy as np

from aiida_ionconduct.transport.displacement import Track, simple_displacement
from aiida_ionconduct.transport.estimators.growth import log_slope
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.observed import equal_stretches

MAX_POINTS = 300
UNITS = ('_e2A2', '_A2', '_S_per_cm', '_stderr')  # endings of the names of curves


def curve_lags(longest: int) -> np.ndarray:
    """Return at most 300 lags from one frame to the longest, dense at short lags."""
    return np.unique(np.round(np.geomspace(1, longest, min(longest, MAX_POINTS))).astype(int))


def _seed_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds (axis 0) and its standard error."""
    return samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(len(samples))


def displacement_curves(
    tracer: np.ndarray, charge: np.ndarray, dt_ps: float, *, dimension: int
) -> dict[str, np.ndarray]:
    """Return lag_ps, both mean-squared displacements, their running D in Å²/ps (e²Å²/ps) and beta, with errors.

    The running D at a lag is the slope of the MSD from half that lag; beta is d ln M/d ln t of the tracer over the same
    stretch.

    :param tracer: (seeds, lags) mean-squared displacement of the mobile species.
    :param charge: (seeds, lags) mean-squared displacement of the charge.
    """
    lags = curve_lags(tracer.shape[1] - 1)
    halves = lags // 2
    curves = {'lag_ps': lags * dt_ps}
    for name, displacement in (('msd', tracer), ('charge_msd', charge)):
        slopes = (displacement[:, lags] - displacement[:, halves]) / (2 * dimension * (lags - halves) * dt_ps)
        curves[name], curves[f'{name}_stderr'] = _seed_error(displacement[:, lags])
        curves[f'{name}_running'], curves[f'{name}_running_stderr'] = _seed_error(slopes)
    curves['beta'], curves['beta_stderr'] = _exponents(tracer, lags)
    return curves


def _exponents(displacement: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return beta between half of each lag (at least one frame) and the lag, and its error."""
    late = np.maximum(lags, 2)
    early = late // 2
    rows = [
        log_slope(displacement[:, k0], displacement[:, k], math.log2(k / k0))[:2]
        for k0, k in zip(early, late, strict=True)
    ]
    beta, error = np.array(rows).T
    return beta, error


def plateau_curves(full: Estimate, tracer: Estimate) -> dict[str, np.ndarray]:
    """Return the plateau scans of both conductivities under the names of the stored arrays, at the lags of both."""
    scans = {'full': full.diagnostics['scan'], 'tracer': tracer.diagnostics['scan']}
    lags, *places = np.intersect1d(*(scan['lag_ps'] for scan in scans.values()), return_indices=True)
    curves = {'plateau_lag_ps': lags}
    for (name, scan), here in zip(scans.items(), places, strict=True):
        curves[f'plateau_sigma_{name}_S_per_cm'] = scan['value'][here]
        curves[f'plateau_sigma_{name}_stderr'] = scan['stderr'][here]
    return curves


def named_curves(curves: dict[str, np.ndarray], per_charge: float, per_particle: float) -> dict[str, np.ndarray]:
    """Return the curves under the names of the stored arrays, running slopes as conductivities in S/cm."""
    return {
        'lag_ps': curves['lag_ps'],
        'msd_A2': curves['msd'],
        'msd_stderr': curves['msd_stderr'],
        'charge_msd_e2A2': curves['charge_msd'],
        'charge_msd_stderr': curves['charge_msd_stderr'],
        'running_sigma_full_S_per_cm': curves['charge_msd_running'] * per_charge,
        'running_sigma_full_stderr': curves['charge_msd_running_stderr'] * per_charge,
        'running_sigma_tracer_S_per_cm': curves['msd_running'] * per_particle,
        'running_sigma_tracer_stderr': curves['msd_running_stderr'] * per_particle,
        'beta': curves['beta'],
        'beta_stderr': curves['beta_stderr'],
    }


def axis_curves(
    tracer: list[Track], charge: list[Track], dt_ps: float, *, per_charge: float, per_particle: float
) -> dict[str, np.ndarray]:
    """Return the curves of :func:`named_curves` along each axis, such as ``msd_x_A2``."""
    curves = {}
    for number, axis in enumerate('xyz'):
        ions, charges = (
            np.array([_along(run, number) for run in equal_stretches(tracks)]) for tracks in (tracer, charge)
        )
        named = named_curves(displacement_curves(ions, charges, dt_ps, dimension=1), per_charge, per_particle)
        for name, values in named.items():
            if name != 'lag_ps':
                unit = next((unit for unit in UNITS if name.endswith(unit)), '')
                curves[f'{name.removesuffix(unit)}_{axis}{unit}'] = values
    return curves


def _along(track: Track, axis: int) -> np.ndarray:
    """Return the mean-squared displacement (lags up to half a track) along an axis."""
    component = slice(axis, axis + 1)
    along = Track(track.positions[:, :, component], track.particles, track.shift[:, component])
    return simple_displacement(along, (track.n_frames - 1) // 2)
