"""The rules: what an audience, a membership and an audience file are. Pure: no I/O, no clock, no neighbours.

rows ─▶ merge (last write wins) ─▶ late (against what was delivered) ─▶ lines ─▶ audience_file
columns of                 frontier: how far                  header, names
one audience               users are delivered
"""
