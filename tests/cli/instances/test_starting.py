"""`perdure start` and `perdure event`."""

from .conftest import Run


def test_a_start_prints_the_id(run: Run, new_id: str) -> None:
    said = run("start", "order", "--id", new_id, "--input", "12.5", "--tag", "a=b")
    assert (said.code, said.out) == (0, f"{new_id}\n")
    assert run("show", new_id, "-o", "json").json["tags"] == {"a": "b"}
    assert len(run("start", "waits").out.strip()) == 36


def test_a_start_describes_the_instance_as_json(run: Run, new_id: str) -> None:
    assert run("start", "waits", "--id", new_id, "-o", "json").json["status"] == "RUNNING"
    assert run("start", "order", "--input", "1", "--wait", "-o", "json").json["status"] == "COMPLETED"


def test_a_start_that_waits_prints_the_result(run: Run, new_id: str) -> None:
    said = run("start", "order", "--input", "-", "--wait", given="12.5")
    assert (said.code, said.out) == (0, '{"total":12.5}\n')
    said = run("start", "order", "--input", "500", "--wait")
    assert said.code == 1
    assert "too much" in said.err
    said = run("start", "order", "--input", "500", "--wait", "-o", "json")
    assert (said.code, said.json["status"], "too much" in said.out) == (1, "FAILED", True)
    said = run("start", "waits", "--id", new_id, "--wait", "--timeout", "0.1s")
    assert said.code == 6
    assert new_id in said.err


def test_an_id_that_has_a_holder_is_refused_unless_it_is_said_what_then(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("start", "waits", "--id", new_id)
    assert said.code == 4
    assert new_id in said.err
    assert run("start", "waits", "--id", new_id, "--if-exists", "return").code == 0
    assert run("start", "waits", "--id", new_id, "--if-exists", "restart").code == 4
    assert run("start", "waits", "--id", new_id, "--if-exists", "restart", "--force").code == 0


def test_a_key_is_started_once(run: Run, new_id: str) -> None:
    first = run("start", "waits", "--idempotency-key", new_id)
    assert run("start", "waits", "--idempotency-key", new_id).out == first.out


def test_a_workflow_that_does_not_exist_is_refused(run: Run) -> None:
    said = run("start", "odrer")
    assert said.code == 4
    assert "odrer" in said.err


def test_an_input_that_is_no_json_is_2(run: Run) -> None:
    assert run("start", "order", "--input", "{total}").code == 2


def test_an_event_reaches_its_instance_once_for_each_key(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    assert run("event", new_id, "approval", "--input", '{"by": "Ada"}', "--idempotency-key", "k").code == 0
    assert run("event", new_id, "approval", "--input", "2", "--idempotency-key", "k").code == 0
    run("wait", new_id)
    assert run("show", new_id, "--result").out.endswith('Result:\n{"by":"Ada"}\n')
    assert run("event", "nobody", "approval").code == 3
