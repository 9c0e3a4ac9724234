//! The words by which a question is known to be about something.

use super::words::{Word, has_any, starts};

pub(super) const AUDIT: &[&str] = &[
    "audit",
    "audited",
    "audit log",
    "activity log",
    "action log",
    "admin log",
    "admin actions",
    "actions",
    "who did",
    "what did you do",
    "what have you done",
    "what did you change",
    "what have you changed",
    "what did mooring do",
    "what has mooring done",
    "what was done",
    "what has been done",
    "what changed",
    "what has changed",
    "what was changed",
    "who changed",
    "who touched",
    "history",
];

/// What was done to something, and what the audit log calls that.
pub(super) const OPERATIONS: &[(&str, &str)] = &[
    ("restarted", "RestartContainer"),
    ("rebooted", "RestartContainer"),
    ("bounced", "RestartContainer"),
    ("stopped", "StopContainer"),
    ("killed", "StopContainer"),
    ("started", "StartContainer"),
    ("created", "CreateContainer"),
    ("removed", "RemoveContainer"),
    ("pulled", "PullImage"),
];

/// What a log is searched for when somebody asks for this.
pub(super) const COMPLAINTS: &[(&str, &str)] = &[
    ("errors", "error"),
    ("error", "error"),
    ("warnings", "warn"),
    ("warning", "warn"),
    ("exceptions", "exception"),
    ("timeouts", "timeout"),
    ("panics", "panic"),
];

pub(super) const LOGS: &[&str] = &["log", "logs", "stdout", "stderr", "logfile", "logfiles", "grep", "tail", "log lines"];

/// What has the word in it and is about no log.
pub(super) const NO_LOGS: &[&str] =
    &["log in", "log into", "log out", "log me in", "log me out", "log on", "log off", "log back", "log level"];

pub(super) const WRONG: &[&str] = &[
    "what is wrong with",
    "what is the matter with",
    "what is up with",
    "explain",
    "what caused",
    "reason for",
    "reason why",
    "how come",
];

pub(super) const EVENTS: &[&str] = &[
    "event",
    "events",
    "what happened",
    "what has happened",
    "what is happening",
    "anything happen",
    "anything happened",
    "alert",
    "alerts",
    "what is going on",
    "did something happen",
    "did anything crash",
    "anything crashed",
    "did anything fail",
    "anything failed",
    "happened",
];

pub(super) const PLAN: &[&str] = &[
    "plan",
    "plans",
    "planned",
    "diff",
    "diffs",
    "drift",
    "drifted",
    "pending",
    "preview",
    "you do next",
    "would you do",
    "will you do",
    "mooring do next",
    "to be done",
    "going to do",
    "dry run",
    "out of sync",
    "in sync",
    "waiting to be done",
    "as declared",
];

pub(super) const ROUTES: &[&str] = &[
    "route",
    "routes",
    "routed",
    "domain",
    "domains",
    "sites",
    "site",
    "urls",
    "url",
    "vhosts",
    "hostnames",
    "subdomains",
    "virtual hosts",
    "endpoints",
];

pub(super) const CPU: &[&str] = &["cpu", "cpus", "processor", "processors", "load"];
pub(super) const MEMORY: &[&str] = &["memory", "ram", "mem"];
pub(super) const DISK: &[&str] = &["disk", "disks", "disc", "free space", "disk space", "space"];
pub(super) const METRICS: &[&str] =
    &["metrics", "busy", "metric", "stats", "statistics", "resource usage", "resources", "usage", "utilisation", "utilization"];

pub(super) const HEALTH: &[&str] = &[
    "running",
    "up",
    "down",
    "alive",
    "ok",
    "okay",
    "healthy",
    "unhealthy",
    "health",
    "status",
    "state",
    "working",
    "works",
    "work",
    "reachable",
    "fine",
    "broken",
    "dead",
    "check",
    "ping",
    "uptime",
    "doing",
    "restarts",
    "restarted",
    "responding",
    "respond",
    "available",
    "online",
    "offline",
    "crashed",
    "crashing",
    "well",
    "stopped",
    "started",
    "exited",
    "feeling",
    "restarting",
    "restart",
    "there",
    "on",
    "off",
    "ready",
    "live",
    "how is",
    "how are",
    "serving",
];

pub(super) const SERVICES: &[&str] = &[
    "services",
    "containers",
    "what is running",
    "what is up",
    "ps",
    "everything that runs",
    "which containers",
    "list apps",
    "what runs",
    "what do you manage",
];

pub(super) const STATUS: &[&str] = &[
    "status",
    "overview",
    "dashboard",
    "everything ok",
    "everything okay",
    "everything fine",
    "everything up",
    "everything running",
    "everything alright",
    "everything working",
    "everything healthy",
    "everything is ok",
    "everything is fine",
    "is everything",
    "how is everything",
    "how are things",
    "how are we",
    "how is it going",
    "how is the server",
    "how is the host",
    "how is the stack",
    "how is the system",
    "machine ok",
    "host ok",
    "server ok",
    "site up",
    "site down",
    "all good",
    "anything down",
    "anything broken",
    "anything wrong",
    "something wrong",
    "something down",
    "what is down",
    "what is broken",
    "what is wrong",
    "are we up",
    "system health",
    "health check",
    "health of everything",
    "state of everything",
    "all services",
    "all up",
    "are you ok",
    "are you there",
    "are you alive",
    "services healthy",
    "containers healthy",
    "services ok",
    "services fine",
];

/// What is found in tables.
pub(super) const DATA: &[&str] = &[
    "table",
    "tables",
    "row",
    "rows",
    "column",
    "columns",
    "record",
    "records",
    "schema",
    "schemas",
    "user",
    "users",
    "customer",
    "customers",
    "order",
    "orders",
    "account",
    "accounts",
    "signup",
    "signups",
    "signed up",
    "signed in",
    "attempt",
    "attempts",
    "logins",
    "session",
    "sessions",
    "payment",
    "payments",
    "invoice",
    "invoices",
    "product",
    "products",
    "query",
    "sql",
    "email addresses",
    "subscriptions",
    "subscribers",
    "migrations",
    "registrations",
    "registered",
    "tenants",
    "invites",
    "largest index",
    "index",
    "indexes",
];

/// What is not found in tables although it is counted or listed.
pub(super) const OURS: &[&str] = &[
    "container",
    "containers",
    "service",
    "services",
    "logs",
    "log",
    "audit",
    "events",
    "routes",
    "secrets",
    "cpu",
    "memory",
    "disk",
    "ram",
    "restarts",
    "restart",
    "restarted",
    "uptime",
];

/// What is counted and is ours, or nobody's.
pub(super) const NOT_COUNTED: &[&str] =
    &["minutes", "hours", "days", "times", "services", "errors", "warnings", "cores", "models", "secrets"];

/// How a question for the database begins.
pub(super) const ASKS: &[&str] = &[
    "how", "what", "which", "who", "when", "where", "show", "list", "find", "count", "get", "give", "tell", "select", "display",
    "is", "are", "did", "does", "do", "has", "have", "average", "total", "sum", "top", "query", "run", "fetch", "any", "number",
    "describe",
];

/// Every list whose words are of the language, for who has to know whether one is.
pub(super) const ALL: &[&[&str]] = &[
    AUDIT,
    LOGS,
    WRONG,
    EVENTS,
    PLAN,
    ROUTES,
    CPU,
    MEMORY,
    DISK,
    METRICS,
    HEALTH,
    SERVICES,
    STATUS,
    DATA,
    OURS,
    NOT_COUNTED,
    ASKS,
];

pub(super) fn is_help(words: &[Word]) -> bool {
    let alone = words.len() == 1 && words[0].is_one_of(&["help", "?", "commands", "usage", "man"]);
    let asked = [
        "help me",
        "what can you",
        "what can i",
        "what do you know",
        "what commands",
        "which commands",
        "how do you work",
        "show help",
        "show the help",
        "list commands",
        "what are you able",
        "what questions",
        "i need help",
        "how does this work",
        "what else can",
    ];
    alone || words.len() <= 6 && asked.iter().any(|phrase| starts(words, phrase))
}

pub(super) fn is_about_the_model(words: &[Word]) -> bool {
    let asked = [
        "which model",
        "what model",
        "which llm",
        "what llm",
        "which ai",
        "what ai",
        "model provider",
        "models",
        "which provider",
        "what provider",
        "current model",
        "active model",
        "model in use",
        "model in force",
        "which language model",
        "show model",
        "show the model",
    ];
    has_any(words, &asked) || words.len() == 1 && words[0].is_one_of(&["model", "models", "provider"])
}

/// The outcome by which somebody wants the entries of the audit log.
pub(super) fn outcome(words: &[Word]) -> Option<String> {
    let outcome =
        [(&["failed", "failures", "failing", "failure", "went wrong"][..], "failed"), (&["successful", "succeeded"][..], "done")];
    outcome.into_iter().find(|(said, _)| has_any(words, said)).map(|(_, outcome)| outcome.to_owned())
}
