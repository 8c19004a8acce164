"""Tables of the stand-in are the ones that the store makes."""

from perdure.actors.store.postgres.schema import TABLE_NAMES, TABLES
from perdure.testing.simulation.machines.database.tables import Table, index_made, table_made
from perdure.testing.simulation.machines.database.transactions import Ledger, Version


def test_every_table_of_the_store_is_read_with_its_keys_and_defaults() -> None:
    made = {each.name: each for each in map(table_made, TABLES) if each is not None}
    assert set(TABLE_NAMES) <= made.keys()
    assert made["log"].columns == ["key", "position", "at_us", "entry"]
    assert made["log"].keys == [["key", "position"]]
    assert made["actors"].keys == [["key"], ["type", "id"]]
    assert made["beats"].defaults == {"beat": 0}
    assert made["audit"].identity == "number"


def test_every_statement_of_the_making_is_a_table_an_index_or_a_setting() -> None:
    left = [sql for sql in TABLES if table_made(sql) is None and index_made(sql) is None]
    assert all(sql.startswith("ALTER TABLE ") for sql in left), left


def test_a_row_is_found_by_each_of_its_keys_until_it_is_forgotten() -> None:
    made = next(each for each in map(table_made, TABLES) if each is not None and each.name == "beats")
    table = Table(made)
    version = Version(table, table.row(host=7), Ledger().begin())
    table.keep(version)
    assert table.versions(table.keys[0], 7) == [version]
    assert version.row == (7, 0)
    table.forget(version)
    assert not table.versions(table.keys[0], 7)
    assert not table.all()
