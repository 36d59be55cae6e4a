"""`ExpansionWorkChain`: runs at constant pressure, and the mean cell at each temperature."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.lammps.script import CELL_THERMO
from aiida_ionconduct.workchains.expansion import ExpansionWorkChain, ran_away
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.stage_inputs import expansion_parameters


@pytest.fixture
def make_expansion(campaign_inputs, generate_structure, generate_workchain, model):
    """Return a function that makes the work chain for two temperatures and two seeds, set up."""

    def make(orderings=None, structure=None):
        inputs = campaign_inputs()['md']
        inputs['base']['md'] |= {'structure': structure or generate_structure(), 'model': model('model.nequip.pt2')}
        p = expansion_parameters(protocol_inputs('conductivity', 'fast')).get_dict()
        inputs |= {
            'temperatures_K': orm.List([600, 1200]),
            'seeds': orm.List([7, 8]),
            'parameters': orm.Dict({**inputs['parameters'].get_dict(), **p['md']}),
            'max_strain': orm.Float(0.1),
            'max_concurrent': orm.Int(8),
            'orderings': orderings or {},
        }
        inputs.pop('atoms_per_run')
        process = generate_workchain('ionconduct.expansion', inputs)
        process.setup()
        process.has_pending()
        return process

    return make


@pytest.fixture
def ended(child, generate_structure):
    """Return a function that makes a run that has ended, its cell stretched by a factor along every vector."""

    def make(factor=1.02, n_rows=40):
        lengths = generate_structure().get_ase().cell.lengths()
        rng = np.random.default_rng(1)
        values = [*(factor * lengths), 0.0, 0.0, 0.0]
        columns = dict(zip(CELL_THERMO.values(), values, strict=True)) | {'temperature_K': 600.0, 'pressure_bar': 0.0}
        thermo = {name: value + 1e-3 * rng.normal(size=n_rows) for name, value in columns.items()}
        return child(thermo_segments__segment_000=orm.ArrayData(thermo))

    return make


def finish(process, nodes):
    """Let the runs of a batch end, by label."""
    process.run_batch()
    for label in process.ctx.batch:
        process.ctx[f'child_{label}'] = nodes[label]
    process.inspect_batch()


def test_runs(make_expansion, submitted):
    """Every seed runs at every temperature at constant pressure, one seed in a run."""
    process = make_expansion()
    process.run_batch()
    assert {process_class for process_class, _ in submitted} == {LammpsMdBaseWorkChain}
    labels = [inputs.metadata.call_link_label for _, inputs in submitted]
    assert labels == ['T600_seed7', 'T1200_seed7', 'T600_seed8', 'T1200_seed8']
    parameters = submitted[1][1].md.parameters.get_dict()
    assert {name: parameters[name] for name in ('ensemble', 'temperature_K', 'seeds', 'pressure_bar')} == {
        'ensemble': 'npt', 'temperature_K': 1200.0, 'seeds': [7], 'pressure_bar': 0.0,
    }  # fmt: skip
    assert parameters['pressure_coupling'] == 'aniso'


def test_angles_change_in_a_skew_cell(make_expansion, submitted, crystals):
    """A hexagonal or triclinic cell changes its angles as well."""
    skew = crystals['Li3PO4'].copy()
    skew.set_cell(skew.cell.array @ [[1, 0, 0], [0.1, 1, 0], [0, 0, 1]], scale_atoms=True)
    make_expansion(structure=orm.StructureData(ase=skew)).run_batch()
    assert submitted[0][1].md.parameters['pressure_coupling'] == 'tri'


def test_mean_cells(make_expansion, submitted, ended, child):
    """A cell at each temperature, from the seeds whose runs have ended well."""
    process = make_expansion()
    nodes = {'T600_seed7': ended(1.01), 'T600_seed8': ended(1.01), 'T1200_seed7': ended(1.03)}
    finish(process, {**nodes, 'T1200_seed8': child(exit_status=410)})
    assert process.results() is None
    cells, expansion = process.outputs['cells'], process.outputs['expansion']
    assert set(cells) == set(expansion) == {'T600', 'T1200'}
    assert expansion['T600']['length_expansions_percent'] == pytest.approx([1.0] * 3, abs=0.05)
    assert expansion['T1200']['length_expansions_percent'] == pytest.approx([3.0] * 3, abs=0.05)
    assert (len(expansion['T600']['seeds']), len(expansion['T1200']['seeds'])) == (2, 1)
    lengths = process.inputs.base.md.structure.get_ase().cell.lengths()
    assert cells['T1200'].get_ase().cell.lengths() == pytest.approx(1.03 * lengths, rel=1e-3)


def test_every_ordering_has_its_own_cell(make_expansion, submitted, ended, generate_structure):
    orderings = {f'ordering_0{number}': generate_structure() for number in (1, 2)}
    process = make_expansion(orderings)
    finish(process, {label: ended(1.02) for label in process.ctx.runs})
    assert len(submitted) == 8
    given = {inputs.metadata.call_link_label: inputs.md.structure.uuid for _, inputs in submitted}
    assert given['T600_seed7_ordering_02'] == orderings['ordering_02'].uuid
    assert process.results() is None
    expected = {f'{T}_ordering_0{number}' for T in ('T600', 'T1200') for number in (1, 2)}
    assert set(process.outputs['cells']) == expected


def test_temperature_without_a_run_is_a_failure(make_expansion, submitted, ended, child):
    """The cells that are known are kept."""
    process = make_expansion()
    failed = {label: child(exit_status=410) for label in process.ctx.runs if label.startswith('T1200')}
    finish(process, {'T600_seed7': ended(), 'T600_seed8': ended(), **failed})
    exit_code = process.results()
    assert exit_code.status == 401
    assert 'for T1200' in exit_code.message
    assert set(process.outputs['cells']) == {'T600'}


def test_cell_that_runs_away_is_a_failure(make_expansion, submitted, ended):
    """The message names the temperature and the change, and the cells are kept to look at."""
    process = make_expansion()
    finish(process, {label: ended(1.15 if 'T1200' in label else 1.02) for label in process.ctx.runs})
    exit_code = process.results()
    assert exit_code.status == ExpansionWorkChain.exit_codes.ERROR_CELL_RAN_AWAY.status
    assert 'by more than 10 %: T1200 +15.0 %' in exit_code.message
    assert set(process.outputs['cells']) == {'T600', 'T1200'}


def test_shrinking_runs_away_as_well():
    assert ran_away({'T300': {'largest_strain_percent': -12.0}}, 10.0) == 'T300 -12.0 %'
