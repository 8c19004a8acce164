"""The vocabulary of the log: every line about a fault, or about work or shards that change their owner.

The rule: one event, one line, one entry here, with a level that makes sense to the person on call:

* ERROR: work has stopped, and goes on only if a person acts;
* WARNING: something went wrong and the engine deals with it, or something will soon go wrong;
* INFO: work, a shard or a connection has changed its owner or its state.

Success is not logged: a turn, an activity or an instance that ends well has no line. docs/logs.md has this table for
readers, and tests/journal/test_vocabulary.py keeps both equal.
"""

from collections.abc import Mapping
from logging import CRITICAL, ERROR, INFO, WARNING

from .line import LogLine

_TRY = ("instance_id", "workflow", "activity", "task_id", "attempt", "error_type", "duration_ms")
_INSTANCE = ("instance_id", "workflow")

# Attempts.

ATTEMPT_FAILED = LogLine(
    "attempt_failed",
    WARNING,
    "activity {activity!r} of {instance_id} failed on {tried}: {reason}. It is tried again at {retry_at}",
    (*_TRY, "retry_at"),
)
ACTIVITY_FAILED = LogLine(
    "activity_failed",
    WARNING,
    "activity {activity!r} of {instance_id} failed on {tried}: {reason}. {then}",
    _TRY,
)
CHILD_ATTEMPT_FAILED = LogLine(
    "child_attempt_failed",
    WARNING,
    "child {child_id!r} (workflow {child!r}) of {instance_id} failed on {tried}: {reason}. It is tried again at "
    "{retry_at}",
    (*_INSTANCE, "child", "child_id", "task_id", "attempt", "error_type", "retry_at"),
)
CHILD_NOT_STARTED = LogLine(
    "child_not_started",
    WARNING,
    "child {child_id!r} (workflow {child!r}) of {instance_id!r} was not started: {reason}",
    (*_INSTANCE, "child", "child_id", "error_type"),
)
CALL_NOT_AWAITED = LogLine(
    "call_not_awaited",
    WARNING,
    "workflow {workflow!r} in instance {instance_id!r} has ended without having awaited {call}, which {state}. "
    "Write await in front of the call, or ctx.when_all([...])",
    (*_INSTANCE, "activity", "child", "task_id", "error_type"),
)

# Instances.

INSTANCE_FAILED = LogLine(
    "instance_failed",
    ERROR,
    "instance {instance_id} of workflow {workflow!r} failed: {reason}{call}",
    (*_INSTANCE, "activity", "child", "child_id", "task_id", "attempt", "error_type", "limit", "duration_ms"),
)
INSTANCE_STALLED = LogLine(
    "instance_stalled",
    ERROR,
    "instance {instance_id}{of} is stalled: {reason}",
    (*_INSTANCE, "stall"),
)
INSTANCE_GOES_ON = LogLine(
    "instance_goes_on", INFO, "instance {instance_id} of workflow {workflow!r} goes on after its stall", _INSTANCE
)
INSTANCE_SET_ASIDE = LogLine(
    "instance_set_aside",
    ERROR,
    "instance {instance_id} of workflow {workflow!r} is set aside: {reason}",
    _INSTANCE,
)
INSTANCE_RELEASED = LogLine(
    "instance_released",
    INFO,
    "instance {instance_id} of workflow {workflow!r} is released and goes on",
    _INSTANCE,
)
INSTANCE_UNREADABLE = LogLine(
    "instance_unreadable",
    ERROR,
    "instance {instance_id} cannot be read: {reason}. It is tried again",
    ("instance_id", "error_type"),
)
INSTANCE_SUSPECT = LogLine(
    "instance_suspect",
    WARNING,
    "{instance_id} waits {pause_s:.1f} s: if the process ends during this pause, another cause has ended it",
    ("instance_id",),
)
SUSPECTS_FOUND = LogLine(
    "suspects_found",
    WARNING,
    "the last process did not stop in order; {found} instances were under way and run one at a time: {ids}",
    ("found",),
)
TURN_BROKE = LogLine(
    "turn_broke",
    ERROR,
    "the turn of {instance_id} broke, for a reason of the engine: {reason}. It is tried again",
    (*_INSTANCE, "error_type"),
)
EVENT_DROPPED = LogLine(
    "event_dropped",
    WARNING,
    "workflow '{instance_id}' has {what} '{event_name}' {to} '{receiver_id}'{reason}; it is dropped",
    ("instance_id", "event_name", "receiver_id"),
)
EVENT_KEPT = LogLine(
    "event_kept",
    ERROR,
    "workflow '{instance_id}' has {what} '{event_name}' {to} '{receiver_id}', which could not take it; it is sent "
    "again after the next start",
    ("instance_id", "event_name", "receiver_id", "error_type"),
)
ACTIVITIES_WITHDRAWN = LogLine(
    "activities_withdrawn", INFO, "{found} activities of {instance_id!r} are withdrawn", ("instance_id", "found")
)
ACTIVITY_REPEATED = LogLine(
    "activity_repeated",
    INFO,
    "activity {activity!r} (task {task_id}) of {instance_id!r} hangs, and a repair has it performed once more beside "
    "the first time",
    ("instance_id", "activity", "task_id"),
)

# Old and new code side by side.

ACTIVITY_ELSEWHERE = LogLine(
    "activity_elsewhere",
    INFO,
    "activity {activity!r} is not registered at this host, and {host} performs it, of {instance_id!r} first: the hosts "
    "of this app have different code",
    ("instance_id", "activity", "host"),
    10,
)
ACTIVITY_AWAITED = LogLine(
    "activity_awaited",
    WARNING,
    "activity {activity!r} of {instance_id!r} waits: it is not registered at this host, and no host that has it, or "
    "may have it, can be reached now",
    ("instance_id", "activity"),
    10,
)
CODE_AWAITED = LogLine(
    "code_awaited",
    WARNING,
    "instances of workflow {workflow!r} wait, {instance_id!r} first: it is not registered at this host, and {hosts} "
    "has it. They go on when their shards are at a host that has it",
    ("instance_id", "workflow"),
    10,
)

# Limits (docs/limits.md).

LIMIT_NEAR = LogLine(
    "limit_near",
    WARNING,
    "{what} of workflow {workflow!r} in instance {instance_id!r} has {found} {then}",
    (*_INSTANCE, "limit", "found"),
)
LIMIT_REACHED = LogLine(
    "limit_reached",
    WARNING,
    "{what}: the limit {limit} is {maximum}. {then}",
    (*_INSTANCE, "activity", "limit", "maximum", "found"),
    10,
)
WAITING_FOR_ROOM = LogLine(
    "waiting_for_room",
    INFO,
    "{what} wait for room: {limit} is {maximum}",
    ("limit", "maximum", "activity", "workflow"),
    1,
)
WAITING_FOR_ANSWER = LogLine(
    "waiting_for_answer",
    INFO,
    "{work!r} of instance {instance_id!r} waits: a worker that gives no tokens back has not answered earlier work with "
    "the same number, and answers to the two could not be distinguished",
    ("instance_id",),
    10,
)
STOP_GRACE_OVER = LogLine(
    "stop_grace_over",
    WARNING,
    "{found} activities did not finish in {maximum:g} s; they will be performed again",
    ("limit", "maximum", "found"),
)
THREADS_ABANDONED = LogLine(
    "threads_abandoned",
    WARNING,
    "{found} threads perform activities of instances that have ended. They keep their places from now on: {left} "
    "activities can run in threads (activity_threads_max is {maximum}). A thread cannot be cancelled: give the calls "
    "in it a timeout, or write the activity as `async def`",
    ("limit", "maximum", "found"),
)
THREADS_EXHAUSTED = LogLine(
    "threads_exhausted",
    WARNING,
    "no more threads can be begun ({reason}): activities that need one wait, and ask again every second. Raise the "
    "limit (ulimit -u, or TasksMax of a service), or find what keeps threads",
    ("limit",),
    1,
)
ACTIVITY_LEFT_BEHIND = LogLine(
    "activity_left_behind",
    WARNING,
    "{job} was cancelled and does not end; it is left behind",
    ("instance_id", "activity", "task_id"),
)

# Time.

TURN_SLOW = LogLine(
    "turn_slow",
    WARNING,
    "a turn of {instance_id} took {duration_ms} ms, during which nothing else ran",
    (*_INSTANCE, "duration_ms"),
)
LOOP_BLOCKED = LogLine(
    "loop_blocked",
    WARNING,
    "{step} has blocked the event loop for {blocked_s:.1f} s, at {place}: nothing else runs meanwhile",
    (*_INSTANCE, "activity", "duration_ms"),
)
LOOP_FREE = LogLine(
    "loop_free",
    WARNING,
    "the event loop runs again; it was blocked for {blocked_s:.1f} s",
    ("duration_ms",),
)
STEP_INTERRUPTED = LogLine(
    "step_interrupted",
    ERROR,
    "{step} is interrupted: it has blocked the event loop for {limit_s:g} s, at {place}",
    (*_INSTANCE, "activity", "limit"),
)
PROCESS_ENDED = LogLine(
    "process_ended_by_pulse",
    CRITICAL,
    "{step} cannot be interrupted, and has blocked the event loop for {blocked_s:.1f} s, at {place}: this process ends "
    "now",
    (*_INSTANCE, "activity"),
)
COMMIT_SLOW = LogLine("commit_slow", WARNING, "a commit took {took_s:.1f} s: the disk is slow", ("duration_ms",))
COMMIT_WAITS = LogLine(
    "commit_waits",
    WARNING,
    "a commit has been under way for {took_s:.1f} s: the disk is slow, or hangs",
    ("duration_ms",),
)
COMMIT_HANGS = LogLine(
    "commit_hangs",
    ERROR,
    "a commit has been under way for {took_s:.1f} s: health is 500, and new work is refused with 503 until it ends",
    ("limit", "duration_ms"),
)
CLOCK_SET = LogLine("clock_set", WARNING, "the wall clock was set {way} by {step_s:.1f} s: {then}", ("way", "step_ms"))

# Faults survived.

COMMIT_FAILED = LogLine(
    "commit_failed", ERROR, "a commit failed and {found} turns are undone: {reason}", ("found", "error_type"), 10
)
LOADING_FAILED = LogLine(
    "loading_failed", ERROR, "{found} instances cannot be read yet: {reason}", ("found", "error_type"), 1
)
APP_UNKNOWN = LogLine(
    "app_unknown",
    WARNING,
    "no host has the app ID {app!r}: messages to {instance_id} wait for such a host, and so do all to such apps",
    ("instance_id", "app"),
    1,
)
REMINDER_NOT_OURS = LogLine(
    "reminder_not_ours",
    INFO,
    "the reminder {reminder!r} of {instance_id} is dropped: this host does not own its shard",
    ("instance_id",),
)
LISTS_UNFILLED = LogLine(
    "lists_unfilled",
    ERROR,
    "the lists cannot be filled; it is tried again in {pause_s:g} s: {reason}",
    ("error_type",),
    1,
)
LISTS_COMPLETE = LogLine(
    "lists_complete",
    INFO,
    "the lists are complete: {found} instances of an earlier release in {took_s:.1f} s",
    ("found", "duration_ms"),
)
INSTANCE_UNLISTED = LogLine(
    "instance_unlisted",
    ERROR,
    "instance {instance_id} is in no list, because its record cannot be read: {reason}",
    ("instance_id", "error_type"),
    10,
)
COMMITS_AGAIN = LogLine(
    "commits_again", INFO, "the store takes commits again; {found} had failed", ("found",), 10
)  # fmt: skip
REMINDERS_UNREADABLE = LogLine(
    "reminders_unreadable", ERROR, "reminders cannot be read yet: {reason}", ("error_type",), 1
)
RETENTION_FAILED = LogLine(
    "retention_failed", WARNING, "finished instances cannot be deleted; trying again in a minute: {reason}",
    ("error_type",), 1,
)  # fmt: skip
RETENTION_SKIPS = LogLine(
    "retention_skips",
    WARNING,
    "{instance_id} cannot be deleted: {reason}",
    ("instance_id", "error_type"),
)
OPERATION_STANDS = LogLine(
    "operation_stands",
    ERROR,
    "bulk operation {operation_id} is stopped until the next start: {reason}",
    ("operation_id", "error_type"),
)
EXPIRY_STANDS = LogLine(
    "expiry_stands",
    WARNING,
    "expired values of state store {store!r} stay in the store for now, and are not served: {reason}",
    ("store", "error_type"),
)
WORKER_PROCESS_UNCLEAR = LogLine(
    "worker_process_unclear",
    ERROR,
    "a worker process of activities sent an unreadable message: {reason}",
    ("instance_id", "activity", "error_type"),
)

# Workers.

WORKER_CAME = LogLine("worker_connected", INFO, "a worker has connected from {worker}: {agent}", ("worker", "agent"))
WORKER_WENT = LogLine(
    "worker_disconnected",
    INFO,
    "the worker at {worker} has disconnected after {duration_s:.1f} s; {found} of its jobs go to others",
    ("worker", "agent", "found", "duration_ms"),
)
WORKER_STUCK = LogLine("worker_stuck", WARNING, "{reason}", ("worker", "agent", "limit"))
TURN_SENT_AGAIN = LogLine(
    "turn_sent_again",
    WARNING,
    "the worker at {worker} has not answered a turn of workflow '{instance_id}' for {waited_s:g} s; the turn is sent "
    "to it again",
    (*_INSTANCE, "worker", "limit"),
)

# The ports.

REQUEST_REFUSED = LogLine("request_refused", INFO, "a request was refused with {status}: {reason}", ("status",), 1)
REQUEST_LATE = LogLine(
    "request_late", INFO, "a connection was closed: the {part} of a request did not come in time", ("part",), 1
)
CALL_UNPARSABLE = LogLine(
    "call_unparsable",
    INFO,
    "a call of {method} from {peer} was refused: its message cannot be parsed",
    ("method", "peer"),
    1,
)
CONNECTIONS_FULL = LogLine(
    "connections_full",
    WARNING,
    "{port} has {many} connections, the most that the limit on open files allows: {then}",
    ("limit", "maximum"),
    1,
)
ANSWERS_UNREAD = LogLine(
    "answers_unread",
    WARNING,
    "answers of more than {maximum} bytes in all wait to be read: the reader that had stood still longest was cut off",
    ("limit", "maximum"),
    1,
)
READER_STILL = LogLine(
    "reader_still",
    INFO,
    "a client was disconnected: it had read nothing of its answer for {maximum:g} s",
    ("limit", "maximum"),
    1,
)
FILES_EXHAUSTED = LogLine(
    "files_exhausted",
    WARNING,
    "no more files can be opened ({reason}): connections are dropped, and the store may fail. Raise the limit "
    "(ulimit -n, or LimitNOFILE of a service), or find what keeps files open",
    ("limit",),
    1,
)

LOOP_METHOD_REFUSED = LogLine(
    "loop_method_refused",
    WARNING,
    "code of the app has called {method}() of the daemon's event loop; nothing was done",
    ("method",),
    1,
)
CANCELLATION_REFUSED = LogLine(
    "cancellation_refused",
    WARNING,
    "code of the app has cancelled a task of the daemon ({task}); it goes on",
    ("task",),
    1,
)

# Hosts of a daemon of several.

HOST_ENDED = LogLine(
    "host_restarted", ERROR, "{host} {how}; it is started again in {pause_s:g} s", ("host",)
)  # fmt: skip
HOST_CONTINUED = LogLine(
    "host_continued",
    WARNING,
    "{host} was stopped by a signal and has sent no beat for {silent_s:.1f} s: it is told to go on",
    ("host",),
)
HOST_KILLED = LogLine("host_killed", ERROR, "{reason}: it is killed", ("host", "duration_ms"))
ACKNOWLEDGED_LOST = LogLine(
    "acknowledged_lost",
    CRITICAL,
    "the server that took over does not have the last acknowledged turn, or value, of {found} of the {known} instances "
    "and saved values that this host wrote last: they go on from an earlier one",
    ("found",),
)
HOST_LOST = LogLine("host_lost", INFO, "lost the connection to {host}", ("host",))
HOST_SILENT = LogLine(
    "host_silent",
    WARNING,
    "{host} has not answered {found} requests in {waited_s:g} s",
    ("host", "found", "duration_ms"),
)
WIRE_REFUSED = LogLine("wire_refused", WARNING, "the connection of {host} was closed: {reason}", ("host",))

VOCABULARY: Mapping[str, LogLine] = {each.event: each for each in globals().values() if isinstance(each, LogLine)}
