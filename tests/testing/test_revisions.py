"""Old code is imported from git beside today's, and neither sees the other."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure import App
from perdure.testing import SimulationFailed, SimulationMisuse, World, app_at, module_at, simulated

MAIN = """
from datetime import timedelta
import perdure
from {package} import steps

app = perdure.App("shop")
bank = None


@app.activity
async def reserve(ctx, order): ...


@app.activity
async def check_fraud(ctx, order): ...


@app.workflow
async def buy(ctx, order):
    for step in steps.STEPS:
        await ctx.call_activity(step, input=order)
    await ctx.create_timer(timedelta(hours=1))


def later():
    from {package}.late import NAME
    return NAME
"""


@pytest.fixture(params=["", "src"])
def repository(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A clone with a package at two revisions, of which the second is checked out and can be imported."""
    package = f"oldshop{'_' if request.param else ''}"

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    folder = tmp_path / request.param / package
    folder.mkdir(parents=True)
    git("init", "-q")
    for tag, steps in (("v1", ["reserve"]), ("v2", ["check_fraud", "reserve"])):
        (folder / "__init__.py").write_text("")
        (folder / "app.py").write_text(MAIN.format(package=package))
        (folder / "steps.py").write_text(f"STEPS = {steps!r}\n")
        (folder / "late.py").write_text(f"NAME = {tag!r}\n")
        git("add", ".")
        git("commit", "-q", "-m", tag)
        git("tag", tag)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def test_an_app_is_imported_as_it_was_beside_todays(repository: Path) -> None:
    package = repository.name
    today = __import__(f"{package}.app", fromlist=["app"])
    old = app_at("v1", f"{package}.app:app", repository=repository)
    assert isinstance(old, App)
    assert old is not today.app
    assert sys.modules[f"{package}.app"] is today
    module = module_at("v1", f"{package}.app", repository=repository)
    assert (module.app, module.steps.STEPS, today.steps.STEPS) == (old, ["reserve"], ["check_fraud", "reserve"])
    # It is imported once for a commit, whatever names it.
    assert app_at("v2~1", f"{package}.app:app", repository=repository) is old


def test_what_old_code_imports_later_is_old_too(repository: Path) -> None:
    package = repository.name
    today = __import__(f"{package}.app", fromlist=["app"])
    old = module_at("v1", f"{package}.app", repository=repository)
    assert (old.later(), today.later()) == ("v1", "v2")
    assert sys.modules[f"{package}.late"].NAME == "v2"
    assert str(repository.parent) in sys.path
    assert not [path for path in sys.path if "perdure-" in path]


def test_old_and_new_code_run_in_one_world(repository: Path) -> None:
    old = app_at("v1", f"{repository.name}.app:app", repository=repository)
    new = app_at("v2", f"{repository.name}.app:app", repository=repository)

    async def story(world: World) -> None:
        await world.client.start("buy", input="o", instance_id="o", if_exists="return")
        await world.settle()

    simulated(versions=[old, old], seeds=3, sweep=0)(story)()
    with pytest.raises(SimulationFailed, match="recorded activity 'reserve', now the code asks activity 'check_fraud'"):
        simulated(versions=[old, new], seeds=50, sweep=1)(story)()


def test_a_story_has_the_old_code_that_its_module_has_asked_for(repository: Path) -> None:
    package = repository.name
    old = app_at("v1", f"{package}.app:app", repository=repository)
    seen: list[object] = []

    async def story(world: World) -> None:
        seen.append(module_at("v1", f"{package}.app", repository=repository).app)

    simulated(old, seeds=0, sweep=0)(story)()
    assert seen == [old]


def test_a_story_cannot_ask_for_old_code_first(repository: Path) -> None:
    package = repository.name
    app = app_at("v1", f"{package}.app:app", repository=repository)

    def told_by(story: Callable[[World], Awaitable[None]]) -> str:
        with pytest.raises(SimulationFailed) as failed:
            simulated(app, seeds=0, sweep=0)(story)()
        return str(failed.value)

    async def another_revision(world: World) -> None:
        app_at("v2", f"{package}.app:app", repository=repository)

    async def another_module(world: World) -> None:
        module_at("v1", f"{package}.late", repository=repository)

    assert "code of v2 cannot be imported in a simulation. Ask for it before" in told_by(another_revision)
    assert f"{package}.late of v1 cannot be imported in a simulation" in told_by(another_module)


def test_a_folder_that_is_not_there_is_said() -> None:
    with pytest.raises(SimulationMisuse, match="there is no folder /nowhere/at/all"):
        app_at("v1", "shop:app", repository="/nowhere/at/all")


@pytest.mark.parametrize(
    ("revision", "target", "said"),
    [
        ("v9", "PACKAGE.app:app", "there is no revision 'v9'"),
        ("v1", "PACKAGE.app", 'as "shop.app:app"'),
        ("v1", "PACKAGE.app:bank", "no perdure.App with the name 'bank'"),
        ("v1", "PACKAGE.app:", 'as "shop.app:app"'),
        ("v1", 3, 'as "shop.app:app", not 3'),
        *(("v1", f"{name}:app", "is no name of a module") for name in ("", ".app", "PACKAGE/app.py", "PACKAGE..app")),
        ("v1", "PACKAGE.absent:app", "could not be imported at v1"),
        ("v1", "json:app", "json is not in the repository at v1"),
    ],
)
def test_what_is_not_there_is_said(repository: Path, revision: str, target: Any, said: str) -> None:
    named = target.replace("PACKAGE", repository.name) if isinstance(target, str) else target
    with pytest.raises(SimulationMisuse, match=said):
        app_at(revision, named, repository=repository)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises", "ValueError: at import"),
        ("leaves", "SystemExit: 3"),
        ("of_no_package", "ImportError: attempted relative import with no known parent package"),
        ("misspelt", "SyntaxError: "),
        ("of_another_encoding", "SyntaxError: "),
    ],
)
def test_a_module_that_cannot_be_imported_is_said_with_the_reason(broken: Path, name: str, error: str) -> None:
    with pytest.raises(SimulationMisuse, match=f"{name} could not be imported at HEAD: {error}") as said:
        app_at("HEAD", f"{name}:app", repository=broken)
    assert type(said.value.__cause__).__name__ == error.partition(":")[0]  # with the line


def test_a_module_may_say_its_encoding(broken: Path) -> None:
    assert module_at("HEAD", "of_its_encoding", repository=broken).NAME == "Pok\u00e9"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A clone with modules that Python cannot import."""
    sources = {
        "raises": "raise ValueError('at import')",
        "leaves": "import sys; sys.exit(3)",
        "of_no_package": "from . import shop",
        "misspelt": "def (",
        "of_another_encoding": "NAME = 'Pok\u00e9'",
        "of_its_encoding": "# coding: latin-1\nNAME = 'Pok\u00e9'",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_bytes(source.encode("latin-1"))
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_a_process_that_has_asked_for_old_code_ends_without_a_warning(repository: Path) -> None:
    app = f"'v1', '{repository.name}.app:app', repository={str(repository)!r}"
    ask = f"from perdure.testing import app_at; app_at({app})"
    ran = subprocess.run([sys.executable, "-W", "always", "-c", ask], capture_output=True, text=True, check=True)
    assert "ResourceWarning" not in ran.stderr


def test_the_repository_is_that_of_the_code_that_asks() -> None:
    # This file's own: there is no such app in it.
    with pytest.raises(SimulationMisuse, match=r"examples\.absent could not be imported"):
        app_at("HEAD", "examples.absent:app")
