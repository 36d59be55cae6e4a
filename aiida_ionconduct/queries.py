"""Questions to a profile that are asked often, answered as pandas frames; each is also `aiida-ionconduct query …`.

Every frame has a fixed set of columns, also when nothing was found. Numbers that the data do not give are NaN. Columns
are named as the attributes of :class:`~aiida_ionconduct.data.ConductivityData`; an interval has the columns ``…_low``
and ``…_high``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd
from aiida import orm
from aiida.common.links import LinkType
from ase.formula import Formula

from aiida_ionconduct.data import AllegroModelData, ConductivityData, DatasetData, IonTrajectoryData
from aiida_ionconduct.transport import arrhenius

CAMPAIGN = 'aiida.workflows:ionconduct.conductivity'
CONDUCTIVITY_COLUMNS = (
    'pk', 'campaign', 'composition', 'temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr',
    'sigma_full_ci95_low', 'sigma_full_ci95_high', 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr', 'haven_ratio',
    'haven_ratio_stderr', 'n_atoms', 'n_seeds', 'total_time_ps', 'estimator', 'diffusive', 'converged', 'n_warnings',
    'uuid',
)  # fmt: skip
SERIES_COLUMNS = (
    'pk', 'campaign', 'composition', 'temperature_K', 'inverse_temperature_1000_per_K', 'sigma_full_S_per_cm',
    'sigma_full_stderr', 'sigma_full_dof', 'ln_sigma_T', 'ln_sigma_T_stderr', 'haven_ratio', 'n_atoms', 'converged',
)  # fmt: skip
CAMPAIGN_COLUMNS = (
    'pk', 'composition', 'protocol', 'state', 'exit_status', 'temperatures_K', 'activation_energy_eV',
    'activation_energy_stderr', 'passed_validation', 'started', 'uuid',
)  # fmt: skip
MODEL_COLUMNS = ('pk', 'kind', 'temperature_K', 'sigma_full_S_per_cm', 'seed', 'created', 'uuid')
TRAJECTORY_COLUMNS = (
    'pk', 'label', 'temperature_K', 'seed', 'length_ps', 'frame_interval_ps', 'n_frames', 'n_atoms', 'n_segments',
    'ensemble', 'job', 'model', 'uuid',
)  # fmt: skip
MODELS_COLUMNS = ('pk', 'label', 'type_names', 'r_max', 'model_format', 'sha256', 'created', 'uuid')
DATASET_COLUMNS = ('pk', 'label', 'elements', 'n_frames', 'sources', 'sha256', 'created', 'uuid')
STRUCTURE_COLUMNS = ('pk', 'label', 'formula', 'n_atoms', 'created', 'uuid')
WARNING_COLUMNS = ('pk', 'campaign', 'composition', 'temperature_K', 'converged', 'warning')
KINDS = {
    'float64': (
        'temperature_K', 'inverse_temperature_1000_per_K', 'sigma_full_S_per_cm', 'sigma_full_stderr',
        'sigma_full_ci95_low', 'sigma_full_ci95_high', 'sigma_full_dof', 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr',
        'haven_ratio', 'haven_ratio_stderr', 'ln_sigma_T', 'ln_sigma_T_stderr', 'total_time_ps', 'activation_energy_eV',
        'activation_energy_stderr', 'length_ps', 'frame_interval_ps',
    ),
    'Int64': ('pk', 'campaign', 'job', 'model', 'seed', 'exit_status', 'n_atoms', 'n_seeds', 'n_frames'),
    'boolean': ('diffusive', 'converged', 'passed_validation'),
}  # fmt: skip
"""Types of the columns that are not text; the last two can hold a missing value."""


def conductivities(
    composition: str | None = None,
    temperatures_K: tuple[float, float] | None = None,
    converged: bool | None = None,
    campaign: orm.Node | None = None,
) -> pd.DataFrame:
    """Return all conductivities, or those of a composition, by composition, temperature and age.

    :param composition: any way to write it: ``Li7SiPO8``, ``Li7PSiO8`` and ``Li28Si4P4O32`` are the same.
    :param temperatures_K: lowest and highest.
    :param converged: only those that are, or are not.
    :param campaign: only the results of this one.
    :return: one row each; ``campaign`` is the newest one that has it as a result, missing for an analysis of its own.
    :raises ValueError: for a composition that is no formula.
    """
    filters = {}
    if composition is not None:
        filters['attributes.reduced_composition'] = reduced(composition)
    if temperatures_K is not None:
        low, high = temperatures_K
        filters['and'] = [{'attributes.temperature_K': {'>=': low}}, {'attributes.temperature_K': {'<=': high}}]
    if converged is not None:
        filters['attributes.converged'] = converged
    rows = conductivity_rows(filters)
    if campaign is not None:
        results = set(result_pks(campaign))
        rows = [{**row, 'campaign': campaign.pk} for row in rows if row['pk'] in results]
    return frame(rows, CONDUCTIVITY_COLUMNS, ('composition', 'temperature_K', 'pk'))


def arrhenius_series(composition: str | None = None, campaign: orm.Node | None = None) -> pd.DataFrame:
    """Return the points of Arrhenius lines, cold to hot: those of a composition, of a campaign, or all.

    :return: one row for each conductivity that has a number. ``attrs['fits']`` holds, by campaign, what
        :func:`aiida_ionconduct.transport.arrhenius` gives for its points, where there are two temperatures or more.
    :raises ValueError: for a composition that is no formula.
    """
    found = conductivities(composition, campaign=campaign)
    points = found[found['sigma_full_S_per_cm'] > 0].copy()
    sigma, T = points['sigma_full_S_per_cm'], points['temperature_K']
    points['inverse_temperature_1000_per_K'] = 1000 / T
    points['ln_sigma_T'] = [math.log(value) for value in sigma * T]
    points['ln_sigma_T_stderr'] = points['sigma_full_stderr'] / sigma
    dof = projected(points['pk'], 'attributes.sigma_full_dof')
    points['sigma_full_dof'] = [dof[pk] for pk in points['pk']]
    points = frame(points.to_dict('records'), SERIES_COLUMNS, ('composition', 'campaign', 'temperature_K', 'pk'))
    columns = ('temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    points.attrs['fits'] = {
        int(pk): arrhenius(*(group[column].tolist() for column in columns))
        for pk, group in points.groupby('campaign')
        if group['temperature_K'].nunique() > 1
    }
    return points


def campaigns(composition: str | None = None) -> pd.DataFrame:
    """Return all campaigns, or those of a composition, the newest last.

    :param composition: as in :func:`conductivities`.
    :raises ValueError: for a composition that is no formula.
    """
    query = orm.QueryBuilder()
    query.append(
        orm.WorkChainNode,
        filters={'process_type': CAMPAIGN},
        project=['*', 'id', 'ctime', 'uuid', 'attributes.process_state', 'attributes.exit_status', 'extras.protocol'],
        tag='campaign',
    )
    query.append(orm.StructureData, with_outgoing='campaign', edge_filters={'label': 'structure'}, project='*')
    rows, wanted = [], reduced(composition) if composition is not None else None
    for node, pk, started, uuid, state, exit_status, protocol, structure in query.iterall():
        found = reduced(structure.get_formula())
        if wanted not in (None, found):
            continue
        outputs = {link.link_label: link.node for link in node.base.links.get_outgoing(link_type=LinkType.RETURN)}
        fit = outputs['arrhenius'].get_dict() if 'arrhenius' in outputs else {}
        gate = outputs['validation'].get_dict() if 'validation' in outputs else {}
        temperatures = sorted(one.temperature_K for one in outputs.values() if isinstance(one, ConductivityData))
        rows.append(
            {
                'pk': pk,
                'composition': found,
                'protocol': protocol,
                'state': state,
                'exit_status': exit_status,
                'temperatures_K': ', '.join(f'{T:g}' for T in temperatures),
                'activation_energy_eV': fit.get('activation_energy_eV'),
                'activation_energy_stderr': fit.get('activation_energy_stderr'),
                'passed_validation': gate.get('passed'),
                'started': started,
                'uuid': uuid,
            }
        )
    return frame(rows, CAMPAIGN_COLUMNS, ('started', 'pk'))


def models() -> pd.DataFrame:
    """Return all potentials, the newest last."""
    return frame(data_rows(AllegroModelData, MODELS_COLUMNS), MODELS_COLUMNS, ('created', 'pk'))


def structures() -> pd.DataFrame:
    """Return all stored structures, the newest last."""
    query = orm.QueryBuilder().append(orm.StructureData, project='*')
    rows = [
        {
            'pk': node.pk,
            'label': node.label,
            'formula': node.get_formula(),
            'n_atoms': len(node.sites),
            'created': node.ctime,
            'uuid': node.uuid,
        }
        for node in query.all(flat=True)
    ]
    return frame(rows, STRUCTURE_COLUMNS, ('created', 'pk'))


def datasets() -> pd.DataFrame:
    """Return all training sets, the newest last."""
    return frame(data_rows(DatasetData, DATASET_COLUMNS), DATASET_COLUMNS, ('created', 'pk'))


def trajectories() -> pd.DataFrame:
    """Return all trajectories, the newest last; the segments of runs that were cut are there, too."""
    query = orm.QueryBuilder().append(IonTrajectoryData, project='*')
    runs = sorted(query.all(flat=True), key=lambda run: (run.ctime, run.pk))
    return frame([trajectory_row(run, run.label) for run in runs], TRAJECTORY_COLUMNS, ())


def made_with_model(model: AllegroModelData) -> pd.DataFrame:
    """Return everything that descends from a model: compiled files, trajectories, conductivities, in order of creation.

    :param model: a package or a compiled file; nodes with the same file count as the same model.
    """
    sha256 = model.base.attributes.get('sha256')
    rows = {}
    for kind in (AllegroModelData, IonTrajectoryData, ConductivityData):
        query = orm.QueryBuilder().append(AllegroModelData, filters={'attributes.sha256': sha256}, tag='model')
        project = ['id', 'uuid', 'ctime', *(f'attributes.{name}' for name in MODEL_COLUMNS[2:5])]
        query.append(kind, with_ancestors='model', project=project)
        for pk, uuid, created, *values in query.iterall():
            rows[pk] = {
                'pk': pk,
                'kind': kind.__name__,
                **dict(zip(MODEL_COLUMNS[2:5], values, strict=True)),
                'created': created,
                'uuid': uuid,
            }
    return frame(rows.values(), MODEL_COLUMNS, ('created', 'pk'))


def trajectories_behind(conductivity: ConductivityData) -> pd.DataFrame:
    """Return the trajectories that a conductivity was computed from, with the job and the model that made each.

    :return: one row for each; ``job`` and ``model`` are those of its last segment, missing where they are not stored.
    """
    rows = [trajectory_row(run, label) for label, run in trajectories_of(conductivity).items()]
    return frame(rows, TRAJECTORY_COLUMNS, ('label',))


def trajectory_row(run: IonTrajectoryData, label: str) -> dict:
    """Return the row of a trajectory."""
    attributes, job = run.base.attributes.all, run.segments[-1].creator
    is_job = isinstance(job, orm.CalcJobNode)
    model = next(iter(job.base.links.get_incoming(AllegroModelData).all_nodes()), None) if is_job else None
    return {
        **{name: attributes.get(name) for name in TRAJECTORY_COLUMNS},
        'pk': run.pk,
        'label': label,
        'length_ps': run.length_ps,
        'n_segments': len(run.segments),
        'job': job.pk if is_job else None,
        'model': model.pk if model else None,
        'uuid': run.uuid,
    }


def data_rows(kind: type[orm.Data], columns: Sequence[str]) -> list[dict]:
    """Return nodes of a kind with those of their attributes that are columns; lists are written with commas."""
    own = {'pk': 'id', 'label': 'label', 'created': 'ctime', 'uuid': 'uuid'}
    query = orm.QueryBuilder().append(kind, project=[own.get(name, f'attributes.{name}') for name in columns])
    return [{name: listed(value) for name, value in zip(columns, row, strict=True)} for row in query.iterall()]


def listed(value):
    """Return a list as its elements with commas between, a mapping as its entries, anything else as it is."""
    if isinstance(value, dict):
        return ', '.join(f'{name} {count}' for name, count in value.items())
    return ', '.join(map(str, value)) if isinstance(value, list) else value


def with_warnings(composition: str | None = None, campaign: orm.Node | None = None) -> pd.DataFrame:
    """Return the warnings of all conductivities, of a composition or of a campaign: one row for each.

    :param composition: as in :func:`conductivities`.
    :raises ValueError: for a composition that is no formula.
    """
    found = conductivities(composition, campaign=campaign)
    texts = projected(found['pk'], 'attributes.warnings')
    rows = [{**row, 'warning': text} for row in found.to_dict('records') for text in texts[row['pk']] or []]
    return frame(rows, WARNING_COLUMNS, ('pk',))


def trajectories_of(conductivity: ConductivityData) -> dict[str, IonTrajectoryData]:
    """Return the trajectories that a conductivity was computed from, by their label in the analysis."""
    if conductivity.creator is None:
        return {}
    links = conductivity.creator.base.links.get_incoming(IonTrajectoryData, link_type=LinkType.INPUT_CALC)
    return {link.link_label: link.node for link in links.all()}


def reduced(composition: str) -> str:
    """Return a formula as the attribute ``reduced_composition`` has it.

    :raises ValueError: if it is none.
    """
    try:
        return f'{Formula(composition).reduce()[0]:metal}'
    except Exception as exception:
        raise ValueError(f'`{composition}` is no chemical formula, such as Li7SiPO8.') from exception


def conductivity_rows(filters: dict) -> list[dict]:
    """Return the conductivities that pass the filters of a query, without order."""
    names = {name: f'attributes.{name}' for name in CONDUCTIVITY_COLUMNS}
    names |= {'pk': 'id', 'uuid': 'uuid', 'composition': 'attributes.reduced_composition'}
    names |= {'ci95': 'attributes.sigma_full_ci95', 'warnings': 'attributes.warnings'}
    for name in ('campaign', 'n_warnings', 'sigma_full_ci95_low', 'sigma_full_ci95_high'):
        del names[name]
    query = orm.QueryBuilder().append(ConductivityData, filters=filters, project=list(names.values()))
    owners = campaigns_of()
    rows = []
    for values in query.iterall():
        row = dict(zip(names, values, strict=True))
        low, high = row.pop('ci95') or (None, None)
        owner, n_warnings = owners.get(row['pk']), len(row.pop('warnings') or [])
        bounds = {'sigma_full_ci95_low': low, 'sigma_full_ci95_high': high}
        rows.append({**row, **bounds, 'campaign': owner, 'n_warnings': n_warnings})
    return rows


def campaigns_of() -> dict[int, int]:
    """Return by conductivity the newest campaign that has it among its results."""
    query = orm.QueryBuilder().append(
        orm.WorkChainNode, filters={'process_type': CAMPAIGN}, project='id', tag='campaign'
    )
    query.append(ConductivityData, with_incoming='campaign', edge_filters={'type': LinkType.RETURN.value}, project='id')
    return {conductivity: campaign for campaign, conductivity in sorted(query.iterall())}


def result_pks(campaign: orm.Node) -> list[int]:
    """Return the conductivities among the outputs of a work chain."""
    return [one.pk for one in campaign.base.links.get_outgoing(ConductivityData, LinkType.RETURN).all_nodes()]


def projected(pks: pd.Series, name: str) -> dict:
    """Return one projection of some nodes, by PK."""
    if pks.empty:
        return {}
    query = orm.QueryBuilder().append(orm.Node, filters={'id': {'in': pks.tolist()}}, project=['id', name])
    return dict(query.all())


def frame(rows: Iterable[dict], columns: Sequence[str], order: Sequence[str]) -> pd.DataFrame:
    """Return rows as a frame with these columns, sorted; the type of a column does not depend on what was found."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    table = table.sort_values(list(order), ignore_index=True) if order else table
    return table.astype({name: kind for name in columns for kind, names in KINDS.items() if name in names})
