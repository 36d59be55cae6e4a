"""What has to be said of a campaign before it is submitted, although nothing in it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily, PseudoDojoFamily, SsspFamily

from aiida_ionconduct.cli.plan import cutoff_Ry
from aiida_ionconduct.structures.oxidation import ONLY_TRACER

MAX_HYDROGEN_FS = 1.0  # time step
FAMILIES = (CutoffsPseudoPotentialFamily, PseudoDojoFamily, SsspFamily)


def remarks(builder: Any) -> list[str]:
    """Return all remarks on a campaign, each on a line of its own."""
    return [
        *charge_warnings(builder),
        *hydrogen_warnings(builder),
        *cutoff_notes(builder),
        *stress_warnings(builder),
        *dataset_notes(builder),
    ]


def charge_warnings(builder: Any) -> list[str]:
    """Return warnings of charges that are averages of an element."""
    return [
        f'Warning: {symbol} has the average charge {charge:+.3g}. {ONLY_TRACER.format(symbol=symbol)}'
        for symbol, charge in builder.charges.get_dict().items()
        if charge % 1
    ]


def dataset_notes(builder: Any) -> list[str]:
    """Return what was assumed and changed when the given training set was read."""
    dataset = builder.dataset
    return [] if dataset is None else [f'Training set: {note}' for note in dataset.notes]


def hydrogen_warnings(builder: Any) -> list[str]:
    """Return warnings of time steps above 1 fs in a crystal with hydrogen, whose bonds vibrate within 9 to 12 fs."""
    if builder.structure is None or 'H' not in builder.structure.get_symbols_set():
        return []
    sections = {'aimd': ('aimd', 'dynamics'), 'md': ('md', 'parameters')}
    warnings = []
    for name, path in sections.items():
        node: Any = builder
        for key in path:
            node = node.get(key) if node is not None else None
        timestep_fs = None if node is None else node.get_dict().get('timestep_fs')
        if timestep_fs and timestep_fs > MAX_HYDROGEN_FS:
            warnings.append(
                f'Warning: the crystal has hydrogen, and the time step of {name} is {timestep_fs:g} fs: set '
                f'{name}.timestep_fs to {MAX_HYDROGEN_FS:g} or less with --overrides.'
            )
    return warnings


def cutoff_notes(builder: Any) -> list[str]:
    """Return what is assumed where the cell is relaxed at another cutoff than frames are labelled at."""
    relax, label = builder.relax['base_relax']['pw'], builder.label['pw']
    if 'parameters' not in relax or 'parameters' not in label or cutoff_Ry(relax) == cutoff_Ry(label):
        return []
    return [
        f'The cell is relaxed at {cutoff_Ry(relax):g} Ry, which the pseudopotentials recommend, and frames are '
        f'labelled at {cutoff_Ry(label):g} Ry.'
    ]


def stress_warnings(builder: Any) -> list[str]:
    """Return a warning of labels whose stress is not converged, which the potential would learn."""
    pw = builder.label['pw']
    if 'parameters' not in pw or not pw['parameters']['CONTROL'].get('tstress'):
        return []
    cutoff, recommended = cutoff_Ry(pw), recommended_cutoff_Ry(pw['pseudos'])
    if recommended is None or cutoff >= recommended:
        return []
    return [
        f'Warning: the potential learns the stress, which DFT labels at {cutoff:g} Ry, below the {recommended:g} Ry '
        'that the pseudopotentials recommend. The plane waves that are missing pull a cell together, by kilobars, '
        'and the potential would do the same: set dft.ecutwfc to null with --overrides.'
    ]


def recommended_cutoff_Ry(pseudos: Mapping[str, UpfData]) -> float | None:
    """Return the cutoff of the wave functions that the family of pseudopotentials recommends; None without a family.

    :param pseudos: by the kinds of a structure.
    """
    own = {pseudo.uuid for pseudo in pseudos.values()}
    for family in orm.QueryBuilder().append(FAMILIES).all(flat=True):
        if own <= {pseudo.uuid for pseudo in family.pseudos.values()}:
            elements = tuple({pseudo.element for pseudo in pseudos.values()})
            return float(family.get_recommended_cutoffs(elements=elements, unit='Ry')[0])
    return None
