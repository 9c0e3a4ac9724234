//! Asking a server, once or all the time.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::Result;

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Somebody who waits for the right answer asks anew after this: where nobody is any more, nginx itself waits for seconds.
const IMPATIENCE: Duration = Duration::from_millis(200);
/// Between two requests of one who asks all the time.
const PAUSE: Duration = Duration::from_millis(5);

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Where to ask for what.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) host: String,
    pub(crate) path: String,
}

impl Question {
    /// Asks by a connection of its own.
    pub(crate) async fn ask(&self) -> Result<Answer> {
        timeout(PATIENCE, self.exchange()).await?
    }

    async fn exchange(&self) -> Result<Answer> {
        let mut stream = TcpStream::connect((self.address, self.port)).await?;
        stream.set_nodelay(true)?;
        let Self { host, path, .. } = self;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let text = String::from_utf8(bytes)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("half an answer")?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok(Answer { status, head: head.to_owned(), body: body.trim().to_owned() })
    }

    /// Asks until the answer is such, and says when it came.
    pub(crate) async fn until(&self, within: Duration, is_right: impl Fn(&Answer) -> bool) -> Result<Instant> {
        let begun = Instant::now();
        loop {
            let asked = timeout(IMPATIENCE, self.exchange()).await;
            match asked {
                Ok(Ok(answer)) if is_right(&answer) => return Ok(Instant::now()),
                last if begun.elapsed() > within => return Err(format!("{self:?}: never answered right; last {last:?}").into()),
                _ => sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

/// What came of asking all the time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) asked: u64,
    /// Connections that failed, and answers other than 200.
    pub(crate) failed: u64,
    /// Answers by somebody else.
    pub(crate) wrong: u64,
}

#[derive(Debug, Default)]
struct Counters {
    asked: AtomicU64,
    failed: AtomicU64,
    wrong: AtomicU64,
    is_over: AtomicBool,
}

/// Somebody who asks all the time, each question by a new connection.
pub(crate) struct Load {
    counters: Arc<Counters>,
    asking: JoinSet<()>,
}

impl Load {
    /// Begins; an answer of 200 whose body is `wrong` is one by a wrong backend.
    pub(crate) fn begin(question: &Question, at_once: usize, wrong: &'static str) -> Self {
        let counters = Arc::new(Counters::default());
        let mut asking = JoinSet::new();
        for _ in 0..at_once {
            let (question, counters) = (question.clone(), Arc::clone(&counters));
            asking.spawn(async move {
                while !counters.is_over.load(Ordering::Relaxed) {
                    counters.note(question.ask().await.as_ref().ok(), wrong);
                    sleep(PAUSE).await;
                }
            });
        }
        Self { counters, asking }
    }

    /// Ends, when the last answers are there.
    pub(crate) async fn end(mut self) -> Tally {
        self.counters.is_over.store(true, Ordering::Relaxed);
        while self.asking.join_next().await.is_some() {}
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally { asked: read(&self.counters.asked), failed: read(&self.counters.failed), wrong: read(&self.counters.wrong) }
    }
}

impl Counters {
    fn note(&self, answer: Option<&Answer>, wrong: &str) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match answer {
            Some(answer) if answer.status == 200 && answer.body == wrong => self.wrong.fetch_add(1, Ordering::Relaxed),
            Some(answer) if answer.status == 200 => 0,
            _ => self.failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.failed += other.failed;
        self.wrong += other.wrong;
    }
}
