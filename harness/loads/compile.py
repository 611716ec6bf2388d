"""A C compiler at work: make and gcc on the sources of bash's loadable commands."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import Limit, LoadModel, Metrics, Timing
from harness.loads.guest_scripts import script

SOURCES = "/usr/share/doc/bash/examples/loadables"  # of the package bash-builtins
# Those that compile without the headers that only bash's own build makes, in each of bash 4.4 to 5.3 the same.
PROGRAMS = """
    basename cat cut dirname finfo head hello id ln logname mkdir mypid necho pathchk print printenv push realpath
    rmdir setpgid sleep strftime sync tee template truefalse tty uname unlink whoami
"""
MAKEFILE = """\
PROGRAMS := {programs}
INCLUDES := /usr/include/bash /usr/include/bash/include /usr/include/bash/builtins /usr/include/bash/lib /usr/lib/bash
CPPFLAGS := -DHAVE_CONFIG_H -DSHELL -I. $(addprefix -I,$(INCLUDES))

all: $(addsuffix .so,$(PROGRAMS))

%.so: %.c
\tgcc -shared -fPIC -w $(CFLAGS) $(CPPFLAGS) -o $@ $< && echo compiled $<
"""
COMPILED = re.compile(r"^compiled (\S+)$", re.MULTILINE)
ROUNDS = re.compile(r"^rounds: ([0-9]+) done, ([0-9]+(?:\.[0-9]+)?) s in all$", re.MULTILINE)


class Compile(LoadModel):
    """`make` with gcc on thirty small C programs, the loadable commands of bash, again and again.

    Each file starts a handful of processes that live for a moment (the shell, gcc, the linker) and one, the compiler,
    that computes for some seconds (on an emulated CPU) and uses its slices up. So new tasks keep coming, and `jobs` of
    them compete.
    """

    roles: ClassVar[tuple[str, ...]] = ("compile",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s",)

    kind: Literal["compile"] = "compile"
    jobs: int = Field(2, ge=1, le=64, description="files that are compiled at the same time (make -j)")
    optimization: Literal["O0", "O1", "O2", "O3"] = Field(
        "O2", description="how hard the compiler works: more makes each of its processes longer"
    )

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have compiled files."""
        return (Limit("operations", "no file was compiled; see load.txt, or use optimization: O0", at_least=1),)

    def command(self) -> list[str]:
        """Return the command that makes everything anew, again and again."""
        options = ["--always-make", "--silent", f"--jobs={self.jobs}", f"CFLAGS=-{self.optimization}"]
        return ["python3", "rounds.py", "make", *options, "all"]

    def prepare(self) -> list[str] | None:
        """Return the command that copies the sources, and compiles one so that the compiler has been read from disk."""
        return ["sh", "-c", f"cp --recursive {SOURCES}/. . && make --silent cat.so"]

    def files(self, timing: Timing) -> dict[str, str]:
        """Return a Makefile of its own (make prefers its name): that of the sources has the paths of bash's build."""
        return {"rounds.py": script("rounds.py"), "GNUmakefile": MAKEFILE.format(programs=" ".join(PROGRAMS.split()))}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the compiled files, and their rate."""
        operations, ended = len(COMPILED.findall(output)), ROUNDS.search(output)
        seconds = float(ended[2]) if ended else 0.0
        if not operations or not seconds:
            return {}
        return {"operations": operations, "seconds": seconds, "operations_per_s": operations / seconds}
