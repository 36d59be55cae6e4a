"""When a campaign will end: a range from the plan and from the time that its stages took so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

# Standard deviations of the logarithm of the time that a planned core hour takes …
SD_SITE = math.log(5)  # … between machines, from one core for one hour
SD_PROGRAM = math.log(2)  # … between programs: the plan is good to a factor of three
SD_STAGE = math.log(2)  # … between the stages of a program
SD_UNKNOWN_STEPS = math.log(3)  # … of a stage whose number of steps is a guess, as in a relaxation
SD_JOB = math.log(1.5)  # … between the jobs of a stage
JOB_S = 5.0
"""Time that every job takes besides what is planned: upload, queue, start, parsing."""
QUANTILE = 1.2816  # standard deviations to both ends of an interval of 80 %
OVERDUE = 0.5
"""A stage that has taken longer than expected is given this share of its time so far once more."""


class StageProgress(NamedTuple):
    """How far a stage is."""

    label: str
    program: str
    hours: float
    """Core hours that are planned for it."""
    n_jobs: int
    """Number of jobs that are planned for it."""
    done: float
    """Share of it that is done, from 0 to 1."""
    n_done: int
    """Number of jobs that have ended and were computed."""
    elapsed_s: float
    """Time that it took so far; stages that run at the same time share the time."""
    unknown_steps: bool = False
    """Whether the plan guesses the number of steps, as that of a relaxation."""
    cached: float = 0.0
    """Share of it that came from the cache, which says nothing of the time that the rest takes."""
    optional: float = 0.0
    """Share of the planned hours that a campaign which converges early does not need."""


class Forecast(NamedTuple):
    """Seconds that a campaign will still take: an interval that contains the true time in four of five cases."""

    low_s: float
    middle_s: float
    high_s: float


def forecast(stages: Sequence[StageProgress]) -> Forecast | None:
    """Return how long a campaign will still take; None as long as no job of it was computed to its end.

    The logarithm of the ratio of the time to the planned time is a Gaussian process, correlated within a program and
    less between programs. A stage that has run therefore corrects the stages of the same program most and the other
    stages less, and a single slow stage does not turn the prediction over.

    :param stages: all stages of the plan, begun or not.
    """
    stages = [stage for stage in stages if stage.hours > 0]
    measured = [index for index, stage in enumerate(stages) if stage.done > stage.cached and stage.elapsed_s]
    if not measured:
        return None
    same_program = np.array([[a.program == b.program for b in stages] for a in stages])
    own = np.diag([SD_UNKNOWN_STEPS**2 if stage.unknown_steps else SD_STAGE**2 for stage in stages])
    covariance = SD_SITE**2 + SD_PROGRAM**2 * same_program + own
    noise = np.diag([SD_JOB**2 / max(stages[index].n_done, 1) for index in measured])
    computed = [stage.done - stage.cached for stage in stages]
    slowness = np.log([stages[i].elapsed_s / (planned_s(stages[i]) * computed[i]) for i in measured])
    gain = np.linalg.solve(covariance[np.ix_(measured, measured)] + noise, covariance[measured]).T
    covariance, slowness = covariance - gain @ covariance[measured], gain @ slowness

    left = np.array([remaining_s(stage, math.exp(log)) for stage, log in zip(stages, slowness, strict=True)])
    middle = float(left.sum())
    if middle <= 0:
        return Forecast(0.0, 0.0, 0.0)
    share = left / middle
    spread = math.exp(QUANTILE * math.sqrt(max(share @ covariance @ share, 0.0)))
    required = float(left @ [1 - stage.optional for stage in stages])
    return Forecast(required / spread, middle, middle * spread)


def planned_s(stage: StageProgress) -> float:
    """Return the time of a stage on a single core of the machine that the plan knows."""
    return stage.hours * 3600 + stage.n_jobs * JOB_S


def remaining_s(stage: StageProgress, slowness: float) -> float:
    """Return how long a stage will still take.

    :param slowness: its time in units of the planned time.
    """
    if stage.done >= 1:
        return 0.0
    expected = planned_s(stage) * slowness
    if stage.done:
        return expected * (1 - stage.done)
    return max(expected - stage.elapsed_s, OVERDUE * stage.elapsed_s)


def shared_times(spans: Mapping[str, Iterable[tuple[float, float]]]) -> dict[str, float]:
    """Return the time of each stage, where stages that run at the same time get equal parts of it.

    :param spans: beginnings and ends of its work chains, by the label of the stage.
    """
    spans = {label: list(intervals) for label, intervals in spans.items()}
    times = dict.fromkeys(spans, 0.0)
    edges = sorted({edge for intervals in spans.values() for interval in intervals for edge in interval})
    for begin, end in pairwise(edges):
        active = [label for label, intervals in spans.items() if any(a <= begin and end <= b for a, b in intervals)]
        for label in active:
            times[label] += (end - begin) / len(active)
    return times
