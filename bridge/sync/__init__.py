"""User sync: people by the platform's id (seed s2s_data_import, User Syncing).

    tag ─▶ platform ─▶ endpoint ─▶ store
    on a page          consent,    Kafka topic user-sync,
                       identity    or SQLite on one machine

A browser brings the platform's id (MM UUID) to the endpoint, which knows it by the partner's own id: both are
a mapping. What is stored stands in `mapping`.
"""
