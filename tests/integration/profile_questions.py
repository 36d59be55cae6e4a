"""What the tests ask of a profile: `verdi run profile_questions.py QUESTION ARGUMENT…` prints the answer as JSON."""

import hashlib
import json
import pathlib
import sys

import ase.io
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage.caching import disable_caching

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories


def describe(pk: str) -> dict:
    """Return the state, the outputs, the jobs and the functions of a campaign."""
    node = orm.load_node(pk)
    below = node.called_descendants
    functions = [process.process_label for process in below if isinstance(process, orm.CalcFunctionNode)]
    jobs = [
        {'process': job.process_label, 'exit_status': job.exit_status, 'cached': job.base.caching.is_created_from_cache}
        for job in below
        if isinstance(job, orm.CalcJobNode)
    ]
    outputs = {link.link_label: link.node for link in node.base.links.get_outgoing(link_type=LinkType.RETURN)}
    return {
        'exit_status': node.exit_status,
        'outputs': {label: contents(output) for label, output in outputs.items()},
        'functions': functions,
        'jobs': jobs,
    }


def contents(node: orm.Data) -> dict:
    """Return all that a node holds: its identity, attributes (exact) and a checksum of every array or file."""
    if isinstance(node, orm.ArrayData):
        blobs = {name: node.get_array(name) for name in node.get_arraynames()}
        parts = {name: [str(a.dtype), a.shape, hashlib.sha256(a.tobytes()).hexdigest()] for name, a in blobs.items()}
    else:
        names = node.base.repository.list_object_names()
        parts = {
            name: hashlib.sha256(node.base.repository.get_object_content(name, 'rb')).hexdigest() for name in names
        }
    return {'uuid': str(node.uuid), 'type': type(node).__name__, 'attributes': node.base.attributes.all, 'parts': parts}


def analyse_again(uuid: str) -> dict:
    """Repeat the analysis that made a conductivity, from the inputs that the profile holds; return both results."""
    stored = orm.load_node(uuid)
    inputs = stored.creator.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()
    with disable_caching():
        repeated = analyse_trajectories(**{link.link_label: link.node for link in inputs})
    assert not repeated.creator.base.caching.is_created_from_cache
    return {'stored': contents(stored), 'repeated': contents(repeated), 'trajectories': len(inputs) - 1}


def configured_computers() -> list[str]:
    """Return the computers that could run something."""
    return [computer.label for computer in orm.Computer.collection.all() if computer.is_configured]


def mentions(pk: str, *fragments: str) -> list:
    """Return the data made or used by a campaign, codes and remote folders apart, whose attributes hold a text."""
    node = orm.load_node(pk)
    data = {}
    for process in [node, *node.called_descendants]:
        links = process.base.links.get_incoming().all() + process.base.links.get_outgoing().all()
        data |= {link.node.pk: link.node for link in links if isinstance(link.node, orm.Data)}
    data = [value for value in data.values() if not isinstance(value, (orm.Code, orm.RemoteData))]
    assert len(data) > 50
    texts = {f'{type(value).__name__}<{value.pk}>': json.dumps(value.base.attributes.all) for value in data}
    return [name for name, text in texts.items() if any(fragment in text for fragment in fragments)]


def seed_inputs(pk: str) -> dict:
    """Return by label the seed among the inputs of the run that made a trajectory, and the one the node states."""
    trajectories = orm.load_node(pk).outputs.trajectories
    return {
        label: [*run.creator.inputs.parameters['seeds'], run.base.attributes.get('seed')]
        for label, run in trajectories.items()
    }


def export(pk: str, folder: str) -> int:
    """Write the packaged model, and every frame of every run with the potential energy that LAMMPS gave it."""
    outputs = orm.load_node(pk).outputs
    pathlib.Path(folder, 'model.nequip.zip').write_bytes(outputs.model.get_content(mode='rb'))
    frames = []
    for _, run in sorted(outputs.trajectories.items()):
        for positions, energy in zip(run.positions, run.thermo['potential_energy_eV'], strict=True):
            info = {'lammps_eV': energy, 'temperature_K': run.temperature_K}
            frames.append(ase.Atoms(run.symbols, positions.astype(float), cell=run.cell, pbc=True, info=info))
    ase.io.write(pathlib.Path(folder, 'frames.extxyz'), frames)
    return len(frames)


QUESTIONS = (describe, analyse_again, configured_computers, mentions, seed_inputs, export)

if __name__ == '__main__':
    name, *arguments = sys.argv[1:]
    answer = {function.__name__: function for function in QUESTIONS}[name](*arguments)
    print(json.dumps(answer, ensure_ascii=False))
