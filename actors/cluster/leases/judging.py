"""Judging: which other hosts are dead, by their beats; and how long a killed host stays away.

The rule: no clock of another machine is used, and a host judges others only while its own beats work. A host is dead if
its number of beats has stood still for DEAD_S by this host's clock, and each of this host's beats in that time came
back within SLOW_S. A host that has slept begins to observe anew. A host that got no answer in time judges no other host
for QUIET_S, because when a database comes back, one host reaches it sooner than another.

A wrong judgement costs time, but no data: a kill succeeds only if the number of beats is still the one that was seen,
and a host without a row cannot commit.

`actors/cluster/leased.py` has a table for each life, and fills it from `actors/store/presence/heart.py`.
"""

from ...store.presence.beats import BEAT_S, SLOW_S, Heartbeat

DEAD_S = 2.0  # if a host's number of beats stands still for this time, the host is dead
PAUSE_S = BEAT_S + 0.75  # if two beats are further apart than this, this host has slept
QUIET_S = 10.0  # how long no host is judged after a beat that failed or was slow

KILLS_MAX = 3  # a host that was killed this often
KILLS_WITHIN_S = 60.0  # within this time
AWAY_S = 10.0  # stays away for this time; doubled each time
AWAY_MAX_S = 160.0


class BeatTable:
    """The beats of other hosts, as one host has seen them in one of its lives.

    Args:
        me: The id of the host that judges.
    """

    def __init__(self, me: int) -> None:
        self._me = me
        self._numbers: dict[int, tuple[int, float]] = {}  # host -> its number of beats, and since when
        self._last: Heartbeat | None = None
        self._quiet_until = 0.0

    def heard(self, beat: Heartbeat) -> None:
        """Take in a beat of this host. Beats come in the order in which they were sent."""
        last, self._last = self._last, beat
        if last is not None and beat.sent_at - max(last.sent_at, last.answered_at) > PAUSE_S:
            self._numbers.clear()
        if beat.beats is None or beat.answered_at - beat.sent_at > SLOW_S:
            self._numbers.clear()
            self._quiet_until = beat.answered_at + QUIET_S
            return
        self._numbers = {
            host: (number, beat.answered_at) if known is None or known[0] != number else known
            for host, number in beat.beats.seen.items()
            if host != self._me
            for known in (self._numbers.get(host),)
        }

    def dead(self, now: float) -> dict[int, int]:
        """The hosts that may be killed.

        Args:
            now: The clock of the beats.

        Returns:
            Host -> the number at which it has stood still.
        """
        last = self._last
        if last is None or now < self._quiet_until or now - max(last.sent_at, last.answered_at) > PAUSE_S:
            return {}
        # The last beat has read the number no earlier than it was sent.
        return {host: number for host, (number, since) in self._numbers.items() if last.sent_at - since >= DEAD_S}

    def silent_s(self, host: int) -> float | None:
        """For how long a host's number has stood still; None if this host does not know."""
        known = self._numbers.get(host)
        return None if known is None or self._last is None else max(0.0, self._last.sent_at - known[1])


class Rejoining:
    """How long a host that was killed waits before it joins again.

    If a host is killed over and over, the others take its shards each time.
    """

    def __init__(self) -> None:
        self._kills: list[float] = []  # times of kills; the clock stands still while the host stays away
        self._away_s = 0.0
        self._all_away_s = 0.0

    def killed(self, now: float) -> float:
        """Take note that this host was killed, and return how many seconds it stays away."""
        at = now - self._all_away_s
        self._kills = [*(kill for kill in self._kills if at - kill <= KILLS_WITHIN_S), at]
        if len(self._kills) < KILLS_MAX:
            self._away_s = 0.0
        else:
            self._away_s = min(max(2 * self._away_s, AWAY_S), AWAY_MAX_S)
        self._all_away_s += self._away_s
        return self._away_s
