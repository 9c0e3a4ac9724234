//! The chain on a real file, and what is found when somebody lays hands on it.

use std::{fs, path::PathBuf};

use sqlx::AssertSqlSafe;

use super::*;
use crate::record::{
    audit::{Anchor, AuditLog, Verified, read_anchors},
    chain::{Fault, GENESIS},
};

/// A log with so many acts, which are twice as many rows.
async fn with_acts(acts: usize) -> (TempDir, Record) {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    for _ in 0..acts {
        let intent = intend(&record.journal).await.unwrap();
        record.journal.conclude(intent, Outcome::Done).await.unwrap();
    }
    (state, record)
}

async fn verify(state: &TempDir, anchors: &[Anchor]) -> Verified {
    AuditLog::of(state.path()).unwrap().verify(&[], anchors, |_| {}).await.unwrap()
}

fn anchored(record: &Record) -> Anchor {
    let head = record.journal.head().borrow().clone();
    Anchor { at: "2026-01-02T03:04:05Z".to_owned(), id: head.id, hash: head.hash }
}

/// Somebody with the file in his hands, who lets no trigger stop him.
async fn tamper(state: &TempDir, statements: &[&str]) {
    let mut stranger = stranger(state.path()).await;
    let triggers: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetch_all(&mut stranger).await.unwrap();
    for trigger in triggers {
        sqlx::query(AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).execute(&mut stranger).await.unwrap();
    }
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut stranger).await.unwrap();
    for statement in statements {
        sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&mut stranger).await.unwrap();
    }
    stranger.close().await.unwrap();
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_good_to_its_last_row() {
    let (state, record) = with_acts(3).await;
    let verified = verify(&state, &[anchored(&record)]).await;
    assert_eq!((verified.rows, verified.anchors, verified.fault), (6, 1, None));
    assert_eq!(verified.head, Some(record.journal.head().borrow().clone()));
}

/// The database puts together what is hashed, in an expression of its own.
#[tokio::test]
async fn whatever_stands_in_a_row_has_the_same_digest_for_the_database_as_for_us() {
    let (state, record) = with_acts(1).await;
    for odd in ["größer ≠ größer 🦀", "", "two\nlines\r\n", "a\u{0}b", "'); DROP TABLE audit; --", "~", "1:x\n"] {
        let action = EngineAction::StartContainer { container: Target::named(odd) };
        let step = Step { action: action.into(), why: Why::StartFailed { error: odd.to_owned() } };
        let actor = Actor::Cli(odd.to_owned());
        let intent =
            Intent { actor: &actor, pass: PassId::new(), number: 1, object: &redis(), generation: i64::MAX, step: &step };
        let intent = record.journal.intend(&intent).await.unwrap();
        record.journal.conclude(intent, Outcome::Failed { error: odd.to_owned() }).await.unwrap();
    }
    let verified = verify(&state, &[anchored(&record)]).await;
    assert_eq!((verified.rows, verified.anchors, verified.fault), (16, 1, None));
}

#[tokio::test]
async fn the_chain_goes_on_after_a_restart_and_beside_another_process() {
    let (state, record) = with_acts(1).await;
    let other = Record::join(state.path(), Settings::default()).await.unwrap();
    for journal in [&other.journal, &record.journal, &other.journal] {
        let intent = intend(journal).await.unwrap();
        journal.conclude(intent, Outcome::Done).await.unwrap();
    }
    other.shutdown().await;
    record.shutdown().await;
    let (record, _) = open(&state).await;
    intend(&record.journal).await.unwrap();
    let verified = verify(&state, &[]).await;
    assert_eq!((verified.rows, verified.fault), (9, None));
}

#[tokio::test]
async fn the_first_bad_row_is_named() {
    for (statements, fault) in [
        (&["UPDATE audit SET why = 'it was bored' WHERE id = 3"][..], Fault::Changed { id: 3 }),
        (&["DELETE FROM audit WHERE id = 3"], Fault::Broken { id: 4, after: 2 }),
        (
            &[
                "UPDATE audit SET id = 99 WHERE id = 3",
                "UPDATE audit SET id = 3 WHERE id = 5",
                "UPDATE audit SET id = 5 WHERE id = 99",
            ],
            Fault::Changed { id: 3 },
        ),
        (
            &[
                "UPDATE audit SET id = id + 100 WHERE id > 3",
                "INSERT INTO audit SELECT 4, created_at, actor, phase, NULL, pass, step, object, generation, operation, target, \
                 why_code, why, outcome, error, details, prev_hash, hash FROM audit WHERE id = 3",
            ],
            Fault::Changed { id: 4 },
        ),
        (&["UPDATE audit SET hash = NULL WHERE id = 3"], Fault::Unsealed { id: 3 }),
        (&["DELETE FROM audit WHERE id < 3"], Fault::Headless { id: 3 }),
    ] {
        let (state, record) = with_acts(3).await;
        record.shutdown().await;
        tamper(&state, statements).await;
        assert_eq!(verify(&state, &[]).await.fault, Some(fault), "{statements:?}");
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_missed_by_an_anchor_only() {
    let (state, record) = with_acts(3).await;
    let anchor = anchored(&record);
    record.shutdown().await;
    tamper(&state, &["DELETE FROM audit WHERE id > 4"]).await;
    assert_eq!(verify(&state, &[]).await.fault, None);
    let cut = Fault::Cut { id: 6, end: 4, when: anchor.at.clone() };
    assert_eq!(verify(&state, std::slice::from_ref(&anchor)).await.fault, Some(cut));

    // Nor does it help to write something else there.
    let (record, _) = open(&state).await;
    for _ in 0..2 {
        intend(&record.journal).await.unwrap();
    }
    let rewritten = Fault::Rewritten { id: 6, when: anchor.at.clone() };
    let verified = verify(&state, &[anchor]).await;
    assert!(verified.fault == Some(rewritten) || matches!(verified.fault, Some(Fault::Rewritten { .. })), "{verified:?}");
}

#[tokio::test]
async fn a_log_that_is_cleared_goes_on_from_its_archive_and_says_so() {
    let (state, record) = with_acts(3).await;
    let anchor = anchored(&record);
    let archive = state.path().join("archive.jsonl");
    let actor = Actor::Cli("root".into());
    let cleared = record.journal.clear(&actor, &archive).await.unwrap().unwrap();
    assert_eq!((cleared.rows, cleared.first_id, cleared.last_id), (6, 1, 6));
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(acts(&record).await, [(7, "ClearAuditLog".to_owned(), Some("done".to_owned()))]);

    let verified = verify(&state, std::slice::from_ref(&anchor)).await;
    assert_eq!((verified.rows, verified.archive.as_ref(), verified.fault), (2, Some(&archive), None));
    let log = record.journal.rows();
    let whole = log.verify(std::slice::from_ref(&archive), &[anchor], |_| {}).await.unwrap();
    assert_eq!((whole.rows, whole.archive, whole.anchors, whole.fault), (8, None, 1, None));

    // Nothing is written over, and nobody can delete what is there now.
    assert!(record.journal.clear(&actor, &archive).await.unwrap_err().to_string().starts_with("cannot make "));
    let mut stranger = stranger(state.path()).await;
    assert!(sqlx::query("DELETE FROM audit").execute(&mut stranger).await.is_err());

    // Without the row that tells of it, the front is missing.
    record.shutdown().await;
    tamper(&state, &["UPDATE audit SET details = '{}' WHERE operation = 'ClearAuditLog'"]).await;
    assert_eq!(verify(&state, &[]).await.fault, Some(Fault::Changed { id: 7 }));
}

#[tokio::test]
async fn what_is_under_way_stays_when_the_log_is_cleared() {
    let (state, record) = with_acts(1).await;
    let under_way = intend(&record.journal).await.unwrap();
    let ended = intend(&record.journal).await.unwrap();
    record.journal.conclude(ended, Outcome::Done).await.unwrap();
    let archive = state.path().join("archive.jsonl");
    let cleared = record.journal.clear(&Actor::Cli("root".into()), &archive).await.unwrap().unwrap();
    assert_eq!((cleared.first_id, cleared.last_id), (1, 2));
    record.journal.conclude(under_way, Outcome::Done).await.unwrap();
    assert_eq!(verify(&state, &[]).await.fault, None);
    assert!(acts(&record).await.iter().all(|(_, _, outcome)| outcome.as_deref() == Some("done")));

    let second = state.path().join("second.jsonl");
    record.journal.clear(&Actor::Cli("root".into()), &second).await.unwrap().unwrap();
    let whole = record.journal.rows().verify(&[archive, second], &[], |_| {}).await.unwrap();
    assert_eq!(whole.fault, None);
    assert_eq!(whole.rows, 10, "two rows for each of three acts and of two clearings");
}

#[tokio::test]
async fn what_is_no_anchor_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("anchors");
    fs::write(&file, format!("{{\"at\":\"t\",\"id\":1,\"hash\":\"{GENESIS}\"}}\nrubbish\n")).unwrap();
    let noted = read_anchors(&file).unwrap();
    assert_eq!(noted.anchors.len(), 1);
    assert_eq!(noted.broken[0].to_string(), format!("{}:2: this is no anchor", file.display()));
}
