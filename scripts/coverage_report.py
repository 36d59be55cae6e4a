#!/usr/bin/env python3
"""Print the coverage that the last ``make test`` has measured, and the files that are below a threshold.

    python scripts/coverage_report.py [PERCENT]

The percentage counts statements and branches together, as coverage.py does.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import coverage


def measured() -> dict:
    """Return what coverage.py reports of the data in this folder, as its JSON report has it.

    :raises SystemExit: if nothing has been measured yet.
    """
    data = coverage.Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'coverage.json')
        try:
            data.json_report(outfile=str(path))
        except coverage.exceptions.NoDataError:
            sys.exit('Nothing has been measured yet. Run: make test')
        return json.loads(path.read_text())


def lines(report: dict, threshold: float) -> list[str]:
    """Return the lines to print: the files below the threshold, the lowest first, and the total."""
    percents = {name: file['summary']['percent_covered'] for name, file in report['files'].items()}
    below = sorted((percent, name) for name, percent in percents.items() if percent < threshold)
    total = report['totals']
    head = [f'Below {threshold:g} %:'] if below else [f'No file is below {threshold:g} %.']
    return [
        *head,
        *(f'{percent:6.1f} %  {name}' for percent, name in below),
        f'Coverage of statements and branches: {total["percent_covered"]:.1f} % '
        f'({total["num_statements"]} statements, {total["num_branches"]} branches, {len(percents)} files)',
    ]


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('percent', type=float, nargs='?', default=90.0, help='The threshold; 90 if not given.')
    print('\n'.join(lines(measured(), parser.parse_args().percent)))


if __name__ == '__main__':
    main()
