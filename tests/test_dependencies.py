"""Tests of the dependencies that ``setup.cfg`` declares: whatever the package imports is among them."""

import configparser
import importlib.metadata
import pathlib
import sys

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from package_imports import imports

DISTRIBUTIONS = importlib.metadata.packages_distributions()
SETUP = pathlib.Path(__file__).parents[1] / 'setup.cfg'
RUN_IN_JOBS = {'aiida_ionconduct.allegro.resume'}
"""Modules that a job runs in the environment of its engine; the others are imported where AiiDA runs."""
READ_MORE = {'aiida_ionconduct.readers.library', 'aiida_ionconduct.readers.packed'}
"""Modules that read more formats if the extra `formats` is installed, and name it if not."""


def declared(section, key):
    """Return the requirements of an option of setup.cfg by their normalized names."""
    parser = configparser.ConfigParser()
    parser.read(SETUP)
    lines = (line.partition('#')[0].strip() for line in parser[section][key].splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


RUN_TIME = declared('options', 'install_requires')
ENGINES = declared('options.extras_require', 'engines')
FORMATS = declared('options.extras_require', 'formats')


def third_party_imports():
    """Return, by top-level module, where the package imports it, of modules that do not come with Python or with us."""
    places = {}
    for statement in imports():
        name = statement.imported.partition('.')[0]
        if name not in sys.stdlib_module_names and name != 'aiida_ionconduct':
            places.setdefault(name, []).append(statement)
    return places


@pytest.mark.parametrize(('module', 'places'), third_party_imports().items(), ids=list(third_party_imports()))
def test_every_import_is_declared(module, places):
    """What comes today with another package may not come tomorrow: what is imported is declared."""
    distributions = {canonicalize_name(name) for name in DISTRIBUTIONS.get(module, [module])}
    optional = ((ENGINES, RUN_IN_JOBS), (FORMATS, READ_MORE))
    needed = [
        place
        for place in places
        if not any(extra.keys() & distributions and place.importer in allowed for extra, allowed in optional)
    ]
    missing = [place.where for place in needed if not RUN_TIME.keys() & distributions]
    assert not missing, f'{module} is of {" or ".join(sorted(distributions))}, which install_requires does not name'


@pytest.mark.parametrize('requirement', [*RUN_TIME.values(), *ENGINES.values()], ids=str)
def test_declared_versions_admit_what_is_tested(requirement):
    """The versions that these tests run with are among those that are declared."""
    assert requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)


def test_pre_commit_has_the_ruff_of_make_lint():
    """A commit is judged by the same version as `make lint`."""
    hooks = yaml.safe_load(SETUP.with_name('.pre-commit-config.yaml').read_text())['repos']
    (revision,) = [repository['rev'] for repository in hooks if repository['repo'].endswith('/ruff-pre-commit')]
    assert str(declared('options.extras_require', 'lint')['ruff'].specifier) == f'=={revision.removeprefix("v")}'
