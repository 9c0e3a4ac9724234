-- The audit log of one or several Moorings, row by row as in their own files; see docs/audit.md.

CREATE TABLE claw_audit_log (
    journal     text        NOT NULL, -- which file it is of
    id          bigint      NOT NULL,
    created_at  timestamptz NOT NULL, -- in milliseconds
    actor       text        NOT NULL,
    phase       text        NOT NULL,
    intent      bigint,
    pass        text,
    step        bigint,
    object      text        NOT NULL,
    generation  bigint,
    operation   text        NOT NULL,
    target      text        NOT NULL,
    why_code    text        NOT NULL,
    why         text        NOT NULL,
    outcome     text,
    error       text,
    details     json        NOT NULL, -- not jsonb, which is another text
    prev_hash   text        NOT NULL,
    hash        text        NOT NULL,
    -- A row that is sent twice is there once.
    PRIMARY KEY (journal, id)
);

CREATE INDEX claw_audit_log_created_at ON claw_audit_log (created_at);

CREATE FUNCTION claw_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;

CREATE TRIGGER claw_audit_log_refuses_change BEFORE UPDATE OR DELETE ON claw_audit_log
    FOR EACH ROW EXECUTE FUNCTION claw_audit_refuse();

CREATE TRIGGER claw_audit_log_refuses_truncate BEFORE TRUNCATE ON claw_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION claw_audit_refuse();

REVOKE UPDATE, DELETE, TRUNCATE ON claw_audit_log FROM PUBLIC, CURRENT_USER;

-- One column as it is hashed.
CREATE FUNCTION claw_audit_text(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NULL THEN '~' ELSE octet_length(value)::text || ':' || value END || E'\n'
$$;

-- The digest that a row should have.
CREATE FUNCTION claw_audit_digest(line claw_audit_log) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(
        E'mooring-audit-1\n'
        || claw_audit_text(line.prev_hash)
        || claw_audit_text(line.id::text)
        || claw_audit_text(to_char(line.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
        || claw_audit_text(line.actor)
        || claw_audit_text(line.phase)
        || claw_audit_text(line.intent::text)
        || claw_audit_text(line.pass)
        || claw_audit_text(line.step::text)
        || claw_audit_text(line.object)
        || claw_audit_text(line.generation::text)
        || claw_audit_text(line.operation)
        || claw_audit_text(line.target)
        || claw_audit_text(line.why_code)
        || claw_audit_text(line.why)
        || claw_audit_text(line.outcome)
        || claw_audit_text(line.error)
        || claw_audit_text(line.details::text), 'UTF8')), 'hex')
$$;
