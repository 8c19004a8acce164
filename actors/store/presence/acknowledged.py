"""The last entries that a host has acknowledged of actors, so that it can tell which of them a server that took over
lacks.

The rule: it is for a report, and nothing is decided by it. It knows the newest entries only, and only those under an
epoch that the host still has: what another owner did with an actor is not this host's to tell.

`actors/store/postgres/store.py` notes each commit, and `actors/store/postgres/cluster_store.py` asks after a failover.
"""

from collections.abc import Iterable, Mapping, Sequence

KEPT_MAX = 10_000  # actors


class Acknowledged:
    """The last acknowledged entry of each of the actors that were written last."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, int, int]] = {}  # actor's key -> shard, its epoch, position in the log

    def note(
        self,
        entries: Iterable[tuple[int, int]],
        positions: Iterable[int],
        forgotten: Iterable[int],
        epochs: Mapping[int, int],
    ) -> None:
        """Note a commit.

        Args:
            entries: Key and shard of each entry that it added.
            positions: Of these.
            forgotten: Keys of actors whose older entries it forgot, or all of them.
            epochs: Of the shards.
        """
        last = self._last
        for key in forgotten:
            last.pop(key, None)
        for (key, shard), position in zip(entries, positions, strict=True):
            last.pop(key, None)  # the latest write stands last
            last[key] = (shard, epochs[shard], position)
        while len(last) > KEPT_MAX:
            del last[next(iter(last))]

    def under(self, epochs: Mapping[int, int]) -> Sequence[tuple[int, int]]:
        """Key and position of each entry whose shard has the same epoch still.

        Args:
            epochs: Of the shards that the host has.
        """
        return [(key, position) for key, (shard, epoch, position) in self._last.items() if epochs.get(shard) == epoch]
