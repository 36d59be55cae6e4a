"""Energy shifts by element, which take a trained model over to another level of theory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def fit_energy_shifts(symbols: Sequence[Sequence[str]], energies_eV: np.ndarray) -> dict[str, Any]:
    """Return the energy of an atom of each element whose sums are nearest to some energies, by least squares.

    Frames of one composition determine the sum alone. The shifts of elements are then the smallest that give it; the
    energies of other compositions follow only as far as the compositions of the frames tell them.

    :param symbols: chemical symbols of every frame.
    :param energies_eV: (frames,), what the shifts must add up to: energies of DFT less those of the model without its
        shifts.
    :return: ``shifts_eV`` by symbol; ``residual_eV_per_atom``, the RMS of what is left; ``n_compositions``, the number
        of independent compositions, and ``determined``, whether they determine every shift.
    """
    elements = sorted({symbol for frame in symbols for symbol in frame})
    counts = np.array([[list(frame).count(element) for element in elements] for frame in symbols], dtype=float)
    sizes = counts.sum(axis=1)
    weighted = counts / sizes[:, None]  # every frame counts by its energy per atom
    solution, _, rank, _ = np.linalg.lstsq(weighted, np.asarray(energies_eV) / sizes, rcond=1e-8)
    residual = np.asarray(energies_eV) / sizes - weighted @ solution
    return {
        'shifts_eV': {element: float(shift) for element, shift in zip(elements, solution, strict=True)},
        'residual_eV_per_atom': float(np.sqrt((residual**2).mean())),
        'n_compositions': int(rank),
        'determined': int(rank) == len(elements),
    }
