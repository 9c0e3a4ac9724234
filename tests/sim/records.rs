//! A look into Mooring's journal by somebody who does not use Mooring's code for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::{self, Thread},
};

use sqlx::{ConnectOptions as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// A connection that reads.
pub struct Records(SqliteConnection);

impl Records {
    /// Opens the journal in this state directory.
    pub fn open(state: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(state.join("mooring.db")).read_only(true);
        Self(at_once(options.connect()).unwrap())
    }

    /// The intents that are open for such a step, oldest first.
    pub fn open_intents(&mut self, operation: &str, target: &str) -> Vec<i64> {
        const OPEN: &str = "SELECT audit.id FROM open_intent JOIN audit ON audit.id = open_intent.id \
                            WHERE operation = $1 AND target = $2 ORDER BY audit.id";
        at_once(sqlx::query_scalar(OPEN).bind(operation).bind(target).fetch_all(&mut self.0)).unwrap()
    }

    /// Each intent with what was to be done, to what, and what came of it.
    pub fn outcomes(&mut self) -> BTreeMap<i64, (String, String, String)> {
        const ALL: &str = "SELECT audit.id, audit.operation, audit.target, outcome.outcome \
                           FROM audit JOIN audit AS outcome ON outcome.intent = audit.id";
        let rows = at_once(sqlx::query(ALL).fetch_all(&mut self.0)).unwrap();
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect()
    }

    /// How many intents there ever were for one of these operations on this target, and how many of them were open when the
    /// log ended with this row, or later. Then the number of the last row.
    pub fn intents_since(&mut self, operations: &[&str], target: &str, head: i64) -> (usize, usize, i64) {
        const SINCE: &str = "SELECT count(*), count(CASE WHEN outcome.id IS NULL OR outcome.id > $3 THEN 1 END) \
                             FROM audit LEFT JOIN audit AS outcome ON outcome.intent = audit.id \
                             WHERE audit.phase = 'intent' AND instr($1, audit.operation) AND audit.target = $2";
        let operations = operations.join(" ");
        // How often this is asked is left to chance, and on the thread of the run each question would move what follows from
        // the seed: the order in hash maps.
        thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let row = at_once(sqlx::query(SINCE).bind(operations).bind(target).bind(head).fetch_one(&mut self.0)).unwrap();
                let number = |place: usize| usize::try_from(row.get::<i64, _>(place)).unwrap();
                (number(0), number(1), self.rows())
            });
            asked.join().unwrap()
        })
    }

    /// How many intents there ever were for such a step.
    pub fn intents(&mut self, operation: &str, target: &str) -> usize {
        const ALL: &str = "SELECT count(*) FROM audit WHERE phase = 'intent' AND operation = $1 AND target = $2";
        self.count(ALL, operation, target)
    }

    fn count(&mut self, question: &'static str, operation: &str, target: &str) -> usize {
        let count: i64 = at_once(sqlx::query_scalar(question).bind(operation).bind(target).fetch_one(&mut self.0)).unwrap();
        usize::try_from(count).unwrap()
    }

    /// What is wrong with the log, if anything: numbers without a gap, an outcome for each intent, and a chain of digests
    /// that holds.
    pub fn fault(&mut self) -> Option<String> {
        const ROWS: &str = "SELECT id, phase, intent, prev_hash, hash FROM audit ORDER BY id";
        let rows = at_once(sqlx::query(ROWS).fetch_all(&mut self.0)).unwrap();
        let mut open = BTreeSet::new();
        let mut last: Option<String> = None;
        for (place, row) in (1_i64..).zip(&rows) {
            let (id, phase, intent): (i64, String, Option<i64>) = (row.get(0), row.get(1), row.get(2));
            let (previous, hash): (String, String) = (row.get(3), row.get(4));
            if id != place {
                return Some(format!("row {place} is missing"));
            }
            if last.is_some_and(|last| last != previous) {
                return Some(format!("row {id} does not go on from the one before"));
            }
            last = Some(hash);
            match intent {
                None if phase == "intent" => drop(open.insert(id)),
                Some(intent) if open.remove(&intent) => {}
                _ => return Some(format!("row {id} is no outcome of an open intent")),
            }
        }
        open.first().map(|id| format!("the intent {id} has no outcome"))
    }

    /// What Mooring keeps besides the log, row by row.
    pub fn kept(&mut self) -> BTreeSet<String> {
        const KEPT: &str = "SELECT 'event ' || object || ' ' || reason || ' ' || message || ' ' || count FROM event \
                            UNION SELECT 'status ' || object || ' ' || status FROM status \
                            UNION SELECT 'history ' || object || ' ' || history FROM history \
                            UNION SELECT 'probe ' || at FROM probe UNION SELECT 'meta ' || name || ' ' || value FROM meta";
        let rows: Vec<String> = at_once(sqlx::query_scalar(KEPT).fetch_all(&mut self.0)).unwrap();
        rows.into_iter().collect()
    }

    /// How many rows there are.
    pub fn rows(&mut self) -> i64 {
        at_once(sqlx::query_scalar("SELECT count(*) FROM audit").fetch_one(&mut self.0)).unwrap()
    }
}

/// Does the work while nobody else on this thread does anything.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut work = pin!(tokio::task::unconstrained(work));
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}
