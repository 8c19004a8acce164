"""A trace is a hash of what happens, and says on demand where two runs part."""

from perdure.testing.simulation.trace import WorldTrace, first_difference


def traced(*numbers: int) -> WorldTrace:
    trace = WorldTrace(keep=True)
    trace.fingerprint = lambda: hash(numbers)
    for number in numbers:
        trace.step(number, 2, 0, 0.5, "here")
    return trace


def test_the_same_steps_have_the_same_hash_and_others_another() -> None:
    assert traced(1, 2).digest == traced(1, 2).digest != traced(2, 1).digest
    written, other = traced(1), traced(1)
    assert written.digest == written.digest
    written.bytes("disk", b"a")
    other.bytes("disk", b"b")
    assert written.digest != other.digest


def test_the_first_difference_of_two_runs_is_found() -> None:
    one, other = traced(1, 2, 3).steps, traced(1, 9, 3).steps
    assert one is not None
    assert other is not None
    assert first_difference(one, other) == (
        1,
        "500000000 ns: task 2, 0 of 2: here",
        "500000000 ns: task 9, 0 of 2: here",
    )
    assert first_difference(one, one[:2]) == (2, "500000000 ns: task 3, 0 of 2: here", None)
    assert first_difference(one, list(one)) is None


def test_a_story_has_its_faults_marked() -> None:
    trace = WorldTrace()
    trace.tell(0.5, "host 1", "is up")
    trace.tell(1, "host 1", "killed", fault=True)
    assert trace.story().splitlines() == [
        "        0.500000 s  host 1   is up",
        "!       1.000000 s  host 1   killed",
    ]
    assert trace.steps is None
