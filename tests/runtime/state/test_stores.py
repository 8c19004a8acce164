"""State stores are known by name, and keys of apps are kept apart in them by prefixes."""

import pytest

from perdure.runtime.state.errors import StateKeyInvalid, StateStoreNotFound
from perdure.runtime.state.stores import StateStore, StateStores


@pytest.mark.parametrize(
    ("prefix", "namespace", "name"),
    [
        ("appid", "ns", "app||k"),
        ("appId", "", "app||k"),
        ("", "", "app||k"),
        ("name", "ns", "store||k"),
        ("none", "ns", "k"),
        ("namespace", "ns", "ns.app||k"),
        ("namespace", "", "app||k"),
        ("Shared", "ns", "shared||k"),
    ],
)
def test_a_key_is_kept_under_the_prefix_that_the_store_says(prefix: str, namespace: str, name: str) -> None:
    assert StateStore("store", prefix).item_name("k", app_id="app", namespace=namespace) == name


def test_a_key_with_two_bars_is_refused_in_daprs_words() -> None:
    with pytest.raises(StateKeyInvalid) as refused:
        StateStore("store").item_name("ke||y1", app_id="app")
    assert str(refused.value) == "input key/keyPrefix 'ke||y1' can't contain '||'"


def test_a_key_may_have_as_many_bytes_as_an_index_takes() -> None:
    store = StateStore("store", "none")
    assert store.item_name("ä" * 1024, app_id="app") == "ä" * 1024
    with pytest.raises(StateKeyInvalid, match="the key has 2049 bytes with its prefix, and the limit is 2048"):
        store.item_name("ä" * 1024 + "x", app_id="app")


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(StateKeyInvalid, match="no Unicode"):
        StateStore("store").item_name("\ud800", app_id="app")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 257])
def test_a_name_that_no_store_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a state store"):
        StateStore(name)


def test_a_prefix_with_two_bars_is_refused() -> None:
    with pytest.raises(ValueError, match=r"can't contain '\|\|'"):
        StateStore("store", "a||b")


def test_without_a_word_there_is_the_usual_store() -> None:
    assert StateStores().names == ["statestore"]
    assert StateStores().find("statestore").key_prefix == "appid"


def test_of_two_stores_with_one_name_the_last_counts_and_others_are_not_found() -> None:
    stores = StateStores([StateStore("a"), StateStore("b"), StateStore("a", "none")])
    assert [*stores] == [StateStore("a", "none"), StateStore("b")]
    with pytest.raises(StateStoreNotFound, match="state store c is not found; there is a, b"):
        stores.find("c")
