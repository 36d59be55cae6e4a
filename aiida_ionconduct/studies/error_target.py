"""How much more molecular dynamics a conductivity needs: from what is known at each temperature to what is run next.

The standard error falls with the square root of the time over which all seeds run together, once the runs are long
enough to show diffusion. Until they are, only longer runs help; afterwards more seeds cost the same and run side by
side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy import stats

CONVERGED = 'converged'
EXHAUSTED = 'budget exhausted'
NOT_DIFFUSIVE = 'not diffusive on this time scale'
LONGER, MORE_SEEDS, NOTHING = 'longer', 'more seeds', 'nothing'
# Diffusion is taken as reached unless the exponent of the MSD is below this one, and below 1 at this confidence.
BETA, BETA_CONFIDENCE = 0.8, 0.995
# The error of an error makes the first prediction the worst, so that no round multiplies the MD by more than this.
MAX_GROWTH = 4.0
# A prediction is followed to the quantile of its own distribution that is undershot with this probability: what is
# missing then costs another round, what is too much cannot be given back.
CAUTION = 0.2
MARGIN = 1.03  # of the last step, so that it ends below the target and not at it
STEP = 1.25  # no round is smaller than this, unless the prediction is
WASTE = 1.15  # whole seeds that cost so many times what is needed are not worth it: the runs are made longer
WORTH = 1.05  # what is left of a budget is spent if it multiplies the MD by this at least
DOUBLE = 2.0  # what is done to the length of runs that do not show diffusion
LEVEL = 0.6827  # of the interval of a predicted cost


class Settings(NamedTuple):
    """What is wanted and what it may cost.

    ``target`` relative standard error; ``max_md_ns`` of all runs together, equilibration included; ``max_iterations``
    rounds of MD, the first included; ``equilibration_ps`` of each seed; ``quantum_ps`` that a length is a multiple of.
    """

    target: float
    max_md_ns: float
    max_iterations: int
    equilibration_ps: float = 0.0
    quantum_ps: float = 1e-3


class Known(NamedTuple):
    """What the analysis at one temperature has given: the full conductivity (any unit), or None, and the runs.

    ``dof`` degrees of freedom of the error; ``upper`` end of the 95 % interval, or the upper bound without a value;
    ``plateau`` of the slope; ``beta`` exponent of the mean-squared displacement at the longest lags.
    """

    n_seeds: int
    length_ps: float
    value: float | None
    stderr: float | None
    dof: float
    upper: float
    plateau: bool
    beta: float
    beta_stderr: float

    @property
    def relative_error(self) -> float | None:
        """Standard error over the value."""
        return None if self.value is None else self.stderr / self.value

    def cost_ns(self, equilibration_ps: float) -> float:
        """Return the MD that it took, in ns."""
        return self.n_seeds * (self.length_ps + equilibration_ps) / 1000


def check_settings(settings: Settings) -> None:
    """Refuse targets and budgets that make no sense.

    :raises ValueError: naming the setting.
    """
    if not 0 < settings.target < 1:
        raise ValueError(
            f'target_relative_error is {settings.target:g}: give one standard error over the value, such as 0.1.'
        )
    if not (math.isfinite(settings.max_md_ns) and settings.max_md_ns > 0):
        raise ValueError(f'max_md_ns is {settings.max_md_ns:g}: give the nanoseconds of all runs together.')
    if settings.max_iterations < 1:
        raise ValueError(f'max_iterations is {settings.max_iterations}: give at least 1 round.')


def decide(known: Mapping[str, Known], settings: Settings, earlier: Sequence[dict] = (), lost_ns: float = 0.0) -> dict:
    """Decide what is run next at every temperature.

    :param known: by label of the temperature.
    :param earlier: what was decided after the rounds before, in order.
    :param lost_ns: MD spent on seeds that are not among the known ones, because they failed.
    :return: JSON-able: ``ending`` (None, or :data:`CONVERGED`, :data:`EXHAUSTED`, :data:`NOT_DIFFUSIVE`), ``md_ns``
        spent, ``next_md_ns``, ``round``, and ``temperatures``: by label, ``action``, ``n_seeds`` and ``length_ps`` to
        run to, ``relative_error``, ``upper_bound``, ``predicted_md_ns`` for the target with its interval
        ``predicted_md_ns_ci68`` (None where nothing can be predicted), ``more_seeds`` and ``longer_ps`` that would
        reach it, ``ending`` and ``reasons``.
    """
    n_rounds = len(earlier) + 1
    spent = lost_ns + sum(one.cost_ns(settings.equilibration_ps) for one in known.values())
    remaining = settings.max_md_ns - spent
    last_round = n_rounds + 1 >= settings.max_iterations
    before = {label: [one['temperatures'][label] for one in earlier if label in one['temperatures']] for label in known}
    plans = {label: plan(one, settings, before[label], last_round) for label, one in known.items()}
    open_ones = [label for label, one in plans.items() if one['action'] != NOTHING]
    # The cheapest first: a temperature that can be finished within the budget is.
    wanted = {label: plans[label]['cost_ns'] for label in open_ones}
    for index, label in enumerate(sorted(open_ones, key=lambda label: wanted[label])):
        share = remaining / (len(open_ones) - index)
        # What the others cannot need either is left for this one.
        others = sum(wanted[other] for other in open_ones if other != label and wanted[other] >= wanted[label])
        affordable = max(share, remaining - others)
        if n_rounds >= settings.max_iterations:
            stop(plans[label], known[label], f'{n_rounds} rounds are done, which is all that max_iterations allows')
        elif not fit_into(plans[label], known[label], settings, affordable):
            left = f'{max(remaining, 0):.3g} of {settings.max_md_ns:g} ns are left'
            stop(plans[label], known[label], f'{left}, which is not worth a round')
        remaining -= plans[label]['cost_ns']
    endings = {one['ending'] for one in plans.values()}
    going_on = None in endings
    return {
        'ending': None if going_on else next(e for e in (EXHAUSTED, NOT_DIFFUSIVE, CONVERGED) if e in endings),
        'round': n_rounds,
        'md_ns': spent,
        'next_md_ns': sum(one['cost_ns'] for one in plans.values()),
        'target_relative_error': settings.target,
        'max_md_ns': settings.max_md_ns,
        'max_iterations': settings.max_iterations,
        'temperatures': plans,
    }


def plan(known: Known, settings: Settings, earlier: Sequence[dict] = (), last_round: bool = False) -> dict:
    """Say what one temperature needs, whatever the budget; see :func:`decide` for what is returned.

    :param earlier: plans of the rounds before.
    :param last_round: nothing can be corrected afterwards, so the prediction is followed to the end.
    """
    error, result = known.relative_error, {
        'n_seeds': known.n_seeds,
        'length_ps': known.length_ps,
        'relative_error': known.relative_error,
        'upper_bound': known.upper,
        'md_ns': known.cost_ns(settings.equilibration_ps),
        'predicted_md_ns': None,
        'predicted_md_ns_ci68': None,
        'more_seeds': None,
        'longer_ps': None,
        'ending': None,
    }  # fmt: skip
    missing = why_too_short(known)
    if error is not None:
        ratio = (error / settings.target) ** 2
        spent = result['md_ns']
        result |= {
            'predicted_md_ns': spent * ratio,
            'predicted_md_ns_ci68': [spent * ratio * one for one in variance_interval(known.dof)],
            'more_seeds': max(math.ceil(known.n_seeds * (ratio - 1) - 1e-9), 0),
            'longer_ps': known.length_ps * max(ratio - 1, 0.0),
        }
    if missing:
        return result | longer(known, settings, DOUBLE, [*missing, 'twice the length'])
    reached = f'relative error {error:.1%}, target {settings.target:.1%}'
    if ratio <= 1:
        return result | {'action': NOTHING, 'cost_ns': 0.0, 'ending': CONVERGED, 'reasons': [reached]}
    smooth = smoothed_md_ns([*earlier, result]) / result['md_ns']
    cautious = smooth * known.dof / stats.chi2.ppf(1 - CAUTION, known.dof)
    growth = ratio * MARGIN if last_round else min(max(cautious, STEP), MAX_GROWTH, ratio * MARGIN)
    reasons = [f'{reached}: {ratio:.2f} times the MD, of which a factor {growth:.2f} now']
    n_seeds = math.ceil(known.n_seeds * growth - 1e-9)
    wasted = n_seeds / (known.n_seeds * growth)
    if wasted > WASTE:
        return result | longer(known, settings, growth, [*reasons, f'{n_seeds} seeds would be {wasted:.2f} times that'])
    cost = (n_seeds - known.n_seeds) * (known.length_ps + settings.equilibration_ps) / 1000
    reasons.append('the runs show diffusion, so more seeds do as much as longer runs, side by side')
    return result | {'action': MORE_SEEDS, 'n_seeds': n_seeds, 'cost_ns': cost, 'reasons': reasons}


def why_too_short(known: Known) -> list[str]:
    """Return why only longer runs help; an empty list where they are long enough."""
    reasons = []
    if known.value is None:
        reasons.append(
            f'no conductivity is resolved in {known.length_ps:g} ps, only that it is below {known.upper:.2g}'
        )
    elif not known.plateau:
        reasons.append(f'the slope is on no plateau yet in {known.length_ps:g} ps')
    if below_one(known.beta, known.beta_stderr, known.n_seeds):
        reasons.append(
            f'the mean-squared displacement grows with the exponent {known.beta:.2f} ± {known.beta_stderr:.2f}, not 1'
        )
    return reasons


def below_one(beta: float, beta_stderr: float, n_seeds: int) -> bool:
    """Return whether an exponent of the mean-squared displacement is one of runs that are too short for diffusion."""
    t = stats.t.ppf(BETA_CONFIDENCE, max(n_seeds - 1, 1))
    return bool(beta < BETA and beta + t * beta_stderr < 1)


def smoothed_md_ns(plans: Sequence[dict]) -> float:
    """Return the geometric mean of the costs predicted so far, each with the weight of the MD that it rests on.

    The estimate of one error may be off by half; those of several rounds less so.
    """
    pairs = [(one['md_ns'], one['predicted_md_ns']) for one in plans if one['predicted_md_ns']]
    return math.exp(sum(md * math.log(cost) for md, cost in pairs) / sum(md for md, _ in pairs))


def variance_interval(dof: float) -> tuple[float, float]:
    """Return the factors between which the true variance lies about its estimate, with a probability of 68.27 %."""
    tails = (1 - LEVEL) / 2
    return tuple(float(dof / stats.chi2.ppf(one, dof)) for one in (1 - tails, tails))


def longer(known: Known, settings: Settings, growth: float, reasons: list[str]) -> dict:
    """Return the plan to make all runs longer by a factor."""
    length = settings.quantum_ps * math.ceil(known.length_ps * growth / settings.quantum_ps - 1e-6)
    cost = known.n_seeds * (length - known.length_ps) / 1000
    return {'action': LONGER, 'length_ps': length, 'cost_ns': cost, 'reasons': reasons}


def fit_into(one: dict, known: Known, settings: Settings, affordable_ns: float) -> bool:
    """Cut a plan down to what is left; return whether it is still worth a round."""
    if one['cost_ns'] <= affordable_ns + 1e-9:
        return True
    if one['action'] == MORE_SEEDS:
        extra = math.floor(affordable_ns * 1000 / (known.length_ps + settings.equilibration_ps) + 1e-9)
        if extra >= 1 and extra >= (WORTH - 1) * known.n_seeds:
            cost = extra * (known.length_ps + settings.equilibration_ps) / 1000
            cut = 'cut down to what is left of the budget'
            one |= {'n_seeds': known.n_seeds + extra, 'cost_ns': cost, 'reasons': [*one['reasons'], cut]}
            return True
    growth = 1 + affordable_ns * 1000 / (known.n_seeds * known.length_ps)
    # Rounded down: a budget is a promise.
    length = settings.quantum_ps * math.floor(known.length_ps * growth / settings.quantum_ps + 1e-6)
    if length < WORTH * known.length_ps:
        return False
    cut = longer(known, settings, length / known.length_ps, [*one['reasons'], 'cut down to what is left of the budget'])
    one |= {'n_seeds': known.n_seeds, **cut}
    return True


def stop(one: dict, known: Known, why: str) -> None:
    """End a temperature without its target, in place."""
    if known.value is None:
        ending, answer = NOT_DIFFUSIVE, f'below {known.upper:.2g}'
    else:
        low, high = one['predicted_md_ns_ci68']
        answer = (
            f'relative error {known.relative_error:.1%}; {one["predicted_md_ns"]:.3g} ns ({low:.3g} to {high:.3g}) '
            'would reach the target'
        )
        ending = EXHAUSTED
    one |= {
        'action': NOTHING,
        'n_seeds': known.n_seeds,
        'length_ps': known.length_ps,
        'cost_ns': 0.0,
        'ending': ending,
        'reasons': [*one['reasons'][: 1 if known.value is None else None], why, answer],
    }
