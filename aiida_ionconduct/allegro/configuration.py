"""The configuration of ``nequip-train``, written from a few named parameters."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from aiida_ionconduct.allegro.parameters import TrainingParameters

Configuration = dict[str, Any]
"""A section of the configuration, as it stands in YAML."""

ACCELERATORS = {'cpu': 'cpu', 'cuda': 'gpu'}
"""What Lightning calls a device."""
FRAMES = 'frames.extxyz'
"""The frames of an evaluation."""
FILES = {'train': 'train.extxyz', 'validation': 'validation.extxyz', 'test': 'test.extxyz'}
PREDICTIONS = 'predictions'
"""Name of the file of predictions, to which nequip adds the suffix."""
PREDICTIONS_SUFFIX = '_dataset0.xyz'
CHECKPOINT = 'best.ckpt'
LAST_CHECKPOINT = 'last.ckpt'
"""The checkpoint of the last epoch, with the state of the optimiser."""
RESUME_MODULE = 'allegro_resume'
RESUME_SOURCE = pathlib.Path(__file__).with_name('resume.py')
"""The module of callbacks for a resumed training; a copy of it is put into the folder of the job."""
METRICS = 'logs/version_0/metrics.csv'
MONITORED = 'val0_epoch/weighted_sum'
"""The validation loss, by which the best epoch is chosen."""


def nequip_configuration(
    p: TrainingParameters,
    type_names: Sequence[str],
    *,
    initial_model: str | None = None,
    atom_energies: Mapping[str, float] | None = None,
    energy_shifts: Mapping[str, float] | None = None,
    resume: bool = False,
    max_time_s: float | None = None,
) -> Configuration:
    """Return the configuration of ``nequip-train`` for one Allegro training, tested on held-out frames at the end.

    :param type_names: chemical symbols in the order of the model's types.
    :param initial_model: packaged model whose weights the training starts from; it fixes the model section.
    :param atom_energies: by chemical symbol, the energies of atoms in eV from which a new model starts; by default the
        mean energy per atom of the training set.
    :param energy_shifts: by chemical symbol, the energies of atoms in eV that replace those of the initial model.
    :param resume: go on from :data:`LAST_CHECKPOINT`, with :data:`CHECKPOINT` beside it and the callbacks of
        :data:`RESUME_MODULE`.
    :param max_time_s: the training stops after the epoch in which this time is up.
    """
    types = list(type_names)
    coefficients = {'total_energy': p.energy_coefficient, 'forces': p.forces_coefficient}
    metrics = {'per_atom_energy_mae': p.energy_coefficient, 'forces_mae': p.forces_coefficient}
    kind = 'EnergyForce'
    if p.stress_coefficient:
        kind = 'EnergyForceStress'
        coefficients['stress'] = metrics['stress_mae'] = p.stress_coefficient
    return {
        **({'ckpt_path': LAST_CHECKPOINT} if resume else {}),
        'run': ['train', 'test'],
        'seed': p.seed,
        'data': _data_section(p, types, resume),
        'trainer': _trainer_section(p, types, resume, max_time_s),
        'training_module': {
            '_target_': 'nequip.train.EMALightningModule',
            'ema_decay': p.ema_decay,
            'loss': {'_target_': f'nequip.train.{kind}Loss', 'per_atom_energy': True, 'coeffs': coefficients},
            'val_metrics': {'_target_': f'nequip.train.{kind}Metrics', 'coeffs': metrics},
            'test_metrics': {'_target_': f'nequip.train.{kind}Metrics', 'coeffs': metrics},
            'optimizer': {'_target_': 'torch.optim.Adam', 'lr': p.learning_rate},
            'lr_scheduler': {
                'scheduler': {
                    '_target_': 'torch.optim.lr_scheduler.CosineAnnealingLR',
                    'T_max': p.schedule_epochs or p.max_epochs,
                    'eta_min': p.learning_rate / 100,
                },
                'interval': 'epoch',
                'frequency': 1,
            },
            'model': _packaged_section(initial_model, energy_shifts)
            if initial_model
            else _model_section(p, types, atom_energies),
        },
        'global_options': {'allow_tf32': False},
    }


def _data_section(p: TrainingParameters, type_names: list[str], resume: bool) -> Configuration:
    """Return where the frames are and how they are batched."""
    loader = {'_target_': 'torch.utils.data.DataLoader', 'batch_size': p.batch_size}
    return {
        '_target_': f'{RESUME_MODULE if resume else "nequip.data.datamodule"}.ASEDataModule',
        'seed': p.seed,
        'train_file_path': FILES['train'],
        'val_file_path': FILES['validation'],
        'test_file_path': FILES['test'],
        'transforms': [
            {'_target_': 'nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper', 'model_type_names': type_names},
            {'_target_': 'nequip.data.transforms.NeighborListTransform', 'r_max': p.r_max},
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


def _trainer_section(
    p: TrainingParameters, type_names: list[str], resume: bool, max_time_s: float | None
) -> Configuration:
    """Return how long to train, what to write and when to stop."""
    lightning = 'lightning.pytorch.callbacks'
    resumable = RESUME_MODULE if resume else lightning
    fields = ['total_energy', 'forces'] + (['stress'] if p.stress_coefficient else [])
    callbacks: list[Configuration] = [
        {
            '_target_': f'{resumable}.ModelCheckpoint',
            'dirpath': '.',
            'filename': CHECKPOINT.removesuffix('.ckpt'),
            'monitor': MONITORED,
        },
        {
            '_target_': f'{resumable}.ModelCheckpoint',  # of every epoch, whether or not it is the best
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
            '_target_': f'{lightning}.EarlyStopping',  # stops also at a loss that is not finite
            'monitor': MONITORED,
            'patience': p.early_stopping_patience or p.schedule_epochs or p.max_epochs,
        },
    ]
    if max_time_s is not None:
        timer = {'duration': {'seconds': max_time_s}, 'interval': 'epoch', '_convert_': 'all'}
        callbacks.append({'_target_': f'{resumable}.Timer', **timer})
    return {
        '_target_': 'lightning.Trainer',
        'accelerator': p.accelerator,
        'devices': 1,
        'max_epochs': p.max_epochs,
        'gradient_clip_val': p.gradient_clip,
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


def _model_section(
    p: TrainingParameters, type_names: list[str], atom_energies: Mapping[str, float] | None = None
) -> Configuration:
    """Return the Allegro model; energies are shifted and scaled by the statistics of the training set."""
    mean = '${training_data_stats:per_atom_energy_mean}'
    shifts = mean if atom_energies is None else {symbol: atom_energies[symbol] for symbol in type_names}
    model: Configuration = {
        '_target_': 'allegro.model.AllegroModel',
        'seed': p.seed,
        'model_dtype': p.model_dtype,
        'type_names': type_names,
        'r_max': p.r_max,
        'l_max': p.l_max,
        'parity': p.parity,
        'radial_chemical_embed': {'_target_': 'allegro.nn.TwoBodyBesselScalarEmbed', 'num_bessels': p.num_bessels},
        'num_layers': p.num_layers,
        'num_scalar_features': p.num_scalar_features,
        'num_tensor_features': p.num_tensor_features,
        'readout_mlp_hidden_layers_depth': 1,
        'readout_mlp_hidden_layers_width': p.readout_width,
        'avg_num_neighbors': '${training_data_stats:num_neighbors_mean}',
        'per_type_energy_shifts': shifts,
        'per_type_energy_scales': '${training_data_stats:forces_rms}',
    }
    embedding, layers = (p.embed_mlp_depth, p.embed_mlp_width), (p.mlp_depth, p.mlp_width)
    for mlp, (depth, width) in {'scalar_embed': embedding, 'allegro': layers}.items():
        model[f'{mlp}_mlp_hidden_layers_depth'] = depth or p.mlp_depth
        model[f'{mlp}_mlp_hidden_layers_width'] = width or p.mlp_width
    if p.zbl:  # a training set need not teach the repulsion at short range
        model['pair_potential'] = {
            '_target_': 'nequip.nn.pair_potential.ZBL',
            'units': 'metal',
            'chemical_species': type_names,
        }
    return model


def _packaged_section(package: str, energy_shifts: Mapping[str, float] | None) -> Configuration:
    """Return a model from a package, with other energies of atoms where these are given."""
    model: Configuration = {'_target_': 'nequip.model.ModelFromPackage', 'package_path': package}
    if not energy_shifts:
        return model
    modifier = {'modifier': 'modify_PerTypeScaleShift', 'shifts': dict(energy_shifts)}
    return {'_target_': 'nequip.model.modify', 'modifiers': [modifier], 'model': model}


def evaluation_configuration(
    type_names: Sequence[str],
    *,
    r_max: float,
    package: str,
    predictions: str,
    accelerator: str = 'auto',
    without_shifts: bool = False,
) -> Configuration:
    """Return the configuration of ``nequip-train`` that evaluates a packaged model on :data:`FRAMES`.

    It is a test without a training; the labels of the frames are not used.

    :param type_names: chemical symbols in the order of the model's types.
    :param r_max: cutoff radius of the model, Å.
    :param package: name of the file of the model.
    :param predictions: name of the file that is written, to which nequip adds :data:`PREDICTIONS_SUFFIX`.
    :param accelerator: the accelerator of Lightning.
    :param without_shifts: leave the energies of atoms out of the energies that are predicted.
    :raises ParameterError: for an unknown accelerator.
    """
    parameters = TrainingParameters.check({'r_max': r_max, 'accelerator': accelerator})
    shifts = dict.fromkeys(type_names, 0.0) if without_shifts else None
    configuration = nequip_configuration(parameters, type_names, initial_model=package, energy_shifts=shifts)
    writer = next(callback for callback in configuration['trainer']['callbacks'] if 'XYZ' in callback['_target_'])
    paths = dict.fromkeys(('train_file_path', 'val_file_path', 'test_file_path'), FRAMES)
    module = {key: value for key, value in configuration['training_module'].items() if key != 'ema_decay'}
    return {
        **configuration,
        'run': ['test'],
        'training_module': {**module, '_target_': 'nequip.train.NequIPLightningModule'},  # the weights as they are
        'data': {**configuration['data'], **paths},
        'trainer': {**configuration['trainer'], 'logger': False, 'callbacks': [{**writer, 'out_file': predictions}]},
    }
