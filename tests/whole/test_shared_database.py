"""Engines on one PostgreSQL database are one: with real rows, beats and certificates, for a few seconds each."""

import anyio
import pytest

from perdure import Engine, Settings
from perdure.actors.errors import HostLost
from perdure.runtime.errors import InstanceExists

from ..support.actors.stores import ServerOf, emptied
from ..support.postgres import installed
from .test_shared_store import make_app

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not installed(), reason="no PostgreSQL is installed")]

NEWEST = max(installed(), default=0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_two_engines_share_a_database_with_nothing_but_its_address(
    postgres_server: ServerOf, settings: Settings
) -> None:
    with anyio.fail_after(60):
        # Given an engine that has a database for itself, and one that comes later,
        url = await emptied(postgres_server(NEWEST), schema="shared_by_engines")
        one, two = (Engine(make_app(), data=url, settings=settings) for _ in range(2))
        await one.start()
        assert one.alone
        await two.start()
        try:
            while one.alone or two.alone:
                await anyio.sleep(0.05)
            # when instances are begun at both, with children that may be anywhere,
            ids = [f"tree-{number}" for number in range(10)]
            for number, instance_id in enumerate(ids):
                engine = (one, two)[number % 2]
                await engine.facade.start("tree", instance_id=instance_id, input=f'"{instance_id}"')
            # then each shows the ends of the other's instances,
            for number, instance_id in enumerate(ids):
                state = await (two, one)[number % 2].facade.wait(instance_id)
                assert state.output == "34"
            # and when one leaves while further instances run, the other one has all of them.
            later = [f"later-{number}" for number in range(10)]
            for instance_id in later:
                await one.facade.start("tree", instance_id=instance_id, input=f'"{instance_id}"')
        finally:
            await one.stop()
        try:
            assert not one.ready
            for instance_id in later:
                assert (await two.facade.wait(instance_id)).output == "34"
            while not two.alone:
                await anyio.sleep(0.05)
            with pytest.raises(InstanceExists):
                await two.facade.start("waits", instance_id="w")
                await two.facade.start("waits", instance_id="w")
        finally:
            await two.stop()


async def test_what_a_host_that_was_killed_had_goes_on_at_the_other(
    postgres_server: ServerOf, settings: Settings
) -> None:
    with anyio.fail_after(60):
        url = await emptied(postgres_server(NEWEST), schema="shared_by_engines")
        one, two = (Engine(make_app(), data=url, settings=settings) for _ in range(2))
        await one.start()
        await two.start()
        try:
            ids = [f"tree-{number}" for number in range(10)]
            for instance_id in ids:
                await one.facade.start("tree", instance_id=instance_id, input=f'"{instance_id}"')
            # When its row is deleted, as by a host that has found it dead,
            postgres_server(NEWEST).sql(
                f"SET search_path = shared_by_engines; DELETE FROM hosts WHERE host = {one.store.host}"  # type: ignore[attr-defined]
            )
            # then all instances go on, and the host that was taken for dead has joined again.
            name = one.store.host  # type: ignore[attr-defined]
            for instance_id in ids:
                while True:
                    try:
                        state = await two.facade.wait(instance_id)
                    except HostLost:
                        continue
                    assert state.output == "34"
                    break
            while one.store.host == name or one.alone:  # type: ignore[attr-defined]
                await anyio.sleep(0.05)
            assert (await one.facade.wait(ids[0])).output == "34"
        finally:
            await one.stop()
            await two.stop()
