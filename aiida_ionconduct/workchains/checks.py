"""What is refused before a campaign is submitted, beside keys and values of the protocol."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from aiida import orm
from aiida_pseudo.groups.family import PseudoPotentialFamily
from ase import Atoms
from ase.data import atomic_numbers

from aiida_ionconduct.allegro.package import read_metadata
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.engines.schedulers import gpus_cannot_be_asked
from aiida_ionconduct.farm.site import PROPERTY
from aiida_ionconduct.labels import seeds_of_orderings
from aiida_ionconduct.sampling.teachers import teacher_named
from aiida_ionconduct.structures import enough_atoms
from aiida_ionconduct.structures.supercell import MIN_IMAGE_DISTANCE_A
from aiida_ionconduct.workchains.precision import TARGET, validate_target

STRESS_ERROR = 'test_stress_mae_eV_per_A3'
"""The error on held-out frames that a model states if it was trained on stress."""


def check_precision(precision: Mapping[str, Any], md: Mapping[str, Any]) -> None:
    """Refuse a target without a budget, a budget without a target, and a budget that the first round exceeds.

    :param precision: the section of the protocol.
    :param md: the inputs of the production.
    :raises ValueError: naming the input and its value.
    """
    given = {name: TARGET[name][0](value) for name, value in precision.items() if value is not None}
    complaint = validate_target({**given, 'md': md}, None)
    if complaint:
        raise ValueError(f'precision: {complaint}')


def check_gpus(codes: Mapping[str, orm.AbstractCode], resources: Mapping[str, Any]) -> None:
    """Refuse GPUs on a computer whose scheduler cannot be asked for them.

    :param codes: by the labels of the engines.
    :param resources: the section of the protocol.
    :raises ValueError: naming the scheduler.
    """
    for label, engine in ENGINES.items():
        computer = codes[label].computer if label in codes else None
        if computer is None:
            continue
        stated = {key: value for key, value in resources[engine.resources].items() if value is not None}
        request = {**computer.get_property(PROPERTY, {}), **stated}
        if not request.get('gpus'):
            asked = any('gpu' in line for line in request.get('directives') or [])
            on_gpus = resources['device'] == 'cuda' and engine.resources in ('training', 'md')
            if on_gpus and not asked and computer.scheduler_type != 'core.direct':
                raise ValueError(
                    f'resources.device is cuda, but resources.{engine.resources}.gpus is null: the jobs on '
                    f'{computer.label} would get no GPU. Give the number of GPUs on each machine.'
                )
            continue
        complaint = gpus_cannot_be_asked(computer.scheduler_type)
        if complaint:
            raise ValueError(f'resources.{engine.resources}.gpus: {complaint}')


def check_mpi(codes: Mapping[str, orm.AbstractCode]) -> None:
    """Refuse a code without MPI whose plugin insists on MPI, so that each of its jobs would end in an exception.

    :param codes: by the labels of the engines.
    :raises ValueError: naming the code.
    """
    for label, engine in ENGINES.items():
        code = codes.get(label)
        if code is not None and engine.with_mpi and code.with_mpi is False:
            raise ValueError(
                f'the code {code.full_label} is set up to run without MPI, but its plugin insists on MPI. Relabel it '
                f'(verdi code relabel {code.pk} {label}-old) and make it again: in the site file with `mpi: true`, or '
                'by verdi code create core.code.installed with the option --with-mpi.'
            )


def check_dataset(
    structure: orm.StructureData, dataset: DatasetData | None, training: Mapping[str, Any] | None = None
) -> None:
    """Refuse a dataset that lacks an element of the structure, or the stress that a training asks for.

    :param training: the section of the protocol.
    :raises ValueError: naming the elements that are missing, or the number of frames without stress.
    """
    if dataset is not None and (training or {}).get('stress_coefficient') and not dataset.has_stress:
        raise ValueError(
            'the training has a stress_coefficient, but not all frames of the dataset have a stress: set '
            'training.stress_coefficient to 0 with --overrides, or give a dataset with stresses.'
        )
    missing = [] if dataset is None else sorted(structure.get_symbols_set() - set(dataset.elements))
    if missing:
        raise ValueError(f'the dataset has no frame with {", ".join(missing)}: add frames of this material.')


def check_model(structure: orm.StructureData, model: AllegroModelData | None, *, trust_model: bool) -> None:
    """Refuse a model that is compiled, lacks an element, is not trusted, or is of another architecture than Allegro.

    :param trust_model: accept a model that was not made in this profile.
    :raises ValueError: naming the elements that are missing or the architecture, or saying how to trust the model.
    """
    if model is None:
        return
    if model.model_format != 'package':
        raise ValueError(f'{model.filename} is compiled for one machine: give the packaged model (.nequip.zip).')
    missing = model.missing_types(structure.get_symbols_set())
    if missing:
        raise ValueError(
            f'the model knows {", ".join(model.type_names)}, but the structure contains {", ".join(missing)}: '
            'train one on frames of this material.'
        )
    complaint = model.check(orm.Bool(trust_model))
    if complaint:
        raise ValueError(complaint)
    if not model.is_made_here:  # the attributes of a node from an archive, or of an earlier version, may say otherwise
        read_metadata(model.get_content(mode='rb'), model.filename)


def check_foundation(
    structure: orm.StructureData,
    foundation: AllegroModelData | None,
    model: AllegroModelData | None,
    *,
    trust_model: bool,
) -> None:
    """Refuse a model to start from that could not be used, or that is given beside a finished model.

    :param trust_model: accept a model that was not made in this profile.
    :raises ValueError: as :func:`check_model`.
    """
    if foundation is not None and model is not None:
        raise ValueError('a model is used as it is, a foundation is trained further: give one of the two.')
    check_model(structure, foundation, trust_model=trust_model)


def check_expansion(p: Mapping[str, Any], model: AllegroModelData | None, dataset: DatasetData | None = None) -> None:
    """Refuse to look for the cell at a temperature with a potential that is not trained on stress.

    A model that does not state its errors, because it comes from elsewhere, gets a warning.

    :param p: the protocol.
    :param model: in place of a training.
    :param dataset: a training set, instead of AIMD.
    :raises ValueError: naming the key, the model or the dataset.
    """
    if not p['expand']:
        return
    if model is None:
        if dataset is not None and not dataset.has_stress:
            raise ValueError(
                'expand is true, for which the potential must be trained on stress, but not all frames of the dataset '
                'have a stress: give a dataset with stresses, or leave out expand.'
            )
        if not p['training'].get('stress_coefficient'):
            raise ValueError(
                'expand is true, but training.stress_coefficient is 0: the pressure of a potential that is not trained '
                'on stress means little. Set training.stress_coefficient, such as 1000, or expand to false.'
            )
        return
    metrics = model.base.attributes.get('metrics', None)
    if metrics and STRESS_ERROR not in metrics:
        raise ValueError(
            f'expand is true, but the model {model.filename} (PK {model.pk}) was not trained on stress, so that its '
            'pressure means little: train it with training.stress_coefficient, such as 1000, or set expand to false.'
        )
    if not metrics:
        warnings.warn(
            f'expand is true, and the model {model.filename} (PK {model.pk}) does not state whether it was trained on '
            'stress: if it was not, its mean cells mean little.',
            stacklevel=3,
        )


def check_engines(
    codes: Mapping[str, orm.AbstractCode],
    p: Mapping[str, Any],
    *,
    model: AllegroModelData | None,
    dataset: DatasetData | None,
) -> None:
    """Refuse a campaign without the code of an engine that it needs, or without its pretrained potential.

    The module of the pretrained potential is looked for where the code runs on this machine.

    :param codes: by the labels of the engines.
    :param p: the protocol.
    :param model: in place of a training.
    :param dataset: in place of the sampling.
    :raises ValueError: naming what is missing and the command that makes it.
    """
    if model is not None:
        return
    if p['labels'] == 'dft' and 'pw' not in codes:
        raise ValueError('there is no code of pw.x: run `aiida-ionconduct setup`, or do no DFT (--protocol screen).')
    if p['sampling'] != 'pretrained':
        return
    if 'ase' not in codes:
        raise ValueError(
            'there is no code of a Python with ASE for the pretrained potential: run `aiida-ionconduct setup` again, '
            'or name it with --codes ase=LABEL.'
        )
    computer, teacher = codes['ase'].computer, teacher_named(p['pretrained']['calculator'])
    if dataset is not None or computer is None or computer.transport_type != 'core.local':
        return
    script = f'import importlib.util, sys; sys.exit(importlib.util.find_spec({teacher.module!r}) is None)'
    command = [str(codes['ase'].get_executable()), '-c', script]
    if subprocess.run(command, capture_output=True, check=False).returncode == 1:
        install = f': {teacher.install}' if teacher.install else ''
        raise ValueError(
            f'the Python of the code {codes["ase"].full_label} has no module {teacher.module}, which holds the '
            f'calculator {teacher.title}: install it there{install}'
        )


def check_candidates(structure: orm.StructureData, candidates: Sequence[orm.StructureData]) -> None:
    """Refuse candidates of another composition than the structure, whose energies could not be compared.

    :raises ValueError: naming the compositions.
    """
    formulas = {cell.get_formula() for cell in (structure, *candidates)}
    if len(formulas) > 1:
        raise ValueError(f'the candidates must have one composition, got {", ".join(sorted(formulas))}.')


def check_orderings(n_orderings: int, candidates: Sequence[orm.StructureData], seeds: Sequence[int]) -> None:
    """Refuse more orderings than there are, and seeds that leave an ordering with fewer than two of them.

    :param n_orderings: over which the seeds are spread; 1 for no spread.
    :param candidates: the ordered cells, all different.
    :param seeds: of the production.
    :raises ValueError: saying how many orderings or which seeds would do.
    """
    if n_orderings == 1:
        return
    n_known = max(len(candidates), 1)
    if n_known == 1:
        raise ValueError(
            f'orderings is {n_orderings}, but the crystal has one ordering: set orderings to 1, or give an alloy or a '
            'crystal with partial occupancies.'
        )
    if n_known < n_orderings:
        raise ValueError(
            f'orderings is {n_orderings}, but there are only {n_known} different orderings of this cell: set orderings '
            f'to {n_known}, or take a larger cell with --formula-units.'
        )
    if min(map(len, seeds_of_orderings(seeds, n_orderings).values())) < 2:
        enough = ','.join(str(seed) for seed in range(1, 2 * n_orderings + 1))
        raise ValueError(
            f'the seeds {", ".join(map(str, seeds))} leave an ordering with fewer than two seeds, so that the scatter '
            f'between orderings could not be told from that between seeds: give at least --seeds {enough}.'
        )


def check_electrons(
    atoms: Atoms, charges: Mapping[str, float] | None = None, valence: Mapping[str, int] | None = None
) -> None:
    """Refuse a cell whose electrons need spin: an odd number of them, or an ion with a partly filled d or f shell.

    f electrons that a pseudopotential keeps in its core need no spin.

    :param charges: oxidation states by chemical symbol.
    :param valence: number of electrons outside the core of the pseudopotential, by chemical symbol.
    :raises ValueError: with the number of electrons, or the ion.
    """
    frozen = {symbol: n for symbol, n in (valence or {}).items() if has_f_core(symbol, n)}
    for symbol in sorted(set(atoms.symbols) & set(charges or {})):
        charge = (charges or {})[symbol]
        shells = {'d': (d_electrons(symbol, charge), 10), 'f': (f_electrons(symbol, charge), 14)}
        for shell, (n_shell, full) in shells.items():
            if 0 < n_shell < full and symbol not in frozen:
                raise ValueError(
                    f'{symbol} with the oxidation state {charge:+.3g} has {n_shell:.3g} {shell} electrons, an open '
                    'shell: the DFT of this work chain is not spin-polarised. Give a model (--model) that was trained '
                    f'on spin-polarised DFT with --relaxed, or another state with --charges {symbol}=…, if it is wrong'
                    + {'d': '.', 'f': ', or a pseudopotential with the f electrons in its core (dft.pseudo_family).'}[
                        shell
                    ]
                )
    n_electrons = sum(frozen.get(atom.symbol, int(atom.number)) for atom in atoms)
    if n_electrons % 2:
        raise ValueError(
            f'the cell {atoms.symbols} has {n_electrons} electrons, an odd number: an open shell, which the DFT of '
            'this work chain does not cover, or an atom too many.'
        )


def enough_atoms_for(atoms: Atoms, p: Mapping[str, Any], model: AllegroModelData | None) -> int:
    """Return the least number of atoms in the supercell: more than the protocol's where images would be too near.

    :param atoms: the crystal.
    :param p: the protocol, with ``n_atoms_min``, ``min_image_distance_A`` and ``training``.
    :param model: in place of a training; an atom should not see two images of another within its cutoff.
    :raises ValueError: if even twice the atoms are too few.
    """
    distance = p['min_image_distance_A']
    if distance is None:
        trained = p['training'].get('r_max', TrainingParameters.model_fields['r_max'].default)
        r_max = trained if model is None else model.r_max
        distance = max(MIN_IMAGE_DISTANCE_A, 2 * r_max)
    return enough_atoms(atoms.cell.array, len(atoms), p['n_atoms_min'], distance)


def d_electrons(symbol: str, charge: float) -> float:
    """Return the number of d electrons of a transition-metal ion; 0 for ions of other elements.

    The s electrons of the atom leave first, so that all valence electrons that the ion keeps are d electrons.
    """
    number = atomic_numbers[symbol]
    for first, last, core in ((21, 30, 18), (39, 48, 36), (72, 80, 68)):
        if first <= number <= last:
            return max(0.0, number - core - charge)
    return 0.0


def f_electrons(symbol: str, charge: float) -> float:
    """Return the number of f electrons of an ion of the lanthanides or actinides; 0 for ions of other elements."""
    number = atomic_numbers[symbol]
    for first, last, core in ((57, 71, 54), (89, 103, 86)):
        if first <= number <= last:
            return max(0.0, number - core - charge)
    return 0.0


def has_f_core(symbol: str, n_valence: int) -> bool:
    """Return whether a pseudopotential of a lanthanide keeps the 4f electrons in its core.

    Outside the core are then at most 5s² 5p⁶ 5d¹ 6s².
    """
    return 57 < atomic_numbers[symbol] <= 71 and n_valence <= 11


def valence_electrons(structure: orm.StructureData, label: str) -> dict[str, int]:
    """Return the number of electrons outside the core of the pseudopotentials of a structure, by chemical symbol.

    :param label: of the family; elements that it lacks are left out.
    """
    family = orm.QueryBuilder().append(PseudoPotentialFamily, filters={'label': label}).first(flat=True)
    if family is None:
        return {}
    known = structure.get_symbols_set() & set(family.elements)
    return {symbol: round(family.get_pseudo(symbol).z_valence) for symbol in known}


def check_pseudos(structure: orm.StructureData, label: str) -> None:
    """Refuse a structure with an element for which the family has no pseudopotential.

    :raises ValueError: if the family or an element is missing.
    """
    family = orm.QueryBuilder().append(PseudoPotentialFamily, filters={'label': label}).first(flat=True)
    if family is None:
        raise ValueError(f'the pseudopotential family `{label}` is not installed: run `aiida-ionconduct setup`.')
    missing = sorted(structure.get_symbols_set() - set(family.elements))
    if missing:
        raise ValueError(
            f'the family `{label}` has no pseudopotential for {", ".join(missing)}: name another installed family with '
            'the override dft.pseudo_family.'
        )
