"""The identity table: whose browser an id is, on disk, in the bridge.

topic ─▶ follower ─▶ window ─▶ layers ─▶ snapshot
user-     decode,    rows in   slabs on   join,
sync      skip       memory    disk,      changes
                               merged
"""
