//! The same question to those who know best: PostgreSQL itself, asked as if nothing but the guard stood before it.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use mooring::admin::sql::guard::{self, Change, Checked, Refusal, Shape};
use rand::{SeedableRng as _, rngs::StdRng};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

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

/// Texts made from these that the guard lets through, none twice.
pub fn let_through<T: PartialEq>(seed: u64, corpus: &[String], guard: fn(&str) -> Result<T, Refusal>) -> Vec<T> {
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|text| text.clone().into_bytes()).collect();
    let mut mutator = Mutator { random: StdRng::seed_from_u64(seed), corpus: &corpus, words: super::WORDS };
    let mut found = Vec::new();
    for _ in 0..LET_THROUGH * 40 {
        if let Ok(checked) = guard(&engine::lossy(&mutator.text()))
            && !found.contains(&checked)
        {
            found.push(checked);
        }
        if found.len() == LET_THROUGH {
            break;
        }
    }
    found
}

/// Changes of rows to begin with.
fn changes() -> Vec<String> {
    let of_the_corpus = engine::files("tests/fuzz/corpus/sql", ".sql");
    of_the_corpus.into_iter().chain(CHANGES.map(str::to_owned)).filter(|text| guard::check_change(text).is_ok()).collect()
}

const CHANGES: [&str; 6] = [
    "UPDATE shop.orders o SET note = c.name FROM shop.categories c WHERE c.id = o.id RETURNING o.id",
    "UPDATE shop.products SET price = price * 2, tags = ARRAY['a'] WHERE sku LIKE 'x%'",
    "DELETE FROM shop.order_items WHERE quantity > 3 AND product_id IN (SELECT id FROM shop.products WHERE price < 1)",
    "INSERT INTO shop.customers (email, full_name, country, created_at) VALUES ('a', 'b', 'de', now()), ('c', 'd', 'fr', now())",
    "INSERT INTO shop.categories (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    "DELETE FROM shop.categories",
];

#[test]
fn what_the_guard_lets_through_is_one_statement_that_does_what_it_says_for_postgresql_too() {
    if !engine::is_wanted("sql") {
        return;
    }
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (asked, changed) = runtime.block_on(async {
        let mut connection = server.connect().await;
        let schema = engine::file("tests/sql/schema.sql");
        let schema: Vec<&str> = schema.lines().filter(|line| !line.starts_with("CREATE EXTENSION")).collect();
        sqlx::raw_sql(AssertSqlSafe(schema.join("\n"))).execute(&mut connection).await.unwrap();
        sqlx::raw_sql("SET statement_timeout = '300ms'").execute(&mut connection).await.unwrap();
        let before = state(&mut connection).await;
        let (mut asked, mut changed) = (Counted::default(), Counted::default());
        for seed in [7, engine::seed()] {
            eprintln!("sql in PostgreSQL: seed {seed}");
            for checked in let_through(seed, &super::seeds(), guard::check) {
                asked.count(asks(&mut connection, &checked).await);
                assert_eq!(state(&mut connection).await, before, "seed {seed}: it left something behind: {}", checked.sql());
            }
            for change in let_through(seed, &changes(), guard::check_change) {
                changed.count(changes_one_table(&mut connection, &change).await);
            }
        }
        assert_eq!(state(&mut connection).await, before, "a plan left something behind");
        (asked, changed)
    });
    eprintln!("sql in PostgreSQL: questions {asked:?}, changes {changed:?}");
    assert!(asked.is_enough() && changed.is_enough(), "too few to say anything: {asked:?}, {changed:?}");
}

/// How many texts were let through, and how many of them PostgreSQL understood.
#[derive(Debug, Default)]
struct Counted {
    let_through: usize,
    understood: usize,
}

impl Counted {
    fn count(&mut self, is_understood: bool) {
        self.let_through += 1;
        self.understood += usize::from(is_understood);
    }

    fn is_enough(&self) -> bool {
        self.let_through >= LET_THROUGH && self.understood * 4 >= self.let_through
    }
}

/// Whether PostgreSQL understands a question. Fails where it plans to change something for it, or sees more than one.
async fn asks(connection: &mut PgConnection, checked: &Checked) -> bool {
    if checked.shape() == Shape::Rows
        && let Some(plan) = plan(connection, checked.sql()).await
    {
        assert!(modifications(&plan).is_empty(), "it changes something: {}", checked.sql());
    }
    only_reads(connection, checked.sql()).await
}

/// Whether PostgreSQL understands a change. Fails where it would change anything but rows of this one table, in this one way.
async fn changes_one_table(connection: &mut PgConnection, change: &Change) -> bool {
    let Some(plan) = plan(connection, change.sql()).await else { return false };
    // What stands without quotes is in small letters to PostgreSQL.
    let table = change.table.rsplit('.').next().unwrap_or_default();
    let table = table.strip_prefix('"').map_or_else(|| table.to_lowercase(), |quoted| quoted.trim_end_matches('"').to_owned());
    let modifications = modifications(&plan);
    let is_right =
        matches!(modifications.as_slice(), [(verb, changed)] if verb.to_uppercase() == change.verb && *changed == table);
    assert!(is_right, "it is {} of {}, and not {modifications:?}: {}", change.verb, change.table, change.sql());
    true
}

/// How PostgreSQL would go about it, without doing it.
async fn plan(connection: &mut PgConnection, sql: &str) -> Option<serde_json::Value> {
    // With the extended protocol a second statement is an error of its own.
    let explain = format!("EXPLAIN (FORMAT JSON, VERBOSE) {sql}");
    match sqlx::query(AssertSqlSafe(explain)).persistent(false).fetch_one(connection).await {
        Ok(row) => Some(serde_json::from_slice(row.try_get_raw(0).unwrap().as_bytes().unwrap()).unwrap()),
        Err(error) => {
            assert!(!error.to_string().contains("multiple commands"), "it is several statements: {sql}");
            None
        }
    }
}

/// What a plan changes: in which way, and the table.
fn modifications(plan: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    match plan {
        serde_json::Value::Array(parts) => parts.iter().flat_map(modifications).collect(),
        serde_json::Value::Object(node) => {
            let is_one = node.get("Node Type").is_some_and(|node| node == "ModifyTable");
            let own = is_one.then(|| (text(&node["Operation"]), text(&node["Relation Name"])));
            own.into_iter().chain(node.values().flat_map(modifications)).collect()
        }
        _ => Vec::new(),
    }
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
