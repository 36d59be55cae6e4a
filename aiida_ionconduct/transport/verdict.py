"""Whether motion is diffusion: the one rule, which follows from an estimate and its uncertainty."""

from __future__ import annotations

from typing import Literal

Diffusion = Literal['yes', 'not yet', 'no']


def diffusion(*, resolved: bool, plateau: bool) -> Diffusion:
    """Return whether the ions diffuse within the runs.

    The exponent of the mean-squared displacement does not enter: vibrations add a constant to the displacement, so that
    slow diffusion with an exponent far below 1 may be known to a few percent.

    :param resolved: whether the estimate is above zero beyond its error.
    :param plateau: whether its slope no longer changes with the lag.
    """
    if not resolved:
        return 'no'
    return 'yes' if plateau else 'not yet'
