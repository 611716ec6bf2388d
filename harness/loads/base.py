"""The protocol of a load; the docstring of `harness.loads` says how to add one."""

from __future__ import annotations

from typing import ClassVar, Protocol

Metrics = dict[str, "float | int | str"]


class Load(Protocol):
    """A frozen pydantic model of one load's parameters, `kind` among them.

    `roles` are the Ansible roles that install it. If `keeps_cpu_busy`, a trial with an idle CPU fails its verdict. If
    `counts_requests`, `parse` must find `requests_completed` in the output of a good trial.
    """

    roles: ClassVar[tuple[str, ...]]
    keeps_cpu_busy: ClassVar[bool]
    counts_requests: ClassVar[bool]

    @property
    def kind(self) -> str:
        """The name of the load in an experiment file."""

    def command(self) -> list[str]:
        """Return the argv that the guest runs as a systemd unit, until SIGINT stops it."""

    def ready(self) -> list[str] | None:
        """Return the argv that exits 0 once the load can start; None where the load can start at once."""

    def parse(self, output: str) -> Metrics:
        """Return what the load measured, from its whole output; empty where it printed no statistics.

        Keys that mean the same in every load: the counts `requests_completed`, `requests_failed` and
        `responses_non_2xx`, the rate `requests_per_s`, and `seconds`, the load's running time.
        """
