"""The port of the metrics is taken like the others, and its error says what it was for."""

from contextlib import closing

import pytest

from perdure.api.ports import CannotListen
from perdure.daemon.config import RUN_FLAGS
from perdure.daemon.hints import explain
from perdure.daemon.telemetry.metrics_port import listen_for_metrics
from perdure.http.serving.listener import address, listen


def test_a_port_that_somebody_has_is_named_with_the_flag_that_chooses_it() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        _, port = address(taken)
        with pytest.raises(CannotListen) as refusal:
            listen_for_metrics("127.0.0.1", port)
    assert f"127.0.0.1:{port}" in str(refusal.value)
    assert "--metrics-port" in explain(refusal.value, RUN_FLAGS)
