//! A role of its own for questions: what it may, as SQL that can be run again.
//!
//! It may connect and read the tables of some schemas, and its sessions are
//! read-only from the start. What it cannot be kept from is what PostgreSQL
//! gives everybody, and [`NOTES`] says so.

use std::{fmt::Write as _, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::runner::Error;

/// The role's name, where nobody wants another one.
pub const NAME: &str = "mooring_reader";
/// Sessions at a time: a few people, and a few that are being ended.
const SESSIONS: u32 = 8;
/// Grants are quick; somebody's lock may be in the way of one.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the grants do not do.
pub const NOTES: &[&str] = &[
    "Functions: PostgreSQL lets everybody (PUBLIC) call new functions. Questions are checked against a list of functions before \
     they are asked, and cannot write; SECURITY DEFINER functions of your own are better revoked from PUBLIC all the same.",
    "Large objects: before version 16 everybody may call lo_create and lo_from_bytea, even where nothing may be written. The list \
     has none of them. To take them from everybody: REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), \
     lo_from_bytea(oid, bytea) FROM PUBLIC.",
    "Schema public: before version 15 everybody may create tables in it. To take that away: REVOKE CREATE ON SCHEMA public FROM \
     PUBLIC.",
    "Views read with the rights of their owner, and row security holds for the role as for any other.",
    "Tables that another role than the one that applies this will create need: ALTER DEFAULT PRIVILEGES FOR ROLE it IN SCHEMA s \
     GRANT SELECT ON TABLES TO the role.",
];

/// A name as SQL takes it, whatever is in it.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text as SQL takes it, whatever is in it.
fn text(text: &str) -> String {
    // With `e` a backslash means the same under every setting.
    format!("e'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The statements that make the role and let it read these schemas. Run again, they change nothing.
#[must_use]
pub fn grants(role: &str, schemas: &[String]) -> Vec<String> {
    let (quoted, literal) = (name(role), text(role));
    let mut statements = vec![
        format!(
            "DO $mooring$ BEGIN\n  \
               IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal}) THEN\n    \
                 CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION;\n  \
               END IF;\n  \
               IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal}\n             \
                 AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN\n    \
                 RAISE EXCEPTION 'the role may more than read already; take another name';\n  \
               END IF;\n\
             END $mooring$"
        ),
        format!("ALTER ROLE {quoted} CONNECTION LIMIT {SESSIONS}"),
    ];
    let settings = [
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "'10s'"),
        ("lock_timeout", "'1s'"),
        ("idle_in_transaction_session_timeout", "'15s'"),
        ("search_path", "pg_temp"),
    ];
    for (setting, value) in settings {
        statements.push(format!("ALTER ROLE {quoted} SET {setting} = {value}"));
    }
    statements.push(format!(
        "DO $mooring$ BEGIN\n  \
           EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I', pg_catalog.current_database(), {literal});\n\
         END $mooring$"
    ));
    for schema in schemas {
        let schema = name(schema);
        statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {quoted}"));
        statements.push(format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {quoted}"));
        statements.push(format!("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {quoted}"));
    }
    statements
}

/// The statements as a script, with what they do not do as comments.
#[must_use]
pub fn script(role: &str, schemas: &[String]) -> String {
    let mut script = String::new();
    for note in NOTES {
        writeln!(script, "-- {note}").expect("a string takes what is written to it");
    }
    script.push_str("BEGIN;\n");
    for statement in grants(role, schemas) {
        writeln!(script, "{statement};").expect("a string takes what is written to it");
    }
    script.push_str("COMMIT;\n");
    // A comment ends with its line, so the name must not have two.
    writeln!(script, "-- A password of its own: \\password {}", role.escape_debug())
        .expect("a string takes what is written to it");
    script
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The role is new, and has this password now.
    Made,
    /// It was there, and its password is the one that it had.
    WasThere,
}

/// Makes the role in this database with this password, or brings its rights up to date: all of it or nothing.
pub async fn apply(url: &str, role: &str, schemas: &[String], password: &str) -> Result<Applied, Error> {
    let options: PgConnectOptions = url.parse().map_err(|_| Error::Url)?;
    // A password is in one of the statements, and slow ones would stand in our log.
    let options = options.disable_statement_logging();
    let applied = timeout(PATIENCE, async {
        let mut connection = PgConnection::connect_with(&options).await.map_err(Error::Unreachable)?;
        let applied = transact(&mut connection, role, schemas, password).await.map_err(told)?;
        connection.close().await.map_err(Error::Database)?;
        Ok(applied)
    });
    applied.await.unwrap_or(Err(Error::Away(PATIENCE)))
}

async fn transact(connection: &mut PgConnection, role: &str, schemas: &[String], password: &str) -> Result<Applied, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let was_there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)")
        .bind(role)
        .fetch_one(&mut *transaction)
        .await?;
    for statement in grants(role, schemas) {
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    if !was_there {
        let statement = format!("ALTER ROLE {} PASSWORD {}", name(role), text(password));
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    transaction.commit().await?;
    Ok(if was_there { Applied::WasThere } else { Applied::Made })
}

fn told(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(told) => Error::Statement(told.message().to_owned()),
        _ => Error::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_may_connect_and_read_and_nothing_else() {
        let grants = grants("r\"x", &["shop".to_owned(), "a'b".to_owned()]);
        let given: Vec<&str> = grants.iter().filter(|statement| statement.contains("GRANT")).map(String::as_str).collect();
        for statement in &given {
            let is_known =
                ["GRANT CONNECT ON", "GRANT USAGE ON SCHEMA", "GRANT SELECT ON"].iter().any(|known| statement.contains(known));
            assert!(is_known, "{statement}");
        }
        assert!(given.contains(&"GRANT USAGE ON SCHEMA \"a'b\" TO \"r\"\"x\""), "{given:?}");
        assert!(script("a\nb", &[]).ends_with("password a\\nb\n"), "a name cannot leave its comment");
        assert_eq!(text(r"a'b\c"), r"e'a''b\\c'");
    }
}
