"""From Kafka to the spool: read, decode, refuse or collect, seal, commit.

kafka ─▶ collector ─▶ decode ─▶ validate ─▶ window ─▶ (spool) ─▶ commit
 resume: where          │          │
 to start               └─ refused ┴──────▶ dead_letters
"""
