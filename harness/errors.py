"""Every error that a user can meet, and the exit code that it leads to.

A message has four parts: what failed, where, what was expected, and what to do about it.
`TransientError` marks a lost connection, which may come back; callers retry it a limited number of times.
"""

from __future__ import annotations

from pathlib import Path

from harness.extras import install_command
from harness.visible import visible, visible_message

EXIT_DONE = 0
EXIT_FAILED = 1  # a trial or a check failed
EXIT_USAGE = 2  # the experiment file or the arguments are wrong
EXIT_HOST = 3  # this host lacks something, as `harness doctor` says, or a machine did not come up as asked
EXIT_INTERRUPTED = 130


class ErrorDetails(BaseException):
    """The parts of an error message.

    `what`: one sentence on the failure. `where`: a place (`file:line:column`, a host, a step). `expected`: what would
    have been right. `hint`: what to do next. `log`: the file with all details.
    """

    exit_code = EXIT_FAILED

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
        log: Path | str | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.expected, self.hint = what, where, expected, hint
        self.log = str(log) if log is not None else None

    def __str__(self) -> str:
        lines = [(f"{visible(self.where)}: " if self.where else "") + visible_message(self.what)]
        notes = {"expected": self.expected, "try": self.hint, "log": self.log}
        return "\n".join([*lines, *(f"  {name}: {visible(note)}" for name, note in notes.items() if note)])


class HarnessError(ErrorDetails, Exception):
    """A failure that a user can act on."""


class SpecError(HarnessError):
    """The experiment file is wrong; `where` is file:line:column."""

    exit_code = EXIT_USAGE


class UsageError(HarnessError):
    """The arguments are wrong."""

    exit_code = EXIT_USAGE


class HostError(HarnessError):
    """This host lacks something: a program, a service, disk space."""

    exit_code = EXIT_HOST


class MissingExtraError(HostError):
    """A package is not installed that an extra of this project brings; the hint is the command that installs it."""

    def __init__(self, extra: str, package: str, *, where: str | None = None) -> None:
        what = f"{package} is not installed: it comes with the extra {extra}"
        super().__init__(what, where=where, hint=install_command(extra))


class BoxError(HostError):
    """A guest image could not be built, or is not what its recipe says."""


class DamagedBoxError(BoxError):
    """A box or a provisioned machine in the cache is not as it was put there."""


class LoadError(HostError):
    """A load of an installed package cannot be used, or its package is not installed here."""


class MachineError(HostError):
    """A machine did not come up, or is not the requested one."""


class ProvisionError(HarnessError):
    """An Ansible task failed on a machine."""


class RemoteError(HarnessError):
    """A command or a transfer on a machine failed."""


class TransientError(RemoteError):
    """The connection failed in a way that may go away: refused, reset, timed out."""


class DeadlineError(RemoteError):
    """A remote command or transfer did not end within its limit."""


class TrackingError(HarnessError):
    """What a run measured could not be sent to a tracker."""


class TrialError(HarnessError):
    """A trial could not be carried out."""


class LostMachineError(TrialError):
    """A machine ended, or stands still and was not resumed: only another machine can go on."""


class GuestError(TrialError):
    """The guest reported that a step of the trial failed; the machine itself works.

    `retryable`: another attempt may succeed.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, retryable: bool = True) -> None:
        super().__init__(what, where=where, hint=hint)
        self.retryable = retryable


class VerdictError(HarnessError):
    """A trial was carried out, but its recording may not be used."""


class TraceError(HarnessError):
    """A recording is damaged, or is not a file of the kind that it claims to be."""


class FactsDifferError(HarnessError):
    """The facts of two sides were to be equal besides the arm, and are not."""


class StoreError(HarnessError):
    """A run folder is missing, locked, damaged or of an unknown schema."""


class LockedError(StoreError):
    """Another process works in this run folder."""


class ModelError(HarnessError):
    """A predictor could not be trained or scored."""


class Interrupted(ErrorDetails):
    """A stop signal arrived, from a person or the system; recorded data stays.

    Like KeyboardInterrupt, this is not an Exception: it can be raised at any point of the program, and code that
    translates, retries or ignores errors must let it pass.
    """

    exit_code = EXIT_INTERRUPTED
