"""History read again: from topics between two times, from archived files, from dead letters.

request ─▶ plan ─▶ material ─▶ reading ─▶ (spool: runs of the replay's own, which are its checkpoint)
 what is    what    topic_source,  the collector
 asked for  is held archives       of the ingest room
"""
