"""A run: one workload, one driver, and every option that its figures depend on.

The rule: documents of results contain runs, so a new field has a default.
"""

from dataclasses import dataclass, replace
from typing import Self

from .table import BY_NAME
from .workload import POSTGRES, Extent, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A workload with its options."""

    workload: str
    driver: str
    in_flight: int
    seconds: float
    instances: int | None = None  # None: limited by time
    durability: str = "full"
    always_replay: bool = False
    rate: float | None = None  # arriving instances a second; None: a new instance replaces each that has ended
    peers: str | None = None  # the folder with the other engines
    processes: int = 1  # each has a part of the store, or all share the database
    database: str | None = None  # the address of a PostgreSQL database
    sdk_python: str | None = None  # a Python that has Dapr's SDK

    @property
    def variant(self) -> Workload:
        """The workload with these options."""
        found = BY_NAME[self.workload].with_in_flight(self.in_flight).with_rate(self.rate)
        return found.with_hosts(self.processes) if self.driver == POSTGRES else found.with_processes(self.processes)

    @property
    def extent(self) -> Extent:
        return Extent(seconds=self.seconds, instances=self.instances)

    @property
    def plain(self) -> bool:
        """Whether its options are those of the marks."""
        return self.durability == "full" and not self.always_replay

    @property
    def marked(self) -> bool:
        """Whether marks apply to it."""
        return self.plain and self.variant.marks_hold(seconds=self.seconds, instances=self.instances)

    def anywhere(self) -> Self:
        """The run without paths of installations."""
        return replace(self, peers=None, sdk_python=None)
