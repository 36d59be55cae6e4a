"""How a result says that no DFT was done, and whose labels its potential has learnt."""

from __future__ import annotations

from collections.abc import Sequence

ATTRIBUTE = 'labelled_by'
"""What frames carry in their ``info``, and training sets, models, trajectories and conductivities as an attribute."""
NO_DFT = 'No DFT was done'


def no_dft(teachers: Sequence[str]) -> str:
    """Return the sentence for a result of a potential that learnt from pretrained potentials.

    :param teachers: the pretrained potentials, each with its version and the checksum of its weights.
    """
    return (
        f'{NO_DFT}: the potential was trained on energies and forces of the pretrained potential '
        f'{" and ".join(teachers)}. Whether they hold for this material has not been checked.'
    )
