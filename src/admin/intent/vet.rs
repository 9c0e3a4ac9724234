//! The gate for what a model proposes.
//!
//! A model's answer is read into an [`Intent`], and the names in it are looked up here exactly as those that a person
//! said: what is not sure is asked, what is not there is refused. What tier it is of, and what that asks for, is the
//! same for both.

use super::{AuditOf, End, Held, Intent, MAX_LINES, Tier, Understood, Vocabulary, act, objects, variable, vocabulary::Found};
use jiff::Timestamp;

/// An intent whose services are there, called by their names; otherwise what to ask.
#[must_use]
pub fn vet(intent: Intent, vocabulary: &Vocabulary, now: Timestamp) -> Understood {
    let acts = intent.tier() > Tier::Read;
    let one = |said: &str| one(said, vocabulary, acts);
    let many = |said: Vec<String>| said.iter().map(|said| one(said)).collect::<Result<Vec<_>, _>>();
    let maybe = |said: Option<String>| said.map(|said| one(&said)).transpose();
    let vetted = || -> Result<Intent, Box<Understood>> {
        Ok(match intent {
            Intent::Health { services } if services.is_empty() => Intent::Services,
            Intent::Health { services } => Intent::Health { services: many(services)? },
            Intent::Metrics { which, service } => Intent::Metrics { which, service: maybe(service)? },
            Intent::Logs { service, lines, contains, since } => {
                Intent::Logs { service: one(&service)?, lines: lines.clamp(1, MAX_LINES), contains, since }
            }
            Intent::Events { service, since, until, limit } => Intent::Events { service: maybe(service)?, since, until, limit },
            Intent::Why { service } => Intent::Why { service: one(&service)? },
            Intent::Plan { service } => Intent::Plan { service: maybe(service)? },
            Intent::Restart { services } if services.is_empty() => {
                return Err(Box::new(act::which("restarted", vocabulary, act::restart)));
            }
            Intent::Restart { services } => Intent::Restart { services: objects::once(many(services)?) },
            Intent::Start { services } if services.is_empty() => {
                return Err(Box::new(act::which("started", vocabulary, act::start)));
            }
            Intent::Start { services } => Intent::Start { services: objects::once(many(services)?) },
            Intent::Stop { service } => Intent::Stop { service: one(&service)? },
            Intent::Hold { what, end, reason } => match end {
                End::Until(until) if until <= now => return Err(Box::new(super::hold::how_long(&what))),
                End::For(duration) if duration.0.is_zero() => return Err(Box::new(super::hold::how_long(&what))),
                end => Intent::Hold { what: held(what, &many)?, end, reason },
            },
            Intent::Release { what } => Intent::Release { what: held(what, &many)? },
            Intent::EnvShow { ref key } | Intent::EnvSet { ref key, .. } | Intent::EnvUnset { ref key }
                if !variable::is_name(key) =>
            {
                return Err(Box::new(Understood::Unknown));
            }
            Intent::Database { question } if question.trim().is_empty() => return Err(Box::new(Understood::Unknown)),
            Intent::DatabaseChange { request } if request.trim().is_empty() => return Err(Box::new(Understood::Unknown)),
            // Whatever was acted on may be gone since.
            Intent::Audit(of) => Intent::Audit(AuditOf { target: of.target.map(|said| one(&said).unwrap_or(said)), ..of }),
            // Nobody else says yes for a person.
            Intent::Confirm => return Err(Box::new(Understood::Unknown)),
            intent @ (Intent::Help
            | Intent::Cancel
            | Intent::Status
            | Intent::Services
            | Intent::Secrets
            | Intent::Model
            | Intent::Routes
            | Intent::EnvShow { .. }
            | Intent::EnvSet { .. }
            | Intent::EnvUnset { .. }
            | Intent::Database { .. }
            | Intent::DatabaseChange { .. }) => intent,
        })
    };
    vetted().map_or_else(|refused| *refused, Understood::Intent)
}

fn held(what: Held, many: &impl Fn(Vec<String>) -> Result<Vec<String>, Box<Understood>>) -> Result<Held, Box<Understood>> {
    match what {
        Held::All => Ok(Held::All),
        // An empty list must not become everything, nor nothing that looks done.
        Held::Services(services) if services.is_empty() => Err(Box::new(Understood::Unknown)),
        Held::Services(services) => many(services).map(objects::once).map(Held::Services),
    }
}

fn one(said: &str, vocabulary: &Vocabulary, acts: bool) -> Result<String, Box<Understood>> {
    match vocabulary.named(said) {
        Found::One { service, sure } if sure || !acts => Ok(service),
        Found::One { service, .. } => Err(Box::new(Understood::UnknownService { said: said.to_owned(), nearest: vec![service] })),
        Found::Several(services) => Err(Box::new(Understood::UnknownService { said: said.to_owned(), nearest: services })),
        Found::Nothing => Err(Box::new(Understood::UnknownService { said: said.to_owned(), nearest: vocabulary.nearest(said) })),
    }
}
