"""Record the Linux scheduler under load in a described machine, predict it, and report how well that went.

In a notebook: `open_run` a run folder, `open_recording` a recording, `convert` a perf.data to a folder of tables; then
`import model` to train and score predictors. `docs/api.md` shows it all. Every error is a `HarnessError`, which says
what failed, where, what was expected, and what to do. Nothing stays open: there is nothing to close.
"""

TYPE_CHECKING = False  # as in typing, whose import would delay the handler of an early Ctrl-C

if TYPE_CHECKING:
    from harness import errors, trace
    from harness.api.comparison import Comparison, compare
    from harness.api.opening import convert, import_text, open_recording
    from harness.api.recording import Recording
    from harness.api.run import Run, open_run
    from harness.api.runs import Runs, open_runs
    from harness.api.trial import Trial
    from harness.errors import HarnessError

    __version__: str

__all__ = [
    "Comparison",
    "HarnessError",
    "Recording",
    "Run",
    "Runs",
    "Trial",
    "__version__",
    "compare",
    "convert",
    "errors",
    "import_text",
    "open_recording",
    "open_run",
    "open_runs",
    "trace",
]

_PLACES = {
    "Comparison": "harness.api.comparison",
    "HarnessError": "harness.errors",
    "Recording": "harness.api.recording",
    "Run": "harness.api.run",
    "Runs": "harness.api.runs",
    "Trial": "harness.api.trial",
    "compare": "harness.api.comparison",
    "convert": "harness.api.opening",
    "import_text": "harness.api.opening",
    "open_recording": "harness.api.opening",
    "open_run": "harness.api.run",
    "open_runs": "harness.api.runs",
}
_MODULES = ("errors", "trace")


if not TYPE_CHECKING:  # a type checker would take any name for one that there is

    def __getattr__(name: str) -> object:
        """Import on first use, so that `import harness` costs nothing: neither numpy nor pandas nor torch."""
        from importlib import import_module

        if name == "__version__":  # which asks git in a checkout
            return str(import_module("harness.version").version())
        if name in _MODULES:
            return import_module(f"harness.{name}")
        if name not in _PLACES:
            raise AttributeError(f"module 'harness' has no attribute {name!r}")
        return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
