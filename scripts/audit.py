#!/usr/bin/env python3
"""Look up what is installed beside this Python in the database of known vulnerabilities, by the pip-audit on PATH.

    python scripts/audit.py [--required]

The exit status is 1 if there are any. If the database cannot be reached, or knows none of the packages, the script says
so and claims nothing; with ``--required`` the exit status is 2 then.
"""

import argparse
import json
import subprocess
import sys
import sysconfig

OPTIONS = ('--skip-editable', '--progress-spinner', 'off', '--format', 'json')


def look_up(folder: str) -> list[dict]:
    """Return what pip-audit says of each package in a folder; if pip-audit fails, print why and return nothing."""
    try:
        command = ['pip-audit', '--path', folder, *OPTIONS]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)['dependencies']
    except FileNotFoundError:
        print('pip-audit is not on PATH: pipx install pip-audit', file=sys.stderr)
    except (ValueError, KeyError):
        print(done.stderr[-1000:], file=sys.stderr)
    return []


def main() -> None:
    """Print the vulnerabilities, and what could not be looked up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--required', action='store_true', help='Fail if the database cannot be reached.')
    required = parser.parse_args().required
    packages = look_up(sysconfig.get_path('purelib'))
    known = [package for package in packages if 'skip_reason' not in package]
    unknown = [package['name'] for package in packages if 'skip_reason' in package]
    vulnerable = [(package, vulnerability) for package in known for vulnerability in package['vulns']]
    for package, vulnerability in vulnerable:
        mended = ', '.join(vulnerability['fix_versions']) or 'no version'
        print(f'{package["name"]} {package["version"]}: {vulnerability["id"]}, mended in {mended}')
    if known:
        print(f'{len(known)} packages looked up, {len(vulnerable)} known vulnerabilities.')
    if unknown:
        print(f'{len(unknown)} could not be looked up: {", ".join(unknown)}')
    if not known:
        print('NOT AUDITED: the database of vulnerabilities could not be reached.', file=sys.stderr)
    sys.exit(1 if vulnerable else 2 if required and not known else 0)


if __name__ == '__main__':
    main()
