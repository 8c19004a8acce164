"""Failures are kept as text, and read again."""

from pathlib import Path

import pytest

from perdure.testing import SimulationMisuse
from perdure.testing.stories.telling.kept import failures_file, read_schedules, write_schedules

SCHEDULES = [{("kill.bank.charge", 0): 1}, {("store.slow", 2): 3, ("a", 0): 1}]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = failures_file(tmp_path, "a/test_shop.py::test_x[1-a b]")
    assert file == tmp_path / ".perdure/failures/a-test_shop.py-test_x-1-a-b.json"
    write_schedules(file, "x", SCHEDULES, "it broke")
    assert read_schedules(file) == SCHEDULES
    assert '"kill.bank.charge#0"' in file.read_text()


def test_a_test_with_a_long_name_has_a_file_too(tmp_path: Path) -> None:
    one, other = (failures_file(tmp_path, f"test_x.py::test_x[{'x' * 500}{end}]") for end in "ab")
    assert one != other
    write_schedules(one, "x", SCHEDULES, "")
    assert read_schedules(one) == SCHEDULES


def test_without_a_failure_the_file_goes(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_schedules(file, "x", SCHEDULES, "")
    for _ in range(2):
        write_schedules(file, "x", [], "")
        assert not file.exists()


@pytest.mark.parametrize(
    "content", ["", "{}", '{"format": "2"}', '{"format": "perdure-schedules-1", "schedules": ["?"]}']
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    with pytest.raises(SimulationMisuse):
        read_schedules(file)
    file.write_text(content)
    with pytest.raises(SimulationMisuse, match=r"x\.json"):
        read_schedules(file)
