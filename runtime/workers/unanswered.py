"""The unanswered jobs of a worker without tokens.

The rule: workers without tokens have at most one of the jobs with the same key. Their answers name the key alone, so
that an answer to a job that is void by now (of an earlier run of its instance, of a turn whose commit failed) would be
taken for an answer to the next job. So the next job waits until the void one is answered, or its worker's stream has
ended.

Each stream has an `Unanswered`, which stays empty for a worker that returns tokens. The dispatcher has a `HeldJobs`,
which checks the `Unanswered` of all streams before a job is dispatched, and when an answer comes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from ...actors.address import Address


class Keyed(Protocol):
    """The parts of a job by which its answer finds it."""

    @property
    def key(self) -> Address:
        """The address by which its answer finds the job."""
        ...

    def has_token(self, token: str) -> bool:
        """Whether it was dispatched under a token."""


J = TypeVar("J", bound=Keyed)


class Unanswered(Generic[J]):
    """The jobs that one worker was sent and has not answered. It is true while there are any."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: dict[Address, list[J]] = {}  # by key, the oldest first; none is empty

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def sent(self, job: J) -> None:
        """Note that a job was sent to the worker; a job that was sent twice has two answers."""
        self._jobs.setdefault(job.key, []).append(job)

    def holds_back(self, job: J) -> bool:
        """Whether an answer to another job with its key is still to come."""
        return any(other is not job for other in self._jobs.get(job.key, ()))

    def answered(self, key: Address, token: str, job: J | None) -> J | None:
        """Note that an answer with this key has come.

        Args:
            token: The token of the answer; empty if it has none.
            job: The job to be answered, if there is one.

        Returns:
            The job that the answer is to: `job` if the worker has it, else its oldest one; None if it has none.
        """
        waiting = self._jobs.get(key, [])
        could_be = [each for each in waiting if not token or each.has_token(token)]
        if not could_be:
            return None
        found = job if job is not None and job in could_be else could_be[0]
        waiting.remove(found)
        if not waiting:
            del self._jobs[key]
        return found

    def forget(self, keys: Iterable[Address]) -> None:
        """Forget the jobs with these keys: no answer to them comes here any more."""
        for key in keys:
            self._jobs.pop(key, None)

    def __iter__(self) -> Iterator[Address]:
        """The keys that it may hold back."""
        return iter(self._jobs)

    def beside(self, jobs: Mapping[Address, J], kind: str) -> int:
        """Count the jobs of a kind of key that are not in `jobs`: void jobs take the worker's room too."""
        return sum(
            jobs.get(key) is not each for key, waiting in self._jobs.items() if key.type == kind for each in waiting
        )


class HasUnanswered(Protocol[J]):
    """A stream, as the owner of its worker's unanswered jobs."""

    unanswered: Unanswered[J]


class HeldJobs(Generic[J]):
    """The jobs that wait for the answer to an earlier one with their key.

    Args:
        streams: All streams.
        give_back: Queues a job that has waited.
    """

    def __init__(self, streams: Sequence[HasUnanswered[J]], give_back: Callable[[J], None]) -> None:
        self._streams = streams
        self._give_back = give_back
        self._held: dict[Address, J] = {}

    def hold(self, job: J) -> bool:
        """Keep a job for as long as a worker without tokens has an earlier one with its key; False if none has."""
        for stream in self._streams:
            if stream.unanswered and stream.unanswered.holds_back(job):
                self._held[job.key] = job
                return True
        return False

    def drop(self, key: Address) -> bool:
        """Forget a job; False if none with this key has waited here."""
        return self._held.pop(key, None) is not None

    def let_go(self, keys: Iterable[Address]) -> None:
        """Queue the jobs that have waited for answers with these keys."""
        for key in keys:
            if (job := self._held.pop(key, None)) is not None:
                self._give_back(job)

    def answered(self, key: Address, token: str, job: J | None, given: HasUnanswered[J] | None) -> bool:
        """Remove an answered job from the list of its worker.

        Args:
            job: The one with this key that is to be answered, if there is one.
            given: The stream that has it.

        Returns:
            Whether the answer is to an earlier job with this key, which may be let go then.
        """
        for stream in (given, *self._streams) if given is not None else self._streams:
            if stream.unanswered and (found := stream.unanswered.answered(key, token, job)) is not None:
                return found is not job
        return False
