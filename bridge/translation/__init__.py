"""From a partner's ids to MM UUIDs: between the spool and the spool.

      live runs                identity table
    partner's rows ──────▶ join ◀────── mappings, opt-outs
          │                  │
          │ parked           ▼
          └───────▶  rows by MM UUID, in a run of their own ──▶ delivered like any other
             (again when a mapping becomes known)

| module | |
|---|---|
| rules | what rows become by mappings, and what an opt-out takes back |
| progress | how far that was done, as positions in the runs |
| shelf | the rows of one unresolved audience, by ranges of users |
| joining | these rows, joined with the table |
| due | when there is a turn |
| turn | all that is to be done at one look, piece by piece |
| translator | carries a turn out |
| replayed | the same once of a replay, which parks what is not known |
| observer | who is told |

Decision record 0052.
"""
