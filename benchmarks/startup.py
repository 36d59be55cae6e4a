"""The start of the command line: `aiida-ionconduct --help`, beside `verdi --help`, each in a process of its own."""

import pathlib
import subprocess
import sys
import time

from tabulate import tabulate

TARGET_S, REPEATS = 0.5, 7
COMMANDS = ('aiida-ionconduct --help', 'aiida-ionconduct query --help', 'verdi --help')


def shortest(command: str) -> float:
    """Return the shortest of some times."""
    program, *words = command.split()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([pathlib.Path(sys.executable).parent / program, *words], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    """Print the table."""
    seconds = {command: shortest(command) for command in COMMANDS}
    print(tabulate([(command, f'{value:.2f} s') for command, value in seconds.items()]))
    value = seconds[COMMANDS[0]]
    print(f'RESULT help_seconds={value:.2f} target={TARGET_S} {"met" if value < TARGET_S else "missed"}')
    sys.exit(value >= TARGET_S)


if __name__ == '__main__':
    main()
