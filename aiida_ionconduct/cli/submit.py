"""Submit a campaign and follow it: what ``aiida-ionconduct launch`` does."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import ase
import click
import yaml
from aiida import orm
from aiida.engine import ProcessBuilder

from aiida_ionconduct.calculations.functions.structures import alloy_structures, substitute_structure
from aiida_ionconduct.choices import OrderingMethod, StressUnit
from aiida_ionconduct.cli.follow import follow
from aiida_ionconduct.cli.options import BUDGETS
from aiida_ionconduct.cli.plan import plan, plan_table, planned_hours
from aiida_ionconduct.cli.remarks import remarks
from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.farm.submission import SubmissionError, submit_once
from aiida_ionconduct.readers.label_keys import LabelKeys
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.graph.costs import PLANNED
from aiida_ionconduct.report.page.campaign import write_page
from aiida_ionconduct.report.tables.terminal import summary_tables
from aiida_ionconduct.structures import (
    CRYSTALS,
    check_charges,
    check_structure,
    crystal,
    read_structure,
    states_text,
)
from aiida_ionconduct.structures.composition import composition_table, deviations
from aiida_ionconduct.structures.site_table import SiteRow, sites_table
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.inputs import load_codes, needed_engines
from aiida_ionconduct.workchains.protocols import protocol_inputs

Kind = TypeVar('Kind', bound=orm.Data)
Number = TypeVar('Number', int, float)

USUAL_CANDIDATES = 10  # ordered cells that are made unless more are asked for
QUICKSTART = {'replace': 'P', 'by': 'Si', 'n_sites': 1, 'compensate': 'Li', 'strain': 0.01}
"""Li7SiPO8: beta-Li3PO4 with one phosphorus replaced by silicon and one interstitial lithium, 17 atoms."""


class Cells(NamedTuple):
    """Cells to start from, the best first, and the charges by chemical symbol."""

    cells: list[orm.StructureData]
    charges: dict[str, float]


def submit(
    *,
    follow_pk: int | None,
    extend: int | None,
    output: str,
    detach: bool,
    dry_run: bool,
    ignore_validation: bool,
    **options: Any,
) -> None:
    """Submit a campaign, extend one, or follow one, as the options of ``aiida-ionconduct launch`` say.

    :param follow_pk: of a campaign to follow.
    :param extend: PK of a campaign to extend, with ``target_error`` and ``max_md_ns`` of the options.
    :param options: of :func:`get_builder`.
    :raises ValueError: for bad input, saying what to do.
    :raises click.ClickException: if the campaign does not end well.
    """
    if follow_pk is not None:
        finish(load_campaign(follow_pk), output)
        return
    if extend is None:
        builder, protocol = get_builder(**options), options['protocol']
    else:
        campaign = load_campaign(extend)
        builder = get_extension(campaign, options['target_error'], **{name: options[name] for name in BUDGETS})
        protocol = campaign.base.extras.get('protocol', '')
    echo(plan_table(builder, protocol))
    for remark in remarks(builder):
        echo(remark)
    if dry_run:
        echo('Nothing was submitted.')
        return
    if extend is None:
        builder = get_builder(store=True, **options)  # nothing is stored before everything has been checked
    if ignore_validation or extend is None:
        builder.ignore_validation = orm.Bool(ignore_validation)
    try:
        node, is_new = submit_once(builder)
    except SubmissionError as exception:
        raise click.ClickException(str(exception)) from exception
    node.base.extras.set('protocol', protocol)
    node.base.extras.set(PLANNED, planned_hours(plan(builder)))
    echo(f'{"Submitted" if is_new else "The same is on its way:"} {node.process_label}<{node.pk}>.\n')
    if not detach:
        finish(cast('orm.WorkChainNode', node), output)


def get_extension(campaign: orm.WorkChainNode, target_error: float | None, **budgets: float | None) -> ProcessBuilder:
    """Return the builder that continues a campaign.

    :param budgets: the budgets that change, by the names of :data:`BUDGETS`.

    :raises ValueError: if it cannot be extended, or without a target and a budget, saying what to do.
    """
    builder: Any = ConductivityWorkChain.get_builder_extending(campaign, target_relative_error=target_error, **budgets)
    if builder.target_relative_error is None or builder.max_md_ns is None:
        raise ValueError(f'campaign {campaign.pk} has no target of its own: give --target-error and --max-md-ns.')
    return builder


def get_builder(
    *,
    protocol: str,
    temperatures: str | None,
    seeds: str | None,
    mobile: str,
    charges: Sequence[tuple[str, float]],
    codes: Sequence[tuple[str, str]],
    dataset: str | None,
    model: str | None,
    trust_model: bool,
    relaxed: bool,
    overrides: str | None,
    foundation: str | None = None,
    target_error: float | None = None,
    max_md_ns: float | None = None,
    orderings: int | None = None,
    expand: bool = False,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    stress_unit: StressUnit | None = None,
    max_core_hours: float | None = None,
    max_gpu_hours: float | None = None,
    store: bool = False,
    **cell: Any,
) -> ProcessBuilder:
    """Turn the command's words into a builder.

    :param store: whether a cell that is made here is stored, with its provenance.
    :param cell: of :func:`load_cells`.
    :raises ValueError: for bad input, saying what to do.
    """
    changes = load_overrides(overrides) if overrides else {}
    if temperatures:
        changes['temperatures_K'] = numbers(temperatures, float, 'temperatures')
    if seeds:
        changes['seeds'] = numbers(seeds, int, 'seeds')
    budgets = {'max_md_ns': max_md_ns, 'max_core_hours': max_core_hours, 'max_gpu_hours': max_gpu_hours}
    precision = {'target_relative_error': target_error, **budgets}
    section = changes.setdefault('precision', {})
    if isinstance(section, dict):  # anything else is refused with the other keys
        section.update({name: value for name, value in precision.items() if value is not None})
    if orderings is not None:
        changes['orderings'] = orderings
    if expand:
        changes['expand'] = True
    p = protocol_inputs('conductivity', protocol, changes)
    loaded = load_codes(dict(codes), needed=needed_engines(p))
    labelled = {'keys': LabelKeys(energy_key, forces_key, stress_key), 'stress_unit': stress_unit}
    cells, states = load_cells(
        **cell,
        charges=dict(charges),
        mobile=mobile,
        store=store,
        n_orderings=p['orderings'],
        n_candidates=p['n_candidates'],
    )
    return ConductivityWorkChain.get_builder_from_protocol(
        loaded,
        cells[0],
        protocol=protocol,
        overrides=changes,
        charges=states,
        mobile=mobile,
        dataset=load_data(dataset, DatasetData, 'dataset', **labelled) if dataset else None,
        model=load_data(model, AllegroModelData, 'model') if model else None,
        foundation=load_data(foundation, AllegroModelData, 'foundation') if foundation else None,
        trust_model=trust_model,
        relaxed=relaxed,
        candidates=cells,
    )


def load_overrides(path: str) -> dict[str, Any]:
    """Read overrides from a YAML file.

    :raises ValueError: if it cannot be read or is not a mapping.
    """
    try:
        overrides = yaml.safe_load(pathlib.Path(path).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as exception:
        raise ValueError(f'the overrides `{path}` are not readable as YAML: {exception}') from exception
    if not isinstance(overrides, dict | None):
        raise ValueError(f'the overrides `{path}` must be a mapping, nested like a protocol.')
    return overrides or {}


def numbers(text: str, kind: type[Number], name: str) -> list[Number]:
    """Read numbers separated by commas.

    :param kind: float or int.
    :param name: of the numbers in messages.
    :raises ValueError: if a word is not a number.
    """
    try:
        return [kind(word) for word in text.split(',')]
    except ValueError as exception:
        raise ValueError(f'the {name} `{text}` must be numbers separated by commas.') from exception


def load_cells(
    *,
    structure: str | None,
    substitute: Sequence[tuple[str, str]],
    fraction: float,
    formula_units: int | None,
    compensate: str | None,
    charges: dict[str, float],
    store: bool,
    mobile: str = 'Li',
    strain: float = 0.0,
    tolerance: float | None = None,
    block: str | None = None,
    site_counts: Sequence[tuple[str, int]] = (),
    ordering: OrderingMethod = 'lowest',
    ordering_seed: int = 0,
    n_orderings: int = 1,
    n_candidates: int = 1,
) -> Cells:
    """Return the cell, or the ordered cells of an alloy or of a crystal with partial occupancies, and their charges.

    What was assumed and rounded for ordered cells is printed once, when nothing is stored yet.

    :param ordering: ``random`` returns as many cells as there are orderings, whatever their energies.
    :param n_orderings: over which the seeds are spread.
    :param n_candidates: to relax.
    :raises ValueError: as :func:`load_structure` and :func:`aiida_ionconduct.structures.ordered_cells`, if the crystal
        lacks the mobile species, and if the options of an alloy are given for a crystal that stays as it is.
    """
    parent: orm.StructureData | None = None
    stated: dict[str, int] = {}
    labels: list[str] = []
    if structure is not None or substitute:
        parent, stated, labels = load_crystal(structure or 'gamma-Li3PO4', block)
    if parent is None or not (substitute or parent.is_alloy or parent.has_vacancies):
        if fraction or formula_units or strain or site_counts or ordering == 'random':
            raise ValueError(
                '--fraction, --formula-units, --strain, --site-counts and --ordering random belong to an alloy: give '
                '--substitute OLD=NEW as well.'
            )
        cell = quickstart_structure(store) if parent is None else parent
        check_structure(cell.get_ase(), mobile)
        return Cells([cell], check_charges(cell.get_ase(), charges, stated))
    symbols = parent.get_symbols_set()
    if mobile not in symbols:
        raise ValueError(
            f'the structure has no {mobile}: name its mobile species with --mobile, one of '
            f'{", ".join(sorted(symbols))}.'
        )
    parameters: dict[str, Any] = {
        'substitute': dict(substitute), 'fraction': fraction, 'compensate': compensate or mobile, 'charges': charges
    }  # fmt: skip
    optional = {
        'formula_units': formula_units,
        'strain': strain,
        'tolerance': tolerance,
        'stated': stated,
        'labels': labels,
        'site_counts': dict(site_counts),
        'seed': ordering_seed,
    }
    if ordering == 'random':
        parameters |= {'ordering': ordering, 'n_best': n_orderings}
    else:
        optional['n_best'] = n_best if (n_best := max(n_orderings, n_candidates)) > USUAL_CANDIDATES else None
    parameters |= {name: value for name, value in optional.items() if value}
    made = run_function(alloy_structures, parent, orm.Dict(parameters), store=store)
    if not store:
        echo(ordering_text(made['scores'].get_dict()) + '\n')
    cells = [node for label, node in sorted(made.items()) if label != 'scores']
    return Cells(cells, made['scores']['oxidation_states'])


def ordering_text(scores: dict[str, Any]) -> str:
    """Return what was assumed for ordered cells, and their composition, file against cell.

    :param scores: of :func:`~aiida_ionconduct.calculations.functions.structures.alloy_structures`.
    """
    rows = {symbol: (row['file'], row['cell']) for symbol, row in scores['composition'].items()}
    table = composition_table(
        deviations({symbol: row[0] for symbol, row in rows.items()}, {symbol: row[1] for symbol, row in rows.items()})
    )
    states = f'Oxidation states: {states_text(scores["oxidation_states"])}'
    sites = sites_table([SiteRow(**row) for row in scores['sites'][0]])
    return '\n'.join([scores['descriptions'][0], states, *scores['notes'], '', table, '', sites])


def run_function(function: Callable[..., Any], *inputs: orm.Data, store: bool) -> Any:
    """Run a calculation function.

    :param store: whether its inputs and results are stored, with their provenance. If not, the plain function runs:
        AiiDA would print the traceback of an exception that is only a refusal.
    """
    return function(*inputs) if store else cast('Any', function).__wrapped__(*inputs)


def load_structure(source: str, block: str | None = None) -> orm.StructureData:
    """Return a structure from a file, a node, or a shipped crystal; with partial occupancies where it has them.

    :param block: data block of a CIF with several crystals.
    :raises ValueError: if the file cannot be read or the node is not a structure.
    """
    return load_crystal(source, block)[0]


def load_crystal(source: str, block: str | None = None) -> tuple[orm.StructureData, dict[str, int], list[str]]:
    """Return a structure, and the oxidation states and the labels of the sites that its file gives.

    :raises ValueError: as :func:`load_structure`.
    """
    if source in CRYSTALS:
        source = str(CRYSTALS[source])
    if source.isdigit() and not pathlib.Path(source).exists():
        return load_stored(source, orm.StructureData, 'structure'), {}, []
    crystal_of_file = read_structure(source, block)
    for note in crystal_of_file.notes:
        echo(note)
    structure = crystal_of_file.structure
    labels = [site.label for site in structure]
    if not structure.is_ordered:
        return orm.StructureData(pymatgen=structure), crystal_of_file.oxidation, labels
    atoms = structure.to_ase_atoms(msonable=False)
    ordered = orm.StructureData(ase=ase.Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True))
    return ordered, crystal_of_file.oxidation, labels


def quickstart_structure(store: bool) -> orm.StructureData:
    """Return the quickstart material, with its provenance when a campaign is to start from it."""
    parent = orm.StructureData(ase=crystal('beta-Li3PO4'))
    return run_function(substitute_structure, parent, orm.Dict(QUICKSTART), store=store)


def load_data(source: str, kind: type[Kind], name: str, **reading: Any) -> Kind:
    """Return a dataset or a model from a file or a node; a file that is stored already is its stored node.

    :param reading: how the file is read.
    :raises ValueError: if there is neither such a file nor such a node.
    """
    if source.isdigit() and not pathlib.Path(source).exists():
        return load_stored(source, kind, name)
    if not pathlib.Path(source).exists():
        raise ValueError(f'the {name} file `{source}` does not exist.')
    node = kind(pathlib.Path(source), **reading)
    same = orm.QueryBuilder().append(kind, filters={'attributes.sha256': node.base.attributes.get('sha256')})
    return same.first(flat=True) or node


def load_campaign(pk: int) -> orm.WorkChainNode:
    """Return a campaign that was submitted before.

    :raises click.ClickException: if there is none.
    """
    node = orm.QueryBuilder().append(ConductivityWorkChain, filters={'id': pk}).first(flat=True)
    if node is None:
        raise click.ClickException(f'there is no campaign with PK {pk}: `verdi process list -a` shows what there is.')
    return node


def load_stored(identifier: str, kind: type[Kind], name: str) -> Kind:
    """Return a stored node of the right type.

    :raises ValueError: if there is none.
    """
    node = orm.QueryBuilder().append(kind, filters={'id': int(identifier)}).first(flat=True)
    if node is None:
        raise ValueError(f'there is no {name} with PK {identifier}: `verdi data list` shows what there is.')
    return node


def finish(node: orm.WorkChainNode, output: str) -> None:
    """Follow a campaign to its end, then show the tables and write the page."""
    if not follow(node):
        echo(
            f'\nThe campaign goes on without this window. Come back to it:\n'
            f'  aiida-ionconduct launch --follow {node.pk}\n  aiida-ionconduct status {node.pk}'
        )
        return
    echo('\n' + summary_tables(collect(node)))
    path = write_page(node, pathlib.Path(output) / f'conductivity-{node.pk}.html')
    echo(
        f'\nPage: {path}\n\nNext:\n'
        f'  verdi process status {node.pk}                         # every stage\n'
        f'  aiida-ionconduct export {node.pk}                      # share it\n'
        '  aiida-ionconduct query conductivities            # all that are in this profile\n'
        '  aiida-ionconduct launch --structure FILE --dry-run     # another material'
    )
    if not node.is_finished_ok:
        raise click.ClickException(
            f'{node.process_label}<{node.pk}> ended with [{node.exit_status}] {node.exit_message or node.exception}\n'
            f'What it computed is kept: verdi process report {node.pk}'
        )
