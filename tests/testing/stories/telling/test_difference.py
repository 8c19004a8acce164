"""The place where two runs part is told with the text that differs."""

from perdure.testing.stories.telling.difference import told_difference


def written(text: str) -> str:
    """A step that has written a record, as a trace has it."""
    return f"1 order-1 {bytes([0x9C, *text.encode()]).hex()}"


def test_of_what_was_written_the_text_is_told() -> None:
    one = ["0 ns: task 1, 0 of 1: here", written("aaa 1767225600.1 tail")]
    other = [one[0], written("aaa 1767225600.25 tail")]
    said = told_difference(one, other)
    assert said is not None
    assert "1767225600.1 tail' and then '" in said
    assert "1767225600.25 tail'" in said
    assert "order-1" in said


def test_of_steps_the_steps_are_told() -> None:
    assert told_difference(["a", "b"], ["a", "c"]) == "step 1 was 'b' and then 'c'"
    assert told_difference(["a", "b"], ["a"]) == "step 1 was 'b' and then None"
    assert told_difference(["a"], ["a"]) is None
