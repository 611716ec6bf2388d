"""A trial of a run: its recording, its verdict, and what its load measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import cleaned_tables
from harness.api.recording import Recording
from harness.store.integrity import require_unchanged
from harness.store.trial_record import read_guest


class Trial(Recording):
    """The recording of one trial. `facts` also has the content of `trial.json`: host, machine, noise and so on.

    Where it goes as a path, as to `model.evaluate`, its files are those that the run wrote: StoreError if one is not.
    Tables that `harness clean` removed are made again when one is read, or the trial goes as a path.
    """

    @property
    def name(self) -> str:
        """The name of its folder, such as `000_nginx_ab`."""
        return self.path.name

    @property
    def arm(self) -> str:
        """The treatment: one combination of the values that the experiment sweeps."""
        return str(self.facts.get("arm", ""))

    @property
    def block(self) -> int | None:
        """The round of the campaign, from 0: each holds every arm once. None where it is not known."""
        block = self.facts.get("block", self.facts.get("repetition"))
        return block if isinstance(block, int) else None

    @property
    def usable(self) -> bool | None:
        """Whether its recording may be used, by its verdict; None where there is none."""
        verdict = self.facts.get("verdict") or {}
        return None if verdict.get("ok") is None else bool(verdict["ok"])

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """The names of the checks that it failed; empty for a usable one."""
        checks = (self.facts.get("verdict") or {}).get("checks") or ()
        return tuple(str(check.get("name")) for check in checks if not check.get("ok"))

    @property
    def load(self) -> dict[str, Any]:
        """The load that ran, `kind` and parameters as in an experiment file; empty for trials before 0.3.0."""
        return dict(self.facts.get("load") or {})

    @property
    def metrics(self) -> dict[str, Any]:
        """What the load measured, such as `requests_per_s`."""
        return dict(self.facts.get("metrics") or {})

    @cached_property
    def guest(self) -> dict[str, Any]:
        """What the guest said of itself, `guest.json`: kernel, packages, scheduler settings, tasks; empty without it.

        Raises StoreError for a file that is not as the run wrote it.
        """
        require_unchanged(self.path, ("json",))
        return read_guest(self.path) if (self.path / "guest.json").exists() else {}

    @property
    def kernel(self) -> str | None:
        """The release of the kernel of the guest."""
        return (self.guest.get("facts") or {}).get("kernel") or super().kernel

    def __fspath__(self) -> str:
        cleaned_tables.restore(cleaned_tables.absent_at(self.path))
        require_unchanged(self.path)
        return super().__fspath__()

    @property
    def _shown_path(self) -> Path:
        return Path(*self.path.parts[-2:])

    def _in_words(self) -> Iterable[str]:
        yield from list(super()._in_words())[:-1]
        yield self._verdict

    def _in_facts(self) -> Iterator[tuple[str, Any]]:
        yield from (("arm", self.arm), ("block", self.block), ("verdict", self._verdict))
        yield from (fact for fact in super()._in_facts() if fact[0] != "whole")
        yield from ((name, value) for name, value in self.metrics.items() if isinstance(value, (int, float, str)))

    @property
    def _verdict(self) -> str:
        if failed := ", ".join(self.failed_checks):
            return f"not usable: {failed}"
        return {True: "usable", False: "not usable", None: "no verdict"}[self.usable]
