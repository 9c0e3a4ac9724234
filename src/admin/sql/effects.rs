//! What goes along with a change: rows of other tables, by keys or by triggers,
//! counted by PostgreSQL itself in the transaction that makes the change.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{guard::Change, runner::Error};

/// Lines about what goes along.
const LINES: usize = 12;

/// What has become of the rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Schema and name, in quotes where they need them.
    pub table: String,
    /// Rows that were added.
    pub inserted: i64,
    /// Rows that were changed.
    pub updated: i64,
    /// Rows that were taken away.
    pub deleted: i64,
    /// Whether the table as a whole was emptied or altered, which counts no rows.
    pub is_seized: bool,
    /// The rule of a key by which that comes about: `ON DELETE CASCADE`.
    pub rule: Option<String>,
}

/// All that a change has done until now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The table that the change names, as PostgreSQL writes it.
    pub target: String,
    /// By table.
    pub tables: Vec<Effect>,
    /// Triggers and rules that run with it, in words.
    pub triggers: Vec<String>,
    /// Whether PostgreSQL counts at all.
    pub is_counted: bool,
}

/// What the transaction has done to tables, TOAST aside.
const COUNTS: &str = "\
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), s.n_tup_ins, s.n_tup_upd, s.n_tup_del, EXISTS (
  SELECT FROM pg_catalog.pg_locks AS l WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
  AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
FROM pg_catalog.pg_stat_xact_all_tables AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') ORDER BY 1";

/// Tables that keys lead to from the rows that go ($2 = d) or change ($2 = u), and by which rule.
const RULES: &str = "\
WITH RECURSIVE along(oid, does, rule) AS (
  SELECT t.oid, $2, NULL::text FROM (SELECT $1::pg_catalog.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)) AS t(oid)
  UNION
  SELECT k.conrelid, CASE WHEN a.does = 'd' AND r.kind = 'c' THEN 'd' ELSE 'u' END,
    CASE a.does WHEN 'd' THEN 'ON DELETE ' ELSE 'ON UPDATE ' END
      || CASE r.kind WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END
  FROM along AS a JOIN pg_catalog.pg_constraint AS k ON k.contype = 'f' AND k.confrelid = a.oid
  CROSS JOIN LATERAL (SELECT CASE a.does WHEN 'd' THEN k.confdeltype ELSE k.confupdtype END) AS r(kind)
  WHERE r.kind IN ('c', 'n', 'd'))
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.string_agg(DISTINCT a.rule, ', ')
FROM along AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.oid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.rule IS NOT NULL GROUP BY 1";

/// Triggers of tables ($1) that run with what was done to each ($2, by PostgreSQL's own bits), and rules of the first of them.
const TRIGGERS: &str = "\
SELECT pg_catalog.format('trigger %I of %s calls %s', t.tgname, c.name, t.tgfoid::pg_catalog.regproc)
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::int[])) AS c(name, bits)
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = pg_catalog.to_regclass(c.name)
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND (t.tgtype & c.bits) <> 0
UNION
SELECT pg_catalog.format('rule %I of %s', r.rulename, c.name)
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::int[])) AS c(name, bits)
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = pg_catalog.to_regclass(c.name)
WHERE r.ev_enabled IN ('O', 'A') AND ((r.ev_type = '2' AND c.bits & 16 <> 0) OR (r.ev_type = '3' AND c.bits & 4 <> 0)
  OR (r.ev_type = '4' AND c.bits & 8 <> 0))
ORDER BY 1";

impl Effects {
    /// What the open transaction has done since these were its [`counts`]. `target` is the table of the change and its id.
    pub(super) async fn look(
        connection: &mut PgConnection,
        before: &[Effect],
        change: &Change,
        target: &str,
        id: sqlx::postgres::types::Oid,
    ) -> Result<Self, Error> {
        let counted: bool = sqlx::query_scalar("SELECT pg_catalog.current_setting('track_counts')::bool")
            .fetch_one(&mut *connection)
            .await
            .map_err(Error::Database)?;
        let mut tables = counts(connection).await?;
        for effect in &mut tables {
            if let Some(before) = before.iter().find(|before| before.table == effect.table) {
                effect.inserted -= before.inserted;
                effect.updated -= before.updated;
                effect.deleted -= before.deleted;
            }
        }
        tables.retain(|effect| effect.inserted + effect.updated + effect.deleted > 0 || effect.is_seized);
        let does = if change.verb == "DELETE" { "d" } else { "u" };
        if change.verb != "INSERT" || change.reach.meets {
            let rules: Vec<(String, String)> =
                sqlx::query_as(RULES).bind(id).bind(does).fetch_all(&mut *connection).await.map_err(Error::Database)?;
            for effect in &mut tables {
                effect.rule = rules.iter().find(|(table, _)| *table == effect.table).map(|(_, rule)| rule.clone());
            }
        }
        let mut names = vec![target.to_owned()];
        let mut bits = vec![if change.reach.meets { 20 } else { bit(change.verb) }];
        for effect in &tables {
            names.push(effect.table.clone());
            let done = [(effect.inserted, "INSERT"), (effect.updated, "UPDATE"), (effect.deleted, "DELETE")];
            bits.push(done.iter().filter(|(rows, _)| *rows > 0).map(|(_, verb)| bit(verb)).sum::<i32>());
        }
        let triggers =
            sqlx::query_scalar(TRIGGERS).bind(names).bind(bits).fetch_all(&mut *connection).await.map_err(Error::Database)?;
        Ok(Self { target: target.to_owned(), tables, triggers, is_counted: counted })
    }

    /// What is to be known before a yes, besides the rows that the change names.
    #[must_use]
    pub fn details(&self, verb: &str, rows: u64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for effect in &self.tables {
            let own = match verb {
                "INSERT" => effect.inserted,
                "UPDATE" => effect.updated,
                _ => effect.deleted,
            };
            let all = effect.inserted + effect.updated + effect.deleted;
            let is_own = effect.table == self.target && own == all && u64::try_from(own) == Ok(rows) && !effect.is_seized;
            if !is_own {
                lines.push(effect.line());
            }
        }
        lines.extend(self.triggers.iter().map(|trigger| format!("runs with it: {trigger}")));
        if lines.len() > LINES {
            let more = lines.len() - LINES;
            lines.truncate(LINES);
            lines.push(format!("and {more} more of these"));
        }
        if !self.is_counted {
            lines.push("what goes along cannot be seen: this database counts nothing (track_counts is off)".to_owned());
        }
        lines
    }
}

impl Effect {
    fn line(&self) -> String {
        let counts = [(self.inserted, "added"), (self.updated, "changed"), (self.deleted, "deleted")];
        let mut done: Vec<String> =
            counts.iter().filter(|(rows, _)| *rows > 0).map(|(rows, how)| format!("{rows} {how}")).collect();
        if self.is_seized {
            done.push("emptied or altered as a whole".to_owned());
        }
        let by = self.rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default();
        format!("goes along: rows of {}{by}: {}", self.table, done.join(", "))
    }
}

/// What the open transaction has done until now, what it has taken back included.
pub(super) async fn counts(connection: &mut PgConnection) -> Result<Vec<Effect>, Error> {
    let rows = sqlx::query(COUNTS).fetch_all(&mut *connection).await.map_err(Error::Database)?;
    let counts = rows.iter().map(effect).collect::<Result<Vec<_>, _>>().map_err(Error::Database)?;
    Ok(counts.into_iter().filter(|effect| effect.inserted + effect.updated + effect.deleted > 0 || effect.is_seized).collect())
}

fn effect(row: &PgRow) -> Result<Effect, sqlx::Error> {
    Ok(Effect {
        table: row.try_get(0)?,
        inserted: row.try_get(1)?,
        updated: row.try_get(2)?,
        deleted: row.try_get(3)?,
        is_seized: row.try_get(4)?,
        rule: None,
    })
}

/// What PostgreSQL writes down of a trigger for this.
fn bit(verb: &str) -> i32 {
    match verb {
        "INSERT" => 4,
        "DELETE" => 8,
        _ => 16,
    }
}
