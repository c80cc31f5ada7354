"""Runs on disk: sealed windows, and nothing else that ingest and deliver share.

    window ─▶ seal ─▶ runs/000000000042.run ─▶ read by user range ─▶ delivery
                           │
                        upkeep: merge, rewrite, retire

`disk` makes files durable, `footer` and `run_writer` and `run` are the container, `folder` lists what lives,
`numbers` allots, `locks` keeps processes apart, `upkeep` decides, `spool` carries it out.
"""
