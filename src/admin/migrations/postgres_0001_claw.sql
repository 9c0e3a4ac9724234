-- What the claw API keeps, for a PostgreSQL: the tables of 0002_claw.sql and 0001_access.sql that it needs, in the schema
-- `np_claw`. The statements are the same for both; what SQLite has for them, and PostgreSQL has not, stands at the end.

CREATE TABLE setting (
    name text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE thread (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    owner text NOT NULL,
    title text NOT NULL,
    created_at text NOT NULL,
    updated_at text NOT NULL,
    touched bigint NOT NULL
);

CREATE INDEX thread_owner ON thread (owner, touched);

CREATE TABLE message (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    thread text NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    text text NOT NULL,
    parts text NOT NULL,
    created_at text NOT NULL
);

CREATE INDEX message_thread ON message (thread, seq);

-- A fact may be longer than an index takes, so that facts are told apart by their digests.
CREATE FUNCTION digest_of(content text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.sha256(pg_catalog.convert_to(content, 'UTF8'))
$$;

CREATE TABLE memory (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    content text NOT NULL,
    tags text NOT NULL,
    author text NOT NULL,
    created_at text NOT NULL
);

CREATE UNIQUE INDEX memory_content ON memory (digest_of(content));

CREATE TABLE persona (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL UNIQUE,
    prompt text NOT NULL,
    is_default boolean NOT NULL,
    created_at text NOT NULL,
    updated_at text NOT NULL
);

CREATE TABLE usage (
    day text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    micros bigint NOT NULL,
    PRIMARY KEY (day, provider, model)
);

CREATE TABLE playbook (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL UNIQUE,
    pattern text NOT NULL,
    steps text NOT NULL,
    requires_confirmation boolean NOT NULL,
    enabled boolean NOT NULL,
    created_at text NOT NULL,
    updated_at text NOT NULL
);

CREATE TABLE playbook_act (
    playbook text NOT NULL REFERENCES playbook (id) ON DELETE CASCADE,
    kind text NOT NULL,
    at bigint NOT NULL
);

CREATE INDEX playbook_act_at ON playbook_act (playbook, kind, at);

CREATE FUNCTION instr(text, text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.strpos($1, $2)
$$;

CREATE FUNCTION json_each(text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.json_array_elements_text($1::pg_catalog.json)
$$;
