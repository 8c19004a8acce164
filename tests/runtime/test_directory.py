"""Each app has its own addresses; those of a store's first app are the same as in a store of one app."""

from perdure.actors.address import Address
from perdure.runtime.directory import AppAddresses, AppDirectory


def test_the_first_app_has_plain_addresses() -> None:
    own = AppAddresses("shop")
    assert own.instance("x") == Address("workflow", "x")
    assert (own.call, own.operation, own.worker_mark) == ("call", "operation", "worker-mark")


def test_another_app_has_its_id_in_its_addresses() -> None:
    bank = AppAddresses("shop").of("bank")
    assert bank.instance("x") == Address("workflow@bank", "x")
    assert bank.is_instance(Address("workflow@bank", "x"))
    assert not bank.is_instance(Address("workflow", "x"))


def test_an_app_is_asked_for_its_own_addresses_without_a_name() -> None:
    own = AppAddresses("shop")
    assert own.of(None) is own.of("") is own.of("shop") is own
    assert own.of("bank").of("shop").instance("x") == own.instance("x")


def test_the_store_says_which_app_is_the_first_one() -> None:
    # Given an engine of the shop, which counts as the first app,
    directory = AppDirectory("shop")
    shop, bank = directory.of("shop"), directory.of("bank")
    # when its store says that the bank came first,
    directory.settle({"bank": 0, "shop": 1})
    # then the same objects have other addresses.
    assert (shop.workflow, bank.workflow) == ("workflow@shop", "workflow")
    assert directory.app_of("workflow") == "bank"
    assert directory.app_of("call@shop") == "shop"
    assert [each.app_id for each in shop.all()] == ["shop", "bank"]


def test_a_store_without_apps_has_that_of_the_engine() -> None:
    directory = AppDirectory("shop")
    directory.settle({})
    assert directory.of("shop").workflow == "workflow"
