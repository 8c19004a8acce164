"""The processes of hosts end with the block that started them, and each has its own configuration."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from perdure.daemon.config import Config
from perdure.daemon.hosts.host_processes import HostProcesses, config_of
from perdure.daemon.supervision import Member, Ready, Stop

from ...support.processes.host_config import host_config
from ...support.processes.lines import PATIENCE_S
from ...support.processes.small_hosts import deaf, steady

CONFIG = host_config("shop.py")


@pytest.mark.parametrize(("host", "patience_s", "code"), [(steady, 60, 0), (deaf, 0.1, -signal.SIGKILL)])
def test_hosts_end_when_their_parent_breaks(
    host: Callable[[Config, Member], None], patience_s: float, code: int, tmp_path: Path
) -> None:
    # Given a host, in its own folder,
    processes = HostProcesses(CONFIG, str(tmp_path), host, patience_s=patience_s)
    with pytest.raises(BrokenPipeError), processes:
        processes.start(0)
        wait(processes.pipes(), PATIENCE_S)
        [process] = active_children()
        # when its parent fails, then it ends by itself, or is killed.
        raise BrokenPipeError
    process.join(PATIENCE_S)
    assert process.exitcode == code


def test_a_host_that_a_signal_has_stopped_goes_on(tmp_path: Path) -> None:
    with HostProcesses(CONFIG, str(tmp_path), steady, patience_s=60) as processes:
        processes.start(0)
        wait(processes.pipes(), PATIENCE_S)
        [process] = active_children()
        assert process.pid is not None
        # A host that runs is let alone,
        assert not processes.go_on(0)
        # a host that was stopped goes on, and can end,
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert processes.go_on(0)
        assert not processes.go_on(0)
        processes.send(0, Stop(force=True))
        process.join(PATIENCE_S)
        # and a host that has ended leaves its exit code.
        assert not processes.go_on(0)
        assert processes.ended() == [(0, 0)]


def first_or_not(config: Config, member: Member) -> None:
    """A host that tells its supervisor whether it was started for the first time."""
    member.say(Ready("for the first time" if member.first else "again"))


def test_a_host_is_told_whether_it_is_started_again(tmp_path: Path) -> None:
    # A host listens before it is ready only at the first start of a daemon: later the other hosts take the connections.
    with HostProcesses(CONFIG, str(tmp_path), first_or_not, patience_s=60) as processes:
        said = []
        for _ in range(2):
            processes.start(0)
            wait(processes.pipes(), PATIENCE_S)
            [(_, message)] = processes.messages()
            said.append(message)
            [process] = active_children()
            process.join(PATIENCE_S)
            processes.forget(0)
    assert said == [Ready("for the first time"), Ready("again")]


def test_each_host_has_a_port_for_its_metrics() -> None:
    assert [config_of(replace(CONFIG, metrics_port=9090), index).metrics_port for index in range(3)] == [
        9090,
        9091,
        9092,
    ]
    assert config_of(CONFIG, 1).metrics_port == 0
