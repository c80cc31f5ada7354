"""What is told of a bridge, running or not: read from the spool, the ledger and what lies beside them.

segments, translation ─▶ status ─▶ forecast     the whole, now and in the coming hours
next_step, unknown_file ─▶ file_way             one file

Nothing here writes, or takes a lock.
"""
