//! The hash chain over the audit log: each row carries the digest of itself and of the row before.
//!
//! Whoever changes, removes, swaps or inserts a row has to change every digest after it, and the last one is also
//! elsewhere (see [`super::audit::Anchor`]). `docs/audit.md` says how the digest is made, so that anybody can check it with
//! tools of their own; `manifests/verify-audit.py` is such a tool.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What the first row of all follows.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is hashed begins with this, so that no other text of ours ever has the same digest.
const FORMAT: &str = "mooring-audit-1\n";

/// A row of the audit log, as it is stored, exported, shipped and hashed: all columns, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Its number; greater than that of the row before.
    pub id: i64,
    /// When it was written: RFC 3339, UTC, milliseconds.
    pub created_at: String,
    /// Who: `reconciler`, `cli:root`.
    pub actor: String,
    /// `intent` or `outcome`.
    pub phase: String,
    /// Of an outcome: the number of the row that it concludes.
    pub intent: Option<i64>,
    /// In which pass; none for what a person's command did.
    pub pass: Option<String>,
    /// The step's number in the plan, counted from one.
    pub step: Option<i64>,
    /// What it is about, as `Container/redis`; `Host` for what is about no object.
    pub object: String,
    /// The generation of the object's manifest.
    pub generation: Option<i64>,
    /// What, as `StartContainer`.
    pub operation: String,
    /// To what.
    pub target: String,
    /// Why, as a word.
    pub why_code: String,
    /// Why, as a sentence.
    pub why: String,
    /// Of an outcome: `done`, `already-so`, `failed` or `unknown`.
    pub outcome: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// JSON: the whole step. Text, for another serialisation of the same would have another digest.
    pub details: String,
    /// The digest of the row before; [`GENESIS`] if there never was one.
    pub prev_hash: String,
    /// The digest of all this: 64 hexadecimal digits.
    pub hash: String,
}

/// A row of a query with all columns, be it SQLite's or PostgreSQL's: what both have in common cannot be said in types
/// without a page of bounds. Rows of the first version have no digests.
macro_rules! row_from {
    ($row:expr) => {
        $crate::record::chain::AuditRow {
            id: $row.get("id"),
            created_at: $row.get("created_at"),
            actor: $row.get("actor"),
            phase: $row.get("phase"),
            intent: $row.get("intent"),
            pass: $row.get("pass"),
            step: $row.get("step"),
            object: $row.get("object"),
            generation: $row.get("generation"),
            operation: $row.get("operation"),
            target: $row.get("target"),
            why_code: $row.get("why_code"),
            why: $row.get("why"),
            outcome: $row.get("outcome"),
            error: $row.get("error"),
            details: $row.get("details"),
            prev_hash: $row.get::<Option<String>, _>("prev_hash").unwrap_or_default(),
            hash: $row.get::<Option<String>, _>("hash").unwrap_or_default(),
        }
    };
}

/// Binds all columns of a row to a query, in their order.
macro_rules! bind_row {
    ($query:expr, $row:expr) => {
        $query
            .bind($row.id)
            .bind(&$row.created_at)
            .bind(&$row.actor)
            .bind(&$row.phase)
            .bind($row.intent)
            .bind(&$row.pass)
            .bind($row.step)
            .bind(&$row.object)
            .bind($row.generation)
            .bind(&$row.operation)
            .bind(&$row.target)
            .bind(&$row.why_code)
            .bind(&$row.why)
            .bind(&$row.outcome)
            .bind(&$row.error)
            .bind(&$row.details)
            .bind(&$row.prev_hash)
            .bind(&$row.hash)
    };
}

pub(super) use {bind_row, row_from};

fn digest(canonical: &str) -> String {
    hex::encode(Sha256::digest(canonical))
}

impl AuditRow {
    /// The digest that this row should have.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.canonical())
    }

    /// What is hashed: each column as its length in bytes, a colon, its text and a line feed; `~` and a line feed for NULL.
    /// So no two rows are the same text.
    fn canonical(&self) -> String {
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let (id, intent, step, generation) =
            (self.id.to_string(), number(self.intent), number(self.step), number(self.generation));
        let columns: [Option<&str>; 17] = [
            Some(&self.prev_hash),
            Some(&id),
            Some(&self.created_at),
            Some(&self.actor),
            Some(&self.phase),
            intent.as_deref(),
            self.pass.as_deref(),
            step.as_deref(),
            Some(&self.object),
            generation.as_deref(),
            Some(&self.operation),
            Some(&self.target),
            Some(&self.why_code),
            Some(&self.why),
            self.outcome.as_deref(),
            self.error.as_deref(),
            Some(&self.details),
        ];
        let mut text = String::with_capacity(512 + self.details.len());
        text.push_str(FORMAT);
        for column in columns {
            // Writing to a string cannot fail.
            let _ = match column {
                Some(column) => writeln!(text, "{}:{column}", column.len()),
                None => writeln!(text, "~"),
            };
        }
        text
    }

    /// With the digests that it has as the row after `previous`.
    #[must_use]
    pub fn sealed(mut self, previous: &str) -> Self {
        previous.clone_into(&mut self.prev_hash);
        self.hash = self.digest();
        self
    }
}

/// What has to be known of a row to tell whether it is the one that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub id: i64,
    /// The digest that it carries of the row before; empty in rows of the first version.
    pub prev_hash: String,
    /// The digest that it carries of itself.
    pub hash: String,
    /// What is hashed.
    pub canonical: String,
}

impl From<&AuditRow> for Link {
    fn from(row: &AuditRow) -> Self {
        Self { id: row.id, prev_hash: row.prev_hash.clone(), hash: row.hash.clone(), canonical: row.canonical() }
    }
}

/// The columns that are hashed, in that order.
const HASHED: [&str; 17] = [
    "prev_hash",
    "id",
    "created_at",
    "actor",
    "phase",
    "intent",
    "pass",
    "step",
    "object",
    "generation",
    "operation",
    "target",
    "why_code",
    "why",
    "outcome",
    "error",
    "details",
];

/// SQLite's expression for what is hashed of a row, the same as [`AuditRow::canonical`] makes: the columns need not be
/// fetched one by one then, which is most of the time that it takes to go through a million rows.
pub(super) fn canonical_in_sql() -> String {
    let column = |name: &&str| {
        let text = format!("CAST ({name} AS TEXT)");
        format!("coalesce (length (CAST ({name} AS BLOB)) || ':' || {text}, '~') || char (10)")
    };
    let columns: Vec<String> = HASHED.iter().map(column).collect();
    format!("'{}' || char (10) || {}", FORMAT.trim_end(), columns.join(" || "))
}

/// The last row, by which the whole log before it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number.
    pub id: i64,
    /// Its digest.
    pub hash: String,
}

/// What is wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A row is not what was written.
    #[error("row {id} was changed: its content does not have the digest that it carries")]
    Changed {
        /// The row.
        id: i64,
    },
    /// A row has no digest.
    #[error("row {id} has no digest: it was not written by Mooring")]
    Unsealed {
        /// The row.
        id: i64,
    },
    /// A row does not follow the one before.
    #[error("row {id} does not follow row {after}: rows between them were removed, or one of the two was put there or changed")]
    Broken {
        /// The row.
        id: i64,
        /// The row that stands before it.
        after: i64,
    },
    /// Rows are missing in front.
    #[error("row {id} is the first, but it was not written as the first: what was before it is neither here nor archived")]
    Headless {
        /// The row.
        id: i64,
    },
    /// The log ends before a row that it once had.
    #[error(
        "the log ends at row {end}, but row {id} was there {when}: its tail was cut off, or another log was put in its place"
    )]
    Cut {
        /// The row that was anchored.
        id: i64,
        /// The last one that is there; zero if there is none.
        end: i64,
        /// When it was anchored.
        when: String,
    },
    /// A row was another one once.
    #[error("row {id} is not the one that was there {when}: the log was written anew from there or earlier")]
    Rewritten {
        /// The row.
        id: i64,
        /// When it was anchored.
        when: String,
    },
}

impl Fault {
    /// The first bad row.
    #[must_use]
    pub fn row(&self) -> i64 {
        match self {
            Self::Changed { id }
            | Self::Unsealed { id }
            | Self::Broken { id, .. }
            | Self::Headless { id }
            | Self::Cut { id, .. }
            | Self::Rewritten { id, .. } => *id,
        }
    }
}

/// Walks along the rows, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    head: Option<Head>,
    /// How many rows were good.
    pub rows: u64,
    /// How many rows of an earlier version stand in front, for which nobody can vouch.
    pub unsealed: u64,
    /// What the first row says it follows, if that is not nothing.
    pub follows: Option<(i64, String)>,
}

impl Walk {
    /// The next row; whatever is wrong with it.
    pub fn step(&mut self, row: &Link) -> Result<(), Fault> {
        let id = row.id;
        if row.hash.is_empty() {
            // Those of a version that knew no digests stand in front. Rows that have lost theirs are missed by the next one.
            self.unsealed += 1;
            return if self.head.is_none() { Ok(()) } else { Err(Fault::Unsealed { id }) };
        }
        if digest(&row.canonical) != row.hash {
            return Err(Fault::Changed { id });
        }
        match &self.head {
            Some(head) if head.hash != row.prev_hash || head.id >= id => return Err(Fault::Broken { id, after: head.id }),
            None if row.prev_hash == GENESIS => {}
            None if self.unsealed > 0 => return Err(Fault::Headless { id }),
            None => self.follows = Some((id, row.prev_hash.clone())),
            Some(_) => {}
        }
        self.head = Some(Head { id, hash: row.hash.clone() });
        self.rows += 1;
        Ok(())
    }

    /// The last row so far.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, why: &str) -> AuditRow {
        AuditRow {
            id,
            created_at: "2026-01-02T03:04:05.678Z".into(),
            actor: "reconciler".into(),
            phase: "intent".into(),
            intent: None,
            pass: Some("p".into()),
            step: Some(1),
            object: "Container/web".into(),
            generation: Some(3),
            operation: "StartContainer".into(),
            target: "web".into(),
            why_code: "NotRunning".into(),
            why: why.into(),
            outcome: None,
            error: None,
            details: "{}".into(),
            prev_hash: String::new(),
            hash: String::new(),
        }
    }

    fn log(length: i64) -> Vec<AuditRow> {
        let mut previous = GENESIS.to_owned();
        let rows = (1..=length).map(|id| {
            let row = row(id, "it exited with 137").sealed(&previous);
            previous.clone_from(&row.hash);
            row
        });
        rows.collect()
    }

    fn fault(rows: &[AuditRow]) -> Option<Fault> {
        let mut walk = Walk::default();
        rows.iter().find_map(|row| walk.step(&row.into()).err())
    }

    #[test]
    fn what_is_hashed_is_what_the_documentation_says() {
        expect_test::expect![[r#"
            mooring-audit-1
            64:0000000000000000000000000000000000000000000000000000000000000000
            1:1
            24:2026-01-02T03:04:05.678Z
            10:reconciler
            6:intent
            ~
            1:p
            1:1
            13:Container/web
            1:3
            14:StartContainer
            3:web
            10:NotRunning
            8:größer
            ~
            ~
            2:{}
        "#]]
        .assert_eq(&AuditRow { prev_hash: GENESIS.into(), ..row(1, "größer") }.canonical());
    }

    #[test]
    fn a_log_that_nobody_touched_is_good() {
        let mut walk = Walk::default();
        let rows = log(5);
        assert!(rows.iter().all(|row| walk.step(&row.into()).is_ok()));
        assert_eq!((walk.rows, walk.head().unwrap().id, &walk.follows), (5, 5, &None));
    }

    #[test]
    fn the_first_bad_row_is_named_whatever_was_done_to_the_log() {
        let mut edited = log(5);
        edited[2].why = "it was bored".into();
        assert_eq!(fault(&edited), Some(Fault::Changed { id: 3 }));

        let mut edited_with_care = log(5);
        let before = edited_with_care[1].hash.clone();
        edited_with_care[2].why = "it was bored".into();
        edited_with_care[2] = edited_with_care[2].clone().sealed(&before);
        assert_eq!(fault(&edited_with_care), Some(Fault::Broken { id: 4, after: 3 }));

        let mut removed = log(5);
        removed.remove(2);
        assert_eq!(fault(&removed), Some(Fault::Broken { id: 4, after: 2 }));

        let mut swapped = log(5);
        swapped.swap(1, 2);
        assert_eq!(fault(&swapped), Some(Fault::Broken { id: 3, after: 1 }));

        let mut exchanged = log(5);
        (exchanged[1].id, exchanged[2].id) = (3, 2);
        exchanged.swap(1, 2);
        assert_eq!(fault(&exchanged), Some(Fault::Changed { id: 2 }));

        let mut inserted = log(5);
        inserted.insert(3, inserted[2].clone());
        assert_eq!(fault(&inserted), Some(Fault::Broken { id: 3, after: 3 }));

        let mut bare = log(5);
        bare[3].hash.clear();
        assert_eq!(fault(&bare), Some(Fault::Unsealed { id: 4 }));

        let mut bare_in_front = log(5);
        bare_in_front[0].hash.clear();
        assert_eq!(fault(&bare_in_front), Some(Fault::Headless { id: 2 }));

        let mut walk = Walk::default();
        assert!(log(5)[2..].iter().all(|row| walk.step(&row.into()).is_ok()));
        assert!(walk.follows.is_some_and(|(id, _)| id == 3), "what was cut off in front is for the archives to explain");
    }
}
