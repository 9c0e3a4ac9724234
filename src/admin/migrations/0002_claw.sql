-- What the claw API keeps; see src/admin/claw.rs.
-- Lists go by `seq`, newest first; threads by `touched`, which grows with everything said in any of them.

-- `digest` is that of the token: the file alone opens nothing.
CREATE TABLE token (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    last_used_at TEXT
) STRICT;

CREATE TABLE thread (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    touched INTEGER NOT NULL
) STRICT;

CREATE INDEX thread_owner ON thread (owner, touched);

CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    thread TEXT NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    parts TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX message_thread ON message (thread, seq);

CREATE TABLE memory (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    content TEXT NOT NULL UNIQUE,
    tags TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE persona (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    prompt TEXT NOT NULL,
    is_default INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE usage (
    day TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (day, provider, model)
) STRICT;

CREATE TABLE playbook (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    pattern TEXT NOT NULL,
    steps TEXT NOT NULL,
    requires_confirmation INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

-- What playbooks have done by themselves, and when, in milliseconds since 1970: what their budget counts.
CREATE TABLE playbook_act (
    playbook TEXT NOT NULL REFERENCES playbook (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX playbook_act_at ON playbook_act (playbook, kind, at);

CREATE TABLE mode (
    owner TEXT NOT NULL,
    session_id TEXT NOT NULL,
    PRIMARY KEY (owner, session_id)
) STRICT;
