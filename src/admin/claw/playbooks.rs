//! Playbooks: when something happens that fits a pattern, steps are taken.
//!
//! A step is a sentence that the grammar understands to its last word, or the
//! intent itself; a model is never asked what it means. What only reads is done
//! at once. What changes something is proposed to people, unless the playbook
//! says that no confirmation is needed: then it is done, three times an hour at
//! most, and never what may lose something.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Error, Page, Span, WRITTEN, id, is_taken, json, kept,
    shelf::{Alone as _, Shelf, on},
    text,
};
use crate::{
    admin::{
        chat::Chat,
        intent::{Intent, Tier, Understood},
    },
    view::EventView,
};

/// More nobody oversees.
const MOST: i64 = 100;
/// Steps of one.
const STEPS: usize = 20;
/// What stands for the name of the service that the event is about.
const SERVICE: &str = "{service}";
/// What a pattern looks like: letters and what names have in them, and not stars alone.
const GLOB: &str = r"^[A-Za-z0-9_./*?:-]*[A-Za-z0-9_./?:-][A-Za-z0-9_./*?:-]*$";
/// What budgets count is forgotten after this long.
const HOUR: i64 = 3_600_000;

/// What is waited for. Everything that is given has to fit; `*` stands for anything, `?` for one character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Pattern {
    /// The event's reason, as in `StartContainer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 120), regex(pattern = GLOB))]
    pub reason: Option<String>,
    /// What it is about, as in `Container/api-*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 120), regex(pattern = GLOB))]
    pub object: Option<String>,
    /// `Normal` or `Warning`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 120), regex(pattern = GLOB))]
    pub severity: Option<String>,
}

/// What is done. `{service}` in a sentence, or as a service, is the one that the event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Step {
    /// As it would be said.
    Sentence(#[schemars(length(min = 1, max = 1000), regex(pattern = WRITTEN))] String),
    /// As a value.
    Intent(Intent),
}

/// A playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Playbook {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What is waited for.
    pub pattern: Pattern,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Whether what changes something is only proposed.
    pub requires_confirmation: bool,
    /// Whether it waits.
    pub enabled: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

/// A playbook as it should be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlaybook {
    /// What it is called; no other one is called that.
    #[schemars(length(min = 1, max = 60), regex(pattern = "^ *[A-Za-z0-9_.-][A-Za-z0-9 _.-]*$"))]
    pub name: String,
    /// What is waited for.
    pub pattern: Pattern,
    /// What is done, in order.
    #[schemars(length(min = 1, max = 20))]
    pub steps: Vec<Step>,
    /// Whether what changes something is only proposed.
    #[serde(default = "yes")]
    pub requires_confirmation: bool,
    /// Whether it waits from now on.
    #[serde(default)]
    pub enabled: bool,
}

/// What is to be changed of a playbook.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// Another name.
    #[schemars(length(min = 1, max = 60), regex(pattern = "^ *[A-Za-z0-9_.-][A-Za-z0-9 _.-]*$"))]
    pub name: Option<String>,
    /// Another pattern.
    pub pattern: Option<Pattern>,
    /// Other steps.
    #[schemars(length(min = 1, max = 20))]
    pub steps: Option<Vec<Step>>,
    /// Whether what changes something is only proposed.
    pub requires_confirmation: Option<bool>,
    /// Whether it waits.
    pub enabled: Option<bool>,
}

fn yes() -> bool {
    true
}

/// Whether a text fits a pattern with `*` and `?` in it, in capitals or not.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let (pattern, text) = (lower(pattern), lower(text));
    // Where to go on when what follows the last star does not fit: one character later.
    let (mut at, mut in_text, mut star) = (0, 0, None);
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    at = after + 1;
                    in_text = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

impl Pattern {
    /// Whether an event is meant.
    #[must_use]
    pub fn means(&self, event: &EventView) -> bool {
        let Self { reason, object, severity } = self;
        let is_met = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| fits(pattern, text));
        is_met(reason, &event.reason) && is_met(object, &event.object) && is_met(severity, &event.severity)
    }

    fn checked(&self) -> Result<(), Error> {
        let given: Vec<&String> = [&self.reason, &self.object, &self.severity].into_iter().flatten().collect();
        if given.is_empty() {
            return Err(Error::Invalid("the pattern fits everything; give it a reason, an object or a severity".to_owned()));
        }
        let is_good = |pattern: &str| {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_./*?:-".contains(&byte);
            pattern.len() <= 120 && pattern.bytes().all(is_known) && pattern.bytes().any(|byte| byte != b'*')
        };
        match given.into_iter().find(|pattern| !is_good(pattern)) {
            Some(bad) => Err(Error::Invalid(format!("`{bad}` is no pattern such as `Start*` or `Container/api-?`"))),
            None => Ok(()),
        }
    }
}

impl Step {
    /// As it would be said about this event. An `Err` says why it cannot be.
    pub fn sentence(&self, object: Option<&str>) -> Result<String, Error> {
        let said = match self {
            Self::Sentence(sentence) => text("step", sentence, 1000)?,
            Self::Intent(intent) => intent.to_string(),
        };
        if !said.contains(SERVICE) {
            return Ok(said);
        }
        match object.and_then(|object| object.strip_prefix("Container/")) {
            Some(service) => Ok(said.replace(SERVICE, service)),
            None => Err(Error::Invalid(format!("`{said}` needs an event about a container"))),
        }
    }

    /// What is wanted by it, about this event.
    pub fn understood(&self, chat: &Chat, object: Option<&str>) -> Result<(String, Intent), Error> {
        let sentence = self.sentence(object)?;
        let invalid = |why: String| Err(Error::Invalid(format!("`{sentence}`: {why}")));
        match chat.understand(&sentence) {
            Understood::Intent(Intent::Confirm | Intent::Cancel) => invalid("only a person says that".to_owned()),
            Understood::Intent(Intent::EnvSet { .. }) => invalid("a playbook keeps no values of variables".to_owned()),
            Understood::Intent(intent) => Ok((sentence, intent)),
            Understood::Unknown => invalid("the grammar does not know what that means".to_owned()),
            other => invalid(other.to_string()),
        }
    }
}

/// Whether the steps can be taken: each is understood, and none that may lose something goes without a confirmation.
fn check(chat: &Chat, steps: &[Step], requires_confirmation: bool, example: Option<&str>) -> Result<(), Error> {
    if !(1..=STEPS).contains(&steps.len()) {
        return Err(Error::Invalid(format!("a playbook has from 1 to {STEPS} steps")));
    }
    for step in steps {
        // Without any container nobody can say whether a sentence about one is understood.
        let is_open = example.is_none() && step.sentence(None).is_err() && step.sentence(Some("Container/any")).is_ok();
        if is_open {
            continue;
        }
        let (sentence, intent) = step.understood(chat, example)?;
        if intent.tier() == Tier::Destructive && !requires_confirmation {
            return Err(Error::Invalid(format!("`{sentence}` may lose something, and always needs a confirmation")));
        }
    }
    Ok(())
}

fn name(name: &str) -> Result<String, Error> {
    let name = text("name", name, 60)?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
    if name.chars().all(is_good) {
        Ok(name)
    } else {
        Err(Error::Invalid("the name of a playbook has letters, digits, spaces, hyphens, underscores and dots".to_owned()))
    }
}

type Row = (i64, String, String, String, String, bool, bool, String, String);

fn playbook(row: Row) -> Result<(i64, Playbook), Error> {
    let (seq, id, name, pattern, steps, requires_confirmation, enabled, created_at, updated_at) = row;
    let (pattern, steps) = (kept(&pattern)?, kept(&steps)?);
    Ok((seq, Playbook { id, name, pattern, steps, requires_confirmation, enabled, created_at, updated_at }))
}

/// All of them.
pub async fn list(shelf: &Shelf, span: &Span) -> Result<Page<Playbook>, Error> {
    let (before, limit) = span.bounds()?;
    let rows: Vec<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT seq, id, name, pattern, steps, requires_confirmation, enabled, created_at, updated_at FROM playbook \
             WHERE seq < $1 ORDER BY seq DESC LIMIT $2",
        );
        Ok(query.bind(before).bind(limit).fetch_all(pool).await?)
    })?;
    Ok(span.page(rows.into_iter().map(playbook).collect::<Result<_, _>>()?))
}

/// Those that wait for something.
pub async fn enabled(shelf: &Shelf) -> Result<Vec<Playbook>, Error> {
    let page = list(shelf, &Span { limit: Some(super::MOST), cursor: None }).await?;
    Ok(page.items.into_iter().filter(|playbook| playbook.enabled).collect())
}

/// The one of this id.
pub async fn one(shelf: &Shelf, id: &str) -> Result<Playbook, Error> {
    let row: Option<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT seq, id, name, pattern, steps, requires_confirmation, enabled, created_at, updated_at FROM playbook \
             WHERE id = $1",
        );
        Ok(query.bind(id).fetch_optional(pool).await?)
    })?;
    playbook(row.ok_or(Error::NoSuch("playbook"))?).map(|(_, playbook)| playbook)
}

/// Makes one. `example` is an object that an event may be about.
pub async fn add(
    shelf: &Shelf,
    chat: &Chat,
    new: &NewPlaybook,
    example: Option<&str>,
    now: Timestamp,
) -> Result<Playbook, Error> {
    let name = name(&new.name)?;
    new.pattern.checked()?;
    check(chat, &new.steps, new.requires_confirmation, example)?;
    let count: i64 = on!(shelf, pool => Ok(sqlx::query_scalar("SELECT count(*) FROM playbook").fetch_one(pool).await?))?;
    if count >= MOST {
        return Err(Error::Conflict(format!("there are {MOST} playbooks already")));
    }
    let now = now.to_string();
    let NewPlaybook { pattern, steps, requires_confirmation, enabled, .. } = new.clone();
    let (created_at, updated_at) = (now.clone(), now);
    let playbook = Playbook { id: id(), name, pattern, steps, requires_confirmation, enabled, created_at, updated_at };
    write(shelf, &playbook).await?;
    Ok(playbook)
}

/// Changes one.
pub async fn patch(
    shelf: &Shelf,
    chat: &Chat,
    id: &str,
    patch: Patch,
    (example, now): (Option<&str>, Timestamp),
) -> Result<Playbook, Error> {
    let before = one(shelf, id).await?;
    let after = Playbook {
        name: patch.name.as_deref().map(name).transpose()?.unwrap_or(before.name),
        pattern: patch.pattern.unwrap_or(before.pattern),
        steps: patch.steps.unwrap_or(before.steps),
        requires_confirmation: patch.requires_confirmation.unwrap_or(before.requires_confirmation),
        enabled: patch.enabled.unwrap_or(before.enabled),
        updated_at: now.to_string(),
        ..before
    };
    after.pattern.checked()?;
    // One whose service is gone can still be turned off.
    if after.enabled || !after.requires_confirmation {
        check(chat, &after.steps, after.requires_confirmation, example)?;
    }
    write(shelf, &after).await?;
    Ok(after)
}

async fn write(shelf: &Shelf, playbook: &Playbook) -> Result<(), Error> {
    let Playbook { id, name, pattern, steps, requires_confirmation, enabled, created_at, updated_at } = playbook;
    on!(shelf, pool => {
        let query = sqlx::query(
            "INSERT INTO playbook (id, name, pattern, steps, requires_confirmation, enabled, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
             pattern = excluded.pattern, steps = excluded.steps, requires_confirmation = excluded.requires_confirmation, \
             enabled = excluded.enabled, updated_at = excluded.updated_at",
        );
        let query = query.bind(id).bind(name).bind(json(pattern)).bind(json(steps)).bind(requires_confirmation).bind(enabled);
        match query.bind(created_at).bind(updated_at).execute(pool).await {
            Ok(_) => Ok(()),
            Err(error) if is_taken(&error) => Err(Error::Conflict(format!("there is a playbook `{name}` already"))),
            Err(error) => Err(error.into()),
        }
    })
}

/// Whether there is room for one more of this kind in this hour; if so, it is counted.
pub(super) async fn count(shelf: &Shelf, playbook: &str, kind: &str, most: i64, now: Timestamp) -> Result<bool, Error> {
    let now = now.as_millisecond();
    on!(shelf, pool => {
        let mut work = pool.alone().await?;
        sqlx::query("DELETE FROM playbook_act WHERE at <= $1").bind(now - HOUR).execute(&mut *work).await?;
        let query = sqlx::query_scalar("SELECT count(*) FROM playbook_act WHERE playbook = $1 AND kind = $2");
        let count: i64 = query.bind(playbook).bind(kind).fetch_one(&mut *work).await?;
        if count < most {
            let act = sqlx::query("INSERT INTO playbook_act VALUES ($1, $2, $3)");
            act.bind(playbook).bind(kind).bind(now).execute(&mut *work).await?;
        }
        work.commit().await?;
        Ok(count < most)
    })
}
