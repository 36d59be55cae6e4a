"""What is refused before a campaign is submitted."""

from types import SimpleNamespace

import pytest
from ase.build import bulk

from aiida_ionconduct.engines import ENGINES
from aiida_ionconduct.workchains.checks import check_electrons, check_expansion, check_gpus, check_mpi


def codes(scheduler, **request):
    """Return codes on a computer of a site."""
    computer = SimpleNamespace(
        scheduler_type=scheduler, label='cluster', get_property=lambda name, default: request or default
    )
    return dict.fromkeys(ENGINES, SimpleNamespace(computer=computer))


def resources(device, **changes):
    """Return the section of a protocol, in which the jobs on a device have changed resources."""
    return {'device': device, 'pw': {}, 'training': {'gpus': None, **changes}, 'md': {'gpus': None, **changes}}


def test_cuda_without_gpus_is_refused():
    """The scheduler would give such a job no GPU."""
    with pytest.raises(ValueError, match=r'device is cuda, but resources\.training\.gpus is null: .* on cluster'):
        check_gpus(codes('ionconduct.slurm'), resources('cuda'))


@pytest.mark.parametrize(
    ('scheduler', 'request_of_site', 'section'),
    [
        ('ionconduct.slurm', {}, resources('cpu')),
        ('ionconduct.slurm', {}, resources('cuda', gpus=1)),
        ('ionconduct.slurm', {}, resources('cuda', directives=['--gres=gpu:1'])),
        ('ionconduct.slurm', {'directives': ['--gpus-per-node=1']}, resources('cuda')),
        ('core.direct', {}, resources('cuda')),
    ],
)
def test_cuda_with_gpus_is_accepted(scheduler, request_of_site, section):
    check_gpus(codes(scheduler, **request_of_site), section)


@pytest.mark.parametrize('with_mpi', [False, None, True])
def test_pw_without_mpi_is_refused(with_mpi):
    """AiiDA would end each of its jobs with an exception, after the campaign has begun."""
    code = SimpleNamespace(with_mpi=with_mpi, full_label='pw@cluster', pk=7)
    known = {label: code if label == 'pw' else SimpleNamespace(with_mpi=False) for label in ENGINES}
    if with_mpi is False:
        with pytest.raises(ValueError, match=r'pw@cluster is set up to run without MPI.*verdi code relabel 7 pw-old'):
            check_mpi(known)
    else:
        check_mpi(known)


@pytest.mark.parametrize(
    ('symbol', 'charge', 'message'),
    [
        ('Gd', 3, r'Gd with the oxidation state \+3 has 7 f electrons, an open shell.*f electrons in its core'),
        ('U', 4, r'U with the oxidation state \+4 has 2 f electrons'),
        ('Fe', 2, r'Fe with the oxidation state \+2 has 6 d electrons, an open shell'),
    ],
)
def test_open_shells_are_refused_by_name(symbol, charge, message):
    """The number of electrons of two such ions is even, so that their parity does not tell."""
    atoms = bulk(f'{symbol}O', 'rocksalt', a=5.0).repeat((2, 1, 1))
    with pytest.raises(ValueError, match=message):
        check_electrons(atoms, {symbol: charge, 'O': -charge})


@pytest.mark.parametrize(('symbol', 'charge'), [('La', 3), ('Lu', 3), ('Ce', 4), ('U', 6), ('Th', 4), ('Ti', 4)])
def test_closed_shells_are_calculated(symbol, charge):
    atoms = bulk(f'{symbol}O', 'rocksalt', a=5.0).repeat((2, 1, 1))
    check_electrons(atoms, {symbol: charge, 'O': -charge})


def test_frozen_f_electrons_need_no_spin():
    """Three 4f electrons of neodymium in the core of its pseudopotential, which leaves 11 electrons."""
    atoms = bulk('NdN', 'rocksalt', a=5.1)
    check_electrons(atoms, {'Nd': 3, 'N': -3}, {'Nd': 11, 'N': 5})
    with pytest.raises(ValueError, match='has 3 f electrons'):
        check_electrons(atoms, {'Nd': 3, 'N': -3}, {'Nd': 14, 'N': 5})


def stressed(metrics):
    """Return a model that states the errors of its training, or none."""
    attributes = SimpleNamespace(get=lambda name, default: metrics if name == 'metrics' else default)
    return SimpleNamespace(filename='m.nequip.zip', pk=7, base=SimpleNamespace(attributes=attributes))


def test_expansion_needs_a_training_on_stress():
    """The message names the key that is missing and the key that asks for it."""
    with pytest.raises(ValueError, match=r'expand is true, but training\.stress_coefficient is 0'):
        check_expansion({'expand': True, 'training': {}}, None)
    check_expansion({'expand': True, 'training': {'stress_coefficient': 1.0}}, None)
    check_expansion({'expand': False, 'training': {}}, None)


def test_expansion_refuses_a_model_without_stress_by_name():
    metrics = {'test_forces_mae_eV_per_A': 0.02}
    with pytest.raises(ValueError, match=r'model m\.nequip\.zip \(PK 7\) was not trained on stress'):
        check_expansion({'expand': True, 'training': {}}, stressed(metrics))
    check_expansion({'expand': True, 'training': {}}, stressed({**metrics, 'test_stress_mae_eV_per_A3': 1e-3}))


def test_expansion_warns_of_a_model_of_unknown_training():
    with pytest.warns(UserWarning, match=r'm\.nequip\.zip \(PK 7\) does not state whether it was trained on stress'):
        check_expansion({'expand': True, 'training': {}}, stressed(None))
