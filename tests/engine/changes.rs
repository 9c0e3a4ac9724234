//! Changes of rows in a real PostgreSQL: made only of what was shown.

use std::{process::Command, time::Duration};

use mooring::admin::sql::{
    change::{NotMade, Trial},
    guard::{self, Change},
    runner::{Database, Error, Limits},
};

use crate::questions::Shop;

impl Shop {
    fn change(sql: &str) -> Change {
        guard::check_change(sql).unwrap_or_else(|refusal| panic!("{refusal}: {sql}"))
    }

    /// By the owner, who waits for locks of others.
    fn changes(&self) -> Database {
        Database::new(&self.owner(), Limits { lock: Duration::from_secs(20), time: Duration::from_secs(20), ..Limits::default() })
            .unwrap()
    }

    fn try_change(&self, sql: &str) -> Trial {
        let tried = self.wait(self.changes().try_change(&Self::change(sql)));
        tried.unwrap_or_else(|error| panic!("{}: {sql}", mooring::error_chain(&error)))
    }

    /// Tries, lets somebody else do something, and says what became of the change.
    fn between(&self, sql: &str, meanwhile: &str) -> Result<u64, NotMade> {
        let trial = self.try_change(sql);
        self.psql(meanwhile).unwrap();
        // Numbers drawn from sequences are what a change that is taken back leaves behind.
        let rows = "SELECT md5(string_agg(query_to_xml(format('TABLE %I.%I', schemaname, tablename), true, false, '')::text, '|' \
                    ORDER BY schemaname, tablename)) FROM pg_tables WHERE schemaname IN ('shop', 'audit')";
        let look = || self.psql(rows).unwrap();
        let before = look();
        let made = self.wait(self.changes().change(&Self::change(sql), &trial));
        if made.is_err() {
            assert_eq!(look(), before, "{sql}");
        }
        made
    }
}

/// What a trial says before a yes.
fn details(shop: &Shop, sql: &str) -> String {
    shop.try_change(sql).details(&Shop::change(sql)).join("\n")
}

#[test]
fn a_change_is_tried_and_taken_back_and_then_made_only_of_as_many_rows_as_were_shown() {
    let shop = Shop::open();
    let database = Database::new(&shop.owner(), Limits::default()).unwrap();
    let count = || shop.psql("SELECT count(*) FROM shop.customers").unwrap();
    let change = guard::check_change("UPDATE shop.customers SET full_name = upper(full_name)").unwrap();
    let before = shop.fingerprint();

    let trial = shop.wait(database.try_change(&change)).unwrap();
    let rows = trial.rows;
    assert_eq!(rows.to_string(), count());
    assert_eq!(shop.fingerprint(), before, "a trial changes nothing");

    let more = Trial { rows: rows + 1, ..trial.clone() };
    let other = shop.wait(database.change(&change, &more)).unwrap_err();
    assert!(matches!(other, NotMade::OtherRows { .. }), "{other}");
    assert_eq!(shop.fingerprint(), before);

    assert_eq!(shop.wait(database.change(&change, &trial)).unwrap(), rows);
    assert_eq!(shop.psql("SELECT count(*) FROM shop.customers WHERE full_name <> upper(full_name)").unwrap(), "0");

    // Whom the address names is who changes: a role that may only read may not.
    let reader = Database::new(&shop.reader, Limits::default()).unwrap();
    let refused = mooring::error_chain(&shop.wait(reader.try_change(&change)).unwrap_err());
    assert!(refused.contains("permission denied") || refused.contains("read-only"), "{refused}");

    // Nobody waits for a lock for ever, and a change that was given up is not made after all.
    let slow = guard::check_change("UPDATE shop.customers SET update_count = 1").unwrap();
    let mut locker = std::process::Command::new("docker")
        .args([
            "exec",
            "--env",
            "PGPASSWORD=s3cret",
            &format!("{}-pg", shop.host.name),
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "app",
            "-d",
            "shop",
        ])
        .args(["-qAtc", "BEGIN; LOCK TABLE shop.customers; SELECT pg_sleep(4)"])
        .spawn()
        .unwrap();
    shop.host.eventually("it is locked", |_| {
        shop.psql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'shop.customers'::regclass")
            .is_ok_and(|locks| locks == "1")
    });
    let refused = mooring::error_chain(&shop.wait(database.try_change(&slow)).unwrap_err());
    assert!(refused.contains("lock"), "{refused}");
    locker.wait().unwrap();
    assert_eq!(count(), rows.to_string());
}

#[test]
fn a_change_is_made_only_of_the_very_rows_that_were_shown() {
    let shop = Shop::open();
    // As many rows, and others.
    let update = "UPDATE shop.customers AS c SET country = 'XX' WHERE c.update_count = 0";
    let swap = "UPDATE shop.customers SET update_count = 1 - update_count WHERE id IN (2, 3)";
    assert!(matches!(shop.between(update, swap), Err(NotMade::NotThose)));
    let delete =
        "DELETE FROM ONLY shop.order_items i USING shop.orders o WHERE o.id = i.order_id AND o.status = 'paid' AND quantity > 1";
    let other = "UPDATE shop.order_items SET quantity = 4 - quantity WHERE order_id = 1";
    let other = format!(
        "{other}; UPDATE shop.order_items SET quantity = 9 WHERE order_id = 1 AND line_no = 2; \
                         UPDATE shop.order_items SET quantity = 1 WHERE order_id = 1 AND line_no = 1"
    );
    assert!(matches!(shop.between(delete, &other), Err(NotMade::NotThose)));
    // The same rows, and somebody has written one of them, even if it says the same.
    let same = "UPDATE shop.customers SET full_name = full_name WHERE id = 4";
    assert!(matches!(shop.between(update, same), Err(NotMade::NotThose)));
    // The same rows, and other values for them.
    let values = "UPDATE shop.products p SET price = x.price, name = (SELECT max(name) FROM shop.categories) \
                  FROM (VALUES (1, 5.0), (2, 6.0)) AS x(id, price) WHERE p.id = x.id";
    assert!(matches!(shop.between(values, "UPDATE shop.categories SET name = 'Zoo' WHERE id = 3"), Err(NotMade::NotThose)));
    let row = "UPDATE shop.products SET (sku, name) = (SELECT email, full_name FROM shop.customers WHERE id = 1) WHERE id = 1";
    assert!(matches!(shop.between(row, "UPDATE shop.customers SET full_name = 'Ida' WHERE id = 1"), Err(NotMade::NotThose)));
    let copy = "INSERT INTO audit.log (what) SELECT name FROM shop.products WHERE price > 30";
    assert!(matches!(shop.between(copy, "UPDATE shop.products SET name = 'Pipe' WHERE id = 3"), Err(NotMade::NotThose)));
    // Rows that are not concerned are nobody's business here.
    for (sql, rows) in [(update, 2), (delete, 2), (values, 2), (row, 1), (copy, 1)] {
        assert_eq!(shop.between(sql, "UPDATE shop.employees SET salary = salary + 1").unwrap(), rows, "{sql}");
    }
}

#[test]
fn what_is_another_value_each_time_does_not_keep_a_change_from_being_made() {
    let shop = Shop::open();
    shop.psql(
        "ALTER TABLE shop.customers ADD seen timestamptz; \
         CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.seen = clock_timestamp(); RETURN NEW; END'; \
         CREATE TRIGGER stamp BEFORE UPDATE ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.stamp(); \
         CREATE VIEW shop.brits AS SELECT id, email FROM shop.customers WHERE country = 'GB'",
    )
    .unwrap();
    for (sql, rows) in [
        ("UPDATE shop.customers SET created_at = now(), update_count = floor(random() * 9)::int WHERE id < 3", 2),
        ("UPDATE shop.customers SET update_count = DEFAULT, created_at = 'now' WHERE id = 3 RETURNING seen", 1),
        ("INSERT INTO audit.log (what) VALUES ('a'), ('b')", 2),
        ("INSERT INTO audit.log (at, what) SELECT now(), gen_random_uuid()::text FROM shop.products", 4),
        ("INSERT INTO audit.log DEFAULT VALUES ON CONFLICT DO NOTHING", 1),
        (
            "INSERT INTO shop.categories AS c (id, name) VALUES (1, 'All'), (9, 'New') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            2,
        ),
        ("INSERT INTO shop.categories (id, name) OVERRIDING SYSTEM VALUE VALUES (10, 'Odd') RETURNING *", 1),
        ("UPDATE ONLY shop.products AS p SET (name, price) = ROW('Any', 1), tags = DEFAULT WHERE false", 0),
        ("UPDATE shop.products SET (name, tags) = (upper(name), '{x}') WHERE id = 1", 1),
        ("UPDATE shop.brits SET email = 'brit' || id", 2),
        ("DELETE FROM shop.events WHERE kind = 'login' OR at > '2025-01-01'", 2),
        ("UPDATE shop.events SET at = at + interval '1 year' WHERE kind = 'purchase'", 1),
        ("DELETE FROM shop.employees WHERE false", 0),
    ] {
        if sql.contains("DEFAULT VALUES") {
            shop.psql("ALTER TABLE audit.log ALTER what SET DEFAULT 'x'").unwrap();
        }
        assert_eq!(shop.between(sql, "SELECT 1").unwrap_or_else(|error| panic!("{error}: {sql}")), rows, "{sql}");
    }
    let view = "UPDATE shop.brits SET email = 'x' || id WHERE id = 1";
    assert!(matches!(shop.between(view, "UPDATE shop.customers SET email = 'new' WHERE id = 1"), Err(NotMade::NotThose)));
}

#[test]
fn what_goes_along_by_keys_and_triggers_is_said_before_and_has_to_be_the_same() {
    let shop = Shop::open();
    shop.psql(
        "CREATE TABLE shop.boxes (id int PRIMARY KEY); \
         CREATE TABLE shop.parts (id int PRIMARY KEY, box int REFERENCES shop.boxes ON DELETE CASCADE ON UPDATE CASCADE); \
         CREATE TABLE shop.labels (id int PRIMARY KEY, part int REFERENCES shop.parts ON DELETE SET NULL); \
         CREATE TABLE shop.scratch AS SELECT 1 AS a; \
         CREATE FUNCTION shop.tell() RETURNS trigger LANGUAGE plpgsql \
           AS 'BEGIN INSERT INTO audit.log (what) VALUES (TG_TABLE_NAME); TRUNCATE shop.scratch; RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER late AFTER DELETE ON shop.parts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.tell(); \
         INSERT INTO shop.boxes VALUES (1), (2); INSERT INTO shop.parts VALUES (1, 1), (2, 1), (3, 2); \
         INSERT INTO shop.labels VALUES (1, 1), (2, 3)",
    )
    .unwrap();
    let delete = "DELETE FROM shop.boxes WHERE id = 1";
    assert_eq!(
        details(&shop, delete),
        "goes along: rows of audit.log: 2 added\n\
         goes along: rows of pg_catalog.pg_class: 1 changed\n\
         goes along: rows of shop.labels (ON DELETE SET NULL): 1 changed\n\
         goes along: rows of shop.parts (ON DELETE CASCADE): 2 deleted\n\
         goes along: rows of shop.scratch: emptied or altered as a whole\n\
         runs with it: trigger late of shop.parts calls shop.tell\n\
         tried and taken back just now: 1 row; if anybody has written one of them since, it is not made"
    );
    let moved = "UPDATE shop.boxes SET id = 7 WHERE id = 2";
    assert!(details(&shop, moved).contains("shop.parts (ON UPDATE CASCADE): 1 changed"), "{}", details(&shop, moved));
    // One more goes along than was shown.
    assert!(matches!(shop.between(delete, "INSERT INTO shop.parts VALUES (4, 1)"), Err(NotMade::OtherEffects)));
    let trigger = "CREATE TRIGGER other AFTER DELETE ON shop.boxes FOR EACH ROW EXECUTE FUNCTION shop.tell()";
    assert!(matches!(shop.between(delete, trigger), Err(NotMade::OtherEffects)));
    assert_eq!(shop.between(delete, "SELECT 1").unwrap(), 1);
    assert_eq!(shop.psql("SELECT count(*) FROM shop.parts").as_deref(), Ok("1"));
    // A trigger that puts rows aside instead of deleting them.
    shop.psql(
        "CREATE FUNCTION shop.keep() RETURNS trigger LANGUAGE plpgsql \
           AS 'BEGIN UPDATE shop.deleted_items SET \"update\" = ''gone'' WHERE id = OLD.id; RETURN NULL; END'; \
         CREATE TRIGGER keep BEFORE DELETE ON shop.deleted_items FOR EACH ROW EXECUTE FUNCTION shop.keep()",
    )
    .unwrap();
    assert_eq!(
        details(&shop, "DELETE FROM shop.deleted_items"),
        "it has no condition: every row of shop.deleted_items is concerned\n\
         goes along: rows of shop.deleted_items: 2 changed\n\
         runs with it: trigger keep of shop.deleted_items calls shop.keep\n\
         its conditions find 2 rows; triggers, rules or policies of the table make that 0 rows\n\
         tried and taken back just now: 0 rows; if anybody has written one of them since, it is not made"
    );
}

#[test]
fn what_looking_for_the_rows_calls_is_taken_back() {
    let shop = Shop::open();
    // A type of somebody's own that writes whenever something is made one.
    shop.psql("CREATE DOMAIN shop.noisy AS text CHECK (shop.touch_as_owner('seen') > 0)").unwrap();
    let sql = "UPDATE shop.customers SET update_count = 7 WHERE id::text::shop.noisy = '1'";
    assert_eq!(shop.between(sql, "SELECT 1").unwrap(), 1);
    assert_eq!(shop.psql("SELECT count(*) FROM audit.log").as_deref(), Ok("4"), "once for each row that was looked at");
    let shown = details(&shop, sql);
    assert!(shown.contains("goes along: rows of audit.log: 4 added"), "{shown}");
}

#[test]
fn whoever_writes_the_same_rows_at_the_same_moment_ends_a_change() {
    let shop = Shop::open();
    let sql = "UPDATE shop.customers SET update_count = update_count + 1 WHERE id = 1";
    let trial = shop.try_change(sql);
    let mut other = Command::new("docker")
        .args(["exec", "--env", "PGPASSWORD=s3cret", &format!("{}-pg", shop.host.name), "psql", "-h", "127.0.0.1"])
        .args(["-U", "app", "-d", "shop", "-qAtc"])
        .arg("BEGIN; UPDATE shop.customers SET update_count = 40 WHERE id = 1; SELECT pg_sleep(4); COMMIT")
        .spawn()
        .unwrap();
    shop.host.eventually("somebody writes", |_| {
        shop.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").is_ok_and(|count| count == "1")
    });
    let made = shop.wait(shop.changes().change(&Shop::change(sql), &trial));
    // On a machine with much else to do it was seen to be given up instead. It is not made in either case.
    assert!(matches!(made, Err(NotMade::Overtaken | NotMade::Database(Error::Slow(_)))), "{made:?}");
    other.wait().unwrap();
    assert_eq!(shop.psql("SELECT update_count FROM shop.customers WHERE id = 1").as_deref(), Ok("40"));
}

#[test]
fn some_of_the_rows_are_shown_as_they_are_and_no_secrets() {
    let shop = Shop::open();
    shop.psql("ALTER TABLE shop.customers ADD password_hash text DEFAULT 'a1b2', ADD \"Odd one\" jsonb").unwrap();
    let sample = shop.try_change("UPDATE shop.customers SET country = 'FR' WHERE country = 'GB'").sample;
    assert_eq!(sample.columns, ["id", "email", "full_name", "country", "created_at", "update_count", "password_hash", "Odd one"]);
    assert_eq!(sample.rows.len(), 2);
    assert_eq!((sample.rows[1][2].as_str(), sample.rows[1][3].as_str()), ("Dee O'Hara", "GB"));
    assert_eq!((sample.rows[0][6].as_str(), sample.rows[0][7].as_str()), ("***", "NULL"));
    assert_eq!(shop.try_change("DELETE FROM shop.order_items").sample.rows.len(), 5);
    assert!(shop.try_change("INSERT INTO audit.log (what) VALUES ('x')").sample.rows.is_empty());
}
