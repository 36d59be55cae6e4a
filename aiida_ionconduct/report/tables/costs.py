"""The cost of a campaign as rows: what the stages have taken, and the estimate from before."""

from __future__ import annotations

from collections.abc import Sequence

from aiida_ionconduct.report.number_format import format_number
from aiida_ionconduct.report.result import MdSpeed, StageCost

COLUMNS = ('stage', 'jobs', 'core hours', 'GPU hours', 'core hours planned', 'taken / planned')
SPEED_COLUMNS = ('molecular dynamics', 'jobs', 'atoms', 'cores', 'ms per step', 'ps per day')
FROM_WALL_TIMES = 'Not all jobs stand in the accounting of a scheduler: their hours are wall times, as AiiDA saw them.'


def cost_rows(costs: Sequence[StageCost]) -> list[tuple[str, str, str, str, str, str]]:
    """Return a row for each stage and one for all of them, with the columns :data:`COLUMNS`."""
    if not costs:
        return []
    rows = [_row(cost) for cost in costs]
    return [*rows, _row(total(costs))] if len(rows) > 1 else rows


def speed_rows(speeds: Sequence[MdSpeed]) -> list[tuple[str, str, str, str, str, str]]:
    """Return a row for each stage of molecular dynamics, with the columns :data:`SPEED_COLUMNS`."""
    return [
        (
            speed.label,
            str(speed.n_jobs),
            str(speed.n_atoms),
            str(speed.cores),
            format_number(speed.step_ms),
            format_number(speed.ps_per_day),
        )
        for speed in speeds
    ]


def total(costs: Sequence[StageCost]) -> StageCost:
    """Return the sum over all stages; without a plan if a stage that has taken something has none."""
    planned = [cost.planned_core_hours for cost in costs if cost.planned_core_hours is not None]
    complete = all(cost.planned_core_hours is not None for cost in costs if cost.core_hours)
    return StageCost(
        label='all',
        n_jobs=sum(cost.n_jobs for cost in costs),
        n_cached=sum(cost.n_cached for cost in costs),
        core_hours=sum(cost.core_hours for cost in costs),
        gpu_hours=sum(cost.gpu_hours for cost in costs),
        planned_core_hours=sum(planned) if planned and complete else None,
        accounted=all(cost.accounted for cost in costs),
    )


def cost_line(costs: Sequence[StageCost]) -> str:
    """Return in a few words what a campaign has taken so far."""
    whole = total(costs)
    gpus = f', {format_number(whole.gpu_hours)} GPU hours' if whole.gpu_hours else ''
    planned = whole.planned_core_hours
    of = f' of about {format_number(planned)} planned' if planned else ''
    return f'{format_number(whole.core_hours)} core hours{of}{gpus}'


def _row(cost: StageCost) -> tuple[str, str, str, str, str, str]:
    """Return the row of a stage."""
    planned = cost.planned_core_hours
    ratio = cost.core_hours / planned if planned and cost.n_jobs else None
    return (
        cost.label,
        f'{cost.n_jobs}' + (f' ({cost.n_cached} from cache)' if cost.n_cached else ''),
        format_number(cost.core_hours),
        format_number(cost.gpu_hours) if cost.gpu_hours else '–',
        '–' if planned is None else format_number(planned),
        '–' if ratio is None else format_number(ratio, 2),
    )
