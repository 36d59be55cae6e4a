"""Labelled frames of others: each kind of file is mended with a sentence or refused with a sentence."""

import io

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.readers.label_formats import read_extended_xyz
from aiida_ionconduct.readers.label_keys import LabelKeys
from aiida_ionconduct.readers.label_units import FACTORS
from aiida_ionconduct.readers.labelled import label_frames, read_labelled_frames

GPA = units.GPa


def crystal(strain=0.0, seed=None):
    """Return a crystal of two elements with exact energy, forces and stress, strained and rattled."""
    atoms = bulk('Ar', 'fcc', a=5.2, cubic=True)
    atoms.symbols[:2] = 'Kr'
    atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
    if seed is not None:
        atoms.rattle(0.05, seed=seed)
    calculator = LennardJones(sigma=3.4, epsilon=0.2, rc=6.0, smooth=True)
    calculator.calculate(atoms, properties=['energy', 'forces', 'stress'])
    results = {name: calculator.results[name] for name in ('energy', 'forces', 'stress')}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def frames(n_frames=6, strained=True):
    """Return frames of the crystal, of one volume or of several."""
    return [crystal(0.01 * index - 0.03 if strained else 0.0, seed=index) for index in range(n_frames)]


def plain(frame, energy='energy', forces='forces', stress=None, **info):
    """Return a frame that states its labels under other names, as a file does."""
    atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
    atoms.info.update({energy: frame.get_potential_energy(), **info})
    atoms.arrays[forces] = frame.get_forces()
    if stress:
        name, value = stress
        atoms.info[name] = value(frame)
    return atoms


def full(frame):
    """Return the stress as a matrix."""
    return frame.get_stress(voigt=False)


def as_text(members):
    """Return frames after a round through a file."""
    stream = io.StringIO()
    ase.io.write(stream, members, format='extxyz')
    return read_extended_xyz(stream.getvalue())


def equal(result, expected):
    """Compare the labels of frames with the labels that they should have."""
    assert len(result) == len(expected)
    for frame, other in zip(result, expected, strict=True):
        assert frame.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(frame.get_forces(), other.get_forces(), atol=1e-6)
        if 'stress' in frame.calc.results:
            np.testing.assert_allclose(frame.get_stress(), other.get_stress(), atol=1e-6)


def test_frames_of_ase_are_left_alone():
    """Energies of strained cells confirm unit and sign of the stress, so that there is nothing to say."""
    result = label_frames(frames())
    assert (result.mended, result.notes, result.isolated_eV) == (False, [], {})
    equal(result.frames, frames())


# Periodicity --------------------------------------------------------------------------------------------------------


def test_lattice_without_periodicity_is_mended():
    """A cell that is full of atoms was computed as a crystal, whatever the file says."""
    given = frames()
    for frame in given:
        frame.pbc = False
    result = label_frames(given)
    assert all(frame.pbc.all() for frame in result.frames)
    assert result.mended
    assert result.notes == ['6 frames have a lattice that atoms fill, but pbc="F F F": they are taken as periodic.']


@pytest.mark.parametrize(
    ('pbc', 'vacuum', 'message'),
    [
        ([True, True, False], 0, 'frame 0 of the dataset is not a bulk crystal: it has pbc="T T F"'),
        ([False, False, False], 12, 'it has pbc="F F F" and a vacuum. Leave out layers, molecules and clusters'),
    ],
)
def test_layers_and_clusters_are_refused(pbc, vacuum, message):
    frame = crystal()
    if vacuum:
        frame.center(vacuum=vacuum)
    frame.pbc = pbc
    with pytest.raises(ValueError, match=message):
        label_frames([frame])


def test_no_lattice_is_refused():
    frame = crystal()
    frame.cell[:] = 0
    frame.pbc = False
    with pytest.raises(ValueError, match='frame 0 of the dataset has no lattice: molecular dynamics of a crystal'):
        label_frames([frame])


# Isolated atoms -----------------------------------------------------------------------------------------------------


def atom(symbol, energy, **info):
    """Return an isolated atom."""
    frame = Atoms(symbol, cell=[12, 12, 12], pbc=True, info=info)
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=np.zeros((1, 3)))
    return frame


@pytest.mark.parametrize('info', [{}, {'config_type': 'IsolatedAtom'}, {'config_type': 'isolated_atom'}])
def test_isolated_atoms_are_references(info):
    """They are never frames, whether the file names them or not."""
    given = [atom('Ar', -0.5, **info), *frames(), atom('Kr', -0.7, **info)]
    result = label_frames(as_text(given))
    assert result.isolated_eV == {'Ar': -0.5, 'Kr': -0.7}
    equal(result.frames, frames())
    assert '2 isolated atoms are references of the energy (Ar -0.5 eV, Kr -0.7 eV), not frames.' in result.notes


def test_isolated_atoms_alone_are_refused():
    with pytest.raises(ValueError, match='has only isolated atoms: add frames of the material'):
        label_frames([atom('Ar', -0.5)])


# Names of the labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('energy', 'forces_key'),
    [
        ('REF_energy', 'REF_forces'),
        ('dft_energy', 'dft_forces'),
        ('energy', 'force'),
        ('Energy', 'Forces'),
        ('TotEnergy', 'force'),
        ('energy_dft', 'forces_dft'),
    ],
)
def test_other_names_are_recognized_when_unique(energy, forces_key):
    result = label_frames(as_text([plain(frame, energy, forces_key) for frame in frames()]))
    equal(result.frames, frames())
    if energy != 'energy':
        assert f'the energy of the frames is `{energy}`.' in result.notes
    assert f'the forces of the frames is `{forces_key}`.' in result.notes


def two_energies():
    """Return frames with the labels of DFT and those of a potential."""
    given = []
    for frame in frames():
        other = plain(frame, 'REF_energy', 'REF_forces', mace_energy=-1.0, energy_weight=2.0, energy_per_atom=-0.1)
        other.arrays['mace_forces'] = np.zeros((4, 3))
        given.append(other)
    return as_text(given)


def test_several_names_are_asked_about():
    """Which of two energies is the label cannot be known; weights and energies per atom are no labels."""
    with pytest.raises(ValueError, match=r'more than one energy: `REF_energy` \(first .*`mace_energy` \(first -1\)'):
        label_frames(two_energies())


def test_forces_go_with_the_energy_that_is_named():
    equal(label_frames(two_energies(), LabelKeys(energy='REF_energy')).frames, frames())


def test_two_names_for_the_same_values():
    """An energy that is stated twice is no question."""
    equal(label_frames([plain(f, REF_energy=f.get_potential_energy()) for f in frames()]).frames, frames())


def test_standard_name_with_other_values_is_asked_about():
    """`energy` may be the energy of another program than `REF_energy`."""
    with pytest.raises(ValueError, match=r'Choose with --energy-key'):
        label_frames([plain(frame, REF_energy=-300.0) for frame in frames()])


def test_name_that_does_not_occur():
    with pytest.raises(ValueError, match=r'no frame has the energy under the name `REF`; the frames have .*energy'):
        label_frames(frames(), LabelKeys(energy='REF'))


# Stress -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('unit', FACTORS)
@pytest.mark.parametrize('key', ['stress', 'REF_stress'])
def test_unit_and_sign_of_the_stress_follow_from_strained_cells(unit, key):
    """Kbar of VASP are positive under compression; the energies of strained cells show what a number means."""
    energy = 'REF_energy' if key == 'REF_stress' else 'energy'
    stress = key, lambda frame: full(frame) / FACTORS[unit]
    result = label_frames(as_text([plain(frame, energy, stress=stress) for frame in frames()]))
    equal(result.frames, frames())
    assert all('stress' in frame.calc.results for frame in result.frames)
    if unit != 'eV/A^3':
        assert any(
            f'the stress is in {unit}, as the energies of 5 pairs of strained cells show' in n for n in result.notes
        )


def test_virial_is_converted():
    virial = 'virial', lambda frame: -full(frame) * frame.get_volume()
    result = label_frames(as_text([plain(frame, stress=virial) for frame in frames()]))
    equal(result.frames, frames())
    assert 'the virial `virial` was converted to the stress, -virial/volume.' in result.notes


def test_large_stress_of_equal_cells_is_asked_about():
    """Cells of one volume do not tell the unit; a crystal under 900 GPa does not exist."""
    kbar = 'stress', lambda frame: full(frame) / (GPA / 10) + 50
    with pytest.raises(ValueError, match=r'state it with --stress-unit GPa, kbar, -GPa or -kbar'):
        label_frames([plain(frame, stress=kbar) for frame in frames(strained=False)])


def test_stated_unit_of_the_stress():
    kbar = 'stress', lambda frame: -full(frame) / (GPA / 10)
    given = [plain(frame, stress=kbar) for frame in frames(strained=False)]
    result = label_frames(given, stress_unit='-kbar')
    equal(result.frames, frames(strained=False))
    assert 'the stress is in -kbar, as stated.' in result.notes


def test_stated_unit_that_energies_contradict():
    kbar = 'stress', lambda frame: full(frame) / (GPA / 10)
    with pytest.raises(ValueError, match=r'by the energies of 5 pairs of strained cells .* which is kbar, not GPa'):
        label_frames([plain(frame, stress=kbar) for frame in frames()], stress_unit='GPa')


def test_stress_that_fits_no_unit_is_refused():
    """Bar, Ry/bohr³, or the stress of another calculation."""
    bar = 'stress', lambda frame: full(frame) / (GPA / 1e4)
    with pytest.raises(ValueError, match='the stress contradicts the energies'):
        label_frames([plain(frame, stress=bar) for frame in frames()])


def test_small_stress_of_equal_cells_is_taken_with_a_note():
    result = label_frames(frames(strained=False))
    assert not result.mended
    assert any('there are not enough strained cells to check it' in note for note in result.notes)


def test_stress_of_some_frames_is_not_used():
    given = frames()
    del given[2].calc.results['stress']
    result = label_frames(given)
    assert not any('stress' in frame.calc.results for frame in result.frames)
    assert '1 of 6 frames have no stress: the stress of the others is not used.' in result.notes


# Sources, temperatures and times ------------------------------------------------------------------------------------


def test_words_and_numbers_of_the_comment_line():
    given = frames(3, strained=False)
    for frame, temperature in zip(given, ('300 K', 300.0, 'warm'), strict=True):
        frame.info |= {'source': 1, 'run': 7, 'temperature_K': temperature, 'time_ps': '0.5 ps'}
    result = label_frames(as_text(given))
    assert [frame.info.get('temperature_K') for frame in result.frames] == [300.0, 300.0, None]
    assert {(frame.info['source'], frame.info['run'], frame.info['time_ps']) for frame in result.frames} == {
        ('1', '7', 0.5)
    }
    assert 'temperature_K="300 K" is read as 300 K (1 frames).' in result.notes
    assert 'temperature_K="warm" is not a number in K and was left out (1 frames).' in result.notes


# Files --------------------------------------------------------------------------------------------------------------


def test_traj(tmp_path):
    ase.io.write(tmp_path / 'frames.traj', frames())
    result = read_labelled_frames(tmp_path / 'frames.traj')
    equal(result.frames, frames())
    assert result.mended


def varray(name, rows):
    """Return an array as VASP writes it."""
    lines = [f'<v>{x:.10f} {y:.10f} {z:.10f}</v>' for x, y, z in rows]
    return f'<varray name="{name}">{"".join(lines)}</varray>'


def vasprun(members):
    """Return what ASE needs of a vasprun.xml; VASP writes the stress in kbar, positive under compression."""
    atoms = members[0]
    kinds = ''.join(f'<rc><c>{symbol}</c><c>1</c></rc>' for symbol in atoms.symbols)

    def structure(frame):
        return f'<crystal>{varray("basis", frame.cell)}</crystal>{varray("positions", frame.get_scaled_positions())}'

    text = (
        '<modeling><kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>'
        f'</kpoints><atominfo><atoms>{len(atoms)}</atoms><types>2</types><array name="atoms"><set>{kinds}</set></array>'
        f'</atominfo><structure name="initialpos">{structure(atoms)}</structure>'
    )
    for frame in members:
        names = ('e_fr_energy', 'e_wo_entrp', 'e_0_energy')
        energy = ''.join(f'<i name="{name}">{frame.get_potential_energy():.10f}</i>' for name in names)
        text += (
            f'<calculation><scstep><energy>{energy}</energy></scstep><structure>{structure(frame)}</structure>'
            f'{varray("forces", frame.get_forces())}{varray("stress", -full(frame) / (GPA / 10))}'
            f'<energy>{energy}</energy></calculation>'
        )
    return f'{text}</modeling>'


def test_vasprun(tmp_path):
    (tmp_path / 'vasprun.xml').write_text(vasprun(frames()))
    result = read_labelled_frames(tmp_path / 'vasprun.xml')
    equal(result.frames, frames())
    assert all('stress' in frame.calc.results for frame in result.frames)


def npz(path, **changes):
    """Write the frames as an npz archive with the names of sGDML."""
    members = frames()
    arrays = {
        'R': np.array([frame.positions for frame in members]),
        'z': members[0].numbers,
        'E': np.array([[frame.get_potential_energy()] for frame in members]),
        'F': np.array([frame.get_forces() for frame in members]),
        'lattice': np.array([frame.cell.array for frame in members]),
        **changes,
    }
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_npz(tmp_path):
    result = read_labelled_frames(npz(tmp_path / 'frames.npz'))
    equal(result.frames, frames())
    assert 'the archive states no e_unit: eV was assumed.' in result.notes


def test_npz_in_other_units(tmp_path):
    kcal = units.kcal / units.mol
    members = frames()
    changes = {
        'E': np.array([frame.get_potential_energy() for frame in members]) / kcal,
        'F': np.array([frame.get_forces() for frame in members]) / kcal,
        'e_unit': 'kcal/mol',
        'r_unit': 'Ang',
    }
    equal(read_labelled_frames(npz(tmp_path / 'frames.npz', **changes)).frames, frames())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'F': None}, 'it has no array of forces among e, lattice, r, z'),
        ({'E': np.zeros(5)}, 'it has 6 positions, 5 energies and 6 forces'),
        ({'e_unit': 'parsec'}, 'its e_unit is parsec, known are ev, kcal/mol'),
        ({'lattice': None}, 'frame 0 of the dataset has no lattice'),
    ],
)
def test_npz_that_lacks_something(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_labelled_frames(npz(tmp_path / 'frames.npz', **changes))


def test_npz_of_pickles_is_not_loaded(tmp_path):
    with pytest.raises(ValueError, match='is not a readable npz archive'):
        read_labelled_frames(npz(tmp_path / 'frames.npz', E=np.array([{}] * 6, dtype=object)))


def deepmd(folder, left_out=(), mixed=False):
    """Write the frames as a system of DeePMD."""
    system, members = folder / 'system', frames()
    (system / 'set.000').mkdir(parents=True)
    (system / 'type_map.raw').write_text('Ar\nKr\n')
    types = [{'Ar': 0, 'Kr': 1}[symbol] for symbol in members[0].symbols]
    np.savetxt(system / 'type.raw', np.zeros(4, dtype=int) if mixed else types, fmt='%d')
    arrays = {
        'coord': np.array([frame.positions.ravel() for frame in members]),
        'box': np.array([frame.cell.array.ravel() for frame in members]),
        'energy': np.array([frame.get_potential_energy() for frame in members]),
        'force': np.array([frame.get_forces().ravel() for frame in members]),
        'virial': np.array([(-full(frame) * frame.get_volume()).ravel() for frame in members]),
        **({'real_atom_types': np.tile(types, (6, 1))} if mixed else {}),
    }
    for name, array in arrays.items():
        if name not in left_out:
            np.save(system / 'set.000' / f'{name}.npy', array)
    for name in left_out:
        (system / name).unlink(missing_ok=True)
    return folder


@pytest.mark.parametrize('mixed', [False, True])
def test_deepmd(tmp_path, mixed):
    """The virial becomes the stress; the mixed format states the elements of every frame."""
    result = read_labelled_frames(deepmd(tmp_path, mixed=mixed))
    equal(result.frames, frames())
    assert all('stress' in frame.calc.results for frame in result.frames)
    assert [str(frame.symbols) for frame in result.frames] == [str(frame.symbols) for frame in frames()]


@pytest.mark.parametrize(
    ('left_out', 'message'),
    [
        (['force'], r'set\.000 lacks force\.npy'),
        (['type_map.raw'], 'type_map.raw'),
        (['type.raw'], 'no type.raw in it'),
    ],
)
def test_deepmd_that_lacks_something(tmp_path, left_out, message):
    with pytest.raises(ValueError, match=message):
        read_labelled_frames(deepmd(tmp_path, left_out))


def test_file_of_another_kind(tmp_path):
    (tmp_path / 'notes.pdf').write_bytes(b'%PDF\0')
    with pytest.raises(ValueError, match=r'notes\.pdf` is not a readable .* Write it as extended XYZ'):
        read_labelled_frames(tmp_path / 'notes.pdf')
