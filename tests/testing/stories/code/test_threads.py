"""The log of the engine is not written while a world runs, and is as it was behind it."""

import logging

import pytest

from perdure.testing.stories.code.threads import quiet


def test_the_engine_is_quiet_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("perdure").setLevel(logging.INFO)
    with quiet():
        logging.getLogger("perdure.runtime").error("not this")
        logging.getLogger("shop").error("this")
    logging.getLogger("perdure.runtime").error("and this")
    assert [record.getMessage() for record in caplog.records] == ["this", "and this"]
    assert logging.getLogger("perdure").level == logging.INFO
    logging.getLogger("perdure").setLevel(logging.NOTSET)
