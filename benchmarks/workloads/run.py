"""A run: one workload, one way to reach the engine, and every option that its figures depend on.

The rule: a run is what a document of results keeps, so a field that is added has a default.
"""

from dataclasses import dataclass, replace
from typing import Self

from .table import BY_NAME
from .workload import POSTGRES, Extent, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One workload, as it is to be run."""

    workload: str
    driver: str
    in_flight: int
    seconds: float
    instances: int | None = None  # None: as many as fit into the time
    durability: str = "full"
    always_replay: bool = False
    rate: float | None = None  # instances a second that arrive; None: each in the place of one that has ended
    peers: str | None = None  # the folder that other engines are installed in
    processes: int = 1  # that share the work; each has a part of the store, or all share the database
    database: str | None = None  # the address of a PostgreSQL database
    sdk_python: str | None = None  # a Python that has Dapr's SDK

    @property
    def variant(self) -> Workload:
        """The workload as it is run here."""
        found = BY_NAME[self.workload].with_in_flight(self.in_flight).with_rate(self.rate)
        return found.with_hosts(self.processes) if self.driver == POSTGRES else found.with_processes(self.processes)

    @property
    def extent(self) -> Extent:
        return Extent(seconds=self.seconds, instances=self.instances)

    @property
    def plain(self) -> bool:
        """Whether marks are made for its options."""
        return self.durability == "full" and not self.always_replay

    @property
    def marked(self) -> bool:
        """Whether it is one to which marks apply."""
        return self.plain and self.variant.marks_hold(seconds=self.seconds, instances=self.instances)

    def anywhere(self) -> Self:
        """The same without what says only where something is installed."""
        return replace(self, peers=None, sdk_python=None)
