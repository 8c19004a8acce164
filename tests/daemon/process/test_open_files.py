"""Both ports together leave files to open for the rest, whatever the limit."""

import pytest

from perdure.daemon.process.open_files import GRPC_MAX, HTTP_MAX, SHARE_MIN, open_files_max, shares_of


@pytest.mark.parametrize("processes", [1, 4, 64])
@pytest.mark.parametrize("limit", [256, 1024, 4096, 65_536, 2**20])
def test_a_reserve_is_left(limit: int, processes: int) -> None:
    shares = shares_of(limit, processes)
    if limit > 64 + limit // 8 + 4 * processes + 2 * SHARE_MIN:
        assert shares.http + shares.grpc <= limit - 64
    assert SHARE_MIN <= shares.http <= HTTP_MAX
    assert SHARE_MIN <= shares.grpc <= GRPC_MAX


def test_the_usual_limits_allow_hundreds() -> None:
    assert (shares_of(1024).http, shares_of(1024).grpc) == (554, 277)
    assert (shares_of(256).http, shares_of(256).grpc) == (106, 53)


def test_there_is_a_limit() -> None:
    assert open_files_max() > 0
