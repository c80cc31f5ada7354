"""Which segments of events can be bought: what a stream's taxonomy holds, and what was seen of it.

    taxonomy file ─▶ reading ─▶ codes ─▶ (ingest judges a batch) ─▶ sighting ─▶ seen ─▶ stored, told
                                                                     watch

| module | |
|---|---|
| codes | the codes of a taxonomy that can be bought; a sighting: what a batch showed of them |
| reading | a taxonomy file, or a taxonomy of the platform's, as codes |
| unknown | how often each unknown segment came, bounded |
| seen | what is known of a stream's segments: a frozen record, one step a batch |
| watch | the newest record, for the thread that counts and the one that writes |
| stored | the record as bytes, and where it lies |
| unused | which codes no event used |

Days are whole UTC days since 1970-01-01, by the clock at which events were read. Decision record 0043.
"""
