"""One call of python-vagrant, as a program of its own: `python -m harness.machines.vagrant_call METHOD JSON`.

python-vagrant waits without a limit and gives no access to the process it starts. As a program, a call can be stopped
with all it started, Vagrant's output goes where this program's goes, and Vagrant's exit code is this program's.
"""

from __future__ import annotations

import json
import subprocess
import sys

import vagrant


def main(method: str, arguments: str) -> int:
    """Call the method in the current folder, print what it returns, and return Vagrant's exit code."""
    try:
        result = getattr(vagrant.Vagrant(quiet_stdout=False, quiet_stderr=False), method)(**json.loads(arguments))
    except subprocess.CalledProcessError as error:
        sys.stdout.write(error.output.decode(errors="replace") if error.output else "")
        return error.returncode
    sys.stdout.write(result or "")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
