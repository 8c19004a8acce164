"""The format of what hosts write into a store that they share: records and entries.

The rule: hosts of two releases may share a store. So a release reads a new format before any release writes it, all
hosts write what each of them reads, and a store keeps which format that is: a host that does not know it is refused.
A format that was raised once is never lowered, because what was written in it stays.

`actors/cluster/leases/work.py` raises it once all hosts that live know a newer one; `Cluster.format` says what to
write.
"""

FORMAT_MAX = 1  # the newest format that this release reads, and writes if it may
