"""`simulated`: makes a plain test function of a story, which runs the story in many worlds.

    @simulated(app)
    async def test_an_order_is_charged_once(world: World) -> None: ...

The rule: the result is a plain function without a `world`, for any test runner. Other parameters of the story stay, so
that fixtures work as before.
"""

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MethodType
from typing import Any, TypeVar

from ...runtime.authoring.app import App
from ...runtime.settings import Settings
from ..simulation.choices import Choices, read_schedule
from ..simulation.deploys import DeployMode
from ..simulation.search.attempt import NotRepeatable
from ..simulation.wall import WorldTooLong
from .errors import SimulationFailed, SimulationMisuse
from .faults import Faults
from .plan import SimulationPlan, Story, apps_of, parameters_of
from .telling.confirm import NOT_AGAIN, TWICE, confirm, write_outcome
from .telling.difference import difference
from .telling.kept import failures_file, read_schedules, write_schedules
from .telling.report import headline, report, story_of
from .telling.traceback import users_own
from .trial.running import WorldRunner
from .trial.session import SESSION, SimulationSession
from .trial.trying import Finding, Trial, Tried

F = TypeVar("F", bound=Callable[..., Any])

# The mark that the plugin for pytest looks for.
MARK = "perdure_plan"
SCHEDULES = "perdure_schedules"


class Simulated:
    """`simulated(app)` makes a test of a story; `simulated.run(app, story)` runs one at once."""

    def __call__(  # noqa: PLR0913  each has a name
        self,
        app: App | None = None,
        /,
        *,
        versions: Sequence[App] | None = None,
        deploy: DeployMode = "forward",
        hosts: int = 1,
        seeds: int = 200,
        sweep: int = 2,
        faults: Faults | None = None,
        settings: Settings | None = None,
        within: timedelta = timedelta(days=30),
    ) -> Callable[[Story], Callable[..., None]]:
        """Make a test of an `async def` that gets a world.

        Args:
            app: The app that the host runs.
            versions: In the place of `app`: the app as it was, and as it is. Hosts begin with the first.
            deploy: "forward": from one version to the next; "back and forth": to any other, at any time.
            hosts: 1 is the only number at present.
            seeds: How many worlds are tried at random, after the sweep.
            sweep: 2: each single fault and each pair of them; 1: each single one; 0: only the calm world.
            faults: Which kinds there are; all but those of the clock by default.
            settings: Of the engine.
            within: How long, in virtual time, the work under way may take to end after the last fault.

        Raises:
            SimulationMisuse: The arguments cannot be simulated.
        """

        if inspect.isfunction(app):
            raise SimulationMisuse(f"write @simulated(app) above {app.__name__}: simulated takes the app of its hosts")

        def make(story: Story) -> Callable[..., None]:
            others = parameters_of(story)
            plan = SimulationPlan(
                story=story,
                apps=apps_of(app, versions),
                deploy=deploy,
                hosts=hosts,
                seeds=seeds,
                sweep=sweep,
                faults=faults if faults is not None else Faults(),
                settings=settings,
                within=within,
            )

            @functools.wraps(story)
            def test(*instance: Any, **given: Any) -> None:
                __tracebackhide__ = True
                kept = [read_schedule(line) for line in getattr(test, SCHEDULES, ())]
                # A method of a class of tests has its object in front of the world.
                bound = MethodType(story, *instance) if instance else story
                run_plan(replace(plan, story=bound, schedules=kept), given, SESSION.get())

            test.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]
            setattr(test, MARK, plan)
            return test

        return make

    def run(
        self,
        app: App,
        story: Story,
        *,
        seeds: int = 20,
        sweep: int = 1,
        faults: Faults | None = None,
        settings: Settings | None = None,
        within: timedelta = timedelta(days=30),
    ) -> Tried:
        """Run a story at once, inside another test: one of hypothesis, for example, with its data.

        Args:
            app: As for the decorator; so are the others, with fewer worlds by default.
            story: An `async def` of (world).

        Returns:
            The worlds that were tried.

        Raises:
            SimulationFailed: Something is broken.
            SimulationMisuse: That cannot be simulated.
        """
        parameters_of(story)
        plan = SimulationPlan(
            story=story,
            apps=[app],
            seeds=seeds,
            sweep=sweep,
            faults=faults if faults is not None else Faults(),
            settings=settings,
            within=within,
        )
        return run_plan(plan, {}, SimulationSession())


simulated = Simulated()


def schedule(line: str) -> Callable[[F], F]:
    """Keep a schedule in the source of a simulated test: it is tried first, in every run.

    Args:
        line: As a failure has printed it: "kill.bank.charge#0".

    Raises:
        ValueError: It is no schedule.
        SimulationMisuse: The decorated function is no simulated test.
    """
    if not isinstance(line, str):
        raise SimulationMisuse('write @schedule("kill.bank.charge#0"), with the line that a failure has printed')
    if not read_schedule(line):
        raise ValueError('a schedule has a choice at least, as "kill.bank.charge#0"; an empty one is the calm world')

    def keep(test: F) -> F:
        if not hasattr(test, MARK) and not inspect.iscoroutinefunction(test):
            raise SimulationMisuse(f"@schedule keeps a schedule of a simulated test, and {test!r} is none")
        vars(test).setdefault(SCHEDULES, []).insert(0, line)
        return test

    return keep


def run_plan(plan: SimulationPlan, given: dict[str, Any], session: SimulationSession) -> Tried:
    """Try a plan.

    Raises:
        SimulationFailed: Something is broken.
        SimulationMisuse: It cannot be tried here.
    """
    __tracebackhide__ = True
    if asyncio._get_running_loop() is not None:
        raise SimulationMisuse(
            "a simulation has an event loop of its own: call it from a plain function, not in a loop"
        )
    if not _ALONE.acquire(blocking=False):
        raise SimulationMisuse(
            "another simulation runs in this process: one runs at a time; pytest-xdist has processes"
        )
    try:
        return _run_alone(plan, given, session)
    finally:
        _ALONE.release()


# A world changes names of the whole process.
_ALONE = threading.Lock()


def _run_alone(plan: SimulationPlan, given: dict[str, Any], session: SimulationSession) -> Tried:
    __tracebackhide__ = True
    file = failures_file(session.root, session.node) if session.root and session.node else None
    kept = list(plan.schedules)
    if file is not None and file.exists():
        kept += read_schedules(file).schedules
    runner = WorldRunner(plan, given)
    trial = Trial(runner, session, kept)
    if session.schedule is not None or session.seed is not None:
        _run_one(runner, trial, session)
        return trial.tried
    try:
        finding = trial.run()
    except NotRepeatable as error:
        where = difference(runner, error.again.choices.taken)
        raise SimulationFailed(f"{error}{f' The first difference: {where}.' if where else ''}") from users_own(
            error.first.error
        )
    if finding is not None:
        raise _failed(plan, finding, trial.tried, session, file) from users_own(finding.failure.error)
    if file is not None:
        write_schedules(file, session.node or "", (), "")
    never = sorted(name for name, times in trial.tried.met.items() if not times)
    if never:
        what = " and ".join(map(repr, never))
        raise SimulationFailed(f"{what} never happened in {trial.tried.worlds} worlds, and must sometimes")
    session.tell(str(trial.tried))
    return trial.tried


def _run_one(runner: WorldRunner, trial: Trial, session: SimulationSession) -> None:
    """Run only the world that was requested, and show it."""
    __tracebackhide__ = True
    if session.seed is not None:
        attempts = [(f"seed {session.seed}", trial.run_seed(session.seed))]
    else:
        assert session.schedule is not None
        kept = read_schedules(session.schedule)
        whose = "the schedule" if kept.test in (session.node, "None") else f"the schedule of {kept.test}"
        attempts = [(whose, trial.run_schedule(each)) for each in kept.schedules]
    for what, attempt in attempts:
        if session.outcome is not None:
            write_outcome(session.outcome, attempt)
        if session.trace:
            steps = runner.run(Choices(schedule=dict(attempt.choices.taken)), keep=True).facts.steps
            session.tell("\n".join(steps))
        unmet = attempt.choices.unmet
        met = f"\n  not met any more: {', '.join(f'{stream}#{index}' for stream, index in unmet)}" if unmet else ""
        told = f"{what}:\n{story_of(attempt.lines)}{met}"
        if attempt.error is not None:
            raise SimulationFailed(f"{headline(runner.plan.name, attempt.error)}\n\n{told}") from users_own(
                attempt.error
            )
        session.tell(told)


def _failed(
    plan: SimulationPlan, finding: Finding, tried: Tried, session: SimulationSession, file: Any
) -> SimulationFailed:
    attempt = finding.failure.attempt
    assert attempt is not None
    if file is not None:
        schedules = [finding.failure.schedule]
        write_schedules(file, session.node or "", schedules, headline(plan.name, finding.failure.error))
    if isinstance(attempt.error, WorldTooLong):
        confirmed = NOT_AGAIN
    else:
        confirmed = confirm(session, finding.failure.schedule, attempt) if session.outcome is None else TWICE
    text = report(plan.name, finding, tried, confirmed=confirmed, node=session.node, file=file)
    return SimulationFailed(text)
