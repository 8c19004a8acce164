"""Finding the app: a single app is taken, one of several must be named, and an error in a user's code is shown."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.daemon.loader import AppNotFound, ImportFailed, check_target, load_app
from perdure.daemon.process.early_signals import StopAsked

ONE = 'import perdure\norders = perdure.App("orders")\n'
TWO = ONE + 'billing = perdure.App("billing")\n'


@pytest.fixture(autouse=True)
def imports_of_before() -> Iterator[None]:
    """Restore the imported modules and the import path after a test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_the_only_app_of_a_file_needs_no_name(folder: Path) -> None:
    assert load_app(write(folder / "shop.py", ONE)).name == "orders"


def test_one_app_under_two_names_is_still_one(folder: Path) -> None:
    assert load_app(write(folder / "shop.py", ONE + "application = orders\n")).name == "orders"


def test_one_of_several_is_taken_by_its_name(folder: Path) -> None:
    assert load_app(write(folder / "shop.py", TWO) + ":billing").name == "billing"


def test_several_apps_without_a_name_are_offered(folder: Path) -> None:
    target = write(folder / "shop.py", TWO)
    with pytest.raises(AppNotFound) as error:
        load_app(target)
    assert f"{target}:billing, {target}:orders" in str(error.value)


def test_a_file_without_an_app_says_how_to_make_one(folder: Path) -> None:
    with pytest.raises(AppNotFound, match=r'app = perdure\.App\("name"\)'):
        load_app(write(folder / "shop.py", "import perdure\n"))


def test_a_name_that_is_not_there_is_refused_with_those_that_are(folder: Path) -> None:
    target = write(folder / "shop.py", ONE)
    with pytest.raises(AppNotFound, match=r"has no 'order'.*shop\.py:orders"):
        load_app(f"{target}:order")


def test_a_name_of_something_else_is_refused_with_those_of_apps(folder: Path) -> None:
    target = write(folder / "shop.py", ONE + "price = 3\n")
    with pytest.raises(AppNotFound, match=r"is of type int, not a perdure\.App.*shop\.py:orders"):
        load_app(f"{target}:price")


@pytest.mark.parametrize("target", ["shop.py:", ":orders", "shop.py:a.b", "shop.py:a b", "shop/orders", "my-app", ""])
def test_what_names_nothing_is_refused(folder: Path, target: str) -> None:
    write(folder / "shop.py", ONE)
    with pytest.raises(AppNotFound):
        load_app(target)


def test_a_file_that_is_not_there_is_named_in_full(folder: Path) -> None:
    with pytest.raises(AppNotFound, match=str(folder / "shop.py")):
        load_app("shop.py")


def test_a_module_is_found_in_the_current_folder(folder: Path) -> None:
    write(folder / "shop" / "__init__.py", "")
    write(folder / "shop" / "app.py", TWO)
    assert load_app("shop.app:orders").name == "orders"


def test_a_module_that_is_not_there_is_named(folder: Path) -> None:
    write(folder / "shop" / "__init__.py", "")
    with pytest.raises(AppNotFound, match=r"no module 'stop'"):
        load_app("stop.app:orders")
    with pytest.raises(AppNotFound, match=r"no module 'shop\.app'"):
        load_app("shop.app:orders")


def test_a_file_imports_its_neighbours(folder: Path) -> None:
    write(folder / "code" / "prices.py", "PRICE = 3\n")
    assert load_app(write(folder / "code" / "shop.py", "from prices import PRICE\n" + ONE)).name == "orders"


def test_annotations_of_a_file_can_be_looked_up(folder: Path) -> None:
    # Dataclasses find the types of their fields in sys.modules, under the module's name.
    target = write(
        folder / "shop.py",
        """
        from __future__ import annotations
        import dataclasses, typing
        import perdure

        @dataclasses.dataclass
        class Order:
            lines: list[Line]

        @dataclasses.dataclass
        class Line:
            price: int

        assert typing.get_type_hints(Order)["lines"] == list[Line]
        app = perdure.App("orders")
        """,
    )
    load_app(target)
    assert sys.modules["shop"].Order.__module__ == "shop"


def test_a_file_cannot_take_the_name_of_a_module_in_use(folder: Path) -> None:
    with pytest.raises(AppNotFound, match=r"module named 'json' is in use already"):
        load_app(write(folder / "json.py", ONE))


def test_a_failing_import_shows_the_persons_frames_and_none_of_ours(folder: Path) -> None:
    # Given a file whose import fails two calls deep,
    write(folder / "prices.py", "def price(of):\n    return {}[of]\n")
    target = write(folder / "shop.py", "from prices import price\nprice('paperclips')\n")
    # when it is loaded,
    with pytest.raises(ImportFailed) as error:
        load_app(target)
    # then the traceback has only the user's frames.
    lines = str(error.value).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{folder / "shop.py"}", line 2, in <module>'
    assert lines[-1] == "KeyError: 'paperclips'"
    assert "perdure" not in str(error.value)
    assert "importlib" not in str(error.value)


def test_a_failing_import_of_a_module_shows_the_same(folder: Path) -> None:
    write(folder / "shop.py", "import stationery\n")
    with pytest.raises(ImportFailed) as error:
        load_app("shop:app")
    assert "perdure" not in str(error.value)
    assert str(error.value).endswith("ModuleNotFoundError: No module named 'stationery'")


def test_a_cause_is_shown_and_has_no_frames_of_ours_either(folder: Path) -> None:
    target = write(
        folder / "shop.py",
        """
        import importlib
        try:
            importlib.import_module("stationery")
        except ImportError as error:
            raise RuntimeError("no paper") from error
        """,
    )
    with pytest.raises(ImportFailed) as error:
        load_app(target)
    assert "No module named 'stationery'" in str(error.value)
    assert "cli" not in str(error.value)
    assert str(error.value).endswith("RuntimeError: no paper")


def test_a_syntax_error_points_at_the_place(folder: Path) -> None:
    with pytest.raises(ImportFailed) as error:
        load_app(write(folder / "shop.py", "x = (\n"))
    assert f'File "{folder / "shop.py"}", line 1' in str(error.value)
    assert str(error.value).endswith("SyntaxError: '(' was never closed")


def test_a_file_that_exits_while_it_is_imported_is_a_failing_import(folder: Path) -> None:
    with pytest.raises(ImportFailed, match="SystemExit: 3"):
        load_app(write(folder / "shop.py", "import sys\nsys.exit(3)\n"))


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "GeneratorExit", "asyncio.CancelledError"])
@pytest.mark.parametrize("target", ["shop.py", "shop"])
def test_whatever_ends_an_import_is_a_failing_import(folder: Path, target: str, error: str) -> None:
    write(folder / "shop.py", f"import asyncio\nraise {error}\n")
    with pytest.raises(ImportFailed, match=error.rpartition(".")[2]):
        load_app(target)
    assert "shop" not in sys.modules


def test_a_stop_while_an_app_is_imported_is_a_stop(folder: Path) -> None:
    write(folder / "shop.py", "from perdure.daemon.process.early_signals import StopAsked\nraise StopAsked(15)\n")
    for target in ("shop.py", "shop"):
        with pytest.raises(StopAsked):
            load_app(target)
        sys.modules.pop("shop", None)


def test_a_lazy_object_beside_the_app_is_not_asked_for_its_class(folder: Path) -> None:
    lazy = (
        "class Lazy:\n    @property\n    def __class__(self):\n        raise RuntimeError('too soon')\nlazy = Lazy()\n"
    )
    target = write(folder / "shop.py", ONE + lazy)
    assert load_app(target).name
    with pytest.raises(AppNotFound, match=r"is of type Lazy, not a perdure\.App"):
        load_app(f"{target}:lazy")


def test_a_failed_import_leaves_no_half_module_behind(folder: Path) -> None:
    target = write(folder / "shop.py", "1 / 0\n")
    with pytest.raises(ImportFailed):
        load_app(target)
    assert "shop" not in sys.modules


@pytest.mark.parametrize("target", ["shop.py", "shop.py:orders", "shop", "shop.app", "json"])
def test_a_check_passes_what_can_be_imported_and_runs_none_of_it(folder: Path, target: str) -> None:
    write(folder / "shop.py", "raise SystemExit('it runs')\n")
    path, modules = list(sys.path), set(sys.modules)
    check_target(target)
    assert (sys.path, set(sys.modules)) == (path, modules)


@pytest.mark.parametrize("target", ["nowhere.py", "nowhere", "nowhere.app:orders", "shop.py:", "my-app", "folder.py"])
def test_a_check_refuses_what_names_no_code(folder: Path, target: str) -> None:
    (folder / "folder.py").mkdir()
    with pytest.raises(AppNotFound):
        check_target(target)


def test_a_check_refuses_a_file_that_is_no_python_as_its_import_does(folder: Path) -> None:
    target = write(folder / "shop.py", "def price(:\n")
    with pytest.raises(ImportFailed) as early:
        check_target(target)
    with pytest.raises(ImportFailed) as late:
        load_app(target)
    assert str(early.value) == str(late.value)
    assert f'File "{target}", line 1' in str(early.value)


def test_a_check_leaves_warnings_to_the_import(folder: Path) -> None:
    target = write(folder / "shop.py", ONE + "assert (orders, 'always true')\n")
    check_target(target)
    with pytest.warns(SyntaxWarning, match="always true"):
        load_app(target)
