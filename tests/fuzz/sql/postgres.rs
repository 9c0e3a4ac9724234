//! The same question to those who know best: PostgreSQL itself, asked as if nothing but the guard stood before it.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use mooring::admin::sql::guard;
use rand::{SeedableRng as _, rngs::StdRng};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{engine, mutate::Mutator};

/// Enough texts are tried to come to so many that are let through.
const LET_THROUGH: usize = 250;
const IMAGE: &str = "mooring-demo/postgres:15";

/// What a session and its database are like, apart from what reading leaves behind.
const STATE: &str = "SELECT md5(concat_ws('|', \
    (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings WHERE name !~ '^(transaction|is_superuser|in_hot)'), \
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc), \
    (SELECT string_agg(sequencename || coalesce(last_value, 0), ',' ORDER BY 1) FROM pg_sequences), \
    (SELECT string_agg(channel, ',') FROM pg_listening_channels() channel), (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), \
    (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_replication_slots)))";

/// A PostgreSQL that goes away with this value.
struct Server {
    name: String,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { name: format!("fuzz-{}-pg", std::process::id()), port };
        let publish = format!("127.0.0.1:{port}:5432");
        let run = ["run", "--detach", "--rm", "--pull", "never", "--name", &server.name, "--publish", &publish];
        let more = ["--env", "POSTGRES_USER=app", "--env", "POSTGRES_PASSWORD=s3cret", "--env", "POSTGRES_DB=shop", IMAGE];
        let output = Command::new("docker").args(run).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server
    }

    async fn connect(&self) -> PgConnection {
        let url = format!("postgresql://app:s3cret@127.0.0.1:{}/shop", self.port);
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            match PgConnection::connect(&url).await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output();
    }
}

/// Texts that the guard lets through, none twice.
fn let_through(seed: u64) -> Vec<String> {
    let corpus: Vec<Vec<u8>> = super::seeds().into_iter().map(String::into_bytes).collect();
    let mut mutator = Mutator { random: StdRng::seed_from_u64(seed), corpus: &corpus, words: super::WORDS };
    let mut found: Vec<String> = Vec::new();
    for _ in 0..LET_THROUGH * 40 {
        let text = engine::lossy(&mutator.text());
        if let Ok(checked) = guard::check(&text)
            && !found.iter().any(|sql| sql == checked.sql())
        {
            found.push(checked.sql().to_owned());
        }
        if found.len() == LET_THROUGH {
            break;
        }
    }
    found
}

#[test]
fn what_the_guard_lets_through_is_one_statement_that_only_reads_for_postgresql_too() {
    if std::env::var("MOORING_FUZZ_TARGET").is_ok_and(|wanted| !wanted.is_empty() && wanted != "sql") {
        return;
    }
    let server = Server::start();
    let fresh = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let counted = runtime.block_on(async {
        let mut connection = server.connect().await;
        let schema = engine::file("tests/sql/schema.sql");
        let schema: Vec<&str> = schema.lines().filter(|line| !line.starts_with("CREATE EXTENSION")).collect();
        sqlx::raw_sql(AssertSqlSafe(schema.join("\n"))).execute(&mut connection).await.unwrap();
        sqlx::raw_sql("SET statement_timeout = '300ms'").execute(&mut connection).await.unwrap();
        let before = state(&mut connection).await;
        let mut counted = (0, 0);
        for seed in [7, fresh] {
            eprintln!("sql in PostgreSQL: seed {seed}");
            for sql in let_through(seed) {
                let answered = only_reads(&mut connection, &sql).await;
                counted = (counted.0 + 1, counted.1 + usize::from(answered));
                assert_eq!(state(&mut connection).await, before, "seed {seed}: it left something behind: {sql}");
            }
        }
        counted
    });
    eprintln!("sql in PostgreSQL: {} let through, {} answered", counted.0, counted.1);
    assert!(counted.0 >= LET_THROUGH && counted.1 * 4 >= counted.0, "too few to say anything: {counted:?}");
}

async fn state(connection: &mut PgConnection) -> String {
    sqlx::query_scalar(STATE).fetch_one(connection).await.unwrap()
}

/// Whether it has an answer. Fails where PostgreSQL sees more than one statement, or one that writes.
async fn only_reads(connection: &mut PgConnection, sql: &str) -> bool {
    let mut transaction = connection.begin().await.unwrap();
    (&mut *transaction).execute("SET TRANSACTION READ ONLY").await.unwrap();
    // With the extended protocol a second statement is an error of its own.
    let answered = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await;
    let _ = transaction.rollback().await;
    match answered {
        Ok(_) => true,
        Err(sqlx::Error::Database(error)) => {
            let (code, message) = (error.code().unwrap_or_default().into_owned(), error.message().to_owned());
            assert!(!message.contains("multiple commands"), "it is several statements: {sql}");
            assert!(!["25006", "25001", "0A000", "42501"].contains(&&*code) || is_harmless(&message), "{code} {message}: {sql}");
            false
        }
        Err(_) => false,
    }
}

/// What PostgreSQL cannot do, as opposed to what it may not.
fn is_harmless(message: &str) -> bool {
    !message.contains("read-only transaction") && !message.contains("permission denied")
}
