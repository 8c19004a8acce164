"""What differs from a page is found out, and what differs from day to day is not."""

from ..support.docs.printed import ANY, shows


def test_what_differs_from_a_page_is_found_out() -> None:
    printed = ["ID        STATUS  AGE", "order-17  FAILED  3m2s", "at 2026-11-27 02:28:55", "4 events, 1,024 bytes"]
    shown = ["ID STATUS AGE", "order-17  FAILED  12s", "at 2026-01-01 11:51:54", "4 events, 365 bytes"]
    assert shows(printed, shown)
    assert shows(printed, [shown[0], ANY, shown[3]])
    assert not shows(printed, shown[:3])
    assert not shows(printed, [*shown, "more"])
    assert not shows(printed, [*shown[:3], "5 events, 365 bytes"])
    assert not shows(printed, [shown[0], "order-18  FAILED  12s", *shown[2:]])
    assert not shows(printed, [shown[0], "order-17  COMPLETED  12s", *shown[2:]])


def test_an_ellipsis_stands_for_any_text_and_ports_are_not_compared() -> None:
    assert shows(["Ready: http://127.0.0.1:4711", "id x: paid"], ["Ready: http://127.0.0.1:3500", "id …: paid"])
    assert not shows(["id x: refused"], ["id …: paid"])


def test_json_is_compared_by_its_values() -> None:
    printed = ['{"id":"a","at":"2026-11-27T02:28:55.1Z","list":[1,2]}']
    assert shows(printed, ['{"id": "a",', ' "list": [1, 2], "at": "…"}'])
    assert shows(printed, ['{"id": "a", "list": [1, 2], "at": "2026-01-01T00:00:00Z"}'])
    assert not shows(printed, ['{"id": "a", "list": [1, 3], "at": "…"}'])
    assert not shows(printed, ['{"id": "a", "list": [1, 2]}'])
    assert not shows(printed, ['{"id": "b", "list": [1, 2], "at": "…"}'])
