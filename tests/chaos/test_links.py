"""Links that are cut while all processes live: to the database, and between hosts; one way, and both ways."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ..support.postgres import PostgresServer
from ..whole.chaos.checker import Verdict
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.fleet import Setup
from ..whole.chaos.recorded import Blow, Deed
from ..whole.chaos.storm import Bed, Sky
from .link import Link, linked
from .story import HOSTS, again_and_again, judged, run

CUT_S = 6.0  # longer than a host waits before it declares another one dead, or a link cut
MENDED_S = 4.0  # the time from one cut to the next
WAYS = {
    "both ways": {"there": True, "back": True},
    "what goes there": {"there": True, "back": False},
    "what comes back": {"there": False, "back": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_is_cut_off_from_the_database_is_taken_over_and_joins_again(
    server: PostgresServer, tmp_path: Path, way: str
) -> None:
    begin_decoding(server)

    async def story() -> Verdict:
        async with AsyncExitStack() as laid:
            links = [await laid.enter_async_context(linked(server.port)) for _ in range(HOSTS)]

            async def storm(sky: Sky) -> None:
                for index, link in enumerate(links):
                    pid = sky.fleet.places[index].pid
                    from_s = time.time()
                    link.hold(**WAYS[way])
                    await asyncio.sleep(CUT_S)
                    link.mend()
                    sky.fleet.blows.append(Blow(deed=Deed.LINK, pid=pid, from_s=from_s, until_s=time.time()))
                    await sky.fleet.serves(index)
                    await asyncio.sleep(MENDED_S)

            def setup(index: int) -> Setup:
                return Setup(data=server.url(schema="chaos", port=links[index].port))

            bed = Bed(server=server, hosts=HOSTS, setup=setup, log=server)
            verdict = await judged(bed, tmp_path, again_and_again(storm))
            assert all(link.held for link in links)
            return verdict

    verdict = run(story)
    assert verdict.killed_by_hosts >= 1


@pytest.mark.parametrize("way", WAYS)
def test_hosts_that_cannot_reach_one_another_kill_no_host_and_split_nothing(
    server: PostgresServer, tmp_path: Path, way: str
) -> None:
    begin_decoding(server)
    ports = free_ports(HOSTS)

    async def story() -> Verdict:
        async with AsyncExitStack() as laid:
            links = [await laid.enter_async_context(linked(port)) for port in ports]

            async def storm(sky: Sky) -> None:
                for link in links:
                    link.hold(**WAYS[way])
                    await asyncio.sleep(CUT_S)
                    link.mend()
                    await asyncio.sleep(MENDED_S)

            await asyncio.to_thread(lay, server, ports, links)
            url = server.url(schema="chaos")
            bed = Bed(
                server=server,
                hosts=HOSTS,
                setup=lambda index: Setup(data=url, options=("--peer-address", f"127.0.0.1:{ports[index]}")),
                log=server,
            )
            verdict = await judged(bed, tmp_path, again_and_again(storm))
            assert any(link.held for link in links)
            return verdict

    verdict = run(story)
    assert verdict.killed_by_hosts == 0


def lay(server: PostgresServer, ports: list[int], links: list[Link]) -> None:
    """Make hosts announce the near end of their link, in place of the port at which they listen.

    Other hosts find a host by the address in its row. An event trigger can be made before the tables exist.
    """
    pairs = ", ".join(f"('127.0.0.1:{port}', '127.0.0.1:{link.port}')" for port, link in zip(ports, links, strict=True))
    server.sql(f"""
        CREATE TABLE public.links (far text PRIMARY KEY, near text NOT NULL);
        INSERT INTO public.links VALUES {pairs};
        CREATE FUNCTION public.through_link() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            SELECT near INTO NEW.address FROM public.links WHERE far = NEW.address
            UNION ALL SELECT NEW.address LIMIT 1;
            RETURN NEW;
        END $$;
        CREATE FUNCTION public.lay_links() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; BEGIN
            FOR made IN SELECT object_identity FROM pg_event_trigger_ddl_commands()
                WHERE command_tag = 'CREATE TABLE' AND object_identity = 'chaos.hosts'
            LOOP
                CREATE TRIGGER through_link BEFORE INSERT ON chaos.hosts
                    FOR EACH ROW EXECUTE FUNCTION public.through_link();
            END LOOP;
        END $$;
        CREATE EVENT TRIGGER lay_links ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
            EXECUTE FUNCTION public.lay_links();
    """)


def free_ports(count: int) -> list[int]:
    """Ports that are free now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
