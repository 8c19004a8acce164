"""Activities that another process can find: at the top level of a module."""

import os
import time

from perdure import ActivityContext


def double_elsewhere(ctx: ActivityContext, n: int) -> int:
    return n * 2


def process_id_elsewhere(ctx: ActivityContext) -> int:
    return os.getpid()


def end_elsewhere(ctx: ActivityContext) -> None:
    os._exit(3)


def refuse_elsewhere(ctx: ActivityContext) -> None:
    raise LookupError("not here")


def sleep_elsewhere(ctx: ActivityContext, seconds: float) -> None:
    time.sleep(seconds)
