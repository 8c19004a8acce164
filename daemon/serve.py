"""Runs an app and its daemon in this process, from the import of the app to the end of the last thread.

The rule: this module imports neither the engine nor the servers until `serve_app` is called, because a supervisor of
several hosts imports it and needs neither. `cli/run.py` and `daemon/hosts/member.py` call it.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..actors.errors import PerdureError
from ..actors.plain_file import kind_of
from ..actors.store.postgres.url import is_url, parse_url
from ..api.token_file import read_tokens
from .config import Config
from .loader import check_target, load_app
from .process.early_signals import EarlySignals
from .process.garbage_collector import frozen_imports
from .process.standard_error import write_out_log
from .process.system_limits import require_room

if TYPE_CHECKING:
    from .supervision import Member

AT_EXIT_S = 5.0  # for functions that code of the app has registered with `atexit`


def check_named(config: Config) -> None:
    """Refuse a configuration that names missing or unusable things, before the engine is imported.

    It does not open the store, run code of an app or read a pipe, so `serve_app` may still fail.

    Raises:
        ImportFailed: The code of an app is not valid Python.
        PerdureError: An app, a store or a file of tokens cannot be used, or the system gives the process too little;
            the message says why.
    """
    working_folder()
    require_room()
    for target in (config.target, *(each.target for each in config.others)):
        if target is not None:
            check_target(target)
    if config.api_token_file is not None and kind_of(config.api_token_file) is None:
        read_tokens(config.api_token_file)
    if is_url(config.data):
        parse_url(config.data)
    elif config.data != ":memory:":
        from ..actors.store.sqlite.in_use import refuse_unfit  # noqa: PLC0415  a daemon on a database needs no SQLite

        refuse_unfit(os.path.realpath(config.data))


def serve_app(
    config: Config,
    announce: Callable[[str], None],
    member: "Member | None" = None,
    *,
    early: EarlySignals | None = None,
) -> None:
    """Import the app and serve it until a signal or a request stops the daemon.

    Args:
        announce: Called with the ready line, once.
        member: Given if this process is a host of several.
        early: Handles the signals until the daemon has its own handlers.

    Raises:
        ImportFailed: The app's own code raised while it was imported.
        PerdureError: The daemon could not start; the message says why.
        StopAsked: The daemon was told to stop while the app was imported.
    """
    with frozen_imports():
        # The engine and the servers are imported here, because a supervisor does not need them, and before the app,
        # whose folder may have a module with the name of a package that they need.
        from .daemon import run as run_daemon  # noqa: PLC0415  see above
        from .process.log_fence import log_fenced  # noqa: PLC0415  see above
        from .process.process_fence import process_fenced  # noqa: PLC0415  see above
        from .process.signal_fence import handlers_fenced  # noqa: PLC0415  see above

    folder, process = working_folder(), os.getpid()
    supervisor = os.getppid() if member is not None else None
    with log_fenced(), handlers_fenced() as handlers, process_fenced(supervisor) as fence:
        app = load_app(config.target) if config.target is not None else None
        others = [load_app(each.target) if each.target is not None else None for each in config.others]
        if os.getpid() != process:
            os._exit(0)  # a child that the app forked during its import returned here: it is no daemon
        handlers.imported = True
        fence.imported()
        if working_folder() != folder:
            config = config.anchored(folder)
        if early is not None:
            early.hold()
        run_daemon(config, app, announce, member, fence, others)


def working_folder() -> str:
    """Return the working folder of this process.

    Raises:
        PerdureError: The folder was deleted.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        why = "the working folder of this process was deleted. Start it in a folder that is there."
        raise PerdureError(why) from None


@contextmanager
def no_thread_is_waited_for(tell: "Callable[[BaseException], int] | None" = None) -> Iterator[None]:
    """End the process at the end of the block if the thread of an activity still runs, also after an error.

    Python would wait for the thread, which cannot be stopped. The activity runs again after the next start, because its
    result was not recorded. Without such a thread the process ends as usual.

    Args:
        tell: Reports an error and returns the exit code; by default as Python does.
    """
    registered = _functions_at_exit()
    try:
        yield
    except BaseException as error:
        if not _threads_are_left():
            _bound_the_exit(1, registered)
            raise
        _end((tell or exit_code_of)(error))
    if _threads_are_left():
        _end(0)
    _bound_the_exit(0, registered)


def exit_code_of(error: BaseException) -> int:
    """Report an uncaught error as Python does.

    Returns:
        The exit code of the process.
    """
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return error.code or 0
    sys.excepthook(type(error), error, error.__traceback__)
    return 1


def _threads_are_left() -> bool:
    return any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate())


def _functions_at_exit() -> int:
    count = getattr(atexit, "_ncallbacks", None)  # only CPython has it
    return count() if count is not None else 0


def _bound_the_exit(code: int, registered: int) -> None:
    """Limit the time of the functions that code of the app has registered with `atexit`.

    Args:
        code: The exit code of the process when the time is over.
        registered: The number of functions that were registered before the app was imported.
    """
    if _functions_at_exit() <= registered:
        return

    def begin() -> None:
        timer = threading.Timer(AT_EXIT_S, _end, (code,))
        timer.daemon = True
        timer.start()

    atexit.register(begin)  # Python calls the function that was registered last first


def _end(code: int) -> None:
    write_out_log()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(code)
