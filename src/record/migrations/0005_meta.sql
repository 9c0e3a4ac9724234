-- What is known about this file itself.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Tells the rows of this file from those of others where they are kept together.
INSERT INTO meta (name, value) VALUES ('journal', lower(hex(randomblob(16))));
