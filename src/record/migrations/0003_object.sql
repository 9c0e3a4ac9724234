-- What is known about each object, the newest value only.

CREATE TABLE status (
    object TEXT PRIMARY KEY,
    status TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE history (
    object  TEXT PRIMARY KEY,
    history TEXT NOT NULL -- JSON
) STRICT;

-- Written to find out whether writing works again.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at TEXT NOT NULL
) STRICT;
