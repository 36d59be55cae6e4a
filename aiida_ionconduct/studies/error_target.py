"""How much more molecular dynamics a conductivity needs: from what is known at each temperature to what is run next.

The standard error falls with the square root of the time over which all seeds run together, once the runs are long
enough to show diffusion. Until they are, only longer runs help; afterwards more seeds cost the same and run side by
side. Where runs differ by more than each of them says of itself, the error falls with the number of seeds alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field
from scipy import stats

from aiida_ionconduct.parameters import Parameters
from aiida_ionconduct.transport.verdict import diffusion

Ending = Literal['converged', 'budget exhausted', 'not diffusive on this time scale']
CONVERGED: Final = 'converged'
EXHAUSTED: Final = 'budget exhausted'
NOT_DIFFUSIVE: Final = 'not diffusive on this time scale'
Action = Literal['longer', 'more seeds', 'nothing']
LONGER: Final = 'longer'
MORE_SEEDS: Final = 'more seeds'
NOTHING: Final = 'nothing'
# The error of an error makes the first prediction the worst, so that no round multiplies the MD by more than this.
MAX_GROWTH = 4.0
# A prediction is followed to the quantile of its own distribution that is undershot with this probability: MD that is
# missing then costs another round, MD beyond the target is lost.
CAUTION = 0.2
MARGIN = 1.03  # of the last step, so that it ends below the target and not at it
STEP = 1.25  # no round is smaller than this, unless the prediction is
WASTE = 1.15  # if whole seeds cost more than this factor beyond the need, the runs are made longer instead
WORTH = 1.05  # the rest of a budget is spent if it multiplies the MD by at least this factor
SEEDS_ONLY = 0.5  # share of the excess scatter of runs in the error's square from which on only more seeds help
DOUBLE = 2.0  # runs that do not show diffusion are made longer by this factor
LEVEL = 0.6827  # of the interval of a predicted cost


class PrecisionTarget(Parameters):
    """The error that is wanted, and what it may cost."""

    target_relative_error: float = Field(
        gt=0, lt=1, description='standard error of the full conductivity over its value, such as 0.1'
    )
    max_md_ns: float = Field(gt=0, description='budget: nanoseconds of all runs together, equilibration included')
    max_iterations: int = Field(ge=1, description='largest number of rounds of MD, the first included')
    equilibration_ps: float = Field(default=0.0, ge=0, description='equilibration of each seed, in ps')
    quantum_ps: float = Field(default=1e-3, gt=0, description='run lengths are multiples of this time, in ps')


Plan = dict[str, Any]
"""What is planned at one temperature, JSON-able; :func:`decide` says which entries it has."""


class Known(NamedTuple):
    """What the analysis at one temperature has given: the full conductivity (any unit), or None, and the runs.

    ``dof`` degrees of freedom of the error; ``upper`` end of the 95 % interval, or the upper bound without a value,
    None where there is no bound; ``plateau``: whether the slope no longer changes with the lag; ``excess_share``: share
    of the error's square that is scatter of the runs in excess of what each says of itself, which no length lowers.
    """

    n_seeds: int
    length_ps: float
    value: float | None
    stderr: float | None
    dof: float
    upper: float | None
    plateau: bool
    excess_share: float = 0.0

    @property
    def relative_error(self) -> float | None:
        """Standard error over the value."""
        return None if self.value is None or self.stderr is None else self.stderr / self.value

    @property
    def bound(self) -> str:
        """The upper bound in words."""
        return 'without an upper bound' if self.upper is None else f'below {self.upper:.2g}'

    def cost_ns(self, equilibration_ps: float) -> float:
        """Return the MD that the runs took, in ns."""
        return self.n_seeds * (self.length_ps + equilibration_ps) / 1000


def decide(
    known: Mapping[str, Known], target: PrecisionTarget, *, earlier: Sequence[dict[str, Any]] = (), lost_ns: float = 0.0
) -> dict[str, Any]:
    """Decide what is run next at every temperature.

    :param known: by label of the temperature.
    :param earlier: what was decided after the rounds before, in order.
    :param lost_ns: MD spent on seeds that failed and are not among the known runs.
    :return: JSON-able: ``ending`` (None, or :data:`CONVERGED`, :data:`EXHAUSTED`, :data:`NOT_DIFFUSIVE`), ``md_ns``
        spent, ``next_md_ns``, ``round``, and ``temperatures``: by label, ``action``, ``n_seeds`` and ``length_ps`` to
        run to, ``relative_error``, ``upper_bound``, ``predicted_md_ns`` for the target with its interval
        ``predicted_md_ns_ci68`` (None where nothing can be predicted), ``more_seeds`` and ``longer_ps`` that would
        reach it, ``ending`` and ``reasons``.
    """
    n_rounds = len(earlier) + 1
    spent = lost_ns + sum(runs.cost_ns(target.equilibration_ps) for runs in known.values())
    remaining = target.max_md_ns - spent
    last_round = n_rounds + 1 >= target.max_iterations
    plans = {}
    for label, runs in known.items():
        before = [decision['temperatures'][label] for decision in earlier if label in decision['temperatures']]
        plans[label] = plan(runs, target, earlier=before, last_round=last_round)
    unfinished = [label for label, planned in plans.items() if planned['action'] != NOTHING]
    # The cheapest first: a temperature that can be finished within the budget is.
    wanted = {label: plans[label]['cost_ns'] for label in unfinished}
    for index, label in enumerate(sorted(unfinished, key=lambda label: wanted[label])):
        share = remaining / (len(unfinished) - index)
        # What the more expensive temperatures do not need is left for this one.
        others = sum(wanted[other] for other in unfinished if other != label and wanted[other] >= wanted[label])
        affordable = max(share, remaining - others)
        if n_rounds >= target.max_iterations:
            _stop(plans[label], known[label], f'{n_rounds} rounds are done, which is all that max_iterations allows')
        elif not _fit_into(plans[label], known[label], target, affordable):
            left = f'{max(remaining, 0):.3g} of {target.max_md_ns:g} ns are left'
            _stop(plans[label], known[label], f'{left}, which is not worth a round')
        remaining -= plans[label]['cost_ns']
    endings = {planned['ending'] for planned in plans.values()}
    going_on = None in endings
    return {
        'ending': None if going_on else next(end for end in (EXHAUSTED, NOT_DIFFUSIVE, CONVERGED) if end in endings),
        'round': n_rounds,
        'md_ns': spent,
        'next_md_ns': sum(planned['cost_ns'] for planned in plans.values()),
        'target_relative_error': target.target_relative_error,
        'max_md_ns': target.max_md_ns,
        'max_iterations': target.max_iterations,
        'temperatures': plans,
    }


def plan(known: Known, target: PrecisionTarget, *, earlier: Sequence[Plan] = (), last_round: bool = False) -> Plan:
    """Say what one temperature needs, whatever the budget; see :func:`decide` for what is returned.

    :param earlier: plans of the rounds before.
    :param last_round: nothing can be corrected afterwards, so the prediction is followed to the end.
    """
    error = known.relative_error
    result: Plan = {
        'n_seeds': known.n_seeds,
        'length_ps': known.length_ps,
        'relative_error': error,
        'upper_bound': known.upper,
        'md_ns': known.cost_ns(target.equilibration_ps),
        'predicted_md_ns': None,
        'predicted_md_ns_ci68': None,
        'more_seeds': None,
        'longer_ps': None,
        'ending': None,
    }
    missing = _why_too_short(known)
    if error is None:
        return result | _longer(known, target, DOUBLE, [*missing, 'twice the length'])
    ratio = (error / target.target_relative_error) ** 2
    left = 1 / ratio - known.excess_share  # of the error's square, for what falls with the length
    result |= {
        'predicted_md_ns': result['md_ns'] * ratio,
        'predicted_md_ns_ci68': [result['md_ns'] * ratio * factor for factor in variance_interval(known.dof)],
        'more_seeds': max(math.ceil(known.n_seeds * (ratio - 1) - 1e-9), 0),
        'longer_ps': known.length_ps * max((1 - known.excess_share) / left - 1, 0.0) if left > 0 else None,
    }
    if missing:
        return result | _longer(known, target, DOUBLE, [*missing, 'twice the length'])
    reached = f'relative error {error:.1%}, target {target.target_relative_error:.1%}'
    if ratio <= 1:
        return result | {'action': NOTHING, 'cost_ns': 0.0, 'ending': CONVERGED, 'reasons': [reached]}
    smooth = _smoothed_md_ns([*earlier, result]) / result['md_ns']
    cautious = smooth * known.dof / stats.chi2.ppf(1 - CAUTION, known.dof)
    growth = ratio * MARGIN if last_round else min(max(cautious, STEP), MAX_GROWTH, ratio * MARGIN)
    reasons = [f'{reached}: {ratio:.2f} times the MD, of which a factor {growth:.2f} now']
    n_seeds = math.ceil(known.n_seeds * growth - 1e-9)
    wasted = n_seeds / (known.n_seeds * growth)
    seeds_only = known.excess_share > SEEDS_ONLY
    if wasted > WASTE and not seeds_only:
        reasons.append(f'{n_seeds} seeds would be {wasted:.2f} times that')
        return result | _longer(known, target, growth, reasons)
    cost = (n_seeds - known.n_seeds) * (known.length_ps + target.equilibration_ps) / 1000
    if seeds_only:
        reasons.append('the runs differ by more than each says of itself: only more seeds lower the error')
    else:
        reasons.append('the runs show diffusion, so more seeds do as much as longer runs, side by side')
    return result | {'action': MORE_SEEDS, 'n_seeds': n_seeds, 'cost_ns': cost, 'reasons': reasons}


def _why_too_short(known: Known) -> list[str]:
    """Return why only longer runs help; an empty list where they are long enough."""
    answer = diffusion(resolved=known.value is not None, plateau=known.plateau)
    if answer == 'no':
        known_only = 'nor an upper bound' if known.upper is None else f'only that it is {known.bound}'
        return [f'no conductivity is resolved in {known.length_ps:g} ps, {known_only}']
    return [f'the slope is on no plateau yet in {known.length_ps:g} ps'] if answer == 'not yet' else []


def variance_interval(dof: float) -> tuple[float, float]:
    """Return the factors between which the true variance lies about its estimate, with a probability of 68.27 %."""
    tail = (1 - LEVEL) / 2
    return float(dof / stats.chi2.ppf(1 - tail, dof)), float(dof / stats.chi2.ppf(tail, dof))


def _smoothed_md_ns(plans: Sequence[Plan]) -> float:
    """Return the geometric mean of the costs predicted so far, each with the weight of the MD that it rests on.

    The error estimated in a single round may be off by half; the errors of several rounds less so.
    """
    pairs = [(planned['md_ns'], planned['predicted_md_ns']) for planned in plans if planned['predicted_md_ns']]
    return math.exp(sum(md * math.log(cost) for md, cost in pairs) / sum(md for md, _ in pairs))


def _longer(known: Known, target: PrecisionTarget, growth: float, reasons: list[str]) -> Plan:
    """Return the plan to make all runs longer by a factor."""
    length = target.quantum_ps * math.ceil(known.length_ps * growth / target.quantum_ps - 1e-6)
    cost = known.n_seeds * (length - known.length_ps) / 1000
    return {'action': LONGER, 'length_ps': length, 'cost_ns': cost, 'reasons': reasons}


def _fit_into(planned: Plan, known: Known, target: PrecisionTarget, affordable_ns: float) -> bool:
    """Cut a plan, in place, down to what is left; return whether it is still worth a round."""
    if planned['cost_ns'] <= affordable_ns + 1e-9:
        return True
    reasons = [*planned['reasons'], 'cut down to what is left of the budget']
    if planned['action'] == MORE_SEEDS:
        extra = math.floor(affordable_ns * 1000 / (known.length_ps + target.equilibration_ps) + 1e-9)
        if extra >= 1 and extra >= (WORTH - 1) * known.n_seeds:
            cost = extra * (known.length_ps + target.equilibration_ps) / 1000
            planned |= {'n_seeds': known.n_seeds + extra, 'cost_ns': cost, 'reasons': reasons}
            return True
    growth = 1 + affordable_ns * 1000 / (known.n_seeds * known.length_ps)
    # Rounded down: a budget is a promise.
    length = target.quantum_ps * math.floor(known.length_ps * growth / target.quantum_ps + 1e-6)
    if length < WORTH * known.length_ps:
        return False
    planned |= {'n_seeds': known.n_seeds, **_longer(known, target, length / known.length_ps, reasons)}
    return True


def _stop(planned: Plan, known: Known, why: str) -> None:
    """End a temperature without its target, in place."""
    ending: Ending
    if known.value is None:
        ending, answer, reasons = NOT_DIFFUSIVE, known.bound, planned['reasons'][:1]
    else:
        low, high = planned['predicted_md_ns_ci68']
        ending, reasons = EXHAUSTED, planned['reasons']
        answer = (
            f'relative error {known.relative_error:.1%}; {planned["predicted_md_ns"]:.3g} ns ({low:.3g} to {high:.3g}) '
            'would reach the target'
        )
    planned |= {
        'action': NOTHING,
        'n_seeds': known.n_seeds,
        'length_ps': known.length_ps,
        'cost_ns': 0.0,
        'ending': ending,
        'reasons': [*reasons, why, answer],
    }
