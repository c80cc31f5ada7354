"""The rules: what an audience, a membership and an audience file are. Pure: no I/O, no clock, no neighbours.

rows ─▶ merge (last write wins) ─▶ late (against what was delivered) ─▶ lines ─▶ audience_file
columns of                 frontier: how far   overtaking: what of it     header, names
one audience               users are delivered bears on what waits
"""
