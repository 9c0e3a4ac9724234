-- What people are told, repeated ones folded into one row. Pruned by age, so not append-only.

CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    object   TEXT NOT NULL, -- 'Container/redis', or 'Host'
    type     TEXT NOT NULL CHECK (type IN ('Normal', 'Warning')),
    reason   TEXT NOT NULL,
    message  TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at  TEXT NOT NULL,
    count    INTEGER NOT NULL,
    UNIQUE (object, type, reason, message)
) STRICT;

CREATE INDEX event_last_at ON event (last_at);
