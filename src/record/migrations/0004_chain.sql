-- Each row carries the digest of itself and of the row before; see docs/audit.md.

-- The rows that were there before have none: they are told apart, and not vouched for.
ALTER TABLE audit ADD COLUMN prev_hash TEXT;
ALTER TABLE audit ADD COLUMN hash TEXT;

CREATE TRIGGER audit_refuses_unsealed BEFORE INSERT ON audit WHEN NEW.hash IS NULL OR NEW.prev_hash IS NULL
BEGIN
    SELECT RAISE (ABORT, 'a row of the audit log has a digest');
END;
