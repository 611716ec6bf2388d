"""Where work is spread: local processes, one thread each.

Two torch threads on a busy two-core machine are slower than two processes with one thread, so seeds and predictors
are spread over processes. A worker that is killed ends the whole spread with an error instead of a hang, and a parent
that is killed takes its workers with it.
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
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

from harness.errors import ModelError
from harness.interrupt import unheard

Job = TypeVar("Job")
Answer = TypeVar("Answer")
Report = Callable[[float, "float | None", str], None]

PR_SET_PDEATHSIG = 1
OF_THE_TERMINAL = (signal.SIGINT, signal.SIGHUP)  # it sends Ctrl-C, and its own end, to every process
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_outbox: Any = None  # in a worker: the pipe into which its progress goes, and whose turn it is to write there


def spread(
    jobs: Iterable[tuple[str, Job]],
    work: Callable[[Job, Report], Answer],
    *,
    workers: int | None = None,
    heard: Callable[[str, float, float | None, str], None] = lambda *_: None,
) -> Iterator[tuple[str, Answer | BaseException]]:
    """Yield `(name, answer or exception)` of each job as it ends.

    `work(job, report)` runs in a worker process and must be importable; `report(done, total, note)` reaches
    `heard(name, done, total, note)` here. An exception of one job is yielded and does not end the others. Leaving the
    iterator early ends the workers. Raises ModelError when a worker process dies, and what `heard` raises.
    """
    named = list(jobs)
    if not named:
        return
    context = multiprocessing.get_context("spawn")
    turn = context.Lock()  # first of all: it starts multiprocessing's own helper, which ends with SIGINT unblocked
    with ExitStack() as to_leave:
        with _put_off():
            to_leave.enter_context(_single_threaded_children())
            inbox, outbox = map(to_leave.enter_context, context.Pipe(duplex=False))
            to_leave.enter_context(_listening(inbox, heard))
            told = ((outbox, turn), os.getpid())
            pool = ProcessPoolExecutor(workers or os.cpu_count() or 1, context, _set_up_worker, told)
            to_leave.callback(_end, pool)
            pending = {pool.submit(_call, name, work, job): name for name, job in named}
        yield from _as_they_end(pending)


def _as_they_end(pending: dict[Future[Any], str]) -> Iterator[tuple[str, Any]]:
    while pending:
        ended, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)  # short: Ctrl-C is heard between waits
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
        outbox, turn = _outbox
        with turn:  # written here and now, so that nothing is lost when this worker is ended after its answer
            outbox.send((name, done, total, note))

    return work(job, report)


def _set_up_worker(outbox: Any, parent: int) -> None:
    global _outbox
    _outbox = outbox
    for number in OF_THE_TERMINAL:  # the parent decides
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_THE_TERMINAL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


@contextmanager
def _put_off() -> Iterator[None]:
    """Block a terminal's signals while workers are started, who inherit that until they are set up: one stopped in the
    middle of its imports would print a traceback. Here, what came in the meantime is heard afterwards: a signal that is
    blocked in this thread goes to another one, and is this one's to handle all the same."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_TERMINAL)
    try:
        with unheard() if threading.current_thread() is threading.main_thread() else nullcontext():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def _listening(inbox: Any, heard: Callable[..., None]) -> Iterator[None]:
    """Hand on what workers tell, all that they told before they ended included."""
    stop, failed = threading.Event(), list[Exception]()

    def listen() -> None:
        while (told := inbox.poll(0.2)) or not stop.is_set():
            if told:
                hear(*inbox.recv())

    def hear(*told: Any) -> None:
        try:
            if not failed:  # after that what comes is only taken out of the way of who tells it
                heard(*told)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=listen, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def _end(pool: ProcessPoolExecutor) -> None:
    workers = list((pool._processes or {}).values())  # no public way to end running workers before Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(timeout=5)
