"""The statements that the stand-in knows, by their names.

The rule: a statement of the store has its function here, or stands in LACKING with the reason why it has none.
`tests/testing/simulation/machines/database/test_registry.py` holds that.
"""

from collections.abc import Mapping

from ..backend import Function
from . import committing, hosts, listing, making, reading

FUNCTIONS: Mapping[str, Function] = {
    "commit": committing.commit,
    "revive": hosts.revive,
    "find entry": hosts.find_entry,
    "missing entries": hosts.missing_entries,
    "missing items": hosts.missing_items,
    "look at host": hosts.look_at_host,
    "join": hosts.join,
    "serve": hosts.serve,
    "set state": hosts.set_state,
    "hosts": hosts.hosts,
    "beat": hosts.beat,
    "look": hosts.look,
    "kill": hosts.kill,
    "backend": hosts.backend,
    "end blocking": hosts.end_blocking,
    "leave": hosts.leave,
    "shards": hosts.shards,
    "take": hosts.take,
    "give": hosts.give,
    "some shards": hosts.some_shards,
    "note": hosts.note,
    "flights": hosts.flights,
    "strike": hosts.strike,
    "cuts": hosts.cuts,
    "cut": hosts.cut,
    "uncut": hosts.uncut,
    "make secret": hosts.make_secret,
    "secret": hosts.secret,
    "replace secret": hosts.replace_secret,
    "take keys": hosts.take_keys,
    "add kinds": hosts.add_kinds,
    "fold tallies": hosts.fold_tallies,
    "thin audit": hosts.thin_audit,
    "set copying": hosts.set_copying,
    "kinds": reading.kinds,
    "any actor": reading.any_actor,
    "load": reading.load,
    "inspect": reading.inspect,
    "items": reading.items,
    "expiring": reading.expiring,
    "find key": reading.find_key,
    "ids": reading.ids,
    "ids behind": reading.ids,
    "active": reading.active,
    "reminders": reading.reminders,
    "read meta": reading.read_meta,
    "older hosts": reading.older_hosts,
    "tables there": reading.tables_there,
    "show": reading.show,
    "page": reading.page,
    "logs": reading.logs,
    "timers": reading.timers,
    "next timers": reading.next_timers,
    "close timers": reading.close_timers,
    "items page": reading.items_page,
    "audit page": reading.audit_page,
    "list": listing.list_,
    "tallied": listing.tallied,
    "together": making.together,
}

LACKING: Mapping[str, str] = {
    "check": "it compares documents of JSON within the server; the check of a store is not of a host",
    "lags": "it is for metrics, which a world has none of",
    "index": "no step from an older version makes one yet",
    "drop index": "as above",
    "half made": "as above",
    "try lock": "as above",
    "unlock": "as above",
}
