"""What the sidecar says of itself is one thing, however many APIs say it."""

import pytest

from perdure.runtime.sidecar import METADATA_BYTES_MAX, Sidecar
from perdure.runtime.words import METADATA_FULL, Refusal

from .fake_facade import FakeControl


def test_what_is_put_is_kept_beside_the_version() -> None:
    sidecar = Sidecar(FakeControl(), app_id="orders")
    assert sidecar.extended() == {"daprRuntimeVersion": "0.1.0"}
    sidecar.put("cliPID", "4711")
    sidecar.put("app/command", "größe")
    sidecar.put("cliPID", "4712")
    assert sidecar.extended() == {"cliPID": "4712", "app/command": "größe", "daprRuntimeVersion": "0.1.0"}


def test_the_version_is_the_runtime_s_whatever_was_put() -> None:
    control = FakeControl()
    sidecar = Sidecar(control, app_id="orders")
    sidecar.put("daprRuntimeVersion", "9")
    assert sidecar.extended() == {"daprRuntimeVersion": "0.1.0"}


def test_what_is_handed_out_is_a_copy() -> None:
    sidecar = Sidecar(FakeControl(), app_id="orders")
    sidecar.extended()["key"] = "value"
    assert "key" not in sidecar.extended()


def test_two_daemons_share_nothing() -> None:
    one, other = (Sidecar(FakeControl(), app_id="orders") for _ in range(2))
    one.put("key", "value")
    assert "key" not in other.extended()


def test_metadata_ends_at_its_limit_in_bytes_of_keys_and_values() -> None:
    # Given metadata that is full to the last byte,
    sidecar = Sidecar(FakeControl(), app_id="orders")
    full = "é" * ((METADATA_BYTES_MAX - 2) // 2)
    sidecar.put("kk", full)
    # when one byte more is put,
    with pytest.raises(Refusal) as info:
        sidecar.put("k", "")
    # then it is refused and nothing has changed,
    assert info.value.row == METADATA_FULL
    assert str(info.value) == "metadata may hold 1048576 bytes in all, and this entry would make it 1048577"
    assert sidecar.extended() == {"kk": full, "daprRuntimeVersion": "0.1.0"}
    # and what is replaced makes room for what replaces it.
    sidecar.put("kk", "x")
    sidecar.put("k", "")
    assert sidecar.extended() == {"kk": "x", "k": "", "daprRuntimeVersion": "0.1.0"}


def test_dapr_s_three_types_are_there_as_soon_as_a_worker_is() -> None:
    control = FakeControl()
    control.actors = {"workflow": 3, "Cart": 7}
    assert Sidecar(control, app_id="orders").active_actors() == {
        "Cart": 7,
        "dapr.internal.default.orders.workflow": 3,
        "dapr.internal.default.orders.activity": 0,
        "dapr.internal.default.orders.retentioner": 0,
    }


def test_without_a_worker_only_other_types_are_there() -> None:
    control = FakeControl()
    control.workers, control.actors = 0, {"workflow": 3, "Cart": 7}
    assert Sidecar(control, app_id="orders").active_actors() == {"Cart": 7}


def test_counting_leaves_the_daemon_s_own_counts_alone() -> None:
    control = FakeControl()
    Sidecar(control, app_id="orders").active_actors()
    assert control.actors == {"workflow": 3, "activity": 2}
