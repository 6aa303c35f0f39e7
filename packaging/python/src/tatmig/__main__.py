"""Runs the program: `python -m tatmig upgrade --all-users`."""

import os
import subprocess
import sys

from tatmig import ProgramError, find_program


def main() -> None:
    try:
        program = find_program()
    except ProgramError as error:
        sys.exit(f"error: {error}")
    arguments = [program, *sys.argv[1:]]
    if os.name == "posix":
        # The program takes the place of this process, so that signals reach it.
        os.execv(program, arguments)
    try:
        sys.exit(subprocess.run(arguments, check=False).returncode)
    except KeyboardInterrupt:
        # The program received Ctrl-C too and has reported it.
        sys.exit(130)


if __name__ == "__main__":
    main()
