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


def test_an_import_prints_the_id(run: Run, fake: Fake, tmp_path: Path) -> None:
    client = fake(import_history={"id": "order-17"})
    (tmp_path / "x").write_bytes(b"{}\n{}\n")
    assert run("import", str(tmp_path / "x")).out == "order-17\n"
    assert run("import", "-", given="{}\n").out == "order-17\n"
    assert [arguments for _, arguments, _ in client.asked] == [(b"{}\n{}\n",), (b"{}\n",)]
    assert run("import", str(tmp_path / "none")).code == 2
