//! The audit log in a real PostgreSQL as well: all of it, once, whatever becomes of the database meanwhile.

use std::net::TcpListener;

use mooring::{
    controller::Context,
    record::{audit::AuditLog, chain::Fault},
};

use crate::host::{Host, container, environment, manifest};

/// A Mooring with one container, and a PostgreSQL beside it that it ships to.
fn shipping() -> Host {
    let mut host = Host::new(&[container("web", "image: web:1\nstopGracePeriod: 1s")]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    host.docker(&format!(
        "run --detach --name @pg --publish 127.0.0.1:{port}:5432 --env POSTGRES_USER=app --env POSTGRES_PASSWORD=s3cret \
         --env POSTGRES_DB=app --pull never mooring-demo/postgres:15"
    ));
    host.eventually("it answers", |host| ask_as(host, "app", "SELECT 1").is_ok());
    // The owner of the database is a superuser here, for whom grants do not count.
    let role = "CREATE ROLE mooring LOGIN PASSWORD 's3cret'; GRANT ALL ON SCHEMA public TO mooring";
    ask_as(&host, "app", role).unwrap();
    host.database = Some(format!("postgresql://mooring:s3cret@127.0.0.1:{port}/app").parse().unwrap());
    host
}

fn ask(host: &Host, statement: &str) -> Result<String, String> {
    ask_as(host, "mooring", statement)
}

/// What the database answers, or complains of.
fn ask_as(host: &Host, role: &str, statement: &str) -> Result<String, String> {
    let name = format!("{}-pg", host.name);
    let output = std::process::Command::new("docker")
        .args([
            "exec",
            "--env",
            "PGPASSWORD=s3cret",
            &name,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            role,
            "-d",
            "app",
            "-qAtc",
            statement,
        ])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Whether all rows of the file are there, in their order, each once.
fn is_all_there(host: &Host) -> bool {
    let last = last(host.context());
    ask(host, "SELECT count(*), count(DISTINCT id), max(id) FROM claw_audit_log") == Ok(format!("{last}|{last}|{last}"))
}

fn last(ctx: &Context) -> i64 {
    ctx.record.journal.head().borrow().id
}

fn unshipped(host: &Host) -> String {
    let metrics = host.context().record.render_metrics();
    metrics.lines().find_map(|line| line.strip_prefix("mooring_audit_unshipped_rows ")).unwrap().to_owned()
}

#[test]
fn the_database_may_be_the_one_that_an_environment_knows() {
    let mut host = shipping();
    let url = host.database.take().map(|_| host.docker("port @pg 5432/tcp")).unwrap();
    let url = format!("postgresql://mooring:s3cret@{}/app", url.trim());
    std::fs::create_dir(host.path("shop")).unwrap();
    std::fs::write(host.path("shop/.env"), "DATABASE_URL=postgres//a-typo:hunter2\n").unwrap();
    host.put(environment("shop", "directory: shop"));
    host.put(manifest("Host", "default", "database: {environment: shop}"));
    host.run();
    host.converges();
    let has_told = |host: &Host, reason: &str| host.events("Host").iter().any(|(told, _)| told == reason);
    host.eventually("the typo is told", |host| has_told(host, "DatabaseUnknown"));
    std::fs::write(host.path("shop/.env"), format!("DATABASE_URL={url}\n")).unwrap();
    host.eventually("it is found out", |host| has_told(host, "DatabaseKnown"));
    host.eventually("all of it is there", is_all_there);
}

#[test]
fn what_is_done_is_in_the_database_too_and_stays_there_as_it_is() {
    let mut host = shipping();
    host.run();
    host.converges();
    host.docker("kill @web");
    host.eventually("it runs again", |host| host.state("web") == "running healthy");
    host.eventually("all of it is there", is_all_there);
    host.eventually("nothing is left", |host| unshipped(host) == "0");

    let newest = "SELECT actor, operation, target, outcome FROM claw_audit_log ORDER BY created_at DESC LIMIT 1";
    assert_eq!(ask(&host, newest), Ok(format!("reconciler|StartContainer|{}-web|done", host.name)));
    for statement in ["UPDATE claw_audit_log SET actor = 'nobody'", "DELETE FROM claw_audit_log", "TRUNCATE claw_audit_log"] {
        let refusal = ask(&host, statement).unwrap_err();
        assert!(refusal.contains("permission denied"), "{statement}: {refusal}");
        // Who owns the table can take the right back, and meets the trigger.
        let granted = format!("GRANT ALL ON claw_audit_log TO mooring; {statement}");
        assert!(ask(&host, &granted).unwrap_err().contains("append-only"), "{statement}");
    }

    // The chain holds there as well, by the program and by the database itself.
    let target = host.database.clone().unwrap();
    let logs = host.wait_for(target.verify()).unwrap();
    let rows = u64::try_from(last(host.context())).unwrap();
    assert_eq!((logs.len(), logs[0].1.rows, &logs[0].1.fault), (1, rows, &None));
    let bad = "SELECT count(*) FROM claw_audit_log line WHERE hash <> claw_audit_digest(line)";
    assert_eq!(ask(&host, bad).as_deref(), Ok("0"));
    let tamper = "ALTER TABLE claw_audit_log DISABLE TRIGGER USER; GRANT ALL ON claw_audit_log TO mooring; \
                  UPDATE claw_audit_log SET why = 'it was bored' WHERE id = 2";
    ask(&host, tamper).unwrap();
    assert_eq!(host.wait_for(target.verify()).unwrap()[0].1.fault, Some(Fault::Changed { id: 2 }));
    assert_eq!(ask(&host, bad).as_deref(), Ok("1"));
}

#[test]
fn a_database_that_is_away_or_dies_in_the_middle_costs_neither_healing_nor_rows() {
    let mut host = shipping();
    host.run();
    host.converges();
    host.eventually("all of it is there", is_all_there);

    host.docker("kill @pg");
    for _ in 0..2 {
        host.docker("rm --force @web");
        host.eventually("it is healed all the same", |host| host.state("web") == "running healthy");
    }
    host.eventually("it is told", |host| host.events("Host").iter().any(|(reason, _)| reason == "AuditNotShipped"));
    assert_ne!(unshipped(&host), "0");
    assert!(!format!("{:?}", host.events("Host")).contains("s3cret"));

    // What is not there yet is not archived either.
    let archive = host.path("../archive.jsonl");
    let cleared = host.wait_for(host.context().record.journal.clear(&mooring::record::journal::Actor::Api, &archive)).unwrap();
    let shipped_before = cleared.map_or(0, |cleared| cleared.last_id);
    assert!(shipped_before < last(host.context()) - 6, "{shipped_before}");

    // It comes back, dies while rows are on their way, and comes back again; so does Mooring.
    host.docker("start @pg");
    host.eventually("it answers", |host| ask(host, "SELECT 1").is_ok());
    host.docker("kill @pg");
    host.stop();
    host.run();
    host.docker("start @pg");
    host.release("Container/web");
    host.docker("rm --force @web");
    host.eventually("it is healed", |host| host.state("web") == "running healthy");
    host.eventually("all of it is there, once", is_all_there);
    let target = host.database.clone().unwrap();
    assert_eq!(host.wait_for(target.verify()).unwrap()[0].1.fault, None);
    let log = host.wait_for(async { AuditLog::of(&host.path("../state")) }).unwrap();
    let archives: Vec<_> = [archive].into_iter().filter(|archive| archive.exists()).collect();
    assert_eq!(host.wait_for(log.verify(&archives, &[], |_| {})).unwrap().fault, None);
}
