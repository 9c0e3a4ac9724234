//! The record as a whole, on real files.

mod audit;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    events::{EventFilter, EventType, Subject},
    journal::{Actor, AuditEntry, AuditFilter, Command, Intent, IntentId, Outcome, PassId},
    *,
};
use crate::{
    manifest::{Key, Kind, status::Status},
    plan::{EngineAction, History, Step, Target, Why},
};

async fn open(state: &TempDir) -> (Record, Opened) {
    Record::open(state.path(), Settings::default()).await.unwrap()
}

fn redis() -> Key {
    Key::new(Kind::Container, "redis")
}

fn step() -> Step {
    let container = Target::seen("c0ffee", "redis");
    let why = Why::NotRunning { exit_code: 137, out_of_memory: false };
    Step { action: EngineAction::StartContainer { container }.into(), why }
}

async fn intend(journal: &Journal) -> Result<IntentId, Error> {
    let (actor, pass, object, step) = (&Actor::Reconciler, PassId::new(), &redis(), &step());
    journal.intend(&Intent { actor, pass, number: 1, object, generation: 3, step }).await
}

async fn log(record: &Record) -> Vec<AuditEntry> {
    record.journal.log(&AuditFilter { limit: 10_000, ..AuditFilter::default() }).await.unwrap()
}

/// Id, operation and outcome of every entry.
async fn acts(record: &Record) -> Vec<(i64, String, Option<String>)> {
    log(record).await.into_iter().map(|entry| (entry.id, entry.operation, entry.outcome)).collect()
}

/// Somebody else who has opened the database.
async fn stranger(state: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(state.join(database::FILE)).connect().await.unwrap()
}

async fn becomes(mut watch: watch::Receiver<bool>, value: bool) {
    let change = watch.wait_for(|now| *now == value);
    tokio::time::timeout(Duration::from_secs(10), change).await.expect("in time").expect("the writer lives");
}

#[tokio::test]
async fn an_act_is_in_the_log_with_its_reason_and_what_came_of_it() {
    let state = tempfile::tempdir().unwrap();
    let (record, opened) = open(&state).await;
    assert_eq!(opened, Opened::default());
    let intent = intend(&record.journal).await.unwrap();
    let under_way = log(&record).await;
    assert_eq!((under_way.len(), &under_way[0].outcome), (1, &None));

    record.journal.conclude(intent, Outcome::Failed { error: "no such image".into() }).await.unwrap();
    let AuditEntry { actor, step, object, generation, operation, target, action, why_code, why, outcome, error, details, .. } =
        log(&record).await.remove(0);
    assert_eq!((actor.as_str(), step, object.as_str(), generation), ("reconciler", Some(1), "Container/redis", Some(3)));
    assert_eq!((operation.as_str(), target.as_str(), action.as_str()), ("StartContainer", "redis", "start redis"));
    assert_eq!((why_code.as_str(), why.as_str()), ("NotRunning", "it exited with 137"));
    assert_eq!((outcome.as_deref(), error.as_deref()), (Some("failed"), Some("no such image")));
    assert_eq!(details["action"]["container"]["id"], "c0ffee");
}

#[tokio::test]
async fn what_a_person_did_is_in_the_log_as_done() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let details = serde_json::json!({"generation": 4});
    let command = Command {
        actor: &Actor::Cli("root".into()),
        operation: "Apply",
        object: &redis().into(),
        target: "redis.yaml",
        why: "mooring apply -f redis.yaml",
        details: &details,
        outcome: &Outcome::Done,
    };
    record.journal.note(&command).await.unwrap();
    let entry = log(&record).await.remove(0);
    assert_eq!((entry.actor.as_str(), entry.outcome.as_deref(), &entry.pass), ("cli:root", Some("done"), &None));
    assert_eq!((entry.action.as_str(), &entry.details), ("apply redis.yaml", &details));
}

#[tokio::test]
async fn a_row_that_was_written_without_words_is_told_by_its_operation() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let command = Command {
        actor: &Actor::Reconciler,
        operation: "StopContainer",
        object: &redis().into(),
        target: "redis",
        why: "it is unhealthy",
        details: &serde_json::Value::Null,
        outcome: &Outcome::Done,
    };
    record.journal.note(&command).await.unwrap();
    assert_eq!(log(&record).await.remove(0).action, "stop container redis");
}

#[tokio::test]
async fn the_log_can_be_asked_for_one_object_one_pass_and_a_page() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let (pass, other) = (PassId::new(), Key::new(Kind::Container, "web"));
    for (number, object) in [&redis(), &other, &redis(), &redis()].into_iter().enumerate() {
        let intent = Intent { actor: &Actor::Reconciler, pass, number, object, generation: 1, step: &step() };
        record.journal.intend(&intent).await.unwrap();
    }
    let ids = async |filter| record.journal.log(&filter).await.unwrap().iter().map(|entry| entry.id).collect::<Vec<_>>();
    let all = AuditFilter::default();
    assert_eq!(ids(AuditFilter { limit: 2, ..all.clone() }).await, [3, 4], "the newest, oldest first");
    assert_eq!(ids(AuditFilter { limit: 2, before: Some(3), ..all.clone() }).await, [1, 2]);
    assert_eq!(ids(AuditFilter { object: Some(redis()), ..all.clone() }).await, [1, 3, 4]);
    assert_eq!(ids(AuditFilter { pass: Some(pass.to_string()), ..all.clone() }).await, [1, 2, 3, 4]);
    assert_eq!(ids(AuditFilter { since: Some(clock::now() + SignedDuration::from_secs(1)), ..all }).await, [0; 0]);
}

#[tokio::test]
async fn nobody_can_change_delete_or_replace_a_row_of_the_log() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let intent = intend(&record.journal).await.unwrap();
    record.journal.conclude(intent, Outcome::Done).await.unwrap();
    let before = acts(&record).await;

    let columns =
        "id, created_at, actor, phase, intent, object, operation, target, why_code, why, outcome, details, prev_hash, hash";
    let mut stranger = stranger(state.path()).await;
    for statement in [
        "UPDATE audit SET actor = 'nobody'".to_owned(),
        "UPDATE OR REPLACE audit SET id = 2 WHERE id = 1".to_owned(),
        "DELETE FROM audit".to_owned(),
        format!(
            "INSERT OR REPLACE INTO audit ({columns}) VALUES (1, '', '', 'intent', NULL, '', '', '', '', '', NULL, '', '', '')"
        ),
        format!("REPLACE INTO audit ({columns}) VALUES (9, '', '', 'outcome', 1, '', '', '', '', '', 'unknown', '', '', '')"),
    ] {
        let error = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut stranger).await.expect_err(&statement);
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
    assert_eq!(acts(&record).await, before);
}

#[tokio::test]
async fn an_intent_has_one_outcome_and_an_outcome_has_an_intent() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let intent = intend(&record.journal).await.unwrap();
    record.journal.conclude(intent, Outcome::Done).await.unwrap();
    let again = record.journal.conclude(intent, Outcome::Unknown).await;
    assert!(matches!(again, Err(Error::Refused { .. })), "{again:?}");

    let elsewhere = tempfile::tempdir().unwrap();
    let (other, _) = open(&elsewhere).await;
    assert!(matches!(other.journal.conclude(intent, Outcome::Done).await, Err(Error::NoSuchIntent { id: 1 })));
    assert!(*other.journal.writable().borrow(), "a row that is refused does not stop the others");
}

#[test]
fn an_intent_that_a_crash_left_open_is_closed_as_unknown_and_named() {
    let state = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        let (record, _) = open(&state).await;
        let concluded = intend(&record.journal).await.unwrap();
        record.journal.conclude(concluded, Outcome::Done).await.unwrap();
        intend(&record.journal).await.unwrap();
        // The runtime ends here and drops the writer where it stands.
        std::mem::forget(record);
    });
    runtime().block_on(async {
        let (record, opened) = open(&state).await;
        let open_intents: Vec<_> = opened.open_intents.iter().map(|open| (&open.object, open.operation.as_str())).collect();
        assert_eq!(open_intents, [(&redis(), "StartContainer")]);
        let outcomes: Vec<_> = log(&record).await.into_iter().map(|entry| entry.outcome.unwrap()).collect();
        assert_eq!(outcomes, ["done", "unknown"]);
        record.shutdown().await;
        assert_eq!(open(&state).await.1, Opened::default(), "once is enough");
    });
}

#[tokio::test]
async fn a_command_beside_the_operator_leaves_what_is_under_way_alone() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let intent = intend(&record.journal).await.unwrap();
    let beside = Record::join(state.path(), Settings::default()).await.unwrap();
    intend(&beside.journal).await.unwrap();
    record.journal.conclude(intent, Outcome::Done).await.unwrap();
    let acts = acts(&beside).await;
    assert_eq!(acts.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [1, 2], "two processes, one sequence of numbers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_once_get_their_own_rows_in_few_transactions() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let journal = record.journal.clone();
            tokio::spawn(async move {
                let intent = intend(&journal).await.unwrap();
                journal.conclude(intent, Outcome::Done).await.unwrap();
                intent
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
    let log = log(&record).await;
    assert!(log.len() == 1000 && log.iter().all(|entry| entry.outcome.as_deref() == Some("done")));
    let rendered = record.render_metrics();
    let transactions = rendered.lines().find_map(|line| line.strip_prefix("mooring_journal_write_seconds_count ")).unwrap();
    assert!(transactions.parse::<u32>().unwrap() < 500, "{transactions} transactions for 2000 rows");
}

#[tokio::test]
async fn while_the_database_cannot_be_written_nothing_is_intended_and_then_it_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let under_way = intend(&record.journal).await.unwrap();
    let mut stranger = stranger(state.path()).await;
    let lock = stranger.begin_with("BEGIN IMMEDIATE").await.unwrap();

    let began = std::time::Instant::now();
    let refused = intend(&record.journal).await;
    assert!(matches!(refused, Err(Error::Write { .. })), "{refused:?}");
    assert!(began.elapsed() < database::LIMIT, "the answer took {:?}", began.elapsed());
    becomes(record.journal.writable(), false).await;
    assert!(record.render_metrics().contains("\nmooring_journal_writable 0\n"));
    assert!(record.journal.conclude(under_way, Outcome::Done).await.is_err());
    assert_eq!(acts(&record).await, [(1, "StartContainer".into(), None)], "who reads is not disturbed");

    lock.rollback().await.unwrap();
    becomes(record.journal.writable(), true).await;
    assert_eq!(acts(&record).await, [(1, "StartContainer".into(), Some("done".into()))], "the outcome was made up for");
    intend(&record.journal).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_deleted_under_way_is_begun_anew_with_what_is_known() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let lost = intend(&record.journal).await.unwrap();
    record.history.save(&redis(), &History { generation: 7, ..History::default() }).await.unwrap();
    record.status.set(&redis(), Status { observed_generation: Some(7), ..Status::default() });
    record.events.flush().await.unwrap();
    for file in ["mooring.db", "mooring.db-wal", "mooring.db-shm"] {
        fs::remove_file(state.path().join(file)).unwrap();
    }

    intend(&record.journal).await.unwrap();
    assert_eq!(acts(&record).await.len(), 1, "the row is in the file that can be found");
    let concluded = record.journal.conclude(lost, Outcome::Done).await;
    assert!(matches!(concluded, Err(Error::NoSuchIntent { .. })), "numbers go on, so it meets no stranger: {concluded:?}");
    record.shutdown().await;

    let (record, opened) = open(&state).await;
    assert_eq!(opened.open_intents.len(), 1);
    assert_eq!(record.history.get(&redis()).unwrap().generation, 7);
    assert_eq!(record.status.get(&redis()).unwrap().observed_generation, Some(7));
}

#[tokio::test]
async fn a_state_directory_that_is_deleted_under_way_is_made_again() {
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let (record, _) = Record::open(&state, Settings::default()).await.unwrap();
    fs::remove_dir_all(&state).unwrap();
    intend(&record.journal).await.unwrap();
    let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM audit").fetch_one(&mut stranger(&state).await).await.unwrap();
    assert_eq!((rows, acts(&record).await.len()), (1, 1));
}

#[tokio::test]
async fn a_database_that_cannot_even_be_opened_comes_back_when_it_can() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let (file, elsewhere) = (state.path().join(database::FILE), state.path().join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(intend(&record.journal).await.is_err());
    becomes(record.journal.writable(), false).await;
    fs::remove_dir(&file).unwrap();
    fs::rename(&elsewhere, &file).unwrap();
    becomes(record.journal.writable(), true).await;
    intend(&record.journal).await.unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_kept_aside_and_a_new_one_begun() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join(database::FILE);
    fs::write(&file, "this is no database".repeat(1000)).unwrap();
    let (record, opened) = open(&state).await;
    let aside = opened.moved_aside.unwrap();
    assert_eq!(fs::read(&aside).unwrap(), "this is no database".repeat(1000).as_bytes());
    assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("mooring.db.corrupt-2"));
    intend(&record.journal).await.unwrap();
    record.events.flush().await.unwrap();
    let events = record.events.list(&EventFilter::default()).await.unwrap();
    assert_eq!((&events[0].key.object, events[0].key.reason.as_str()), (&Subject::Host, "JournalDamaged"));
}

#[tokio::test]
async fn a_database_that_is_damaged_under_way_is_kept_aside_and_a_new_one_begun() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    intend(&record.journal).await.unwrap();
    let file = state.path().join(database::FILE);
    let mut stranger = stranger(state.path()).await;
    let is_moved_over = async |stranger: &mut _| {
        // Anybody who reads, as our own side does now and then, keeps it from coming to its end.
        let done: (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(stranger).await.unwrap();
        done.0 == 0
    };
    let mut damaged = intend(&record.journal).await;
    // What our side writes between the two is remembered by it and not read again: once more then.
    while damaged.is_ok() {
        while !is_moved_over(&mut stranger).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let length = fs::metadata(&file).unwrap().len();
        let mut handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
        std::io::Write::write_all(&mut handle, &vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
        damaged = intend(&record.journal).await;
    }
    assert!(matches!(&damaged, Err(error) if error.is_damage()), "{damaged:?}");
    becomes(record.journal.writable(), true).await;
    intend(&record.journal).await.unwrap();
    record.events.flush().await.unwrap();
    assert_eq!(record.events.list(&EventFilter::default()).await.unwrap()[0].key.reason, "JournalDamaged");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_stays_where_it_is() {
    let state = tempfile::tempdir().unwrap();
    open(&state).await.0.shutdown().await;
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut stranger(state.path()).await).await.unwrap();
    let error = Record::open(state.path(), Settings::default()).await.unwrap_err();
    assert!(matches!(error, Error::Schema { .. }), "{error:?}");
    let databases = fs::read_dir(state.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("corrupt"));
    assert_eq!(databases.count(), 0);
}

#[tokio::test]
async fn nobody_else_can_read_the_state() {
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let (record, _) = Record::open(&state, Settings::default()).await.unwrap();
    intend(&record.journal).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_directory_with_other_things_in_it_keeps_its_mode() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("something"), "").unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o755)).unwrap();
    open(&state).await;
    assert_eq!(fs::metadata(state.path()).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn repeated_events_fold_also_across_runs() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let mut watch = record.events.subscribe();
    for _ in 0..3 {
        record.events.warning(redis(), "Unhealthy", "its health check fails");
    }
    record.events.normal(redis(), "Started", "start redis");
    assert_eq!(watch.recv().await.unwrap().count, 3);
    assert_eq!(watch.recv().await.unwrap().key.reason, "Started");
    record.shutdown().await;

    let (record, _) = open(&state).await;
    record.events.warning(redis(), "Unhealthy", "its health check fails");
    record.events.flush().await.unwrap();
    let filter = EventFilter { object: Some(redis().into()), ..EventFilter::default() };
    let events = record.events.list(&filter).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.key.kind, event.key.reason.as_str(), event.count)).collect();
    assert_eq!(told, [(EventType::Normal, "Started", 1), (EventType::Warning, "Unhealthy", 4)]);
    assert!(events[1].first_at < events[1].last_at);
}

/// The steps of one pass are told within a millisecond, and used to be listed by their names.
#[tokio::test]
async fn what_happened_in_one_moment_is_listed_in_the_order_in_which_it_was_told() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let told = ["StopContainer", "RemoveContainer", "CreateContainer", "StartContainer"];
    for reason in told {
        record.events.normal(redis(), reason, "because an earlier try did not help");
    }
    record.events.flush().await.unwrap();
    let events = record.events.list(&EventFilter::default()).await.unwrap();
    let listed: Vec<&str> = events.iter().map(|event| event.key.reason.as_str()).collect();
    assert_eq!(listed, told);
}

#[tokio::test]
async fn old_events_are_pruned_and_the_log_is_not() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    intend(&record.journal).await.unwrap();
    record.events.normal(Subject::Host, "Old", "long ago");
    record.events.flush().await.unwrap();
    record.shutdown().await;

    let settings = Settings { event_retention: SignedDuration::ZERO, ..Settings::default() };
    let (record, _) = Record::open(state.path(), settings).await.unwrap();
    for _ in 0..100 {
        if record.events.list(&EventFilter::default()).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(record.events.list(&EventFilter::default()).await.unwrap(), []);
    assert_eq!(log(&record).await.len(), 1);
}

#[tokio::test]
async fn what_is_known_about_objects_outlives_a_restart_until_it_is_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let history = History { generation: 2, good_image: Some("redis:7".into()), ..History::default() };
    let status = Status { observed_generation: Some(2), ..Status::default() };
    record.history.save(&redis(), &history).await.unwrap();
    assert!(record.status.set(&redis(), status.clone()));
    record.shutdown().await;

    let (record, _) = open(&state).await;
    assert_eq!(record.history.load_all().into_iter().collect::<Vec<_>>(), [(redis(), history)]);
    assert_eq!(record.status.all().into_iter().collect::<Vec<_>>(), [(redis(), status)]);
    record.history.forget(&redis()).await.unwrap();
    record.status.forget(&redis());
    record.shutdown().await;

    let (record, _) = open(&state).await;
    assert!(record.history.load_all().is_empty() && record.status.all().is_empty());
}

#[tokio::test]
async fn where_nothing_changes_nothing_is_written() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let (history, status) = (History::default(), Status::default());
    record.history.save(&redis(), &history).await.unwrap();
    record.status.set(&redis(), status.clone());
    record.events.flush().await.unwrap();

    let mut stranger = stranger(state.path()).await;
    let mut version = async || sqlx::query_scalar::<_, i64>("PRAGMA data_version").fetch_one(&mut stranger).await.unwrap();
    let before = version().await;
    record.history.save(&redis(), &history).await.unwrap();
    assert!(!record.status.set(&redis(), status));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn after_the_end_nothing_is_taken_and_everything_taken_before_is_there() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    record.events.normal(Subject::Host, "Stopping", "on request");
    record.shutdown().await;
    assert!(matches!(intend(&record.journal).await, Err(Error::Closed)));
    let (record, _) = open(&state).await;
    assert_eq!(record.events.list(&EventFilter::default()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_run_ahead_of_the_disk() {
    let state = tempfile::tempdir().unwrap();
    let (record, _) = open(&state).await;
    let began = tokio::time::Instant::now();
    for _ in 0..20 {
        let intent = intend(&record.journal).await.unwrap();
        record.journal.conclude(intent, Outcome::Done).await.unwrap();
    }
    assert_eq!(log(&record).await.len(), 20);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?} went by", began.elapsed());
}

/// Whoever died while it was moved aside leaves its log behind as well: the next one must not take that for its own, and a person finds
/// both together.
#[tokio::test]
async fn what_was_kept_aside_half_is_kept_aside_whole_by_the_next_one_and_told() {
    let (state, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (record, _) = open(&state).await;
    intend(&record.journal).await.unwrap();
    // As after a kill: with what was not moved over yet.
    let aside = "mooring.db.corrupt-20261122T040000000Z";
    fs::copy(state.path().join(database::FILE), killed.path().join(aside)).unwrap();
    fs::copy(state.path().join("mooring.db-wal"), killed.path().join("mooring.db-wal")).unwrap();
    let log = fs::read(killed.path().join("mooring.db-wal")).unwrap();
    assert!(!log.is_empty());
    fs::hard_link(killed.path().join("mooring.db-wal"), killed.path().join(format!("{aside}-wal"))).unwrap();

    let (next, opened) = open(&killed).await;
    assert_eq!(opened.moved_aside, Some(killed.path().join(aside)));
    assert_eq!(acts(&next).await.len(), 0);
    assert_eq!(fs::read(killed.path().join(format!("{aside}-wal"))).unwrap(), log);
    next.events.flush().await.unwrap();
    assert_eq!(next.events.list(&EventFilter::default()).await.unwrap()[0].key.reason, "JournalDamaged");
    next.shutdown().await;

    let mut rescued = SqliteConnectOptions::new().filename(killed.path().join(aside)).connect().await.unwrap();
    let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM audit").fetch_one(&mut rescued).await.unwrap();
    assert_eq!(rows, 1);
}
