"""pytest's plugin: options, the summary, and other plugins beside it. Each test runs another pytest."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

SHOP = """
from datetime import timedelta
from perdure import App, RetryPolicy
app = App("shop")
bank = None

@app.activity
async def charge(ctx, order):
    return await bank.charge(order)

@app.workflow
async def buy(ctx, order):
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=5)
    return await ctx.call_activity(charge, input=order, retry_policy=policy)
"""
SUITE = """
import shop
from perdure.testing import World, simulated

class Bank:
    def __init__(self):
        self.charges = []
    async def charge(self, order):
        self.charges.append(order)

@simulated(shop.app, seeds=30, sweep=1)
async def test_charged(world: World) -> None:
    bank = shop.bank = world.outside(Bank())
    world.always(lambda: len(bank.charges) <= LIMIT, "charged once")
    await world.client.run(shop.buy, input="o", instance_id="o", if_exists="return")
"""
GREEN, RED = SUITE.replace("LIMIT", "9"), SUITE.replace("LIMIT", "1")


class Suite:
    """A folder of tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("shop.py", SHOP)

    def write(self, name: str, source: str) -> None:
        (self.folder / name).write_text(source)

    def run(self, *options: str, code: int = 0, plugins: str = "", typed: str | None = None) -> str:
        """Run pytest with no plugin but perdure's and the named ones.

        Args:
            typed: The lines that its user types; None: it has the terminal of this test.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        named = [option for plugin in ("perdure.testing.plugin", *plugins.split()) for option in ("-p", plugin)]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "--rootdir=.", "-c", os.devnull, *named, *options],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            input=typed,
            env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            timeout=200,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def test_a_green_test_tells_what_it_has_tried(suite: Suite) -> None:
    suite.write("test_x.py", GREEN)
    out = suite.run()
    found = re.search(
        r"simulated worlds =+\n+test_x\.py::test_charged: (\d+) places, 0 pairs, complete; 30 seeds; (\d+) worlds in "
        r"[\d.]+ s; (\d+) kills, (\d+) lost requests and answers, (\d+) histories replayed",
        out,
    )
    assert found, out
    assert all(int(number) > 5 for number in found.groups())
    assert not (suite.folder / ".perdure").exists()


def test_a_failure_is_a_story_with_the_line_that_replays_it(suite: Suite) -> None:
    suite.write("test_x.py", RED)
    out = suite.run(code=1)
    assert "charged once: it does not hold" in out
    assert "killed: bank has done charge o, and the host has not heard of it" in out
    assert (
        "Confirmed: it has failed twice in the same steps, and in another process, with PYTHONHASHSEED=0, in the" in out
    )
    replay = re.search(r"Replay: pytest '(\S+)' --perdure-schedule (\S+)", out)
    assert replay
    # The line does what it says,
    assert "killed: bank has done charge o" in suite.run(replay[1], f"--perdure-schedule={replay[2]}", code=1)
    kept = json.loads((suite.folder / replay[2]).read_text())
    assert (kept["test"], kept["schedules"]) == ("test_x.py::test_charged", ["kill.bank.charge#0"])
    # another test that it is given to says whose it is,
    suite.write("test_y.py", GREEN)
    assert "the schedule of test_x.py::test_charged:" in suite.run("test_y.py", f"--perdure-schedule={replay[2]}")
    (suite.folder / "test_y.py").unlink()
    # the next run begins with it, and when it is mended, it is gone.
    assert "Found by a schedule that is kept" in suite.run(code=1)
    suite.write("test_x.py", GREEN)
    assert "1 kept; " in suite.run("--perdure-seeds=3")
    assert not (suite.folder / replay[2]).exists()


def test_a_debugger_begins_at_the_line_that_has_failed(suite: Suite) -> None:
    suite.write("test_x.py", RED.replace("    world.always", "    mine = 41\n    assert mine == 42\n    world.always"))
    out = suite.run("--pdb", typed="print(mine + 100)\nquit\n", code=2)
    assert re.search(r"> .*test_x\.py\(\d+\)test_charged\(\)\n-> assert mine == 42\n\(Pdb\) 141", out), out


def test_a_debugger_that_is_quit_in_an_activity_ends_the_run(suite: Suite) -> None:
    suite.write("test_x.py", GREEN)
    suite.write("shop.py", SHOP.replace("    return await bank", "    breakpoint()\n    return await bank"))
    out = suite.run(typed="quit\n" * 9, code=2)
    assert out.count("PDB set_trace") == 1
    assert "KeyboardInterrupt" in out


def test_how_much_is_tried_is_an_option(suite: Suite) -> None:
    suite.write("test_x.py", GREEN.replace("sweep=1", "sweep=0"))
    assert " 3 seeds; " in suite.run("--perdure-seeds=3")
    assert " 40 seeds; " in suite.run("--perdure-seeds=40", "--perdure-jobs=2")
    # There is time for more than one: for as many as it takes to find something.
    rare = "await world.client.run"
    suite.write("test_x.py", GREEN.replace("sweep=1", "sweep=0").replace(rare, f"assert world.pick(0, 9) < 9; {rare}"))
    found = re.search(r"Found by seed (\d+)", suite.run("--perdure-seeds=1", "--perdure-minutes=60", code=1))
    assert found
    assert int(found[1]) > 0


def test_one_seed_is_run_with_its_story_and_its_steps(suite: Suite) -> None:
    suite.write("test_x.py", GREEN)
    out = suite.run("--perdure-seed=4", "--perdure-trace=steps")
    assert "test_charged: seed 4:\n" in out
    assert re.search(r"0\.\d{6} s  client   starts o", out)
    assert len(out.splitlines()) > 60


@pytest.mark.slow
def test_code_that_depends_on_the_hash_seed_is_found_out(suite: Suite) -> None:
    suite.write(
        "test_x.py",
        RED.replace(
            "await world.client.run",
            "x = sorted({str(n) for n in range(50)}, key=lambda n: 0)\n    await world.client.run",
        )
        .replace('input="o"', "input=x[0]")
        .replace("<= 1", '<= (1 if bank.charges[:1] != ["WHICH"] else 9)'),
    )
    # Given a world that fails unless the first of a set is the one that it is with PYTHONHASHSEED=0,
    program = "print(sorted({str(n) for n in range(50)}, key=lambda n: 0)[0])"
    first = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": "0"}
    ).stdout.strip()
    suite.write("test_x.py", (suite.folder / "test_x.py").read_text().replace("WHICH", first))
    environment = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "1"
    try:
        out = suite.run(code=1)
    finally:
        os.environ.pop("PYTHONHASHSEED")
        if environment is not None:
            os.environ["PYTHONHASHSEED"] = environment
    # then the report says so.
    assert "NOT in another process, with PYTHONHASHSEED=0" in out


def slow(*values: object) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


OTHERS = """
import anyio, asyncio, pytest
KIND
async def test_other():
    await asyncio.sleep(0)
"""


@pytest.mark.parametrize(
    ("plugins", "options", "kind"),
    [
        ("pytest_asyncio.plugin", ["--asyncio-mode=auto"], ""),
        slow("pytest_asyncio.plugin", ["--asyncio-mode=strict"], "@pytest.mark.asyncio"),
        slow("anyio.pytest_plugin", [], "@pytest.mark.anyio\n@pytest.mark.parametrize('anyio_backend', ['asyncio'])"),
        slow("xdist.plugin", ["-n", "2"], ""),
        slow("xdist.plugin pytest_asyncio.plugin", ["-n", "2", "--asyncio-mode=auto"], ""),
    ],
)
def test_other_plugins_go_on_beside_it(suite: Suite, plugins: str, options: list[str], kind: str) -> None:
    suite.write("test_x.py", GREEN)
    suite.write("test_y.py", RED)
    if "asyncio" in plugins or "anyio" in plugins:
        suite.write("test_z.py", OTHERS.replace("KIND", kind))
    out = suite.run(*options, "-W", "ignore::pytest.PytestDeprecationWarning", plugins=plugins, code=1)
    assert "test_x.py::test_charged: " in out
    assert "Confirmed: it has failed twice in the same steps, and in another process" in out
    assert re.search(r"1 failed, [12] passed", out)


@pytest.mark.slow
def test_fixtures_and_parameters_come_along(suite: Suite) -> None:
    suite.write(
        "test_x.py",
        "import pytest\n"
        + GREEN.replace("@simulated", '@pytest.mark.parametrize("size", [1, 2])\n@simulated').replace(
            "world: World)", "world: World, size: int, tmp_path)"
        ),
    )
    assert "test_x.py::test_charged[2]: " in suite.run("--perdure-seeds=2")


LOADED = """
import sys
def test_x():
    loaded = {name for name in sys.modules if name.partition(".")[0] == "perdure"}
    assert loaded == {"perdure", "perdure.testing", "perdure.testing.plugin"}
"""


def test_it_is_found_by_itself_and_loads_nothing_where_it_is_not_used(suite: Suite) -> None:
    suite.write("test_x.py", LOADED)
    suite.write("conftest.py", "def pytest_configure(config): assert config.pluginmanager.hasplugin('perdure')")
    # Of the plugins that are found by themselves, others may load anything, but not this. One of them takes a second.
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir=.", "-q", "-p", "no:schemathesis"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=suite.folder, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_costs_a_module_of_its_own_and_nothing_else(tmp_path: Path) -> None:
    # Given a process with pytest and what pytest needs, when the plugin is loaded, then so little comes with it:
    program = """
import pytest, sys
before = set(sys.modules)
import perdure.testing.plugin
print(*sorted(set(sys.modules) - before))
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path)
    # the package with its table of names, the package of the plugin, and the plugin.
    assert ran.stdout.split() == ["perdure", "perdure.testing", "perdure.testing.plugin"]
