"""Judging: which other hosts are dead, by their beats; and how long a host that was killed stays away.

The rule: no clock of another machine counts, and a host judges others only while its own beats work. A number that has
stood still for DEAD_S by this host's clock belongs to a dead host, if each of this host's beats in that time came back
within SLOW_S. A host that has slept has seen nothing, and begins anew; a host that got no answer in time judges no
other for QUIET_S, because when a database comes back, one host reaches it sooner than another.

A wrong judgement costs time, never truth: a kill has the condition that the number of beats is the number that was
seen, and nothing is committed by a host whose row is gone.

`actors/cluster/leased.py` has a table for each life, and fills it from `actors/store/presence/heart.py`.
"""

from ...store.presence.beats import BEAT_S, SLOW_S, Heartbeat

DEAD_S = 2.0  # a number that stands still for so long is that of a dead host
PAUSE_S = BEAT_S + 0.75  # two beats that are further apart than this: this host has slept
QUIET_S = 10.0  # after a beat that failed or was slow, nobody is judged

KILLS_MAX = 3  # who is killed so often
KILLS_WITHIN_S = 60.0  # within this time
AWAY_S = 10.0  # stays away for so long; doubled each time
AWAY_MAX_S = 160.0


class BeatTable:
    """The beats of other hosts, as one host has seen them in one of its lives.

    Args:
        me: The id of the host that judges.
    """

    def __init__(self, me: int) -> None:
        self._me = me
        self._numbers: dict[int, tuple[int, float]] = {}  # host -> its number, and since when it is that
        self._last: Heartbeat | None = None
        self._quiet_until = 0.0

    def heard(self, beat: Heartbeat) -> None:
        """Take in a beat of this host's. They come in the order in which they were sent."""
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
        """Say who may be killed.

        Args:
            now: The clock of the beats.

        Returns:
            Host -> the number at which it has stood still.
        """
        last = self._last
        if last is None or now < self._quiet_until or now - max(last.sent_at, last.answered_at) > PAUSE_S:
            return {}
        # The last beat has seen the number as it was when it was sent, at the earliest.
        return {host: number for host, (number, since) in self._numbers.items() if last.sent_at - since >= DEAD_S}

    def silent_s(self, host: int) -> float | None:
        """For how long a host's number has stood still; None if this host does not know."""
        known = self._numbers.get(host)
        return None if known is None or self._last is None else max(0.0, self._last.sent_at - known[1])


class Rejoining:
    """How long a host that was killed waits before it joins again.

    One that is killed over and over costs the others a move of its shards each time.
    """

    def __init__(self) -> None:
        self._kills: list[float] = []  # when, without the time for which it was away
        self._away_s = 0.0
        self._all_away_s = 0.0

    def killed(self, now: float) -> float:
        """Take note that this host was killed, and say for how many seconds it stays away."""
        at = now - self._all_away_s
        self._kills = [*(kill for kill in self._kills if at - kill <= KILLS_WITHIN_S), at]
        if len(self._kills) < KILLS_MAX:
            self._away_s = 0.0
        else:
            self._away_s = min(max(2 * self._away_s, AWAY_S), AWAY_MAX_S)
        self._all_away_s += self._away_s
        return self._away_s
