"""Worker processes: the daemon's side of activities with `executor="process"`.

The rule: a worker performs one activity at a time, and its output and log records of that time
are in the log before its result is taken. A worker that ends, for any reason, is a
failure of the activity that it performed, and of no other.

`runtime/activities/actors.py` has a pool; its lane limits how many calls there are
at once, and with them how many workers.
"""

import logging
import os
import signal
import sys
from collections import deque
from contextlib import suppress
from subprocess import PIPE
from typing import Any
from uuid import uuid4

import anyio
from anyio.abc import ByteSendStream, Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from ...actors.text import clean, described, type_name
from ...actors.waiting.ownership import CodeOwner, call_as
from ...journal.journal import Journal
from ...journal.vocabulary import WORKER_PROCESS_UNCLEAR
from ..authoring.context import ActivityContext
from ..authoring.fence import Performed
from ..history.failure import FailureDetails
from .process_call import Reference
from .worker_protocol import DONE, LENGTH, READY, packed, unpacked

logger = logging.getLogger(__name__)

MODULE = "perdure.runtime.activities.worker_process"

# The errors of streams whose other end is closed.
GONE = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError)

Call = tuple[Any, ...]  # the fields of ActivityContext, in their order


class ProcessPool:
    """Performs activities in worker processes, and keeps idle ones for the next.

    Args:
        tasks: The task group of the tasks that read from workers. Its cancellation ends all workers.
        folder: The working folder in which workers begin; None: the present one. Later changes of the daemon's own
            working folder do not count.
    """

    IDLE_MAX_S = 300.0  # after this long without an activity a worker is ended

    def __init__(self, tasks: TaskGroup, folder: str | None = None) -> None:
        self._tasks = tasks
        self._folder = folder or _working_folder()
        self._idle: deque[tuple[WorkerProcess, float]] = deque()  # and since when (event loop's clock)

    async def perform(self, reference: Reference, call: Call, payload: str | None) -> Performed:
        """Perform an activity in a worker. If this is cancelled, the worker and the programs that it has started are
        killed.

        Args:
            reference: The function.
            call: The fields of ActivityContext, in their order.
            payload: The input, JSON text.
        """
        while True:
            worker = self._take_idle()
            fresh = worker is None
            try:
                if worker is None:
                    worker = await WorkerProcess.start(self._tasks, self._folder)
                performed = await worker.perform(reference, call, payload)
            except NotBegun as error:
                if fresh:
                    return Performed(None, broken(call, f"could not be started: {error}"))
                continue  # it had ended while it was idle
            except BaseException:
                if worker is not None:
                    worker.kill()
                raise
            if worker.alive:
                self._idle.append((worker, anyio.current_time()))
            return performed

    def _take_idle(self) -> "WorkerProcess | None":
        """Take the worker that was used last, and end the ones that have not been used for long."""
        found = None
        while self._idle and found is None:
            worker, _ = self._idle.pop()
            found = worker if worker.alive else None
        too_old_s = anyio.current_time() - self.IDLE_MAX_S
        while self._idle and self._idle[0][1] < too_old_s:
            self._idle.popleft()[0].dismiss()
        return found


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None  # it was deleted, and is inherited as it is


class NotBegun(Exception):
    """A worker could not be given an activity; nothing of it has been performed."""


class WorkerProcess:
    """One worker process. `start` makes it."""

    START_MAX_S = 60.0  # a Python that imports, on a machine under load
    END_MAX_S = 1.0  # for a worker without an activity to end by itself, and for the rest of its output
    LINE_BYTES_MAX = 16 * 1024  # a longer line of output is logged in parts

    def __init__(self, process: Process, output: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._output = output
        self._to: ByteSendStream = process.stdin
        self._from_worker = BufferedByteReceiveStream(process.stdout)
        self._mark = b"\x00" + uuid4().hex.encode() + b"\n"
        self._call: Call | None = None  # under way, or the last
        self._answer: tuple[Any, ...] | None = None
        self._answered = anyio.Event()
        self._marked = anyio.Event()
        self._busy = False
        self._rest = b""  # of the output: a line without its end
        self._dismissed = anyio.Event()
        self._output_ended = anyio.Event()
        self.alive = True

    @classmethod
    async def start(cls, tasks: TaskGroup, folder: str | None) -> "WorkerProcess":
        """Start a worker process in a folder and wait until it is ready.

        Raises:
            NotBegun: It could not be started; the message says why.
        """
        reading, writing = os.pipe()
        try:
            process = await anyio.open_process(
                # In a session of its own: signals of the terminal are not for it, and it can be killed with what it
                # has started.
                [sys.executable, "-m", MODULE],
                stdin=PIPE,
                stdout=PIPE,
                stderr=writing,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            os.close(reading)
            raise NotBegun(str(error)) from error
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        worker = cls(process, reading)
        try:
            with anyio.fail_after(cls.START_MAX_S):
                await worker._greet()
        except BaseException as error:
            worker.kill()
            with anyio.CancelScope(shield=True):
                await worker._end()
            if isinstance(error, (*GONE, TimeoutError, anyio.DelimiterNotFound)):
                raise NotBegun(f"its process {_ending(process.returncode)} before it was ready") from error
            raise
        # Called in a task that is lent to an activity, which this one outlives.
        call_as(CodeOwner.PROCESS, tasks.start_soon, worker._serve)
        return worker

    async def perform(self, reference: Reference, call: Call, payload: str | None) -> Performed:
        """Have an activity performed, and wait for its outcome.

        Raises:
            NotBegun: The process had ended before.
        """
        if not self.alive:
            raise NotBegun("its process has ended")
        self._call, self._answer = call, None
        self._answered, self._marked = anyio.Event(), anyio.Event()
        self._busy = True
        try:
            try:
                await self._to.send(packed((tuple(reference), call, payload)))
            except GONE as error:
                self.kill()
                raise NotBegun("its process has ended") from error
            await self._answered.wait()
        finally:
            self._busy = False
        if self._answer is None:
            return Performed(None, broken(call, f"{_ending(self._process.returncode)} before it answered"))
        result, failure, marked = self._answer
        if marked:
            with anyio.move_on_after(self.END_MAX_S):
                await self._marked.wait()
        return Performed(result, FailureDetails.unpack(failure) if failure is not None else None)

    def dismiss(self) -> None:
        """End the process, which has no activity."""
        self.alive = False
        self._dismissed.set()

    def kill(self) -> None:
        """Kill the process, and the programs that it has started."""
        self.alive = False
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _greet(self) -> None:
        await self._from_worker.receive_until(READY, 1 << 20)
        await self._to.send(packed((sys.path, logging.getLogger().getEffectiveLevel(), self._mark)))

    async def _serve(self) -> None:
        """Read the messages and the output of the process, until it ends. A task of its own, which must not raise."""
        try:
            async with anyio.create_task_group() as others:
                others.start_soon(self._read_output)
                others.start_soon(self._dismiss_when_asked)
                await self._read_messages()
                self.alive = False
                with anyio.move_on_after(self.END_MAX_S):
                    await self._process.wait()
                self.kill()
                # Another program may have the worker's output and live on; it is not waited for.
                with anyio.move_on_after(self.END_MAX_S):
                    await self._output_ended.wait()
                others.cancel_scope.cancel()
        finally:
            self.alive = False
            with anyio.CancelScope(shield=True):
                await self._end()
            self._answered.set()

    async def _end(self) -> None:
        """End the process: in order if it has no activity, else at once. Log the rest of its output."""
        if not self._busy:
            with suppress(*GONE):
                await self._to.aclose()
            with anyio.move_on_after(self.END_MAX_S):
                await self._process.wait()
        self.kill()
        await self._process.aclose()
        with suppress(OSError):
            while data := os.read(self._output, 1 << 16):
                self._take_output(data)
        self._take_output(b"\n" if self._rest else b"")
        os.close(self._output)

    async def _dismiss_when_asked(self) -> None:
        await self._dismissed.wait()
        with suppress(*GONE):
            await self._to.aclose()

    async def _read_messages(self) -> None:
        """Take answers and log records, until there are no more or one cannot be read."""
        stream = self._from_worker
        try:
            while True:
                length = LENGTH.unpack(await stream.receive_exactly(LENGTH.size))[0]
                kind, *fields = unpacked(await stream.receive_exactly(length))
                if kind == DONE:
                    self._answer = tuple(fields)
                    self._answered.set()
                else:
                    self._log(*fields)
        except GONE:
            pass
        except Exception as error:
            Journal(__name__).write(
                WORKER_PROCESS_UNCLEAR, **self._fields(), reason=described(error), error_type=type_name(error)
            )

    def _log(
        self, name: str, level: int, created_s: float, message: str, error: str | None, extra: dict[str, Any]
    ) -> None:
        """Log the records of the worker's code, as if they had been made here."""
        target = logging.getLogger(name)
        if not target.isEnabledFor(level):
            return
        record = logging.makeLogRecord(
            {
                **extra,
                **self._fields(),
                "name": name,
                "levelno": level,
                "levelname": logging.getLevelName(level),
                "created": created_s,
                "msecs": created_s % 1 * 1_000,
                "msg": message,
                "exc_text": error,
                "process": self._process.pid,
            }
        )
        target.handle(record)

    async def _read_output(self) -> None:
        """Log the output, line by line, until the last program that has the worker's streams has ended."""
        while True:
            await anyio.wait_readable(self._output)
            try:
                data = os.read(self._output, 1 << 16)
            except BlockingIOError:
                continue
            if not data:
                break
            self._take_output(data)
        self._output_ended.set()

    def _take_output(self, data: bytes) -> None:
        self._rest += data
        while self._mark in self._rest:
            before, _, self._rest = self._rest.partition(self._mark)
            self._print_lines(before)
            self._marked.set()
        if len(self._rest) > self.LINE_BYTES_MAX:
            complete, self._rest = self._rest, b""
        else:
            complete, _, self._rest = self._rest.rpartition(b"\n")
        self._print_lines(complete)

    def _print_lines(self, output: bytes) -> None:
        for line in output.splitlines():
            for start in range(0, len(line), self.LINE_BYTES_MAX):
                self._print(line[start : start + self.LINE_BYTES_MAX].decode("utf-8", "backslashreplace"))

    def _print(self, line: str) -> None:
        if logger.isEnabledFor(logging.INFO):
            name, instance_id = (self._call[3], self._call[0]) if self._call is not None else ("", "")
            logger.info("activity %r of %r: %s", name, instance_id, line, extra=self._fields())
        elif sys.stderr is not None:
            # A program without a log of its own shows what activities in threads print, too.
            print(line, file=sys.stderr)

    def _fields(self) -> dict[str, Any]:
        if self._call is None:
            return {}
        return ActivityContext(*self._call).log_fields


def broken(call: Call, how: str) -> FailureDetails:
    """The failure of an activity whose process has ended before it answered; `how` says in which way."""
    message = (
        f"the process of activity {call[3]!r} of {call[0]!r} {how}. Its log has what it printed last; code that ends "
        "its process, or is killed for want of memory, loses the result."
    )
    return FailureDetails(error_type="BrokenWorkerProcess", message=clean(message))


def _ending(code: int | None) -> str:
    if code is None:
        return "went away"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
