-- The backend manager's access; see src/admin/store.rs.

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- `digest` is that of the session's id: the file alone opens nothing.
CREATE TABLE session (
    digest TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE INDEX session_expires ON session (expires);
