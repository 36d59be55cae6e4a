"""What the stored trajectories of a campaign show, worked out for its page and not stored: no dynamics, no nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.density import density
from aiida_ionconduct.report.graph.calls import CallTree, linked
from aiida_ionconduct.structures.rdf import radial_distribution
from aiida_ionconduct.studies.block_size import block_size_study
from aiida_ionconduct.transport import mean_squared_displacement, mobile_positions

MOST_COORDINATES = 200_000_000
"""Of all seeds at one temperature: a block study of more takes minutes, which a page does not."""
DENSITY_SPACING_A, DENSITY_FRAMES = 0.2, 4000
"""Of all seeds at one temperature, evenly spread."""
RDF_R_MAX_A, RDF_BIN_A, RDF_FRAMES = 5.0, 0.1, 15
STUDIES = {'compare_block_sizes': 'blocks', 'mobile_density': 'density', 'compare_sizes': 'sizes'}


def look_into(node: orm.WorkChainNode) -> dict[str, Any]:
    """Return what can be shown of a campaign beyond its outputs.

    :return: ``blocks``, ``density`` and ``aimd`` by temperature, from its trajectories; ``studies`` and ``twins`` that
        are stored; ``decisions`` of its rounds.
    """
    tree = CallTree(node)
    outputs = {row.label: row.node for row in linked([node], 'outgoing', LinkType.RETURN)}
    inputs = {row.label: row.node for row in linked([node], 'incoming', LinkType.INPUT_WORK)}
    mobile = inputs['mobile'].value if 'mobile' in inputs else 'Li'
    charges = inputs['charges'].get_dict() if 'charges' in inputs else {}
    runs = by_temperature(one for label, one in outputs.items() if label.startswith('trajectories__'))
    results = [one for one in outputs.values() if isinstance(one, (IonTrajectoryData, orm.ArrayData))]
    studies = stored_studies(results)
    # A stored study, of lengths that someone has chosen, goes before the one made here.
    chosen = {one['attributes']['temperature_K']: {**one['attributes'], 'pk': one['pk']} for one in studies['blocks']}
    others = {temperature: seeds for temperature, seeds in runs.items() if temperature not in chosen}
    return {
        'blocks': dict(sorted((block_studies(others, charges, mobile) | chosen).items())),
        'density': densities(runs, mobile),
        'aimd': against_aimd(node, tree, mobile),
        'studies': studies,
        'twins': twins(one for one in outputs.values() if isinstance(one, orm.StructureData)),
        'decisions': decisions(node, tree),
    }


def by_temperature(trajectories: Iterable[orm.Data]) -> dict[float, list[IonTrajectoryData]]:
    """Return ion trajectories by temperature, cold to hot, in the order of their seeds."""
    groups: dict[float, list[IonTrajectoryData]] = {}
    for one in trajectories:
        if isinstance(one, IonTrajectoryData):
            groups.setdefault(one.temperature_K, []).append(one)
    return {T: sorted(groups[T], key=lambda one: one.base.attributes.get('seed')) for T in sorted(groups)}


def block_studies(runs: Mapping[float, Sequence[IonTrajectoryData]], charges: Mapping[str, int], mobile: str) -> dict:
    """Return the block-size study of every temperature: ``rows``, ``curves``, ``converged``, ``statement``.

    Where it cannot be made it is left out: a single seed, runs too short or, see :data:`MOST_COORDINATES`, too long.
    """
    studies = {}
    for temperature, seeds in runs.items():
        first = seeds[0]
        n_coordinates = 3 * sum(one.base.attributes.get('n_frames') * len(one.symbols) for one in seeds)
        if len(seeds) < 2 or n_coordinates > MOST_COORDINATES or not charges:
            continue
        try:
            study = block_size_study(
                [one.positions for one in seeds],
                first.symbols,
                charges,
                first.cell,
                temperature_K=temperature,
                dt_ps=first.frame_interval_ps,
                mobile=mobile,
            )
        except ValueError:
            continue
        studies[temperature] = study._asdict()
    return studies


def densities(runs: Mapping[float, Sequence[IonTrajectoryData]], mobile: str) -> dict[float, dict[str, np.ndarray]]:
    """Return the density of the mobile ions, with framework and cell, at the lowest and the highest temperature."""
    found = {}
    for temperature in sorted({min(runs), max(runs)} if runs else ()):
        seeds, first = runs[temperature], runs[temperature][0]
        if mobile not in first.symbols or len(set(first.symbols)) == 1:
            continue
        stride = max(1, sum(one.base.attributes.get('n_frames') for one in seeds) // DENSITY_FRAMES)
        moving = [mobile_positions(one.positions[::stride], first.symbols, mobile) for one in seeds]
        others = np.array(first.symbols) != mobile
        framework = np.asarray(first.positions[0], dtype=float)[others]
        found[temperature] = {
            'density': density(moving, first.cell, DENSITY_SPACING_A),
            'framework': framework,
            'cell': first.cell,
            'n_frames': sum(len(one) for one in moving),
        }
    return found


def against_aimd(node: orm.WorkChainNode, tree: CallTree, mobile: str) -> dict[float, dict[str, Any]]:
    """Return radial distributions and displacements of the potential and of AIMD, where both ran at a temperature.

    The potential's run is that of the last validation, without a thermostat as AIMD is.

    :return: by temperature: ``r_A``, ``rdf`` and ``msd``, each by ``Allegro`` and ``AIMD``.
    """
    calls = tree.calls.get(node.pk, [])
    aimd = [call.node for call in calls if call.label == 'aimd']
    validations = [call.node for call in calls if call.label.startswith('validate')]
    references = {}
    for row in linked(aimd, 'outgoing', LinkType.RETURN, kind=orm.TrajectoryData):
        references[float(row.label.rpartition('__T')[2].replace('_', '.'))] = row.node
    last = validations and max(validations, key=lambda one: one.ctime)
    runs = by_temperature(row.node for row in linked([last] if last else [], 'outgoing', LinkType.RETURN))
    return {T: compare(runs[T][0], references[T], mobile) for T in runs if T in references}


def compare(run: IonTrajectoryData, reference: orm.TrajectoryData, mobile: str) -> dict[str, Any]:
    """Return how a run of the potential and one of AIMD look side by side, see :func:`against_aimd`."""
    symbols, cell, times = list(reference.symbols), reference.get_cells()[0], reference.get_times()
    positions = {'Allegro': np.asarray(run.positions), 'AIMD': reference.get_positions()}
    names = {'Allegro': run.symbols, 'AIMD': symbols}
    cells = {'Allegro': run.cell, 'AIMD': cell}
    spacings = {'Allegro': run.frame_interval_ps, 'AIMD': float(times[1] - times[0]) if len(times) > 1 else 0.0}
    found: dict[str, Any] = {'rdf': {}, 'msd': {}}
    for who, frames in positions.items():
        found['rdf'][who] = radial_distribution(
            frames, names[who], cells[who], RDF_R_MAX_A, bin_width=RDF_BIN_A, n_samples=RDF_FRAMES
        )
        # The displacement over more than half of a run has too few origins to be shown.
        lags = np.arange(len(frames) // 2)
        moving = mobile_positions(frames, names[who], mobile)
        found['msd'][who] = (lags * spacings[who], mean_squared_displacement(moving)[: len(lags)])
    n_bins = len(next(iter(found['rdf']['AIMD'].values())))
    return {**found, 'r_A': (np.arange(n_bins) + 0.5) * RDF_BIN_A}


def stored_studies(results: Iterable[orm.Data]) -> dict[str, list[dict[str, Any]]]:
    """Return what studies of a campaign's results are in the profile, oldest first: pk, attributes, arrays, statistics.

    :param results: trajectories and conductivities of the campaign.
    :return: ``blocks``, ``density`` and ``sizes``, as ``aiida-ionconduct study`` has made them.
    """
    pks = [one.pk for one in results]
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in STUDIES.values()}
    if not pks:
        return found
    query = orm.QueryBuilder()
    query.append(orm.Data, filters={'id': {'in': pks}}, tag='result')
    query.append(
        orm.CalcFunctionNode,
        with_incoming='result',
        project='*',
        filters={'attributes.process_label': {'in': list(STUDIES)}, 'attributes.exit_status': 0},
    )
    for study in sorted({one.pk: one for (one,) in query.iterall()}.values(), key=lambda one: one.pk):
        outputs = study.base.links.get_outgoing(link_type=LinkType.CREATE).all()
        one: dict[str, Any] = {'pk': study.pk, 'attributes': {}, 'arrays': {}}
        for link in outputs:
            if isinstance(link.node, orm.ArrayData):
                one['arrays'] |= {name: link.node.get_array(name) for name in link.node.get_arraynames()}
                values = link.node.base.attributes.all
                one['attributes'] |= {key: value for key, value in values.items() if not key.startswith('array|')}
            elif isinstance(link.node, orm.Dict):
                one['attributes'] |= link.node.get_dict()
        found[STUDIES[study.process_label]].append(one)
    return found


def twins(structures: Iterable[orm.StructureData]) -> list[dict[str, Any]]:
    """Return finished twin runs of some cells: ``pk``, ``time_ps``, ``difference_A``, ``found``."""
    pks = [one.pk for one in structures]
    query = orm.QueryBuilder()
    query.append(orm.StructureData, filters={'id': {'in': pks or [-1]}}, tag='cell')
    query.append(
        orm.WorkChainNode,
        with_incoming='cell',
        project='*',
        filters={'attributes.process_label': 'TwinsWorkChain', 'attributes.exit_status': 0},
    )
    found = []
    for one in sorted({one.pk: one for (one,) in query.iterall()}.values(), key=lambda one: one.pk):
        curves = one.outputs.divergence
        found.append(
            {
                'pk': one.pk,
                'time_ps': curves.get_array('time_ps'),
                'difference_A': curves.get_array('difference_A'),
                'found': one.outputs.lyapunov.get_dict(),
            }
        )
    return found


def decisions(node: orm.WorkChainNode, tree: CallTree) -> list[dict[str, Any]]:
    """Return what was decided after every round of molecular dynamics of a campaign with a target, in order."""
    deciding = [one for one in tree.whole(node) if one.process_label == 'decide_next']
    return [row.node.get_dict() for row in linked(deciding, 'outgoing', LinkType.CREATE, kind=orm.Dict)]
