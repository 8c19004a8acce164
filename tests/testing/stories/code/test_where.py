"""The user's own code is all that is neither the interpreter's, nor installed, nor this package's."""

import json
import sys
from pathlib import Path
from types import FunctionType

import perdure
from perdure.testing.stories.code.where import OwnCode, globals_of, who_asks


def test_whose_code_a_file_is() -> None:
    own = OwnCode()
    assert own.has(__file__)
    assert own.has("/home/me/shop/app.py")
    assert not own.has(json.__file__)
    assert not own.has(perdure.__file__)
    assert not own.has("/home/me/.venv/lib/python3.11/site-packages/x.py")
    assert not own.has("<frozen importlib._bootstrap>")
    assert not own.has(None)


def test_the_innermost_line_of_users_code_is_found() -> None:
    def deeper() -> str:
        return OwnCode().line(sys._getframe())

    assert json.loads('{"a": 1}', object_hook=lambda found: deeper()).split(":")[0].endswith("test_where.py")
    assert OwnCode().line(None) == ""
    assert who_asks(sys._getframe()) == "the story"


def test_modules_beside_a_function_are_the_users_too(tmp_path: Path) -> None:
    # Given a package with an app and a bank, and a module elsewhere,
    for name in ("shop/__init__", "shop/app", "shop/bank", "beside"):
        file = tmp_path / "src" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("def f(): ...")
    sys.path.insert(0, str(tmp_path / "src"))
    try:
        import beside  # type: ignore[import-not-found]  # noqa: F401, PLC0415
        import shop.app  # type: ignore[import-not-found]  # noqa: PLC0415
        import shop.bank  # type: ignore[import-not-found]  # noqa: PLC0415

        # then those of its package and next to it are found by a function of the app.
        found = {scope["__name__"] for scope in globals_of([shop.app.f], OwnCode())}
        assert found == {"shop", "shop.app", "shop.bank", "beside"}
    finally:
        sys.path.pop(0)
        for name in ("shop.app", "shop.bank", "shop", "beside"):
            sys.modules.pop(name, None)


def test_a_function_without_a_module_has_its_globals() -> None:
    scope: dict[str, object] = {"__name__": "nowhere"}
    made = FunctionType(compile("0", "x", "eval"), scope)
    assert [id(each) for each in globals_of([made], OwnCode())] == [id(scope)]
    assert globals_of([print], OwnCode()) == []
