//! What the DNS that an nginx asks really answers.
//!
//! The engine's own server is there only for those inside a container's
//! network, so a thread of its own goes in, asks, and ends there: no other
//! thread ever changes its network. Nobody waits for the answers. A pass gets
//! those that are there and is called again when there are others; where nobody
//! can be asked, nothing is said.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        ProtoError,
        rr::{Name, RData},
    },
};
use nix::sched::{CloneFlags, setns};
use tokio::{task::JoinHandle, time::Instant};

use super::probe::OnChange;
use crate::{
    manifest::Key,
    plan::proxy::dns::{Answer, Dns},
    sites::site::Addresses,
};

/// How many names are asked for at the same time.
const AT_ONCE: usize = 8;
/// After this long what does not fit is asked for once more: a container may have moved between the look and the question.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The server.
    pub server: SocketAddr,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// In whose network; in our own, if in nobody's.
    pub inside: Option<Inside>,
    /// The names, and where the engine says that each leads.
    pub names: Addresses,
    /// How often the routes were found not to work: each time is a reason to ask again.
    pub failures: u32,
}

/// Whose network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The container's id.
    pub container: String,
    /// Its main process.
    pub pid: i32,
}

/// The server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network of the container is out of reach.
    #[error("the network of the container cannot be entered")]
    Network(#[source] io::Error),
    /// The number is that of a process in another place.
    #[error("process {pid} is none of the container's as seen from here")]
    Stranger {
        /// The number.
        pid: i32,
    },
    /// There is nobody to do it.
    #[error("nobody can be sent to ask")]
    Machinery(#[source] io::Error),
    /// No answer.
    #[error("the server does not answer")]
    Silent(#[source] NetError),
}

/// The answers, by the objects that need them.
pub struct Names {
    on_change: OnChange,
    refresh: Duration,
    known: Mutex<BTreeMap<Key, Known>>,
}

struct Known {
    question: Question,
    asked: Instant,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct State {
    answers: Option<BTreeMap<String, Answer>>,
    /// Whether it has been said already that nobody can be asked.
    is_silent: bool,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    /// Nothing is known. Answers older than `refresh` are asked for anew when somebody wants them.
    #[must_use]
    pub fn new(on_change: OnChange, refresh: Duration) -> Self {
        Self { on_change, refresh, known: Mutex::default() }
    }

    /// The answers to this very question, if they are there.
    #[must_use]
    pub fn answers(&self, key: &Key, question: Question) -> Option<Dns> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = all.get(key).map(|known| (known, known.state.lock().unwrap_or_else(PoisonError::into_inner).clone()));
        let state = match earlier {
            Some((known, state)) if known.question == question => {
                if !known.task.is_finished() || known.asked.elapsed() < self.refresh {
                    return Some(Dns { server: question.server, answers: state.answers? });
                }
                state
            }
            Some((_, state)) => State { answers: None, ..state },
            None => State::default(),
        };
        let (server, answers) = (question.server, state.answers.clone());
        let state = Arc::new(Mutex::new(state));
        let (object, on_change) = (key.clone(), Arc::clone(&self.on_change));
        let task = tokio::spawn(refresh(object, question.clone(), Arc::clone(&state), on_change));
        all.insert(key.clone(), Known { question, asked: Instant::now(), state, task });
        Some(Dns { server, answers: answers? })
    }

    /// Nothing is to be asked for an object any more.
    pub fn forget(&self, key: &Key) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

async fn refresh(key: Key, question: Question, state: Arc<Mutex<State>>, on_change: OnChange) {
    let mut answers = ask(&question).await;
    let fits = |answers: &BTreeMap<String, Answer>| {
        answers.iter().all(|(name, answer)| question.names.get(name).is_some_and(|places| answer.leads_to(places)))
    };
    if answers.as_ref().is_ok_and(|answers| !fits(answers)) {
        tokio::time::sleep(SECOND_LOOK).await;
        answers = ask(&question).await;
    }
    let is_other = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match answers {
            Ok(answers) => Some(answers),
            Err(error) => {
                if !state.is_silent {
                    let (server, error) = (question.server, crate::error_chain(&error));
                    tracing::info!(object = %key, %server, error, "what names lead to cannot be seen; nothing is said about them");
                }
                None
            }
        };
        state.is_silent = known.is_none();
        let is_other = state.answers != known;
        state.answers = known;
        is_other
    };
    if is_other {
        on_change(&key);
    }
}

/// Asks for all the names. One that gets no answer is left out, unless none gets any.
pub async fn ask(question: &Question) -> Result<BTreeMap<String, Answer>, Error> {
    let Some(inside) = question.inside.clone() else { return look_up(question).await };
    let question = question.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let there = move || {
        let answers = enter(&inside).and_then(|()| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Machinery)?;
            runtime.block_on(look_up(&question))
        });
        // Who asked may have lost interest.
        let _ = tell.send(answers);
    };
    // Not one of the runtime's threads: this one never comes back.
    std::thread::Builder::new().name("dns".to_owned()).spawn(there).map_err(Error::Machinery)?;
    told.await.unwrap_or_else(|lost| Err(Error::Machinery(io::Error::other(lost))))
}

/// Takes this thread into the network of a container, for good.
fn enter(inside: &Inside) -> Result<(), Error> {
    let Inside { container, pid } = inside;
    let network = File::open(format!("/proc/{pid}/ns/net")).map_err(Error::Network)?;
    // Looked at after the file was opened: a number that is the container's now was it then as well. The engine puts
    // files of its own into each container, from a directory with the container's id.
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).map_err(Error::Network)?;
    if !mounts.contains(container.as_str()) {
        return Err(Error::Stranger { pid: *pid });
    }
    setns(network, CloneFlags::CLONE_NEWNET).map_err(|errno| Error::Network(errno.into()))
}

async fn look_up(question: &Question) -> Result<BTreeMap<String, Answer>, Error> {
    let resolver = resolver(question).map_err(Error::Silent)?;
    let resolver = &resolver;
    let asked = question.names.keys().cloned().map(|name| async move {
        let answer = one(resolver, &name).await;
        (name, answer)
    });
    let (mut answers, mut silent) = (BTreeMap::new(), None);
    let mut asked = futures::stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some((name, answer)) = asked.next().await {
        match answer {
            Ok(answer) => drop(answers.insert(name, answer)),
            Err(error) => silent = Some(error),
        }
    }
    match silent {
        Some(error) if answers.is_empty() => Err(Error::Silent(error)),
        _ => Ok(answers),
    }
}

/// Nothing but this server, without memory and without the machine's own files.
fn resolver(question: &Question) -> Result<TokioResolver, NetError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = question.server.port();
        connection
    });
    let server = NameServerConfig::new(question.server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = question.timeout;
    options.attempts = 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

async fn one(resolver: &TokioResolver, name: &str) -> Result<Answer, NetError> {
    let mut full = Name::from_ascii(name).map_err(|error: ProtoError| NetError::from(error))?;
    // nginx takes names as they are: no search list is tried.
    full.set_fqdn(true);
    match resolver.ipv4_lookup(full).await {
        Ok(found) => {
            let addresses = found.answers().iter().filter_map(|record| match &record.data {
                RData::A(address) => Some(address.0.to_string()),
                _ => None,
            });
            Ok(Answer::At(addresses.collect()))
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => Ok(Answer::Nowhere(nothing.response_code.to_string())),
        Err(NetError::Dns(DnsError::ResponseCode(code))) => Ok(Answer::Nowhere(code.to_string())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(server: SocketAddr, inside: Option<Inside>) -> Question {
        let names = Addresses::from([("one".to_owned(), ["10.0.0.2".to_owned()].into())]);
        Question { server, timeout: Duration::from_millis(300), inside, names, failures: 0 }
    }

    #[tokio::test]
    async fn a_process_that_is_none_of_the_containers_lends_nobody_its_network() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let inside = Inside { container: "0123456789abcdef".repeat(4), pid };
        let refused = ask(&question(([127, 0, 0, 11], 53).into(), Some(inside))).await;
        assert!(matches!(refused, Err(Error::Stranger { pid: said }) if said == pid), "{refused:?}");
    }

    #[tokio::test]
    async fn of_a_server_that_does_not_answer_nothing_is_said() {
        // It takes the question, and that is all.
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let begun = Instant::now();
        let answers = ask(&question(silent.local_addr().unwrap(), None)).await;
        assert!(matches!(answers, Err(Error::Silent(_))), "{answers:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}
