"""The nequip training configuration, written from a few named parameters."""

from __future__ import annotations

import pathlib

DEFAULTS = {
    'r_max': 5.0,  # Å
    'l_max': 2,
    'parity': False,
    'num_layers': 2,
    'num_scalar_features': 64,
    'num_tensor_features': 16,
    'num_bessels': 8,
    'mlp_depth': 1,
    'mlp_width': 64,
    'embed_mlp_depth': 0,  # of the two-body embedding; 0 is that of the layers
    'embed_mlp_width': 0,
    'readout_width': 32,
    'zbl': True,
    'model_dtype': 'float32',
    'max_epochs': 200,
    'batch_size': 5,
    'learning_rate': 0.005,
    'ema_decay': 0.99,
    'energy_coefficient': 1.0,
    'forces_coefficient': 10.0,
    'stress_coefficient': 0.0,  # above 0, every frame must have its stress
    'gradient_clip': 10.0,
    'early_stopping_patience': 0,  # epochs; 0 trains to the end
    'accelerator': 'auto',
    'seed': 1,
}
"""All training parameters with their defaults; a protocol states what differs."""

FILES = {'train': 'train.extxyz', 'validation': 'validation.extxyz', 'test': 'test.extxyz'}
PREDICTIONS = 'predictions'  # nequip adds `_dataset0.xyz`
CHECKPOINT = 'best.ckpt'
LAST_CHECKPOINT = 'last.ckpt'  # with the state of the optimiser
RESUME_MODULE = 'allegro_resume'
RESUME_SOURCE = pathlib.Path(__file__).with_name('resume.py')
"""The module of callbacks for a resumed training, which is copied into the folder of the job."""
METRICS = 'logs/version_0/metrics.csv'
MONITORED = 'val0_epoch/weighted_sum'


def nequip_configuration(
    parameters: dict,
    type_names: list[str],
    initial_model: str | None = None,
    resume: bool = False,
    max_time_s: float | None = None,
) -> dict:
    """Return the configuration of ``nequip-train`` for one Allegro training, tested on held-out frames at the end.

    :param parameters: any of :data:`DEFAULTS`.
    :param type_names: chemical symbols in the order of the model's types.
    :param initial_model: packaged model whose weights the training starts from; it fixes the model section.
    :param resume: go on from :data:`LAST_CHECKPOINT`, with :data:`CHECKPOINT` beside it and the callbacks of
        :data:`RESUME_MODULE`.
    :param max_time_s: the training stops after the epoch in which this time is up.
    :raises ValueError: for a parameter that does not exist.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f'unknown training parameters {", ".join(unknown)}: choose from {", ".join(sorted(DEFAULTS))}.'
        )
    p = {**DEFAULTS, **parameters}
    coefficients = {'total_energy': p['energy_coefficient'], 'forces': p['forces_coefficient']}
    metrics = {'per_atom_energy_mae': p['energy_coefficient'], 'forces_mae': p['forces_coefficient']}
    kind = 'EnergyForce'
    if p['stress_coefficient']:
        kind = 'EnergyForceStress'
        coefficients['stress'] = metrics['stress_mae'] = p['stress_coefficient']
    return {
        **({'ckpt_path': LAST_CHECKPOINT} if resume else {}),
        'run': ['train', 'test'],
        'seed': p['seed'],
        'data': data_section(p, type_names, resume),
        'trainer': trainer_section(p, type_names, resume, max_time_s),
        'training_module': {
            '_target_': 'nequip.train.EMALightningModule',
            'ema_decay': p['ema_decay'],
            'loss': {'_target_': f'nequip.train.{kind}Loss', 'per_atom_energy': True, 'coeffs': coefficients},
            'val_metrics': {'_target_': f'nequip.train.{kind}Metrics', 'coeffs': metrics},
            'test_metrics': {'_target_': f'nequip.train.{kind}Metrics', 'coeffs': metrics},
            'optimizer': {'_target_': 'torch.optim.Adam', 'lr': p['learning_rate']},
            'lr_scheduler': {
                'scheduler': {
                    '_target_': 'torch.optim.lr_scheduler.CosineAnnealingLR',
                    'T_max': p['max_epochs'],
                    'eta_min': p['learning_rate'] / 100,
                },
                'interval': 'epoch',
                'frequency': 1,
            },
            'model': {'_target_': 'nequip.model.ModelFromPackage', 'package_path': initial_model}
            if initial_model
            else model_section(p, type_names),
        },
        'global_options': {'allow_tf32': False},
    }


def data_section(p: dict, type_names: list[str], resume: bool) -> dict:
    """Where the frames are and how they are batched."""
    loader = {'_target_': 'torch.utils.data.DataLoader', 'batch_size': p['batch_size']}
    return {
        '_target_': f'{RESUME_MODULE if resume else "nequip.data.datamodule"}.ASEDataModule',
        'seed': p['seed'],
        'train_file_path': FILES['train'],
        'val_file_path': FILES['validation'],
        'test_file_path': FILES['test'],
        'transforms': [
            {'_target_': 'nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper', 'model_type_names': type_names},
            {'_target_': 'nequip.data.transforms.NeighborListTransform', 'r_max': p['r_max']},
        ],
        'train_dataloader': {**loader, 'shuffle': True},
        'val_dataloader': loader,
        'test_dataloader': loader,
        'stats_manager': {
            '_target_': 'nequip.data.CommonDataStatisticsManager',
            'type_names': type_names,
            'dataloader_kwargs': {'batch_size': 32},
        },
    }


def trainer_section(p: dict, type_names: list[str], resume: bool, max_time_s: float | None) -> dict:
    """How long to train, what to write and when to stop."""
    lightning = 'lightning.pytorch.callbacks'
    resumable = RESUME_MODULE if resume else lightning
    fields = ['total_energy', 'forces'] + (['stress'] if p['stress_coefficient'] else [])
    callbacks = [
        {
            '_target_': f'{resumable}.ModelCheckpoint',
            'dirpath': '.',
            'filename': CHECKPOINT.removesuffix('.ckpt'),
            'monitor': MONITORED,
        },
        {
            '_target_': f'{resumable}.ModelCheckpoint',  # every epoch, better or not
            'dirpath': '.',
            'filename': LAST_CHECKPOINT.removesuffix('.ckpt'),
            'enable_version_counter': False,
        },
        {
            '_target_': 'nequip.train.callbacks.TestTimeXYZFileWriter',
            'out_file': PREDICTIONS,
            'output_fields_from_original_dataset': fields,
            'chemical_symbols': type_names,
        },
        {
            '_target_': f'{lightning}.EarlyStopping',  # also at a loss that is not finite
            'monitor': MONITORED,
            'patience': p['early_stopping_patience'] or p['max_epochs'],
        },
    ]
    if max_time_s is not None:
        timer = {'duration': {'seconds': max_time_s}, 'interval': 'epoch', '_convert_': 'all'}
        callbacks.append({'_target_': f'{resumable}.Timer', **timer})
    return {
        '_target_': 'lightning.Trainer',
        'accelerator': p['accelerator'],
        'devices': 1,
        'max_epochs': p['max_epochs'],
        'gradient_clip_val': p['gradient_clip'],
        'enable_progress_bar': False,
        'log_every_n_steps': 1000,
        'logger': {
            '_target_': 'lightning.pytorch.loggers.CSVLogger',
            'save_dir': '.',
            'name': METRICS.split('/')[0],
            'version': 0,
        },
        'callbacks': callbacks,
    }


def model_section(p: dict, type_names: list[str]) -> dict:
    """The Allegro model; energies are shifted and scaled by the statistics of the training set."""
    model = {
        '_target_': 'allegro.model.AllegroModel',
        'seed': p['seed'],
        'model_dtype': p['model_dtype'],
        'type_names': type_names,
        'r_max': p['r_max'],
        'l_max': p['l_max'],
        'parity': p['parity'],
        'radial_chemical_embed': {'_target_': 'allegro.nn.TwoBodyBesselScalarEmbed', 'num_bessels': p['num_bessels']},
        'num_layers': p['num_layers'],
        'num_scalar_features': p['num_scalar_features'],
        'num_tensor_features': p['num_tensor_features'],
        'readout_mlp_hidden_layers_depth': 1,
        'readout_mlp_hidden_layers_width': p['readout_width'],
        'avg_num_neighbors': '${training_data_stats:num_neighbors_mean}',
        'per_type_energy_shifts': '${training_data_stats:per_atom_energy_mean}',
        'per_type_energy_scales': '${training_data_stats:forces_rms}',
    }
    for mlp, prefix in (('scalar_embed', 'embed_mlp'), ('allegro', 'mlp')):
        model[f'{mlp}_mlp_hidden_layers_depth'] = p[f'{prefix}_depth'] or p['mlp_depth']
        model[f'{mlp}_mlp_hidden_layers_width'] = p[f'{prefix}_width'] or p['mlp_width']
    if p['zbl']:  # a short-range repulsion that no training set has to teach
        model['pair_potential'] = {
            '_target_': 'nequip.nn.pair_potential.ZBL',
            'units': 'metal',
            'chemical_species': type_names,
        }
    return model


FRAMES = 'frames.extxyz'


def evaluation_configuration(
    type_names: list[str], r_max: float, package: str, predictions: str, accelerator: str = 'auto'
) -> dict:
    """Return the configuration of ``nequip-train`` that evaluates a packaged model on :data:`FRAMES`.

    A test alone: the labels of the frames are not looked at.

    :param predictions: name of the file that is written, to which nequip adds ``_dataset0.xyz``.
    """
    configuration = nequip_configuration({'r_max': r_max, 'accelerator': accelerator}, type_names, package)
    writer = next(one for one in configuration['trainer']['callbacks'] if 'XYZ' in one['_target_'])
    paths = dict.fromkeys(('train_file_path', 'val_file_path', 'test_file_path'), FRAMES)
    module = {key: value for key, value in configuration['training_module'].items() if key != 'ema_decay'}
    return {
        **configuration,
        'run': ['test'],
        'training_module': {**module, '_target_': 'nequip.train.NequIPLightningModule'},  # the weights as they are
        'data': {**configuration['data'], **paths},
        'trainer': {**configuration['trainer'], 'logger': False, 'callbacks': [{**writer, 'out_file': predictions}]},
    }
