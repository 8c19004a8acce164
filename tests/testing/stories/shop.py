"""An app of a shop, and its bank, for the tests of simulated tests."""

from datetime import timedelta
from typing import Any

from perdure import ActivityContext, App, RetryPolicy, WorkflowContext
from perdure.testing.simulation.choices import Choices, read_schedule
from perdure.testing.simulation.search.attempt import Attempt
from perdure.testing.stories.plan import SimulationPlan, Story
from perdure.testing.stories.trial.running import WorldRunner

RETRY = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=5)


class Bank:
    """A bank that knows no keys: what it is asked twice, it does twice."""

    def __init__(self) -> None:
        self.charges: list[str] = []

    async def charge(self, order: str, key: str = "") -> str:
        self.charges.append(order)
        return f"charged {order}"

    def balance(self, order: str) -> int:
        self.charges.append(order)
        return len(self.charges)


class Shop:
    """A shop whose bank is set by each test."""

    def __init__(self) -> None:
        self.app = App("shop")
        self.bank: Any = None
        self.seen: list[Any] = []

        @self.app.activity
        async def charge(ctx: ActivityContext, order: str) -> str:
            result: str = await self.bank.charge(order)
            return result

        @self.app.activity
        def look(ctx: ActivityContext, order: str) -> int:
            result: int = self.bank.balance(order)
            return result

        @self.app.workflow
        async def buy(ctx: WorkflowContext, order: str) -> str:
            return await ctx.call_activity(charge, input=order, retry_policy=RETRY)

        @self.app.workflow
        async def inquire(ctx: WorkflowContext, order: str) -> int:
            return await ctx.call_activity(look, input=order, retry_policy=RETRY)

        @self.app.workflow
        async def wait(ctx: WorkflowContext, name: str) -> Any:
            return await ctx.wait_for_external_event(name)

        self.buy = buy
        self.inquire = inquire
        self.wait = wait


def calm(app: App, story: Story, **plan: Any) -> Attempt:
    """Run a story in the calm world."""
    return in_world(app, story, "", **plan)


def in_world(app: App, story: Story, schedule: str, **plan: Any) -> Attempt:
    """Run a story in the world of a schedule."""
    runner = WorldRunner(SimulationPlan(story=story, apps=[app], **plan), {})
    return runner.run(Choices(schedule=read_schedule(schedule)))


def succeed(attempt: Attempt) -> Attempt:
    """The world, which must be green."""
    if attempt.error is not None:
        attempt.error.add_note(attempt.story)
        raise attempt.error
    return attempt
