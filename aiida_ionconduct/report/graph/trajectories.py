"""What the stored trajectories of a campaign show: computed for its page in seconds, and not stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct import labels
from aiida_ionconduct.calculations.functions.trajectories import mean_temperature_K
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.density import density
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.result import AgainstAimd, IonDensity
from aiida_ionconduct.structures.rdf import radial_distribution
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.transport import choose_framework, mean_squared_displacement, mobile_positions

MOST_COORDINATES = 200_000_000
"""The most coordinates of all seeds at one temperature: beyond it a block study would take minutes."""
DENSITY_SPACING_A, DENSITY_FRAMES = 0.2, 4000
"""The grid, and the most frames of all seeds at one temperature, evenly spread."""
RDF_R_MAX_A, RDF_BIN_A, RDF_FRAMES = 5.0, 0.1, 15

RunsByTemperature = Mapping[float, Sequence[IonTrajectoryData]]


def by_temperature(nodes: Iterable[orm.Node]) -> dict[float, list[IonTrajectoryData]]:
    """Return the ion trajectories among some nodes by temperature in K, cold to hot, in the order of their seeds."""
    groups: dict[float, list[IonTrajectoryData]] = {}
    for node in nodes:
        if isinstance(node, IonTrajectoryData):
            groups.setdefault(node.temperature_K, []).append(node)
    return {T: sorted(groups[T], key=lambda run: run.base.attributes.get('seed')) for T in sorted(groups)}


def block_studies(runs: RunsByTemperature, charges: Mapping[str, float], mobile: str) -> dict[float, dict[str, Any]]:
    """Return the block-size study of every temperature: ``rows``, ``curves``, ``converged``, ``statement``.

    A temperature is left out where the study cannot be made: with a single seed, and for runs that are too short or,
    see :data:`MOST_COORDINATES`, too long.
    """
    studies = {}
    for temperature, seeds in runs.items():
        first = seeds[0]
        n_coordinates = 3 * sum(run.base.attributes.get('n_frames') * len(run.symbols) for run in seeds)
        if len(seeds) < 2 or n_coordinates > MOST_COORDINATES or not charges:
            continue
        try:
            study = block_size_study(
                [run.positions for run in seeds],
                first.symbols,
                dict(charges),
                first.cell,
                temperature_K=mean_temperature_K(seeds),
                dt_ps=first.frame_interval_ps,
                mobile=mobile,
            )
        except ValueError:
            continue
        studies[temperature] = study._asdict()
    return studies


def densities(runs: RunsByTemperature, mobile: str) -> dict[float, IonDensity]:
    """Return the density of the mobile ions, with framework and cell, at the lowest and the highest temperature."""
    maps: dict[float, IonDensity] = {}
    for temperature in sorted({min(runs), max(runs)} if runs else ()):
        seeds, first = runs[temperature], runs[temperature][0]
        if mobile not in first.symbols or len(set(first.symbols)) == 1:
            continue
        stride = max(1, sum(run.base.attributes.get('n_frames') for run in seeds) // DENSITY_FRAMES)
        frames = [run.positions[::stride] for run in seeds]
        at_rest = choose_framework(frames, first.symbols, [mobile])
        moving = [mobile_positions(positions, first.symbols, mobile, at_rest) for positions in frames]
        others = np.array(first.symbols) != mobile
        maps[temperature] = {
            'density': density(moving, first.cell, DENSITY_SPACING_A),
            'framework': np.asarray(first.positions[0], dtype=float)[others],
            'cell': first.cell,
            'n_frames': sum(len(positions) for positions in moving),
        }
    return maps


def against_aimd(node: orm.WorkChainNode, tree: CallTree, mobile: str) -> dict[float, AgainstAimd]:
    """Return radial distributions and displacements of the potential and of AIMD, where both ran at a temperature.

    The run of the potential is taken from the last validation, which has no thermostat, as AIMD has none.
    """
    calls = tree.called_by(node)
    aimd = [process for label, process in calls if label == labels.AIMD]
    validations = [process for label, process in calls if labels.read_numbered(label)[0] == labels.VALIDATE]
    if not aimd or not validations:
        return {}
    outputs = {link.label: link.node for link in linked(aimd, 'outgoing', LinkType.RETURN, kind=orm.TrajectoryData)}
    references = {
        labels.read_temperature(label): reference
        for label, reference in labels.in_namespace('trajectories', outputs).items()
        if isinstance(reference, orm.TrajectoryData)
    }
    last = max(validations, key=lambda process: process.ctime)
    runs = by_temperature(link.node for link in linked([last], 'outgoing', LinkType.RETURN))
    return {T: compare(seeds[0], references[T], mobile) for T, seeds in runs.items() if T in references}


def compare(run: IonTrajectoryData, reference: orm.TrajectoryData, mobile: str) -> AgainstAimd:
    """Return how a run of the potential and an AIMD run look side by side, see :func:`against_aimd`."""
    aimd_cells, times = reference.get_cells(), reference.get_times()
    if aimd_cells is None or times is None:
        raise ValueError(f'the AIMD trajectory {reference.pk} has no cells or no times.')
    positions = {'Allegro': np.asarray(run.positions), 'AIMD': reference.get_positions()}
    symbols = {'Allegro': run.symbols, 'AIMD': list(reference.symbols)}
    cells = {'Allegro': run.cell, 'AIMD': aimd_cells[0]}
    intervals_ps = {'Allegro': run.frame_interval_ps, 'AIMD': float(times[1] - times[0]) if len(times) > 1 else 0.0}
    rdf, msd = {}, {}
    at_rest = choose_framework([run.positions], run.symbols, [mobile])
    for source, frames in positions.items():
        rdf[source] = radial_distribution(
            frames, symbols[source], cells[source], RDF_R_MAX_A, bin_width=RDF_BIN_A, n_samples=RDF_FRAMES
        )
        # The displacement over more than half of a run has too few origins to be shown.
        lags = np.arange(len(frames) // 2)
        moving = mobile_positions(frames, symbols[source], mobile, at_rest)
        msd[source] = (lags * intervals_ps[source], mean_squared_displacement(moving)[: len(lags)])
    n_bins = len(next(iter(rdf['AIMD'].values())))
    return {'r_A': (np.arange(n_bins) + 0.5) * RDF_BIN_A, 'rdf': rdf, 'msd': msd}
