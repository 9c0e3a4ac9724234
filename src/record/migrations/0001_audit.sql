-- The journal and audit log: a row before every act (its intent) and a row after it (its outcome).

CREATE TABLE audit (
    -- AUTOINCREMENT: an id is never used twice, so a missing one shows.
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at  TEXT NOT NULL, -- RFC 3339, UTC, milliseconds: sorts as text
    actor       TEXT NOT NULL, -- 'reconciler', 'cli:root'
    phase       TEXT NOT NULL CHECK (phase IN ('intent', 'outcome')),
    intent      INTEGER REFERENCES audit (id), -- of an outcome: the row it concludes
    pass        TEXT,          -- none for what a person's command did
    step        INTEGER,       -- number in the plan, counted from one
    object      TEXT NOT NULL, -- 'Container/redis'
    generation  INTEGER,
    operation   TEXT NOT NULL,
    target      TEXT NOT NULL,
    why_code    TEXT NOT NULL,
    why         TEXT NOT NULL,
    outcome     TEXT CHECK (outcome IN ('done', 'already-so', 'failed', 'unknown')),
    error       TEXT,
    details     TEXT NOT NULL, -- JSON: the whole step
    CHECK ((phase = 'outcome') = (intent IS NOT NULL)),
    CHECK ((phase = 'outcome') = (outcome IS NOT NULL))
) STRICT;

-- An intent has one outcome.
CREATE UNIQUE INDEX audit_intent ON audit (intent) WHERE intent IS NOT NULL;
CREATE INDEX audit_object ON audit (object, id) WHERE phase = 'intent';

CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

-- INSERT OR REPLACE deletes the row in its way without firing the trigger above.
CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM audit WHERE intent = NEW.intent)
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

-- Intents without an outcome. It could be computed, but not fast enough at start over a year of rows.
CREATE TABLE open_intent (
    id INTEGER PRIMARY KEY REFERENCES audit (id)
) STRICT;

CREATE TRIGGER audit_opens_intent AFTER INSERT ON audit WHEN NEW.phase = 'intent'
BEGIN
    INSERT INTO open_intent (id) VALUES (NEW.id);
END;

CREATE TRIGGER audit_closes_intent AFTER INSERT ON audit WHEN NEW.phase = 'outcome'
BEGIN
    DELETE FROM open_intent WHERE id = NEW.intent;
END;
