"""The seam every load stands behind."""

from __future__ import annotations

from typing import ClassVar, Protocol

Metrics = dict[str, "float | int | str"]


class Load(Protocol):
    """A frozen pydantic model of one load's parameters, `kind` among them.

    `roles` are the Ansible roles that install it. `keeps_cpu_busy` says whether an idle CPU means that something
    went wrong. `counts_requests` says whether `parse` must find `requests_completed` in the output of a good trial.
    """

    roles: ClassVar[tuple[str, ...]]
    keeps_cpu_busy: ClassVar[bool]
    counts_requests: ClassVar[bool]

    @property
    def kind(self) -> str:
        """The name of the load in an experiment file."""

    def command(self) -> list[str]:
        """The argv that runs on the guest, as its own unit, until it is sent SIGINT."""

    def ready(self) -> list[str] | None:
        """The argv that exits 0 once the load can start; None where nothing has to be waited for."""

    def parse(self, output: str) -> Metrics:
        """What the load itself measured, from all it printed; empty where it printed no statistics.

        Requests are counted under `requests_completed`, `requests_failed` and `responses_non_2xx`; `requests_per_s`
        is a rate, `seconds` the load's own running time.
        """
