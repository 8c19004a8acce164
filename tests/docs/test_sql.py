"""The SQL of the documents is taken by PostgreSQL."""

import pytest

from ..support.docs.blocks import Block, blocks, pages
from ..support.postgres import PostgresServer, installed

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


@pytest.mark.slow
@pytest.mark.parametrize(
    "block",
    [each for page in pages() for each in blocks(page) if each.language == "sql"],
    ids=lambda block: block.place,
)
def test_the_sql_of_a_page_is_taken(block: Block, own_server: PostgresServer) -> None:
    own_server.sql("CREATE ROLE me")
    own_server.sql(block.text)
