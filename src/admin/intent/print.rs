//! Intents as sentences, which the grammar reads as the same intents.

use std::fmt;

use jiff::Timestamp;

use super::{ASK, AuditOf, CHANGE, DEFAULT_LINES, End, Gauge, Held, Intent, lexicon, words::quoted};

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Help => f.write_str("help"),
            Self::Cancel => f.write_str("cancel"),
            Self::Confirm => f.write_str("yes"),
            Self::Status => f.write_str("show the status"),
            Self::Services => f.write_str("list the services"),
            Self::Health { services } => write!(f, "check the health of {}", list(services)),
            Self::Metrics { which, service } => {
                write!(f, "show the {}", which.words())?;
                by(f, "of", service.as_deref())
            }
            Self::Logs { service, lines, contains, since } => {
                f.write_str("show the ")?;
                if *lines != DEFAULT_LINES {
                    write!(f, "last {lines} lines of the ")?;
                }
                write!(f, "logs of {}", name(service))?;
                if let Some(contains) = contains {
                    write!(f, " containing {}", quoted(contains))?;
                }
                span(f, *since, None)
            }
            Self::Audit(of) => audit(f, of),
            Self::Events { service, since, until, limit } => {
                f.write_str("show the events")?;
                by(f, "of", service.as_deref())?;
                span(f, *since, *until)?;
                at_most(f, *limit)
            }
            Self::Why { service } => write!(f, "why is {} as it is", name(service)),
            Self::Plan { service } => {
                f.write_str("show the plan")?;
                by(f, "for", service.as_deref())
            }
            Self::Secrets => f.write_str("list the secrets"),
            Self::Model => f.write_str("which model answers"),
            Self::Routes => f.write_str("list the routes"),
            Self::Restart { services } => write!(f, "restart {}", list(services)),
            Self::Hold { what, end, reason } => {
                write!(f, "hold {what} {end}")?;
                reason.iter().try_for_each(|reason| write!(f, " because {}", quoted(reason)))
            }
            Self::Release { what } => write!(f, "release {what}"),
            Self::EnvShow { key } => write!(f, "show the variable {}", name(key)),
            Self::EnvSet { key, value, file } => {
                write!(f, "set the variable {} to {}", name(key), quoted(value.expose()))?;
                file.iter().try_for_each(|file| write!(f, " in {}", name(file)))
            }
            Self::EnvUnset { key } => write!(f, "unset the variable {}", name(key)),
            Self::Start { services } => write!(f, "start {}", list(services)),
            Self::Stop { service } => write!(f, "stop {}", name(service)),
            Self::Database { question } => write!(f, "{ASK} {question}"),
            Self::DatabaseChange { request } => write!(f, "{CHANGE} {request}"),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Services(services) => f.write_str(&list(services)),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => write!(f, "for {duration}"),
            Self::Until(moment) => write!(f, "until {moment}"),
        }
    }
}

impl Gauge {
    fn words(self) -> &'static str {
        match self {
            Self::All => "metrics",
            Self::Cpu => "cpu usage",
            Self::Memory => "memory usage",
            Self::Disk => "disk usage",
        }
    }
}

fn audit(f: &mut fmt::Formatter<'_>, of: &AuditOf) -> fmt::Result {
    let AuditOf { since, until, actor, operation, target, outcome, limit } = of;
    f.write_str("show the audit log")?;
    by(f, "by", actor.as_deref())?;
    by(f, "with operation", operation.as_deref())?;
    by(f, "on", target.as_deref())?;
    // Outcomes are words of the language, and no name can stand in their place.
    let is_word =
        |outcome: &&String| outcome.chars().all(|c| c.is_ascii_lowercase() || c == '-') && outcome.starts_with(|c| c != '-');
    match outcome.as_ref().filter(is_word).filter(|outcome| outcome.ends_with(|c| c != '-')) {
        Some(outcome) => write!(f, " with outcome {outcome}")?,
        None => by(f, "with outcome", outcome.as_deref())?,
    }
    span(f, *since, *until)?;
    at_most(f, *limit)
}

fn by(f: &mut fmt::Formatter<'_>, word: &str, what: Option<&str>) -> fmt::Result {
    what.iter().try_for_each(|what| write!(f, " {word} {}", name(what)))
}

fn span(f: &mut fmt::Formatter<'_>, since: Option<Timestamp>, until: Option<Timestamp>) -> fmt::Result {
    since.iter().try_for_each(|since| write!(f, " since {since}"))?;
    until.iter().try_for_each(|until| write!(f, " until {until}"))
}

fn at_most(f: &mut fmt::Formatter<'_>, limit: Option<u32>) -> fmt::Result {
    limit.iter().try_for_each(|limit| write!(f, " limit {limit}"))
}

fn list(names: &[String]) -> String {
    names.iter().map(|of| name(of)).collect::<Vec<_>>().join(", ")
}

/// A name as it is, or in quotation marks where it would be read as something else.
fn name(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.')
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !lexicon::is_a_word(&name.to_lowercase());
    if is_plain { name.to_owned() } else { quoted(name) }
}
