"""Results to give away: AiiDA archives with a README and the page inside, and their import."""

from aiida_ionconduct.archives.exporting import Exported, export
from aiida_ionconduct.archives.importing import (
    campaigns_in,
    extract_page,
    import_results,
    read_readme,
    read_reduction,
    read_results,
    what_stays,
)
from aiida_ionconduct.archives.readme import CONTENTS, PAGE, README

__all__ = (
    'CONTENTS',
    'PAGE',
    'README',
    'Exported',
    'campaigns_in',
    'export',
    'extract_page',
    'import_results',
    'read_readme',
    'read_reduction',
    'read_results',
    'what_stays',
)
