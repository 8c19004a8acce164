"""Both ends of the pipe between a host and its supervisor, for tests."""

from multiprocessing import Pipe

from perdure.actors.cluster.membership import FixedMembership
from perdure.actors.store.part import Part
from perdure.daemon.supervision import Member


class Pair:
    """The supervisor's end of a pipe, and the host that has the other end."""

    def __init__(self, part: Part, *, directory: str = "nowhere") -> None:
        self.parent, child = Pipe()
        self.member = Member(membership=FixedMembership(part=part, directory=directory), pipe=child)
