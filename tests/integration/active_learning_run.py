"""One cycle of active learning on β-Li3PO4 with real engines: `verdi run active_learning_run.py FRAMES` prints JSON."""

import json
import sys

from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching

from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.active_learning import ActiveLearningWorkChain
from aiida_ionconduct.workchains.inputs import load_codes
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.stage_inputs import (
    active_learning_parameters,
    allegro_inputs,
    evaluation_inputs,
    label_inputs,
    md_inputs,
)

OVERRIDES = {
    'dft': {'ecutwfc': 40.0},  # as the frames to begin with
    'dataset': {'max_force_eV_per_A': 30.0, 'min_fraction': 0.5},
    'training': {
        'r_max': 4.0,
        'l_max': 1,
        'num_scalar_features': 32,
        'num_tensor_features': 8,
        'mlp_width': 32,
        'max_epochs': 60,
    },
    'active_learning': {
        'max_rounds': 1,
        'committee_seeds': [1, 2],
        'temperatures_K': [1000],
        'seeds': [1, 2],
        'equilibration_steps': 20,
        'production_steps': 200,
        'n_candidates': 40,
        'n_frames': 12,
        'threshold_eV_per_A': 0.05,
        'max_disagreement_eV_per_A': 50.0,
        'training': {'max_epochs': 30, 'learning_rate': 0.005},
    },
    'md': {'timestep_fs': 1.0, 'frame_stride': 5, 'com_stride': 5, 'thermo_stride': 5},
}


def main(frames: str) -> None:
    """Run it."""
    p, codes = protocol_inputs('conductivity', 'quickstart', OVERRIDES), load_codes()
    structure = orm.StructureData(ase=crystal('beta-Li3PO4'))
    parameters = active_learning_parameters(p).get_dict()
    md = md_inputs(codes, p)
    for name in ('temperatures_K', 'seeds'):
        md.pop(name)
    md['parameters'] = orm.Dict(parameters.pop('md'))
    inputs = {
        'structure': structure,
        'dataset': DatasetData(frames, stress_unit='eV/A^3'),
        'committee': {'allegro': allegro_inputs(codes, p)},
        'evaluate': evaluation_inputs(codes, p),
        'label': label_inputs(codes['pw'], structure, p),
        'md': md,
        'parameters': orm.Dict(parameters),
    }
    with disable_caching():
        _, node = run_get_node(ActiveLearningWorkChain, **inputs)
    jobs = [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]
    print(
        json.dumps(
            {
                'exit_status': node.exit_status,
                'exit_message': node.exit_message,
                'reports': {label: report.get_dict() for label, report in node.outputs.reports.items()},
                'sources': node.outputs.dataset.base.attributes.get('sources'),
                'explorations': {
                    link.link_label: link.node.exit_status
                    for link in node.base.links.get_outgoing(node_class=orm.WorkChainNode).all()
                    if link.link_label.startswith('explore')
                },
                'jobs': sorted(job.process_label for job in jobs if job.is_finished_ok),
                'initial': [job.inputs.initial_model.pk for job in jobs if 'initial_model' in job.inputs],
            }
        )
    )


main(*sys.argv[1:])
