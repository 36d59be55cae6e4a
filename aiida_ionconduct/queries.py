"""Questions to a profile that are asked often, answered as pandas frames; each is also `aiida-ionconduct query …`.

Every frame has a fixed set of columns, also when it is empty. Numbers that the data do not give are NaN. Columns are
named as the attributes of :class:`~aiida_ionconduct.data.ConductivityData`; an interval has the columns ``…_low`` and
``…_high``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from aiida import orm
from aiida.common.links import LinkType
from ase.formula import Formula

from aiida_ionconduct.data import AllegroModelData, ConductivityData, DatasetData, IonTrajectoryData
from aiida_ionconduct.sampling.statement import ATTRIBUTE
from aiida_ionconduct.transport import arrhenius

CAMPAIGN = 'aiida.workflows:ionconduct.conductivity'
MODELS_STUDY = 'aiida.workflows:ionconduct.models'
CONDUCTIVITY_COLUMNS = (
    'pk', 'campaign', 'composition', 'temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr',
    'sigma_full_ci95_low', 'sigma_full_ci95_high', 'sigma_tracer_S_per_cm', 'sigma_tracer_stderr', 'haven_ratio',
    'haven_ratio_stderr', 'n_atoms', 'n_seeds', 'total_time_ps', 'estimator', 'diffusive', 'converged', 'n_warnings',
    'labels', 'uuid',
)  # fmt: skip
SERIES_COLUMNS = (
    'pk', 'campaign', 'composition', 'temperature_K', 'inverse_temperature_1000_per_K', 'sigma_full_S_per_cm',
    'sigma_full_stderr', 'sigma_full_dof', 'ln_sigma_T', 'ln_sigma_T_stderr', 'haven_ratio', 'n_atoms', 'converged',
    'measured_temperature_K', 'measured_temperature_stderr',
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
        'activation_energy_stderr', 'length_ps', 'frame_interval_ps', 'measured_temperature_K',
        'measured_temperature_stderr',
    ),
    'Int64': ('pk', 'campaign', 'job', 'model', 'seed', 'exit_status', 'n_atoms', 'n_seeds', 'n_frames'),
    'boolean': ('diffusive', 'converged', 'passed_validation'),
}  # fmt: skip
"""Types of the columns that are not text; columns of the last two types can hold a missing value."""


def conductivities(
    composition: str | None = None,
    temperatures_K: tuple[float, float] | None = None,
    converged: bool | None = None,
    campaign: orm.Node | None = None,
) -> pd.DataFrame:
    """Return conductivities, in the order of composition, temperature and age.

    :param composition: only conductivities of this composition, written in any way: ``Li7SiPO8``, ``Li7PSiO8`` and
        ``Li28Si4P4O32`` are the same.
    :param temperatures_K: lowest and highest temperature.
    :param converged: only converged conductivities, or only conductivities that are not converged.
    :param campaign: only the results of this campaign.
    :return: a row for each conductivity. ``labels`` is ``pretrained`` where no DFT was done, else empty; ``campaign``
        is the newest campaign that has it as a result, and missing where it comes from a separate analysis.
    :raises ValueError: for a composition that is not a formula.
    """
    filters: dict[str, Any] = {}
    if composition is not None:
        filters['attributes.reduced_composition'] = reduced(composition)
    if temperatures_K is not None:
        low, high = temperatures_K
        filters['and'] = [{'attributes.temperature_K': {'>=': low}}, {'attributes.temperature_K': {'<=': high}}]
    if converged is not None:
        filters['attributes.converged'] = converged
    rows = _conductivity_rows(filters)
    if campaign is not None:
        results = _result_pks(campaign)
        rows = [{**row, 'campaign': campaign.pk} for row in rows if row['pk'] in results]
    return _frame(rows, CONDUCTIVITY_COLUMNS, ('composition', 'temperature_K', 'pk'))


def arrhenius_series(composition: str | None = None, campaign: orm.Node | None = None) -> pd.DataFrame:
    """Return the points of Arrhenius lines, cold to hot: of a composition, of a campaign, or of the whole profile.

    :return: one row for each conductivity that has a number. ``inverse_temperature_1000_per_K`` and ``ln_sigma_T`` are
        of the temperature that the runs really had, ``measured_temperature_K``, which is that on the label with the
        error 0 where it was not measured. ``attrs['fits']`` holds, by campaign, what
        :func:`aiida_ionconduct.transport.arrhenius` gives for its points and for the upper bounds of temperatures
        without a number, where two temperatures or more have a number.
    :raises ValueError: for a composition that is not a formula.
    """
    table = conductivities(composition, campaign=campaign)
    for column in (
        'measured_temperature_K', 'measured_temperature_stderr', 'sigma_full_dof', 'sigma_full_upper_S_per_cm'
    ):  # fmt: skip
        projected = _projected(table['pk'], f'attributes.{column}')
        table[column] = pd.Series([projected[pk] for pk in table['pk']], index=table.index, dtype='float64')
    table['measured_temperature_K'] = table['measured_temperature_K'].fillna(table['temperature_K'])
    table['measured_temperature_stderr'] = table['measured_temperature_stderr'].fillna(0.0)
    points = table[table['sigma_full_S_per_cm'] > 0].copy()
    sigma, T = points['sigma_full_S_per_cm'], points['measured_temperature_K']
    points['inverse_temperature_1000_per_K'] = 1000 / T
    points['ln_sigma_T'] = [math.log(value) for value in sigma * T]
    points['ln_sigma_T_stderr'] = points['sigma_full_stderr'] / sigma
    points = _frame(points.to_dict('records'), SERIES_COLUMNS, ('composition', 'campaign', 'temperature_K', 'pk'))
    points.attrs['fits'] = {
        int(pk): _line(table[table['campaign'] == pk].sort_values(['temperature_K', 'pk']))
        for pk, group in points.groupby('campaign')
        if group['temperature_K'].nunique() > 1
    }
    return points


def _line(conductivities: pd.DataFrame) -> dict[str, Any]:
    """Return the Arrhenius line of conductivities, those without a number entering with their upper bounds."""
    sigma, stderr, upper = (
        [float(value) if value > 0 else None for value in conductivities[name]]
        for name in ('sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_upper_S_per_cm')
    )
    return arrhenius(
        conductivities['measured_temperature_K'].tolist(),
        sigma,
        stderr,
        conductivities['sigma_full_dof'].fillna(math.inf).tolist(),
        uppers=upper,
        temperature_stderrs_K=conductivities['measured_temperature_stderr'].tolist(),
    )


def campaigns(composition: str | None = None) -> pd.DataFrame:
    """Return campaigns, the newest last.

    :param composition: only campaigns of this composition, written as for :func:`conductivities`.
    :raises ValueError: for a composition that is not a formula.
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
        formula = reduced(structure.get_formula())
        if wanted not in (None, formula):
            continue
        outputs = {link.link_label: link.node for link in node.base.links.get_outgoing(link_type=LinkType.RETURN)}
        fit = outputs['arrhenius'].get_dict() if 'arrhenius' in outputs else {}
        gate = outputs['validation'].get_dict() if 'validation' in outputs else {}
        temperatures = sorted(node.temperature_K for node in outputs.values() if isinstance(node, ConductivityData))
        rows.append(
            {
                'pk': pk,
                'composition': formula,
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
    return _frame(rows, CAMPAIGN_COLUMNS, ('started', 'pk'))


def models() -> pd.DataFrame:
    """Return all potentials, the newest last."""
    return _frame(_data_rows(AllegroModelData, MODELS_COLUMNS), MODELS_COLUMNS, ('created', 'pk'))


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
    return _frame(rows, STRUCTURE_COLUMNS, ('created', 'pk'))


def datasets() -> pd.DataFrame:
    """Return all training sets, the newest last."""
    return _frame(_data_rows(DatasetData, DATASET_COLUMNS), DATASET_COLUMNS, ('created', 'pk'))


def trajectories() -> pd.DataFrame:
    """Return all trajectories, the newest last, with the segments of runs that were cut."""
    query = orm.QueryBuilder().append(IonTrajectoryData, project='*')
    runs = sorted(query.all(flat=True), key=lambda run: (run.ctime, run.pk))
    return _frame([_trajectory_row(run, run.label) for run in runs], TRAJECTORY_COLUMNS, ())


def made_with_model(model: AllegroModelData) -> pd.DataFrame:
    """Return everything that descends from a model: compiled files, trajectories, conductivities, in order of creation.

    :param model: a package or a compiled file; nodes with the same file count as the same model.
    """
    sha256 = model.base.attributes.get('sha256')
    rows: dict[int, dict[str, Any]] = {}
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
    return _frame(rows.values(), MODEL_COLUMNS, ('created', 'pk'))


def trajectories_behind(conductivity: ConductivityData) -> pd.DataFrame:
    """Return the trajectories that a conductivity was computed from, with the job and the model that made each.

    :return: a row for each trajectory; ``job`` and ``model`` made its last segment, and are missing where they are not
        stored.
    """
    rows = [_trajectory_row(run, label) for label, run in trajectories_of(conductivity).items()]
    return _frame(rows, TRAJECTORY_COLUMNS, ('label',))


def _trajectory_row(run: IonTrajectoryData, label: str) -> dict[str, Any]:
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


def _data_rows(kind: type[orm.Data], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of all nodes of a kind, read from their attributes; lists are written with commas."""
    own = {'pk': 'id', 'label': 'label', 'created': 'ctime', 'uuid': 'uuid'}
    query = orm.QueryBuilder().append(kind, project=[own.get(name, f'attributes.{name}') for name in columns])
    return [{name: _listed(value) for name, value in zip(columns, row, strict=True)} for row in query.iterall()]


def _listed(value: Any) -> Any:
    """Return a list as its elements with commas between, a mapping as its entries, any other value as it is."""
    if isinstance(value, dict):
        return ', '.join(f'{name} {count}' for name, count in value.items())
    return ', '.join(map(str, value)) if isinstance(value, list) else value


def with_warnings(composition: str | None = None, campaign: orm.Node | None = None) -> pd.DataFrame:
    """Return the warnings of conductivities, a row for each warning.

    :param composition: only of this composition, written as for :func:`conductivities`.
    :param campaign: only the results of this campaign.
    :raises ValueError: for a composition that is not a formula.
    """
    table = conductivities(composition, campaign=campaign)
    texts = _projected(table['pk'], 'attributes.warnings')
    rows = [{**row, 'warning': text} for row in table.to_dict('records') for text in texts[row['pk']] or []]
    return _frame(rows, WARNING_COLUMNS, ('pk',))


def stored_pk(node: orm.Node) -> int:
    """Return the primary key of a stored node, as a number that is never missing.

    :raises ValueError: if the node is not stored.
    """
    if node.pk is None:
        raise ValueError(f'{node} is not stored.')
    return node.pk


def trajectories_of(conductivity: ConductivityData) -> dict[str, IonTrajectoryData]:
    """Return the trajectories that a conductivity was computed from, by their label in the analysis."""
    if conductivity.creator is None:
        return {}
    links = conductivity.creator.base.links.get_incoming(IonTrajectoryData, link_type=LinkType.INPUT_CALC)
    return {link.link_label: link.node for link in links.all()}


def reduced(composition: str) -> str:
    """Return a formula as the attribute ``reduced_composition`` has it.

    :raises ValueError: if the text is not a formula.
    """
    try:
        return f'{Formula(composition).reduce()[0]:metal}'
    except Exception as exception:
        raise ValueError(f'`{composition}` is not a chemical formula, such as Li7SiPO8.') from exception


def _conductivity_rows(filters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the conductivities that pass the filters of a query, in no order."""
    names = {name: f'attributes.{name}' for name in CONDUCTIVITY_COLUMNS}
    names |= {'pk': 'id', 'uuid': 'uuid', 'composition': 'attributes.reduced_composition'}
    names |= {'ci95': 'attributes.sigma_full_ci95', 'warnings': 'attributes.warnings'}
    names['labelled_by'] = f'attributes.{ATTRIBUTE}'
    for name in ('campaign', 'n_warnings', 'labels', 'sigma_full_ci95_low', 'sigma_full_ci95_high'):
        del names[name]
    query = orm.QueryBuilder().append(ConductivityData, filters=filters, project=list(names.values()))
    owners = campaigns_of()
    rows = []
    for values in query.iterall():
        row = dict(zip(names, values, strict=True))
        low, high = row.pop('ci95') or (None, None)
        owner, n_warnings = owners.get(row['pk']), len(row.pop('warnings') or [])
        labels = 'pretrained' if row.pop('labelled_by') else ''
        bounds = {'sigma_full_ci95_low': low, 'sigma_full_ci95_high': high}
        rows.append({**row, **bounds, 'campaign': owner, 'n_warnings': n_warnings, 'labels': labels})
    return rows


def campaigns_of() -> dict[int, int]:
    """Return the newest campaign that has a conductivity among its results, by the primary key of the conductivity."""
    query = orm.QueryBuilder().append(
        orm.WorkChainNode, filters={'process_type': CAMPAIGN}, project='id', tag='campaign'
    )
    query.append(ConductivityData, with_incoming='campaign', edge_filters={'type': LinkType.RETURN.value}, project='id')
    return {conductivity: campaign for campaign, conductivity in sorted(query.iterall())}


def _result_pks(campaign: orm.Node) -> set[int]:
    """Return the conductivities among the outputs of a work chain."""
    results = campaign.base.links.get_outgoing(ConductivityData, LinkType.RETURN).all_nodes()
    return {stored_pk(result) for result in results}


def _projected(pks: pd.Series, name: str) -> dict[int, Any]:
    """Return a projection of some nodes, such as an attribute, by their primary keys."""
    if pks.empty:
        return {}
    query = orm.QueryBuilder().append(orm.Node, filters={'id': {'in': pks.tolist()}}, project=['id', name])
    return dict(query.all())


def _frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], order: Sequence[str]) -> pd.DataFrame:
    """Return rows as a frame with some columns, sorted; the type of a column does not depend on the rows."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    table = table.sort_values(list(order), ignore_index=True) if order else table
    return table.astype({name: kind for name in columns for kind, names in KINDS.items() if name in names})
