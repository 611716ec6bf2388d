"""Write the locks beside this file: what setup.sh installs, in exact versions, each file of them with its SHA-256.

    uv must be on the path (`pip install uv`); then: python requirements/lock.py

The versions in the present locks are kept where they still fit pyproject.toml; `--upgrade` takes the newest ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = {
    "run": "What any command needs, and what builds this project.",
    "tests": "What the tests, the checks and the site of the pages need besides run.txt.",
    "torch-cuda": "torch as the usual index has it, and the libraries of CUDA that it brings.",
    "torch-cpu": "torch built for CPUs: the files that the tests ran with.",
}
BUILD = "hatchling\neditables\n"  # an isolated build would fetch these without a hash
EVERY_COMMAND = ("all",)
EXTRAS = ("all", "docs", "test", "tracking")
CUDA = re.compile(r"torch|triton|cuda-.*|nvidia-.*")
CPU_TORCH = {"cp311, x86-64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}

Lock = dict[str, str]  # the lines of each requirement, by the line that begins them


def main() -> None:
    """Resolve twice, without and with the tests, and write each requirement to the lock that it belongs to."""
    upgrade = sys.argv[1:] == ["--upgrade"]
    everything = resolve(upgrade, EXTRAS, held=None)
    write("tests", everything)  # holds the versions of the second resolution
    needed = resolve(upgrade=False, extras=EVERY_COMMAND, held=HERE / "tests.txt")
    cuda = {head: lines for head, lines in everything.items() if CUDA.fullmatch(name(head))}
    run = {head: lines for head, lines in needed.items() if head not in cuda}
    write("torch-cuda", cuda)
    write("run", run)
    write("tests", {head: lines for head, lines in everything.items() if head not in {**run, **cuda}})
    write("torch-cpu", {"torch": cpu_torch(next(head for head in cuda if name(head) == "torch"))})


def resolve(upgrade: bool, extras: tuple[str, ...], held: Path | None) -> Lock:
    """Return all requirements for Python 3.10 to 3.13, with the hashes that the index names."""
    present = [held] if held else [HERE / f"{lock}.txt" for lock in ("run", "tests", "torch-cuda")]
    pins = [f"--constraints={path}" for path in present if path.exists() and not upgrade]
    more = [f"--extra={extra}" for extra in extras]
    flags = ["--quiet", "--universal", "--python-version=3.10", "--no-python-downloads", "--generate-hashes"]
    command = ["uv", "pip", "compile", *flags, "--no-annotate", "--no-header", *more, *pins, "pyproject.toml", "-"]
    done = subprocess.run(command, cwd=HERE.parent, input=BUILD, stdout=subprocess.PIPE, text=True, check=True)
    requirements = re.split(r"^(?=\w)", done.stdout, flags=re.MULTILINE)[1:]
    return {requirement.partition("\\")[0].strip(): requirement for requirement in requirements}


def name(head: str) -> str:
    """Return the name of a requirement such as `numpy==2.4.6 ; python_full_version == '3.11.*'`."""
    return head.partition("==")[0]


def cpu_torch(head: str) -> str:
    """Return the requirement of the CPU build; its index is none that uv asked, so its hashes stand in this file."""
    hashes = [f"    --hash=sha256:{digest}" for digest in CPU_TORCH.values()]
    return " \\\n".join([f"{head}+cpu", *hashes]) + "\n"


def write(lock: str, requirements: Lock) -> None:
    """Write one lock under a heading."""
    heading = (
        f"# {LOCKS[lock]}\n# Written by requirements/lock.py; install with: pip install --require-hashes -r FILE\n"
    )
    (HERE / f"{lock}.txt").write_text(heading + "".join(requirements.values()))


if __name__ == "__main__":
    main()
