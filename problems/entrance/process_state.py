"""The state of a process that users' code may change, and its restoration after each call."""

import gc
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

STANDARD_STREAMS = (0, 1, 2)
RESTORED_SIGNALS = (
    signal.SIGABRT,
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGFPE,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGPIPE,
    signal.SIGSEGV,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


@contextmanager
def preserved_process_state() -> Generator[None]:
    """Restore, at the end of the block, the state of the process that users' code may change.

    It comprises the working directory, the umask, the environment, signal handlers, the standard
    streams, warnings, NumPy's error state, global random generators, and the defaults of PyTorch
    where that is loaded.
    """
    with ExitStack() as stack, no_forked_copy():
        for part in _PARTS:
            stack.callback(part())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(np.errstate())
        yield


@contextmanager
def kept_signal_handlers() -> Generator[None]:
    """Restore, at the end of the block, handlers of signals that compiled code may replace."""
    restore = _signal_handlers()
    try:
        yield
    finally:
        restore()


@contextmanager
def no_forked_copy() -> Generator[None]:
    """End, at the end of the block, a process that was forked in it and goes on as this one would.

    A forked copy of a worker would report in its place, and hold its locks.
    """
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(0)


def _working_directory() -> Callable[[], None]:
    try:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it was removed
        return lambda: None

    def restore() -> None:
        with suppress(OSError):
            os.fchdir(descriptor)
        with suppress(OSError):
            os.close(descriptor)

    return restore


def _umask() -> Callable[[], object]:
    umask = os.umask(0o077)
    os.umask(umask)
    return partial(os.umask, umask)


def _environment() -> Callable[[], None]:
    environment = dict(os.environb)

    def restore() -> None:
        if os.environb != environment:
            os.environb.clear()
            os.environb.update(environment)

    return restore


def _signal_handlers() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None  # only the main thread may set handlers
    handlers = {number: signal.getsignal(number) for number in RESTORED_SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def restore() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            changed = handler is not None and signal.getsignal(number) is not handler
            # Compiled code may replace a handler of Python unseen, as REBOUND does that of SIGINT.
            if changed or callable(handler):
                signal.signal(number, handler)

    return restore


def _standard_streams() -> Callable[[], None]:
    """Return a function that opens closed standard streams again."""
    streams = sys.stdin, sys.stdout, sys.stderr
    copies = {number: _duplicate(number) for number in STANDARD_STREAMS}

    def restore() -> None:
        for number, copy in copies.items():
            if copy is None:
                continue
            with suppress(OSError):
                if not _same_file(number, copy):
                    os.dup2(copy, number)
                os.close(copy)
        sys.stdin, sys.stdout, sys.stderr = (
            _reopened(stream, number) for number, stream in enumerate(streams)
        )

    return restore


def _duplicate(descriptor: int) -> int | None:
    with suppress(OSError):
        return os.dup(descriptor)
    return None


def _same_file(first: int, second: int) -> bool:
    try:
        return os.path.sameopenfile(first, second)
    except OSError:
        return False


def _reopened(stream: Any, number: int) -> Any:
    """Return a stream, opened again if it was closed."""
    if stream is None or not stream.closed:
        return stream
    return os.fdopen(number, "r" if number == 0 else "w", closefd=False)


def _random_generators() -> Callable[[], None]:
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' code sets it

    def restore() -> None:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002

    return restore


def _interpreter() -> Callable[[], None]:
    collects, limit, path = gc.isenabled(), sys.getrecursionlimit(), list(sys.path)

    def restore() -> None:
        (gc.enable if collects else gc.disable)()
        sys.setrecursionlimit(limit)
        sys.path[:] = path

    return restore


def _torch() -> Callable[[], None]:
    """Return a function that restores the defaults of PyTorch, which this package never imports."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_rng_state"):  # it may be half imported
        return lambda: None
    dtype, state, gradients = (
        torch.get_default_dtype(),
        torch.get_rng_state(),
        torch.is_grad_enabled(),
    )
    threads, device = torch.get_num_threads(), torch.get_default_device()
    deterministic = torch.are_deterministic_algorithms_enabled()

    def restore() -> None:
        torch.set_rng_state(state)
        torch.set_grad_enabled(gradients)
        for value, get, set_value in (
            (dtype, torch.get_default_dtype, torch.set_default_dtype),
            (threads, torch.get_num_threads, torch.set_num_threads),
            (device, torch.get_default_device, torch.set_default_device),
            (
                deterministic,
                torch.are_deterministic_algorithms_enabled,
                torch.use_deterministic_algorithms,
            ),
        ):
            if get() != value:
                set_value(value)

    return restore


_PARTS: tuple[Callable[[], Callable[[], object]], ...] = (
    _working_directory,
    _umask,
    _environment,
    _signal_handlers,
    _standard_streams,
    _random_generators,
    _interpreter,
    _torch,
)
"""Functions that note a part of the state, and return a function that restores it."""
