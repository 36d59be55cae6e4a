"""A study of models without engines: results of trainings and timings, and a table."""

from aiida import orm

N_ATOMS = 136


def training(error, validation=None, n_epochs=10):
    """Return the results of a training with a force error in eV/Å; its last epoch is worse than its best."""
    curve = [3 * error, validation or error, 2 * error]
    return orm.Dict(
        {
            'n_epochs': n_epochs,
            'best_epoch': 1,
            'curves': {'epoch': [0, 1, 2], 'val_forces_mae_eV_per_A': curve},
            'test_forces_mae_eV_per_A': error,
            'test_energy_mae_eV_per_atom': error / 100,
        }
    )


def timing(us_per_atom_step):
    """Return the results of a run with a time in µs per atom and step."""
    return orm.Dict({'steps_per_second': 1e6 / us_per_atom_step / N_ATOMS, 'peak_memory_MB': 512.0})


def row(label, error, us, *, state='trained in full', on_front=False, reason='', cpu_use=99.5, **settings):
    """Return a row of the table; with a reason, of a setting whose first training failed."""
    return {
        'label': label, 'settings': settings, 'epochs': 90, 'on_front': on_front, 'forces_mae_eV_per_A': error,
        'energy_mae_eV_per_atom': None if error is None else error / 100, 'us_per_atom_step': us,
        'cpu_use_percent': cpu_use, 'peak_memory_MB': 512.0,
        'state': 'failed in training, rung 0' if reason else state, 'reason': reason,
    }  # fmt: skip


def table():
    """Return the table of a study of four settings, of which one has failed."""
    return {
        'rows': [
            row('model_001', 0.08, 50.0, on_front=True, r_max=4.0, l_max=1),
            row('model_002', 0.06, 100.0, on_front=True, r_max=4.0, l_max=2),
            row('model_003', 0.09, 70.0, state='stopped after rung 0', r_max=5.0, l_max=1),
            row('model_004', 0.03, 40.0, reason='The training diverged.', r_max=5.0, l_max=2),
        ],
        'front': ['model_001', 'model_002'],
        'training': {'num_layers': 1, 'accelerator': 'cpu'},
        'epochs': [10, 30, 90],
        'keep': 0.5,
        'cell': 'Li56O64P8Si8, 136 atoms',
        'n_atoms': N_ATOMS,
        'effects': {
            'forces_mae_eV_per_A': {'r_max': {'4': -0.005, '5': 0.005}, 'l_max': {'1': 0.01, '2': -0.01}},
            'us_per_atom_step': {'r_max': {'4': -10.0, '5': 10.0}, 'l_max': {'1': -25.0, '2': 25.0}},
        },
    }
