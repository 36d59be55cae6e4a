"""Configuration of Sphinx; `make docs` builds with warnings as errors."""

import logging
import sys
import warnings
from pathlib import Path

from aiida.common.warnings import AiidaDeprecationWarning
from aiida.manage.configuration import get_config

import aiida_ionconduct

sys.path.append(str(Path(__file__).parent / '_ext'))
# Autodoc looks at every attribute of AiiDA's base classes, the deprecated ones too. Loading the configuration shows
# these warnings, so it comes first.
get_config(create=True)
warnings.filterwarnings('ignore', category=AiidaDeprecationWarning)
logging.getLogger('alembic').setLevel(logging.WARNING)

project = 'aiida-ionconduct'
author = 'The aiida-ionconduct developers'
copyright = f'2026, {author}'
release = version = aiida_ionconduct.__version__

extensions = [
    'executed',
    'exit_codes',
    'myst_parser',
    'parameter_tables',
    'sphinx.ext.apidoc',
    'sphinx.ext.autodoc',
    'sphinx.ext.graphviz',
    'sphinx.ext.mathjax',
    'sphinx_click',
]
exclude_patterns = ['_build']

myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 3
graphviz_output_format = 'svg'

# One page per module, written when the documentation is built.
apidoc_modules = [
    {
        'path': '../aiida_ionconduct',
        'destination': 'reference/apidoc',
        'exclude_patterns': ['**/*-plugin.so'],
        'separate_modules': True,
        'module_first': True,
        'automodule_options': {'members', 'show-inheritance'},
    }
]
# What a package re-exports is documented in the module that defines it, once.
autodoc_default_options = {'ignore-module-all': True}
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'

html_theme = 'furo'
html_title = f'aiida-ionconduct {version}'
