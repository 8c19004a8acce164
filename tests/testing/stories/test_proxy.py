"""What stands for a fake looks like the fake."""

from perdure.testing import World

from .shop import Bank, Shop, calm, succeed


def test_it_has_the_attributes_and_the_class_of_the_fake() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        seen = world.outside(bank)
        assert isinstance(seen, Bank)
        assert seen.charges is bank.charges
        seen.charges = ["x"]
        assert bank.charges == ["x"]
        assert repr(seen).endswith("behind a simulated network>")

    succeed(calm(shop.app, story))


def test_a_class_that_is_an_attribute_is_no_method() -> None:
    class Api:
        class Error(Exception):
            pass

    async def story(world: World) -> None:
        assert world.outside(Api()).Error is Api.Error

    succeed(calm(Shop().app, story))
