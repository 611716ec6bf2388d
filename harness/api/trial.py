"""A trial of a run: its recording, its verdict, and what its load measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cleaned_tables
from harness.api.recording import Recording
from harness.errors import UsageError
from harness.store.integrity import require_unchanged
from harness.store.trial_record import read_guest

if TYPE_CHECKING:
    import pyarrow as pa


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
    def tracer(self) -> str:
        """The tracer that recorded it: `perf`, or `none`; then it has no tables, and all else that a trial has."""
        return str(self.facts.get("tracer") or "perf")  # versions before 0.3 had no other

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table, or some columns of it, as `Recording.table` does. A trial without a tracer has none."""
        if self.tracer == "none":
            what, expected = "it was recorded without a tracer, so it has no tables", "a trial of another arm"
            raise UsageError(what, where=str(self.path), expected=expected)
        return super().table(name, columns)

    @property
    def usable(self) -> bool | None:
        """Whether it may be used, by its verdict; None where there is none."""
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
        if self.tracer == "none":
            yield from ("no tracer", *([f"Linux {self.kernel}"] if self.kernel else []))
        else:
            yield from list(super()._in_words())[:-1]
        yield self._verdict

    def _in_facts(self) -> Iterator[tuple[str, Any]]:
        yield from (("arm", self.arm), ("block", self.block), ("verdict", self._verdict))
        yield "tracer", self.tracer
        left_out = ("whole", *(("switches", "seconds", "tables", "warnings") if self.tracer == "none" else ()))
        yield from (fact for fact in super()._in_facts() if fact[0] not in left_out)
        yield from (
            (f"load: {name}", value) for name, value in self.metrics.items() if not isinstance(value, (dict, list))
        )

    @property
    def _verdict(self) -> str:
        if failed := ", ".join(self.failed_checks):
            return f"not usable: {failed}"
        return {True: "usable", False: "not usable", None: "no verdict"}[self.usable]
