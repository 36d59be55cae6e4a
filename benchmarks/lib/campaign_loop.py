"""Campaigns to a requested error on processes of known conductivity, without an engine: the loop alone."""

import numpy as np

from aiida_ionconduct.studies.error_target import CONVERGED, Known, decide
from aiida_ionconduct.transport import diffusivity


class SeedSource:
    """Seeds that are made at full length when they are first asked for, and cut to the length that is asked for."""

    def __init__(self, generate, dt_ps, seed, longest_ps):
        """Take a generator of :mod:`processes`; `seed` is the seed of the campaign."""
        self.generate, self.dt_ps, self.seed = generate, dt_ps, seed
        self.frames, self.runs = round(longest_ps / dt_ps) + 1, []

    def tracks(self, n_seeds, length_ps):
        """Return the collective coordinate of each seed, (frames, 1, 3)."""
        while len(self.runs) < n_seeds:
            rng = np.random.default_rng([self.seed, len(self.runs)])
            positions = self.generate(rng, frames=self.frames)
            self.runs.append(positions.sum(axis=1, keepdims=True) / np.sqrt(positions.shape[1]))
        return [run[: round(length_ps / self.dt_ps) + 1] for run in self.runs[:n_seeds]]


def measure(source, n_seeds, length_ps):
    """Analyse as the work chain does."""
    estimate = diffusivity(source.tracks(n_seeds, length_ps), source.dt_ps)
    d = estimate.diagnostics
    known = Known(
        n_seeds, length_ps, estimate.value, estimate.stderr, estimate.dof, estimate.interval(0.95)[1],
        d['plateau'],
    )  # fmt: skip
    return known, estimate


def campaign(source, target, n_seeds, length_ps):
    """Run a campaign to its end; return the last estimate, the last decision and all decisions."""
    decisions = []
    while True:
        known, estimate = measure(source, n_seeds, length_ps)
        decision = decide({'T': known}, target, earlier=decisions)
        decisions.append(decision)
        if decision['ending']:
            return estimate, decision, decisions
        n_seeds, length_ps = (decision['temperatures']['T'][key] for key in ('n_seeds', 'length_ps'))


def oracle_ns(generate, dt_ps, target, length_ps, replicas=60):
    """Return the MD after which the error is below the target at the first time a campaign could know it.

    Measured, not assumed: the root mean square error of the estimate itself at growing numbers of seeds, all as long as
    the first ones of the campaigns, and the line of slope -1/2 through it on logarithmic axes.
    """
    numbers = (4, 8, 16)
    errors = []
    for n_seeds in numbers:
        values = []
        for replica in range(replicas):
            source = SeedSource(generate, dt_ps, 10**6 + 1000 * n_seeds + replica, length_ps)
            values.append(measure(source, n_seeds, length_ps)[1].diagnostics['slope'])
        errors.append(np.std(values) / np.mean(values))
    spread = np.exp(np.mean(np.log(errors) + 0.5 * np.log(numbers)))
    return (spread / target.target_relative_error) ** 2 * (length_ps + target.equilibration_ps) / 1000


def reached(decision):
    """Whether the target was reached."""
    return decision['ending'] == CONVERGED
