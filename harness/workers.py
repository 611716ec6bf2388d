"""Jobs in local worker processes, one thread each.

Two torch threads on a busy two-core machine are slower than two processes with one thread each, so every model is
trained in a process. If a worker is killed, the call ends with an error instead of a hang; if the parent is killed, its
workers end with it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any, TypeVar

from harness.errors import ModelError
from harness.interrupt import defer_stop_signals
from harness.paths import cache_dir

Job = TypeVar("Job")
Result = TypeVar("Result")
Report = Callable[[float, "float | None", str], None]

PR_SET_PDEATHSIG = 1
TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP)  # Ctrl-C and a closed terminal reach every process of the group
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"

_outbox: Any = None  # in a worker: the pipe for progress messages, and the lock for writing to it


def default_processes() -> int:
    """Return one more than there are CPUs.

    Three long jobs on two CPUs then end together, and not one after the other two.
    """
    return (os.cpu_count() or 1) + 1


def run_in_processes(
    jobs: Iterable[tuple[str, Job]],
    work: Callable[[Job, Report], Result],
    *,
    processes: int | None = None,
    on_progress: Callable[[str, float, float | None, str], None] = lambda *_: None,
) -> Iterator[tuple[str, Result | BaseException]]:
    """Yield `(name, result or exception)` of each job as it ends; `processes` is `default_processes()` by default.

    `work(job, report)` runs in a worker process and must be importable; each `report(done, total, note)` there calls
    `on_progress(name, done, total, note)` here. An exception of one job is yielded and does not end the others. Leaving
    the iterator early ends the workers. Raises ModelError when a worker process dies, and what `on_progress` raises.
    """
    named = list(jobs)
    if not named:
        return
    context = multiprocessing.get_context("spawn")
    write_lock = context.Lock()  # first of all: the start of multiprocessing's resource tracker unblocks SIGINT
    with ExitStack() as cleanup:
        with _terminal_signals_blocked():
            cleanup.enter_context(_environment_of_children())
            inbox, outbox = context.Pipe(duplex=False)
            cleanup.enter_context(outbox)
            cleanup.enter_context(_reading_progress(inbox, on_progress))
            setup = ((outbox, write_lock), os.getpid())
            pool = ProcessPoolExecutor(processes or default_processes(), context, _set_up_worker, setup)
            cleanup.callback(_end, pool)
            pending = {pool.submit(_call, name, work, job): name for name, job in named}
        yield from _as_they_end(pending)


def _as_they_end(pending: dict[Future[Any], str]) -> Iterator[tuple[str, Any]]:
    while pending:
        ended, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)  # short: Python handles Ctrl-C between waits
        for future in ended:
            name = pending.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                raise ModelError(
                    "a worker process died",
                    where=name,
                    expected="it to end by itself; the kernel's out-of-memory killer is the usual reason",
                    hint="see `dmesg`, then go on with --resume, perhaps with --workers 1",
                )
            yield name, error if error is not None else future.result()


def _call(name: str, work: Callable[[Any, Report], Any], job: Any) -> Any:
    def report(done: float, total: float | None, note: str) -> None:
        outbox, write_lock = _outbox
        with write_lock:  # sent directly: nothing is lost when this worker is ended after its result
            outbox.send((name, done, total, note))

    return work(job, report)


def _set_up_worker(outbox: Any, parent: int) -> None:
    global _outbox
    _outbox = outbox
    for number in TERMINAL_SIGNALS:  # the parent ends its workers
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL_SIGNALS)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the line above
        os._exit(1)


@contextmanager
def _terminal_signals_blocked() -> Iterator[None]:
    """Block the terminal's signals while workers start; a signal that arrives meanwhile is handled afterwards.

    Workers inherit the blocked signals until they are set up, because one that is stopped during its imports would
    print a traceback. In this process, blocking is not enough: the kernel delivers the signal to another thread, and
    Python then runs the handler in the main thread. So the handler is deferred too.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        with defer_stop_signals() if threading.current_thread() is threading.main_thread() else nullcontext():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment_of_children() -> Iterator[None]:
    changed = dict.fromkeys(THREAD_VARIABLES, "1")
    if TORCH_CACHE not in os.environ:
        changed[TORCH_CACHE] = str(cache_dir() / "torch")  # torch makes this folder, by default in /tmp
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def _reading_progress(inbox: Any, on_progress: Callable[..., None]) -> Iterator[None]:
    """Pass every message in the pipe to `on_progress`, including the last ones of workers that have ended.

    A signal may end the wait for the thread that reads: so that thread closes the pipe, and ends when nobody writes.
    """
    stop, errors = threading.Event(), list[Exception]()

    def read() -> None:
        with inbox, suppress(EOFError):
            while (waiting := inbox.poll(0.2)) or not stop.is_set():
                if waiting:
                    deliver(*inbox.recv())

    def deliver(*message: Any) -> None:
        try:
            if not errors:  # after an error messages are only read, so that no worker waits on a full pipe
                on_progress(*message)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=read, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def _end(pool: ProcessPoolExecutor) -> None:
    workers = list((pool._processes or {}).values())  # no public way to end running workers before Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(timeout=5)
