//! Questions to a real PostgreSQL: each of the two walls alone, and both with what they must let through.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use mooring::admin::sql::{
    answer::Answer,
    guard::{self, Checked, Shape},
    role::{self, Applied},
    runner::{Database, Error, Limits},
};

use crate::host::Host;

const SCHEMA: &str = include_str!("../sql/schema.sql");
const LEGIT: &str = include_str!("../sql/legit.txt");
const MORE: &str = include_str!("../sql/more.txt");
const ATTACKS: &str = include_str!("../sql/attacks.txt");

/// A PostgreSQL with the shop in it, and a role of ours.
pub struct Shop {
    pub host: Host,
    port: u16,
    pub reader: String,
}

impl Shop {
    pub fn open() -> Self {
        let host = Host::new(&[]);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        host.docker(&format!(
            "run --detach --name @pg --publish 127.0.0.1:{port}:5432 --env POSTGRES_USER=app --env POSTGRES_PASSWORD=s3cret \
             --env POSTGRES_DB=shop --pull never mooring-demo/postgres:15"
        ));
        let mut shop = Self { host, port, reader: String::new() };
        shop.host.eventually("it answers", |_| shop.psql("SELECT 1").is_ok());
        // The image has no libraries of extensions; what needs them is refused for that reason here.
        let schema: Vec<&str> = SCHEMA.lines().filter(|line| !line.starts_with("CREATE EXTENSION")).collect();
        shop.psql(&schema.join("\n")).unwrap();
        let made = shop.wait(role::apply(&shop.owner(), role::NAME, &["shop".to_owned()], "reader's"));
        assert_eq!(made.unwrap(), Applied::Made);
        shop.reader = format!("postgresql://{}:reader's@127.0.0.1:{port}/shop", role::NAME);
        shop
    }

    pub fn owner(&self) -> String {
        format!("postgresql://app:s3cret@127.0.0.1:{}/shop", self.port)
    }

    /// What the owner is told, past everything of ours.
    pub fn psql(&self, statement: &str) -> Result<String, String> {
        let name = format!("{}-pg", self.host.name);
        let arguments = ["exec", "--env", "PGPASSWORD=s3cret", &name, "psql", "-h", "127.0.0.1", "-U", "app", "-d", "shop"];
        let output =
            std::process::Command::new("docker").args(arguments).args(["-v", "ON_ERROR_STOP=1", "-qAtc", statement]).output();
        let output = output.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.host.wait_for(future)
    }

    fn ask(&self, url: &str, limits: &Limits, question: &Checked) -> Result<Answer, Error> {
        let database = Database::new(url, limits.clone()).unwrap();
        match self.wait(database.ask(question)) {
            // Seen once in a thousand connections while other tests keep the engine busy: nobody answers. Once more, then.
            Err(Error::Away(_)) => self.wait(database.ask(question)),
            answer => answer,
        }
    }

    /// As the role of ours, through both walls.
    fn read(&self, sql: &str) -> Answer {
        let question = guard::check(sql).unwrap_or_else(|refusal| panic!("{refusal}: {sql}"));
        self.ask(&self.reader, &Limits::default(), &question).unwrap_or_else(|error| panic!("{}: {sql}", chain(&error)))
    }

    /// Everything that a statement could have left behind, in one value.
    pub fn fingerprint(&self) -> String {
        let statement = "
            SELECT count(*) || ' ' || md5(string_agg(x, '|' ORDER BY x)) FROM (
              SELECT concat('class', oid, relname, relkind, relacl, relowner) AS x FROM pg_class
              UNION ALL SELECT concat('proc', oid, proname, proacl, prosrc) FROM pg_proc
              UNION ALL SELECT concat('role', oid, rolname, rolsuper, rolcreaterole, rolcanlogin, rolpassword) FROM pg_authid
              UNION ALL SELECT concat('setting', setdatabase, setrole, setconfig) FROM pg_db_role_setting
              UNION ALL SELECT concat('member', roleid, member) FROM pg_auth_members
              UNION ALL SELECT concat('schema', nspname, nspacl) FROM pg_namespace
              UNION ALL SELECT concat('column', attrelid, attname, attacl, atttypid) FROM pg_attribute
              UNION ALL SELECT concat('database', datname, datacl) FROM pg_database
              UNION ALL SELECT concat('default', defaclrole, defaclnamespace, defaclacl) FROM pg_default_acl
              UNION ALL SELECT concat('object', oid, lomacl) FROM pg_largeobject_metadata
              UNION ALL SELECT concat('type', oid, typname) FROM pg_type
              UNION ALL SELECT concat('extension', extname) FROM pg_extension
              UNION ALL SELECT concat('rule', oid, rulename, ev_action) FROM pg_rewrite
              UNION ALL SELECT concat('trigger', oid, tgname) FROM pg_trigger
              UNION ALL SELECT concat('comment', objoid, description) FROM pg_description
              UNION ALL SELECT concat('file', name, setting) FROM pg_settings WHERE source = 'configuration file'
              UNION ALL SELECT concat('lock', objid) FROM pg_locks WHERE locktype = 'advisory'
              UNION ALL SELECT concat('slot', slot_name) FROM pg_replication_slots
              UNION ALL SELECT concat('sequence', schemaname, sequencename, last_value) FROM pg_sequences
              UNION ALL SELECT concat('started', pg_postmaster_start_time())
              UNION ALL SELECT concat('rows', schemaname, tablename,
                query_to_xml(format('SELECT * FROM %I.%I', schemaname, tablename), true, false, '')::text)
                FROM pg_tables WHERE schemaname IN ('shop', 'audit', 'public')
            ) AS everything";
        self.psql(statement).unwrap()
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("-- "))
}

fn chain(error: &dyn std::error::Error) -> String {
    mooring::error_chain(error)
}

/// Runs every attack as if the guard had let it pass, by the cursor and without one, and says how many the database refused.
fn attack(shop: &Shop, url: &str) -> usize {
    let limits = Limits { time: Duration::from_millis(400), ..Limits::default() };
    let before = shop.fingerprint();
    let mut refused = 0;
    for sql in lines(ATTACKS) {
        for shape in [Shape::Rows, Shape::Setting] {
            refused += usize::from(shop.ask(url, &limits, &Checked::without_guard(sql, shape)).is_err());
        }
    }
    assert_eq!(shop.fingerprint(), before, "something is left behind");
    refused
}

#[test]
fn the_database_alone_lets_no_attack_leave_anything_behind() {
    let shop = Shop::open();
    let attacks = lines(ATTACKS).count();
    assert!(attacks > 70);
    assert!(attack(&shop, &shop.reader) > attacks, "most are refused outright");
    // The same by the owner, who is a superuser: he asks with lesser rights than his own.
    assert!(attack(&shop, &shop.owner()) > attacks, "most are refused outright");
    // The proof sees what it looks for: the same statement, by the owner himself.
    let before = shop.fingerprint();
    shop.psql("SELECT shop.touch_as_owner('seen')").unwrap();
    assert_ne!(shop.fingerprint(), before);
}

#[test]
fn every_question_has_its_answer_and_means_what_was_written() {
    let shop = Shop::open();
    // What the guard writes again is asked beside what somebody wrote, and both have the same answer.
    let moves = [
        "now",
        "age(",
        "pg_size",
        "_size(",
        "random",
        "current_time",
        "localtime",
        "clock_timestamp",
        "pg_stat",
        "EXPLAIN",
        "TABLESAMPLE",
    ];
    for sql in lines(LEGIT).chain(lines(MORE)) {
        let answer = shop.read(sql);
        if moves.iter().any(|word| sql.contains(word)) {
            continue;
        }
        let question = guard::check(sql).unwrap();
        let written = sql.trim_end_matches(';');
        let as_written = Checked::without_guard(written, question.shape());
        let same = shop.ask(&shop.reader, &Limits::default(), &as_written).unwrap();
        assert_eq!((&answer.columns, &answer.rows), (&same.columns, &same.rows), "{sql}");
    }
    let answer =
        shop.read("SELECT id, price, attrs, tags, name IS NULL AS gone, NULL AS nothing FROM shop.products ORDER BY id LIMIT 1");
    let types: Vec<&str> = answer.columns.iter().map(|column| column.type_name.as_str()).collect();
    assert_eq!(types, ["integer", "numeric", "jsonb", "text[]", "boolean", "text"]);
    let row = serde_json::json!([1, 19.9, "{\"colors\": [\"red\", \"black\"], \"weight_g\": 600}", "{hand,steel}", false, null]);
    assert_eq!(serde_json::Value::from(answer.rows[0].clone()), row);
    assert_eq!(answer.role, role::NAME);
    let empty = shop.read("SELECT id FROM shop.orders WHERE false");
    assert_eq!((empty.columns.len(), empty.rows.len(), empty.truncated), (1, 0, false));
}

#[test]
fn a_question_has_its_limits_of_rows_bytes_time_and_cost() {
    let shop = Shop::open();
    let ask = |sql: &str, limits: Limits| shop.ask(&shop.reader, &limits, &Checked::without_guard(sql, Shape::Rows));
    let few = Limits { rows: 250, cell: 5, ..Limits::default() };

    let answer = ask("SELECT n, 'abcdefgh' AS long FROM generate_series(1, 1000) n", few.clone()).unwrap();
    assert_eq!((answer.rows.len(), answer.truncated, answer.cut), (250, true, 250));
    assert_eq!(answer.rows[249], [serde_json::json!(250), serde_json::json!("abcde…")]);
    assert!(!ask("SELECT n FROM generate_series(1, 250) n", few).unwrap().truncated);

    let big = ask("SELECT repeat('x', 300000000)", Limits { time: Duration::from_secs(30), ..Limits::default() });
    assert!(matches!(big, Err(Error::Big(_))), "{big:?}");

    let begun = Instant::now();
    let slow = ask("SELECT pg_sleep(60)", Limits { time: Duration::from_millis(500), ..Limits::default() });
    assert!(matches!(slow, Err(Error::Slow(_))) && begun.elapsed() < Duration::from_secs(20), "{slow:?}");

    let joined = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";
    assert!(matches!(ask(joined, Limits::default()), Err(Error::Costly { .. })));
    let forbidden = ask("SELECT * FROM audit.log", Limits::default()).unwrap_err();
    assert!(matches!(&forbidden, Error::Forbidden { role, .. } if role == role::NAME), "{forbidden:?}");
    let writes = ask("SELECT shop.touch_as_owner('x')", Limits::default()).unwrap_err();
    assert!(matches!(writes, Error::Writes(_)), "{writes:?}");
    let unknown = ask("SELECT nope FROM shop.orders", Limits::default()).unwrap_err();
    assert_eq!(unknown.to_string(), "PostgreSQL says: column \"nope\" does not exist");
    let wrong = shop.ask(&shop.reader.replace("reader's", "hunter2"), &Limits::default(), &guard::check("SELECT 1").unwrap());
    assert!(!chain(&wrong.unwrap_err()).contains("hunter2"));
}

#[test]
fn a_question_that_nobody_waits_for_is_stopped() {
    let shop = Shop::open();
    let database = Database::new(&shop.reader, Limits { time: Duration::from_mins(5), ..Limits::default() }).unwrap();
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mooring question' AND wait_event = 'PgSleep'";
    let question = Checked::without_guard("SELECT pg_sleep(300)", Shape::Rows);
    shop.wait(async {
        let asked = tokio::spawn(async move { database.ask(&question).await });
        let begun = Instant::now();
        while shop.psql(sleeps).unwrap() == "0" {
            assert!(begun.elapsed() < Duration::from_secs(30) && !asked.is_finished(), "it is asked");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        asked.abort();
        let begun = Instant::now();
        while shop.psql(sleeps).unwrap() != "0" {
            assert!(begun.elapsed() < Duration::from_secs(30), "it goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn the_functions_on_the_list_are_those_of_the_catalog() {
    let shop = Shop::open();
    let known = include_str!("../../src/admin/sql/functions.txt");
    let before_later = known.split("# Of later versions").next().unwrap();
    let mut listed: Vec<&str> = before_later.lines().filter(|line| !line.starts_with('#')).collect();
    let found = shop.psql(include_str!("../../src/admin/sql/functions.sql")).unwrap();
    let mut found: Vec<&str> = found.lines().collect();
    listed.sort_unstable();
    found.sort_unstable();
    assert_eq!(listed, found);
}

#[test]
fn the_role_is_made_once_and_never_out_of_a_mighty_one() {
    let shop = Shop::open();
    let before = shop.fingerprint();
    let again = shop.wait(role::apply(&shop.owner(), role::NAME, &["shop".to_owned()], "another"));
    assert_eq!((again.unwrap(), shop.fingerprint()), (Applied::WasThere, before));
    shop.psql("CREATE TABLE shop.later AS SELECT 1 AS a").unwrap();
    assert_eq!(shop.read("SELECT a FROM shop.later").rows.len(), 1);
    let mighty = shop.wait(role::apply(&shop.owner(), "app", &["shop".to_owned()], "x")).unwrap_err();
    assert!(mighty.to_string().contains("may more than read already"), "{mighty}");
    // The script that is printed does the same.
    shop.psql(&role::script("another reader's", &["shop".to_owned()])).unwrap();
    shop.psql(&role::script("another reader's", &["shop".to_owned()])).unwrap();
    let may = "SELECT has_table_privilege(r, 'shop.orders', 'SELECT'), has_table_privilege(r, 'shop.orders', 'INSERT, UPDATE, DELETE, \
               TRUNCATE, REFERENCES, TRIGGER'), has_schema_privilege(r, 'shop', 'CREATE'), has_database_privilege(r, 'shop', 'CREATE') \
               FROM (VALUES ('another reader''s')) v(r)";
    assert_eq!(shop.psql(may).as_deref(), Ok("t|f|f|f"));
}
