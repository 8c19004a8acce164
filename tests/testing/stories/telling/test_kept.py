"""Failures are kept as text, and read again."""

from pathlib import Path

import pytest

from perdure.testing import SimulationMisuse
from perdure.testing.stories.telling.kept import FORMAT, KeptSchedules, failures_file, read_schedules, write_schedules

SCHEDULES = [{("kill.bank.charge", 0): 1}, {("store.slow", 2): 3, ("a", 0): 1}]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = failures_file(tmp_path, "a/test_shop.py::test_x[1-a b]")
    assert file == tmp_path / ".perdure/failures/a-test_shop.py-test_x-1-a-b.json"
    write_schedules(file, "x", SCHEDULES, "it broke")
    assert read_schedules(file) == KeptSchedules("x", SCHEDULES)
    assert '"kill.bank.charge#0"' in file.read_text()


def test_a_test_with_a_long_name_has_a_file_too(tmp_path: Path) -> None:
    one, other = (failures_file(tmp_path, f"test_x.py::test_x[{'x' * 500}{end}]") for end in "ab")
    assert one != other
    write_schedules(one, "x", SCHEDULES, "")
    assert read_schedules(one).schedules == SCHEDULES


def test_without_a_failure_the_file_goes(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_schedules(file, "x", SCHEDULES, "")
    for _ in range(2):
        write_schedules(file, "x", [], "")
        assert not file.exists()


def file_of(schedules: str) -> str:
    return f'{{"format": "{FORMAT}", "test": "x", "schedules": {schedules}}}'


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", "null", '"x"', "[" * 100_000, '{"format": "2"}', f'{{"format": "{FORMAT}"}}'),
        *map(
            file_of, ('["?"]', "[]", "[3]", "null", '"kill.unheard#0"', '[["kill.unheard#0"]]', '["kill.unheard#0=0"]')
        ),
    ],
)
def test_a_file_without_schedules_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    with pytest.raises(SimulationMisuse):
        read_schedules(file)
    file.write_text(content)
    with pytest.raises(
        SimulationMisuse, match=r"x\.json holds no schedules .* Give --perdure-schedule the file that a"
    ):
        read_schedules(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SimulationMisuse, match=r"x\.json holds no schedules"):
        read_schedules(file)
