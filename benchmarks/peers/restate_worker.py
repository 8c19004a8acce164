"""Workflows on Restate's Python SDK, served as its documentation recommends for production.

Run as a script by a Python that has `restate_sdk` and `hypercorn` and may lack Perdure, so it imports nothing of ours.
"""

import sys
from typing import Any

WITHOUT_END = 2_147_483_647  # as in the documentation: connections are never closed, and streams never refused


async def add_one(number: int) -> int:
    return number + 1


def app() -> Any:
    """Make the workflows, once in each server process."""
    import restate  # type: ignore[import-not-found]  # noqa: PLC0415  only where Restate's SDK is

    chain, fan_out, signal = (restate.Workflow(name) for name in ("chain", "fan_out", "signal"))
    plain = restate.RunOptions()

    @chain.main("run")  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def run_chain(ctx: Any, steps: int) -> int:
        number = 0
        for _ in range(steps):
            number = await ctx.run_typed("add_one", add_one, plain, number)
        return number

    @fan_out.main("run")  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def run_fan_out(ctx: Any, width: int) -> int:
        futures = [ctx.run_typed("add_one", add_one, plain, number) for number in range(width)]
        await restate.gather(*futures)
        total = 0
        for future in futures:
            total += await future
        return total

    @signal.main("run")  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def run_signal(ctx: Any, value: Any) -> Any:
        return await ctx.promise("go").value()

    @signal.handler("go")  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def go(ctx: Any, value: int) -> None:
        await ctx.promise("go").resolve(value)

    return restate.app(services=[chain, fan_out, signal])


def main(port: str, workers: str) -> None:
    from hypercorn.config import Config  # type: ignore[import-not-found]  # noqa: PLC0415  only where Hypercorn is
    from hypercorn.run import run  # type: ignore[import-not-found]  # noqa: PLC0415  as above

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.workers = int(workers)
    config.worker_class = "uvloop"
    config.h2_max_concurrent_streams = WITHOUT_END
    config.keep_alive_max_requests = WITHOUT_END
    config.keep_alive_timeout = WITHOUT_END
    config.loglevel = "WARNING"
    config.application_path = f"{__file__}:app()"
    run(config)


if __name__ == "__main__":
    main(*sys.argv[1:])
