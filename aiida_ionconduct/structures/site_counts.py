"""Numbers of ions that the user sets on the sites of a file."""

from __future__ import annotations

from collections.abc import Mapping

from aiida_ionconduct.structures.site_table import SiteOrigin


def numbers_on_sites(origins: Mapping[str, SiteOrigin], wanted: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the numbers of ions that are set, by the label of the sites in the structure and by species.

    :param origins: the sites as the file has them, by their labels in the structure.
    :param wanted: by ``LABEL``, of a site with one species, or ``LABEL:SPECIES``.
    :raises ValueError: if no site, or several kinds of sites, have a label, or the species is not clear.
    """
    numbers: dict[str, dict[str, int]] = {}
    for key, number in wanted.items():
        label, _, species = key.partition(':')
        names = [name for name, origin in origins.items() if origin.label == label]
        if not names:
            labels = ', '.join(dict.fromkeys(origin.label for origin in origins.values()))
            raise ValueError(f'the file has no site `{label}`: its sites are {labels}.')
        if len(names) > 1:
            raise ValueError(f'the label `{label}` stands for {len(names)} kinds of sites: give them different labels.')
        present = _species(names[0])
        if species and species not in present:
            raise ValueError(f'the site `{label}` holds {", ".join(present)}, not {species}.')
        if not species and len(present) > 1:
            raise ValueError(
                f'the site `{label}` holds {", ".join(present)}: say which, such as {label}:{present[0]}={number}.'
            )
        if number < 0:
            raise ValueError(f'the number of ions on the site `{label}` cannot be {number}.')
        numbers.setdefault(names[0], {})[species or present[0]] = number
    return numbers


def _species(name: str) -> list[str]:
    """Return the species in the name of a site, such as ``M1 (Zr 0.9, Al 0.1)``."""
    return [part.split()[0] for part in name.rsplit('(', 1)[1].rstrip(')').split(', ')]
