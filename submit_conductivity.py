#!/usr/bin/env verdi run
"""Submit a campaign: from a crystal to its ionic conductivity. Run as `verdi run submit_conductivity.py --help`."""

from aiida_ionconduct.cli.commands.launch import launch_command

if __name__ == '__main__':
    launch_command()
