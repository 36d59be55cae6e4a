"""What the tests of the cluster do in a profile: `verdi run cluster_actions.py ACTION ARGUMENT…` prints JSON."""

import io
import json
import sys
import time
import uuid
import zipfile

from aiida import orm
from aiida.engine import submit

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.farm.site import options_of_job

POLL_S, PATIENCE_S = 0.5, 300


def run_job(resources: str) -> dict:
    """Run a job on the GPU computer of the site, and return what became of it.

    :param resources: what it asks for beside or instead of what the site file says, as JSON.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as package:
        package.writestr('unique', uuid.uuid4().hex)  # no job is taken from the cache
    content.seek(0)
    builder = AllegroCompileCalculation.get_builder()
    builder.code = orm.load_code('nequip-compile@cluster-gpu')
    builder.model = AllegroModelData(content, filename='model.nequip.zip', type_names=['Li', 'O'], r_max=5.0)
    builder.trust_model = orm.Bool(True)
    builder.parameters = orm.Dict({'target': 'mliap'})
    for name, value in options_of_job(builder.code, json.loads(resources)).items():
        builder.metadata.options[name] = value
    node = submit(builder)
    end = time.monotonic() + PATIENCE_S
    while not (node.is_terminated or node.paused) and time.monotonic() < end:
        time.sleep(POLL_S)
    return {
        'folder': node.get_remote_workdir(),
        'job_id': node.get_job_id(),
        'exit_status': node.exit_status,
        'message': node.exit_message or node.process_status,
        'errors': node.get_scheduler_stderr(),
    }


ACTIONS = (run_job,)

if __name__ == '__main__':
    name, *arguments = sys.argv[1:]
    print(json.dumps({function.__name__: function for function in ACTIONS}[name](*arguments)))
