"""PostgreSQL on the guest's disk, and pgbench, which runs transactions in it."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LATENCIES, Limit, LoadModel, Metrics, Timing

DATABASE = "pgbench"
PREPARE, RUN = "fill.sh", "pgbench.sh"
PREPARE_SCRIPT = """\
set -e
export PGUSER=postgres
dropdb --if-exists {database}
createdb {database}
pgbench --initialize --quiet --scale {scale} {database}
"""
# pgbench prints nothing when SIGINT ends it, and no percentiles ever: they are taken from its log of transactions. The
# third column is the latency in us, the fifth and the sixth are the time of the end in s and us; the last line is cut.
RUN_SCRIPT = """\
export PGUSER=postgres PGBENCH_RANDOM_SEED={seed}
trap : INT
pgbench {arguments} --log --log-prefix transactions {database}
sort --numeric-sort --key 3 transactions.* | awk '
    NF < 6 {{ next }}
    {{ us[++count] = $3; sum += $3; end = $5 + $6 / 1e6 }}
    count == 1 || end < first {{ first = end }}
    end > last {{ last = end }}
    END {{
        if (count < 2) exit
        printf "transactions: %d in %.3f s, latency ms: mean %.3f p50 %.3f p99 %.3f\\n", count, last - first,
            sum / count / 1e3, us[int((count + 1) / 2)] / 1e3, us[int((count * 99 + 99) / 100)] / 1e3
    }}'
"""
DONE = re.compile(
    r"^transactions: (\d+) in ([\d.]+) s, latency ms: mean ([\d.]+) p50 ([\d.]+) p99 ([\d.]+)$", re.MULTILINE
)


class Pgbench(LoadModel):
    """`pgbench` runs transactions in a PostgreSQL of the guest over its Unix socket, each client one after the other.

    Each client has a database process of its own, which pgbench wakes with a query and which wakes pgbench with the
    result: many short slices. Transactions that write also wait for the disk when they commit, and for each other.
    """

    roles: ClassVar[tuple[str, ...]] = ("postgresql",)
    measures: ClassVar[tuple[str, ...]] = ("transactions_per_s", *LATENCIES)
    services: ClassVar[tuple[str, ...]] = ("postgresql.service",)
    stops_all: ClassVar[bool] = True  # the shell around pgbench waits for it, and does not pass the signal on

    kind: Literal["pgbench"] = "pgbench"
    script: Literal["select-only", "simple-update", "tpcb-like"] = Field(
        "select-only",
        description="the transaction: one SELECT; or the classic five statements, tpcb-like; or without "
        "the rows that all clients write, simple-update",
    )
    protocol: Literal["simple", "extended", "prepared"] = Field("prepared", description="how queries are sent")
    clients: int = Field(4, ge=1, le=90, description="clients, each with a connection")
    threads: int = Field(1, ge=1, le=90, description="threads of pgbench, which share the clients")
    scale: int = Field(1, ge=1, le=200, description="size of the tables, in 100,000 accounts (15 MB)")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have run transactions."""
        return (Limit("operations", "pgbench logged no transaction; see load.txt", at_least=1),)

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the scripts that fill the database and that run pgbench and read its log."""
        sizes = f"--client {self.clients} --jobs {min(self.threads, self.clients)} --time {int(timing.longest_s)}"
        what = f"--no-vacuum --builtin {self.script} --protocol {self.protocol}"
        return {
            PREPARE: PREPARE_SCRIPT.format(database=DATABASE, scale=self.scale),
            RUN: RUN_SCRIPT.format(database=DATABASE, seed=timing.seed, arguments=f"{sizes} {what}"),
        }

    def prepare(self) -> list[str]:
        """Return the script that makes the database anew."""
        return ["sh", PREPARE]

    def ready(self) -> list[str]:
        """Return the question whether PostgreSQL takes connections."""
        return ["pg_isready", "--quiet"]

    def command(self) -> list[str]:
        """Return the script that runs pgbench."""
        return ["sh", RUN]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read what the script printed after pgbench had ended."""
        if not (done := DONE.search(output)):
            return {}
        count, seconds = int(done[1]), float(done[2])
        times = dict(zip(("mean", "p50", "p99"), map(float, done.groups()[2:]), strict=True))
        return {
            "operations": count,
            "seconds": seconds,
            **({"transactions_per_s": count / seconds} if seconds else {}),
            **{f"latency_{name}_ms": time for name, time in times.items()},
        }
