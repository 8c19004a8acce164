"""`perdure export` and `perdure import`."""

from collections.abc import Callable
from pathlib import Path

from perdure import InstanceNotFound
from perdure.client.errors import ServerUnreachable

from ...support.cli.fake_client import FakeClient
from .conftest import Run

Fake = Callable[..., FakeClient]


def test_an_export_goes_to_standard_output_or_to_a_new_file(run: Run, fake: Fake, tmp_path: Path) -> None:
    fake(export=['{"format": 1}', "{}"])
    assert run("export", "order-17").lines == ['{"format": 1}', "{}"]
    target = tmp_path / "order-17.ndjson"
    assert run("export", "order-17", "--file", str(target)).code == 0
    assert target.read_text() == '{"format": 1}\n{}\n'
    assert run("export", "order-17", "--file", str(target)).code == 2


def test_an_export_that_fails_leaves_no_file(run: Run, fake: Fake, tmp_path: Path) -> None:
    target = tmp_path / "x.ndjson"
    fake(export=["{}", ServerUnreachable("http://x", "cut off", sent=True)])
    assert run("export", "x", "--file", str(target)).code == 5
    assert not target.exists()
    fake(export=InstanceNotFound("x"))
    assert run("export", "x", "--file", str(target)).code == 3
    assert not target.exists()


def test_what_was_exported_is_taken_in_and_exported_alike(run: Run, new_id: str, tmp_path: Path) -> None:
    run("start", "order", "--id", new_id, "--input", "5", "--wait")
    first, second = tmp_path / "first", tmp_path / "second"
    run("export", new_id, "--file", str(first))
    assert run("import", str(first)).code == 4  # its id is not free
    assert run("import", str(first), "--id", f"{new_id}-2").out == f"{new_id}-2\n"
    run("purge", new_id)
    assert run("import", "-", given=first.read_text()).out == f"{new_id}\n"
    run("export", new_id, "--file", str(second))
    assert second.read_bytes() == first.read_bytes()
    assert run("show", f"{new_id}-2", "--result").out.endswith('{"total":5.0}\n')


def test_what_cannot_be_taken_in_is_said(run: Run, new_id: str, tmp_path: Path) -> None:
    assert run("import", "-", given="{}\n").code == 2
    run("start", "waits", "--id", new_id)
    running = run("export", new_id).out
    assert run("import", "-", "--id", f"{new_id}-2", given=running).code == 4
    assert run("import", str(tmp_path / "none")).code == 2
    assert run("export", f"{new_id}-none").code == 3
