"""The configuration of a daemon of several hosts, for tests of its processes."""

from perdure.daemon.config import Config
from perdure.runtime.settings import Settings


def host_config(target: str, *, data: str = "perdure.db", processes: int = 2) -> Config:
    return Config(
        target=target,
        host="127.0.0.1",
        http_port=0,
        grpc_port=0,
        data=data,
        durability="full",
        app_id=None,
        api_tokens=(),
        max_body_bytes=None,
        log_level="info",
        log_format="text",
        limits=Settings(),
        processes=processes,
    )
