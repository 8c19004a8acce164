"""Code of the app shares a process with the daemon: its misuse of the loop, tasks and process harms only that code.

One daemon survives all of it. After each misuse an innocent activity is still under way, and others complete.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ..support.processes.daemon import Daemon

APP = """
import _thread, asyncio, decimal, gc, locale, logging, os, resource, signal, sys, tempfile, threading, time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
import perdure
from anyio import from_thread

app = perdure.App("misdeeds")
LOOP = []

def raises(*_):
    raise ValueError("mine")

def interrupts(*_):
    raise KeyboardInterrupt

def cancel_all():
    for task in asyncio.all_tasks(LOOP[0]):
        task.cancel()

def cancel_all_gathered():
    asyncio.gather(*asyncio.all_tasks(LOOP[0]), return_exceptions=True).cancel()

async def time_out_on_all():
    async with asyncio.timeout(0.05):
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))

async def cancel_all_later():
    await asyncio.sleep(0.05)
    cancel_all()

def leave_a_task():
    app.kept = LOOP[0].create_task(cancel_all_later())

def from_a_thread_of_its_own():
    thread = threading.Thread(target=lambda: LOOP[0].call_soon_threadsafe(cancel_all))
    thread.start()
    thread.join()

def fail_in_a_thread():
    threading.excepthook = raises
    threading.Thread(target=raises).start()

def fail_unraisably():
    class Fails:
        def __del__(self):
            raise ValueError
    sys.unraisablehook = raises
    Fails()

def take_the_alarm():
    signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.1)

NAMED = [each.name for each in signal.Signals if each not in (signal.SIGKILL, signal.SIGSTOP)]
REAL_TIME = range(signal.SIGRTMIN, signal.SIGRTMAX)

def alarm_later():
    signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)

SAMPLES = []

def profile(number, timer, handler):
    signal.signal(number, handler)
    signal.setitimer(timer, 0.001, 0.001)

def defaults(*names):
    for name in names:
        signal.signal(getattr(signal, name), signal.SIG_DFL)

def nest_less():
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 30)

def allow_no_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def fork():
    if os.fork() == 0:
        os._exit(0)

def fork_and(then):
    if os.fork() == 0:
        then()

def daemonize():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.umask(0)
            for descriptor in range(3):
                os.close(descriptor)
            time.sleep(1)
        os._exit(0)

def lower(name):
    number = getattr(resource, name)
    resource.setrlimit(number, (0, resource.getrlimit(number)[1]))

def slow(*_):
    time.sleep(0.0002)
    return slow

def gone():
    os.chdir(tempfile.mkdtemp())
    os.rmdir(os.getcwd())

def nested(depth=200_000):
    found = []
    for _ in range(depth):
        found = [found]
    return found

def fill_memory():
    resource.setrlimit(resource.RLIMIT_AS, (2**30, resource.getrlimit(resource.RLIMIT_AS)[1]))
    bytearray(2**40)

def handler_that(emit):
    handler = logging.Handler()
    handler.emit = emit
    return handler

def own(number):
    return lambda: os.kill(os.getpid(), number)

MISDEEDS = {
    "cancel all tasks": cancel_all,
    "cancel all tasks gathered": cancel_all_gathered,
    "cancel all tasks as a runner does": lambda: asyncio.runners._cancel_all_tasks(LOOP[0]),
    "cancel all tasks soon": lambda: LOOP[0].call_soon(cancel_all),
    "cancel all tasks from a thread": from_a_thread_of_its_own,
    "cancel all tasks in a task left behind": leave_a_task,
    "a timeout around all tasks": time_out_on_all,
    "stop": lambda: LOOP[0].stop(),
    "stop from a thread": lambda: LOOP[0].call_soon_threadsafe(LOOP[0].stop),
    "close": lambda: LOOP[0].close(),
    "set_exception_handler": lambda: LOOP[0].set_exception_handler(interrupts),
    "set_debug": lambda: LOOP[0].set_debug(True),
    "set_task_factory": lambda: LOOP[0].set_task_factory(None),
    "set_default_executor": lambda: LOOP[0].set_default_executor(ThreadPoolExecutor(1)),
    "shutdown_default_executor": lambda: LOOP[0].shutdown_default_executor(),
    "shutdown_asyncgens": lambda: LOOP[0].shutdown_asyncgens(),
    "remove_signal_handler": lambda: LOOP[0].remove_signal_handler(signal.SIGTERM),
    "add_signal_handler": lambda: LOOP[0].add_signal_handler(signal.SIGTERM, raises),
    "exit in a callback": lambda: LOOP[0].call_soon(sys.exit, 3),
    "interrupt in a callback": lambda: LOOP[0].call_soon(interrupts),
    "raise in a callback": lambda: LOOP[0].call_soon(raises),
    "no event loop": lambda: asyncio.set_event_loop(None),
    "chdir": lambda: os.chdir("/"),
    "SIGTERM": lambda: defaults("SIGTERM", "SIGINT"),
    "SIGPIPE": lambda: defaults("SIGPIPE"),
    "blocked signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    "no descriptor of signals": lambda: signal.set_wakeup_fd(-1),
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 0.05),
    "alarm with a handler": take_the_alarm,
    "timer of CPU time": lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 0.001),
    "threading.excepthook": fail_in_a_thread,
    "sys.excepthook": lambda: setattr(sys, "excepthook", interrupts),
    "sys.unraisablehook": fail_unraisably,
    "gc.disable": gc.disable,
    "recursion limit": nest_less,
    "switch interval": lambda: sys.setswitchinterval(60),
    "environment": os.environ.clear,
    "umask": lambda: os.umask(0o777),
    "warnings": lambda: warnings.simplefilter("error"),
    "trace": lambda: sys.settrace(interrupts),
    "sys.path": sys.path.clear,
    "fork": fork,
    "standard output": lambda: os.close(1),
    "standard input": lambda: os.close(0),
    "sys.stdout": lambda: setattr(sys, "stdout", None),
    "file limit": allow_no_files,
    "logging.shutdown": logging.shutdown,
    "SIGVTALRM": lambda: defaults("SIGVTALRM", "SIGPROF"),
    "no handler at all": lambda: defaults(*NAMED),
    "real-time signals": lambda: [signal.signal(each, signal.SIG_IGN) for each in REAL_TIME],
    "alarm with a handler beside its step": alarm_later,
    "profiler without a handler": lambda: signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001),
    "profiler": lambda: profile(signal.SIGPROF, signal.ITIMER_PROF, lambda *_: SAMPLES.append(1)),
    "profiler of user time": lambda: profile(signal.SIGVTALRM, signal.ITIMER_VIRTUAL, lambda *_: SAMPLES.append(1)),
    "profiler that raises": lambda: profile(signal.SIGPROF, signal.ITIMER_PROF, raises),
    "profiler that interrupts": lambda: profile(signal.SIGVTALRM, signal.ITIMER_VIRTUAL, interrupts),
    "profile": lambda: sys.setprofile(interrupts),
    "slow trace": lambda: sys.settrace(slow),
    "slow profile": lambda: sys.setprofile(slow),
    "trace of all threads": lambda: threading.settrace(raises),
    "profile of all threads": lambda: threading.setprofile(raises),
    "no sys.excepthook": lambda: setattr(sys, "excepthook", None),
    "no threading.excepthook": lambda: setattr(threading, "excepthook", None),
    "no sys.unraisablehook": lambda: setattr(sys, "unraisablehook", None),
    "SIGINT to itself": own(signal.SIGINT),
    "SIGTERM to itself": own(signal.SIGTERM),
    "SIGSTOP to itself": own(signal.SIGSTOP),
    "SIGTSTP to itself": own(signal.SIGTSTP),
    "SIGTERM to its group": lambda: os.killpg(0, signal.SIGTERM),
    "raise_signal": lambda: signal.raise_signal(signal.SIGTERM),
    "pthread_kill": lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT),
    "interrupt_main": _thread.interrupt_main,
    "execv": lambda: os.execv("/bin/sleep", ["sleep", "60"]),
    "execlp": lambda: os.execlp("true", "true"),
    "closerange": lambda: os.closerange(3, 4096),
    "closerange of all": lambda: os.closerange(0, 4096),
    "no memory": lambda: lower("RLIMIT_AS"),
    "little memory": fill_memory,
    "no size of files": lambda: lower("RLIMIT_FSIZE"),
    "no threads": lambda: lower("RLIMIT_NPROC"),
    "no CPU": lambda: lower("RLIMIT_CPU"),
    "no stack": lambda: lower("RLIMIT_STACK"),
    "no core": lambda: lower("RLIMIT_CORE"),
    "recursion in C": lambda: repr(nested()),
    "recursion in comparing": lambda: nested() == nested(),
    "recursion in freeing": nested,
    "MemoryError": lambda: bytearray(2**62),
    "SystemExit": lambda: sys.exit(3),
    "a folder that is gone": gone,
    "time zone": lambda: (os.environ.update(TZ="Asia/Tokyo"), time.tzset()),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 1),
    "closed sys.stdout": lambda: (sys.stdout or sys.stderr).close(),
    "sys.stderr": lambda: setattr(sys, "stderr", 5),
    "gc callbacks": lambda: gc.callbacks.append(raises),
    "garbage that is kept": lambda: gc.set_debug(gc.DEBUG_SAVEALL),
    "origins of coroutines": lambda: sys.set_coroutine_origin_tracking_depth(1000),
    "gc threshold": lambda: gc.set_threshold(0),
    "asyncgen hooks": lambda: sys.set_asyncgen_hooks(raises, raises),
    "a fork that returns": lambda: fork_and(list),
    "a fork that raises": lambda: fork_and(raises),
    "a fork that exits": lambda: fork_and(sys.exit),
    "a fork that stays": lambda: fork_and(lambda: time.sleep(3)),
    "a program of its own": daemonize,
    "standard error": lambda: os.close(2),
    "log handler": lambda: logging.getLogger().addHandler(handler_that(raises)),
    "log handler that interrupts": lambda: logging.getLogger("perdure").addHandler(handler_that(interrupts)),
    "log handler that exits": lambda: logging.getLogger("asyncio").addHandler(handler_that(sys.exit)),
    "log factory": lambda: logging.setLogRecordFactory(raises),
    "no log handler": lambda: logging.getLogger().handlers.clear(),
}

@app.activity
async def on_the_loop(ctx, name: str):
    LOOP[:] = [asyncio.get_running_loop()]
    done = MISDEEDS[name]()
    if asyncio.iscoroutine(done):
        await done
    await asyncio.sleep(0)

@app.activity
def in_a_thread(ctx, name: str):
    LOOP[:] = [from_thread.run_sync(asyncio.get_running_loop)]
    if name != "a timeout around all tasks":
        from_thread.run_sync(MISDEEDS[name]) if name.startswith("cancel") else MISDEEDS[name]()

@app.workflow
async def by_activity(ctx, name: str):
    await ctx.call_activity("on_the_loop", input=name)

@app.workflow
async def by_thread(ctx, name: str):
    await ctx.call_activity("in_a_thread", input=name)

@app.workflow
async def by_itself(ctx, name: str):
    LOOP[:] = [asyncio.get_running_loop()]
    if name != "a timeout around all tasks":
        MISDEEDS[name]()

@app.activity
async def waits(ctx):
    for _ in range(100_000):
        await asyncio.sleep(0.01)

@app.activity
def waits_in_a_thread(ctx):
    time.sleep(600)

@app.workflow
async def innocent(ctx):
    await ctx.when_all([ctx.call_activity(waits), ctx.call_activity(waits_in_a_thread)])

@app.activity
async def one(ctx):
    return 1

@app.activity
def two(ctx):
    return 2

@app.workflow
async def quick(ctx):
    total = await ctx.call_activity(one) + await ctx.call_activity(two)
    await ctx.create_timer(timedelta(milliseconds=1))
    return total
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "misdeeds.py").write_text(APP)
    with Daemon(tmp_path / "misdeeds.py", tmp_path / "p.db", "--stop-grace", "0.1") as daemon:
        yield daemon


def misdeeds() -> list[str]:
    """The names of the misuses in the app's table."""
    table = APP.partition("MISDEEDS = {\n")[2].partition("\n}\n")[0]
    return [line.split('"')[1] for line in table.splitlines()]


def log_of(daemon: Daemon) -> str:
    return Path(daemon._log.name).read_text()


# The others have no further effect when they are repeated.
ON_THE_LOOP = 22


@pytest.mark.parametrize(("workflow", "names"), [("by_activity", misdeeds()), ("by_itself", misdeeds()[:ON_THE_LOOP])])
def test_whatever_code_does_to_the_process_the_daemon_and_the_others_go_on(
    daemon: Daemon, workflow: str, names: list[str]
) -> None:
    # Given an instance whose activities are under way, one of them on the event loop,
    daemon.start("innocent", "innocent")
    for name in names:
        # when code of another instance misuses the process,
        number = names.index(name)
        daemon.start(workflow, f"misdeed-{number}", name)
        # then other instances complete: with activities, a thread and a timer.
        try:
            daemon.start("quick", f"quick-{number}")
            daemon.wait_for(f"quick-{number}", "COMPLETED", within_s=10)
        except (AssertionError, httpx.TransportError) as error:
            raise AssertionError(f"{name}: {daemon.process.poll()} {log_of(daemon)[-300:]}") from error
    # The daemon receives its signals, also those whose handlers were replaced, and stops in order;
    time.sleep(0.6)  # it looks twice a second whether they were
    assert daemon.get("innocent")["runtimeStatus"] == "RUNNING"
    assert daemon.stop() == 0
    log = log_of(daemon)
    # no task of the daemon was cancelled, and the log names the code that tried.
    assert "code of the app has called stop() of the daemon's event loop; nothing was done" in log
    assert "code of the app has cancelled a task of the daemon" in log
    assert "2 activities did not finish" in log
    if workflow == "by_activity":  # a thread cannot set a handler
        for told in (
            "had replaced the handler of SIGPIPE",
            "had blocked SIGALRM",
            "had changed gc.isenabled() from True to False",
            "had changed sys.excepthook from",
            "has left a function of sys.settrace() behind",
            "has left a function of sys.setprofile() behind",
            "os.kill() sends SIGTERM to the daemon's own process",
            "; the daemon goes on, and says so at most every 10 s",
        ):
            assert told in log


@pytest.mark.slow
def test_whatever_a_thread_does_to_the_process_the_daemon_and_the_others_go_on(daemon: Daemon) -> None:
    test_whatever_code_does_to_the_process_the_daemon_and_the_others_go_on(daemon, "by_thread", misdeeds())


def test_a_daemon_that_no_caller_can_reach_any_more_ends(tmp_path: Path) -> None:
    app = tmp_path / "closes.py"
    app.write_text(
        "import ctypes, os, stat, perdure\n"
        "app = perdure.App('closes')\n"
        "@app.workflow\n"
        "async def closes(ctx):\n"
        "    close = ctypes.CDLL(None).close  # which the daemon does not see\n"
        "    for descriptor in range(3, 256):\n"
        "        try:\n"
        "            if stat.S_ISSOCK(os.fstat(descriptor).st_mode): close(descriptor)\n"
        "        except OSError: pass\n"
    )
    with Daemon(app, tmp_path / "p.db") as daemon:
        with pytest.raises(httpx.TransportError):
            daemon.start("closes", "i")
        assert daemon.process.wait(10) != 0


def test_a_stop_ends_though_an_activity_does_not(tmp_path: Path) -> None:
    app = tmp_path / "stays.py"
    app.write_text(
        "import anyio, perdure\n"
        "app = perdure.App('stays')\n"
        "@app.activity\n"
        "async def shielded(ctx):\n"
        "    with anyio.CancelScope(shield=True):\n"
        "        await anyio.sleep_forever()\n"
        "@app.workflow\n"
        "async def waits(ctx):\n"
        "    await ctx.call_activity(shielded)\n"
    )
    with Daemon(app, tmp_path / "p.db", "--stop-grace", "0.1") as daemon:
        daemon.start("waits", "i")
        assert daemon.stop() == 0
        assert "the process ends without them" in log_of(daemon)
