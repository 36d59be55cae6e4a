"""Our pair style against nequip's own ASE calculator, with a model trained and compiled for the tests."""

import os
import pathlib
import re
import subprocess

import ase.io
import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.calculators.lammps import convert

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.lammps.plugin import build as plugin_build
from aiida_ionconduct.lammps.structure import data_file, lammps_rotation, species_order

pytestmark = pytest.mark.integration

DATASET = pathlib.Path(__file__).parent / 'data' / 'Li7PSiO8_17atoms_dft_23frames.extxyz'
HEADER = """
units metal
atom_style atomic
atom_modify map array
read_data structure.data
pair_style allegro{options}
pair_coeff * * {model} {species}
"""
SINGLE_POINT = """
compute energies all pe/atom
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
thermo_modify format float %.16g
dump forces all custom 1 forces.txt fx fy fz c_energies
dump_modify forces sort id format float %.16g
run 0
"""


@pytest.fixture
def run_lammps(plugin, trained, executable, tmp_path):
    """Return a function that runs LAMMPS on a structure and returns its log."""

    def run(atoms, commands, prefix=(), species=None, model=None, check=True, plugins=plugin, options=''):
        (tmp_path / 'structure.data').write_text(data_file(atoms))
        names = ' '.join(species or species_order(atoms.symbols))
        file = model or trained / 'model.nequip.pt2'
        header = HEADER.format(model=file, species=names, options=f' {options}' if options else '')
        (tmp_path / 'lammps.in').write_text(header + commands)
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'LAMMPS_PLUGIN_PATH': str(plugins)}
        command = [*prefix, executable('lmp'), '-in', 'lammps.in']
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def single_point(run_lammps, tmp_path):
    """Return a function that gives energy, forces, stress and energies per atom in ASE's units and orientation."""

    def single_point(atoms, **kwargs):
        log = run_lammps(atoms, SINGLE_POINT, **kwargs)
        row = re.search(r'^\s*Step.*\n(.*)$', log, flags=re.MULTILINE).group(1).split()
        energy, xx, yy, zz, xy, xz, yz = (float(value) for value in row[1:])
        table = np.loadtxt(tmp_path / 'forces.txt', skiprows=9)
        back = lammps_rotation(atoms.cell).T
        pressure = convert(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), 'pressure', 'metal', 'ASE')
        return energy, table[:, :3] @ back, -back.T @ pressure @ back, table[:, 3]

    return single_point


@pytest.fixture(scope='module')
def reference(trained):
    """The same weights, not compiled, in nequip's calculator with its own neighbour list."""
    ase_integration = pytest.importorskip('nequip.integrations.ase')
    return ase_integration.NequIPCalculator._from_saved_model(str(trained / 'best.ckpt'), device='cpu')


def rattled_frames():
    """Ten frames: plain, sheared and turned, doubled; 17 atoms have edges as short as 4.85 Å, below the cutoff."""
    crystal = ase.io.read(DATASET, 0)
    frames = []
    for seed in range(10):
        frame = crystal.copy()
        if seed % 3 == 1:
            generator = np.random.default_rng(seed)
            frame.set_cell(frame.cell @ (np.eye(3) + generator.uniform(-0.15, 0.15, (3, 3))), scale_atoms=True)
            frame.rotate(35, (1, 2, 3), rotate_cell=True)
        if seed % 3 == 2:
            frame = frame.repeat((2, 1, 1))
        frame.rattle(0.15, seed=seed)
        frames.append(frame)
    return frames


@pytest.mark.parametrize('frame', rattled_frames(), ids=range(10))
def test_equals_ase_calculator(frame, single_point, reference):
    """Energies, forces and stress are those of nequip's own calculator."""
    energy, forces, stress, energies = single_point(frame)
    frame.calc = reference
    assert abs(energy - frame.get_potential_energy()) / len(frame) < 1e-5
    assert np.abs(forces - frame.get_forces()).max() < 1e-4
    assert np.abs(stress - frame.get_stress(voigt=False)).max() < 1e-5
    assert np.abs(energies - frame.get_potential_energies()).max() < 1e-4
    assert np.abs(forces).max() > 1  # the forces compared are not all small


OPTIONS = [f'edges {edges} pad {pad}' for edges in ('host', 'device', 'skin') for pad in ('no', 'yes')]
MOVING = """
neighbor 0.3 bin
velocity all create 1500 1 mom yes rot no dist gaussian
timestep 0.001
fix integrate all nve
dump forces all custom 10 moving.txt fx fy fz
dump_modify forces sort id format float %.16g
thermo 1
thermo_style custom step pe
thermo_modify format float %.16g
run 50
"""


@pytest.fixture
def moving(run_lammps, tmp_path):
    """Return a function that gives the energies of all steps and the forces of some, of a run with several lists."""

    def moving(options, **kwargs):
        log = run_lammps(rattled_frames()[2], MOVING, options=options, **kwargs)
        assert int(re.search(r'Neighbor list builds = (\d+)', log).group(1)) > 3
        energies = re.findall(r'^ +\d+ +(-\d+\.\d+) *$', log, flags=re.MULTILINE)
        assert len(energies) == 51
        blocks = (tmp_path / 'moving.txt').read_text().split('ITEM: ATOMS fx fy fz\n')[1:]
        forces = [np.array(block.split('ITEM')[0].split(), dtype=float) for block in blocks]
        return np.array(energies, dtype=float), np.array(forces)

    return moving


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('n_ranks', [1, 2])
def test_options_give_the_same_energies_and_forces(options, n_ranks, moving, executable):
    """Edges with the skin, edges found on the device and padded shapes, over rebuilt lists and on two processes."""
    prefix = (executable('mpiexec.hydra'), '-n', str(n_ranks)) if n_ranks > 1 else ()
    energies, forces = moving('', prefix=prefix)
    other_energies, other_forces = moving(options, prefix=prefix)
    assert np.abs(other_energies - energies).max() < 1e-6
    assert np.abs(other_forces - forces).max() < 1e-5
    assert np.abs(forces).max() > 1


@pytest.mark.parametrize('options', ['edges nowhere', 'pad', 'pad maybe', 'padded yes'])
def test_unknown_options_are_refused(options, run_lammps):
    log = run_lammps(rattled_frames()[0], 'run 0\n', check=False, options=options)
    assert re.search(r'ERROR.*pair_style allegro takes `edges auto\|host\|device\|skin` and `pad yes\|no`', log)


SWAPS = """
fix swaps all atom/swap 1 1 {seed} 1e9 ke no types {first} {second}
dump types all custom 1 types.txt type
dump_modify types sort id
thermo 1
thermo_style custom step pe
thermo_modify format float %.16g
run 3
"""


@pytest.mark.parametrize('options', OPTIONS)
def test_types_that_change_without_a_new_list(options, single_point, run_lammps, tmp_path):
    """`fix atom/swap` exchanges types between two lists; edges, cutoffs and types of the model follow."""
    frame = rattled_frames()[2]
    species = species_order(frame.symbols)
    commands = SWAPS.format(seed=7, first=species.index('Si') + 1, second=species.index('P') + 1)
    log = run_lammps(frame, commands, options=options)
    energies = re.findall(r'^ +\d+ +(-\d+\.\d+) *$', log, flags=re.MULTILINE)
    last = (tmp_path / 'types.txt').read_text().split('ITEM: ATOMS type')[-1].split()
    swapped = frame.copy()
    swapped.symbols[:] = [species[int(kind) - 1] for kind in last]
    assert list(swapped.symbols) != list(frame.symbols)
    assert abs(float(energies[-1]) - single_point(swapped, species=species)[0]) < 1e-3


def test_ranks_take_the_gpus_in_turn(run_lammps, executable, tmp_path, monkeypatch):
    """Three ranks on a machine with two GPUs, which are not there: the model stays on the CPU."""
    command = [*plugin_build.compile_command(plugin_build.installed_versions()), '-DFAKE_GPUS=2']
    subprocess.run([*command, '-o', str(tmp_path / 'fake.so')], cwd=plugin_build.SOURCE.parent, check=True)
    load = f'plugin unload pair allegro\nplugin load {tmp_path / "fake.so"}\n'
    monkeypatch.setitem(globals(), 'HEADER', load + HEADER)
    log = run_lammps(rattled_frames()[2], 'run 0\n', prefix=(executable('mpiexec.hydra'), '-n', '3'))
    assert 'Allegro model: the GPUs of the ranks are 0 1 0\n' in log


def test_two_ranks_equal_one(single_point, executable):
    """Ghost atoms and the reverse communication of their forces, across processes."""
    frame = rattled_frames()[2]
    one_rank = single_point(frame)
    two_ranks = single_point(frame, prefix=(executable('mpiexec.hydra'), '-n', '2'))
    for value, other in zip(one_rank, two_ranks, strict=True):
        assert np.allclose(value, other, rtol=0, atol=1e-4)
    assert abs(one_rank[0] - two_ranks[0]) / len(frame) < 1e-5


def test_excluded_pairs_are_no_edges(single_point, run_lammps, tmp_path):
    """Two replicas in one box that do not see each other have the energies of two separate runs."""
    first, second = rattled_frames()[0], rattled_frames()[3]
    expected = [single_point(frame)[0] for frame in (first, second)]
    commands = """
fix molecules all property/atom mol ghost yes
set atom 1*17 mol 1
set atom 18*34 mol 2
neigh_modify exclude molecule/inter all
"""
    log = run_lammps(first + second, commands + SINGLE_POINT)
    energies = np.loadtxt(tmp_path / 'forces.txt', skiprows=9)[:, 3]
    assert 'Neighbor list builds' in log
    assert np.allclose([energies[:17].sum(), energies[17:].sum()], expected, rtol=0, atol=17e-5)


def test_constant_energy(run_lammps):
    """The total energy drifts by less than 0.1 meV per atom and ps while the potential energy moves far more."""
    commands = """
velocity all create 600 1 mom yes rot no dist gaussian
timestep 0.001
thermo 10
thermo_style custom step pe etotal
thermo_modify format float %.16g
fix integrate all nve
run 1000
"""
    frame = ase.io.read(DATASET, 2)
    log = run_lammps(frame, commands)
    body = re.search(r'^\s*Step.*\n((?:[\s\d.eE+-]+\n)+)', log, flags=re.MULTILINE).group(1)
    table = np.array([line.split() for line in body.splitlines()], dtype=float)
    time_ps = table[:, 0] / 1000
    drift = np.polyfit(time_ps, table[:, 2], 1)[0] / len(frame)
    assert abs(drift) < 1e-4
    assert table[:, 1].std() > 20 * table[:, 2].std()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'species': ['Li', 'Si', 'P', 'S']}, r'atom type 4 is `S`, but the model knows only: Li P Si O'),
        ({'species': ['Li', 'Si', 'P']}, r'4 type names'),
        ({'model': 'model.pth'}, r'end in \.nequip\.pt2'),
        ({'model': 'absent.nequip.pt2'}, r'cannot read the model file absent'),
    ],
)
def test_clear_errors(arguments, message, run_lammps):
    """LAMMPS says what is wrong with a `pair_coeff` line."""
    log = run_lammps(ase.io.read(DATASET, 0), 'run 0\n', check=False, **arguments)
    assert re.search(f'ERROR.*{message}', log)


@pytest.mark.parametrize('setting', ['newton off', 'units real'])
def test_settings_refused(setting, run_lammps, monkeypatch):
    """The pair style names the setting that it needs."""
    name = setting.split()[0]
    header = HEADER.replace('units metal', setting) if name == 'units' else setting + HEADER
    monkeypatch.setitem(globals(), 'HEADER', header)
    log = run_lammps(ase.io.read(DATASET, 0), 'run 0\n', check=False)
    assert re.search(f'ERROR: pair_style allegro needs {name}', log)


def test_refuses_another_lammps(run_lammps, tmp_path):
    """A plugin built for another version says so; loading it would crash sooner or later."""
    command = plugin_build.compile_command({'lammps': '2024.8.29', 'torch': '2.13.0'})
    subprocess.run([*command, '-o', str(tmp_path / 'plugin.so')], cwd=plugin_build.SOURCE.parent, check=True)
    log = run_lammps(ase.io.read(DATASET, 0), 'run 0\n', check=False, plugins=tmp_path)
    assert re.search('built for LAMMPS 20240829 .* not loaded into LAMMPS 20250722', log)


def test_refuses_another_torch(run_lammps, tmp_path):
    """What counts is the torch that is there when LAMMPS starts."""
    command = [*plugin_build.compile_command(plugin_build.installed_versions()), '-DBUILT_FOR_TORCH_NUMBER=133120']
    subprocess.run([*command, '-o', str(tmp_path / 'plugin.so')], cwd=plugin_build.SOURCE.parent, check=True)
    log = run_lammps(ase.io.read(DATASET, 0), 'run 0\n', check=False, plugins=tmp_path)
    assert re.search(r'not loaded with torch 2\.13\.0\. Build it again', log)


def test_says_what_it_is(run_lammps):
    """The versions it was built for, the device, and the time spent in the model."""
    log = run_lammps(ase.io.read(DATASET, 0), 'run 5\n')
    assert re.search(r'device cpu; plugin built for LAMMPS 22 Jul 2025, torch 2\.13\.0', log)
    assert re.search(r'^Allegro model: 6 calls, \d\S* s$', log, flags=re.MULTILINE)


def test_build_is_idempotent(plugin, capsys):
    """A plugin that is up to date is not built again."""
    before = {path: path.stat().st_mtime_ns for path in plugin.glob('*plugin.so')}
    assert plugin_build.main() == 0
    assert 'Up to date' in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in plugin.glob('*plugin.so')}
    assert len(before) == 1


def test_mliap(aiida_profile, aiida_localhost, trained, executable, tmp_path):
    """The real command prepares the package for ML-IAP; running it takes a LAMMPS with Python in it."""
    package = tmp_path / 'model.nequip.zip'
    command = [executable('nequip-package'), 'build', str(trained / 'best.ckpt'), str(package)]
    done = subprocess.run(command, cwd=trained, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    code = orm.InstalledCode(
        label='nequip-prepare-lmp-mliap',
        computer=aiida_localhost,
        filepath_executable=executable('nequip-prepare-lmp-mliap'),
    ).store()
    inputs = {
        'code': code,
        'model': AllegroModelData(package),
        'trust_model': orm.Bool(True),
        'parameters': orm.Dict({'target': 'mliap'}),
    }
    results, node = run_get_node(AllegroCompileCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert results['model'].model_format == 'mliap'
    assert results['model'].type_names == ['Li', 'P', 'Si', 'O']
