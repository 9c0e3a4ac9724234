//! The files of the desired state → the store, again and again.
//!
//! Four ways to delete everything by mistake are closed here: a file that does
//! not parse is not a file that is gone, nor is one that has only just vanished
//! (see `absence`); a directory that cannot be read is not an empty
//! one, and an empty one is taken for a missing mount while there is anything
//! that would have to go with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use tokio::time::Instant;

use super::{
    Context,
    absence::{self, Absences},
    world::lock,
};
use crate::{
    manifest::{Key, Kind, Manifest, host},
    observe::snapshot::Snapshot,
    record::events::Subject,
    resolve::{self, Desired, Refusal},
    settings::Settings,
    source::{
        self,
        catalogue::Catalogue,
        directory::Scanner,
        plugin::Plugins,
        problem::{Code, Problem},
    },
    store::{Changes, Writer},
};

/// Quiet after the last change of a manifest until it is read: an editor's save is over by then.
const SETTLE: Duration = Duration::from_millis(50);
/// The longest a stream of changes can put reading off.
const SETTLE_CAP: Duration = Duration::from_millis(250);
/// The same for `.env` files, where a lost secret has to be back within 50 ms.
const ENVIRONMENT_SETTLE: Duration = Duration::from_millis(15);
/// The cap for `.env` files.
const ENVIRONMENT_SETTLE_CAP: Duration = Duration::from_millis(60);

/// The word for a directory that cannot be read.
const UNREADABLE: &str = "DirectoryUnreadable";
/// The word for one that is empty and should not be.
const EMPTY: &str = "DirectoryEmpty";

/// The files that say what is wanted, and the store that they fill.
pub struct DesiredState {
    inner: tokio::sync::Mutex<Inner>,
    report: Mutex<Report>,
}

struct Inner {
    writer: Writer,
    scanner: Scanner,
    catalogue: Catalogue,
    plugins: Plugins,
    absences: Absences,
}

/// What is wrong with the files.
#[derive(Debug, Default)]
struct Report {
    /// With the directory as a whole.
    directory: Option<String>,
    /// With the file of an object whose last good version stays in force.
    objects: BTreeMap<Key, String>,
    /// Everything that is wrong with any file.
    problems: Vec<Problem>,
}

/// The desired state cannot be read.
pub type Error = source::catalogue::Error;

impl DesiredState {
    /// With what was last known good, from the state directory.
    pub fn open(settings: &Settings, writer: Writer) -> Result<Self, Error> {
        let catalogue = Catalogue::load(&settings.state)?;
        let scanner = Scanner::new(&settings.desired);
        let plugins = Plugins::load(&settings.state).unwrap_or_else(|error| {
            // Their own directories say it again, unless they are broken just now.
            tracing::error!(error = crate::error_chain(&error), "what plugins last said is lost");
            Plugins::default()
        });
        let inner = Inner { writer, scanner, catalogue, plugins, absences: Absences::new() };
        Ok(Self { inner: tokio::sync::Mutex::new(inner), report: Mutex::default() })
    }

    /// What keeps the directory from being believed.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.report).directory.clone()
    }

    /// What is wrong with the file of an object whose last good version is in force.
    #[must_use]
    pub fn problem_of(&self, key: &Key) -> Option<String> {
        lock(&self.report).objects.get(key).cloned()
    }

    /// Everything that is wrong with any file.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        lock(&self.report).problems.clone()
    }

    /// Drops an object for good.
    pub(super) async fn forget(&self, key: &Key) {
        self.inner.lock().await.writer.forget(key);
    }
}

impl Context {
    /// Reads the directory and makes the store say what it says.
    pub async fn rescan(&self) {
        let mut inner = self.desired.inner.lock().await;
        let scan = match inner.scanner.scan() {
            Ok(scan) => scan,
            Err(error) => {
                let message = format!("{}; what was last known stays in force", crate::error_chain(&error));
                self.disbelieve(UNREADABLE, &message);
                // On the first scan there may still be the last good state of an earlier run.
                self.apply(&mut inner);
                return;
            }
        };
        if scan.is_empty() && !inner.catalogue.is_empty() {
            let message = "the desired-state directory is empty, which looks like a missing mount: everything stays as it was \
                           (to really want nothing, put a YAML file with only a comment into it)";
            self.disbelieve(EMPTY, message);
            self.apply(&mut inner);
            return;
        }
        inner.catalogue.merge(&scan);
        if let Err(error) = inner.catalogue.save(&self.world.settings.state) {
            tracing::error!(error = crate::error_chain(&error), "the last good desired state could not be kept");
        }
        self.apply(&mut inner);
        self.report(&inner);
    }

    /// Whether a file of a plugin has vanished a moment ago, and may have to be given up in another one.
    pub(super) async fn has_absent_plugin_files(&self) -> bool {
        self.desired.inner.lock().await.plugins.has_absent()
    }

    /// Believes at once that holds without a file are over: whoever asks for a release has ended them.
    pub(super) async fn believe_absent_holds(&self) {
        self.desired.inner.lock().await.absences.believe(Kind::Hold);
        self.rescan().await;
    }

    /// What is wrong with the host's manifest, if there is one and no version of it is in force.
    pub(super) fn host_refused(&self) -> Option<Vec<Problem>> {
        if let Some(object) = self.world.reader.get(&Key::new(Kind::Host, host::NAME)) {
            let (Some(manifest), (None, Some(resolve::Error(refusals)))) = (object.manifest(), self.world.resolve(&object))
            else {
                return None;
            };
            let (file, line) = place(manifest);
            let problem = |refusal: Refusal| {
                let (file, code, message) = (file.clone(), Code::Reference, refusal.to_string());
                Problem { file, line, column: 1, path: refusal.path, code, message, help: None }
            };
            return Some(refusals.into_iter().map(problem).collect());
        }
        let directory = &self.world.settings.desired;
        // What does not parse has no kind, so the text is asked.
        let is_host =
            |line: &str| line.trim().strip_prefix("kind:").is_some_and(|kind| kind.trim().trim_matches(['"', '\'']) == "Host");
        let declares = |problem: &Problem| {
            std::fs::read_to_string(directory.join(&problem.file)).is_ok_and(|text| text.lines().any(is_host))
        };
        let problems: Vec<_> = self.desired.problems().into_iter().filter(declares).collect();
        (!problems.is_empty()).then_some(problems)
    }

    /// Expands plugins again: what was found of their containers has changed.
    pub(super) async fn expand_again(&self) {
        self.apply(&mut *self.desired.inner.lock().await);
    }

    /// Whether an environment's files look lost only because the desired-state directory is: what was written there
    /// now, secrets above all, would lie under the mount when it is back.
    pub(super) async fn is_unmounted(&self, desired: &Desired) -> bool {
        let Desired::Environment(environment) = desired else { return false };
        if !environment.directory.starts_with(&self.world.settings.desired) {
            return false;
        }
        // The watcher of the `.env` files is quicker than the one of the manifests.
        self.rescan().await;
        self.desired.trouble().is_some()
    }

    /// Holds on to what was last known, and tells so once.
    fn disbelieve(&self, reason: &str, message: &str) {
        let before = lock(&self.desired.report).directory.replace(message.to_owned());
        let other = if reason == UNREADABLE { EMPTY } else { UNREADABLE };
        self.noted.troubles.settle(other, "");
        self.noted.troubles.note(reason, "", message);
        if before.as_deref() != Some(message) {
            tracing::error!("{message}");
            self.record.events.warning(Subject::Host, reason, message);
        }
    }

    fn report(&self, inner: &Inner) {
        let Inner { catalogue, plugins, .. } = inner;
        let problems = [catalogue.problems(), plugins.problems()].concat();
        for problem in &problems {
            tracing::warn!("{problem}");
        }
        self.record.metrics.manifests_refused(problems.len());
        let mut refused = catalogue.retained();
        for (key, reason) in plugins.broken() {
            let reason =
                if plugins.is_known(key) { format!("the last good version stays in force: {reason}") } else { reason.clone() };
            refused.entry(key.clone()).or_insert(reason);
        }
        let homeless: Vec<&Problem> = problems.iter().filter(|problem| is_homeless(problem, catalogue)).collect();
        let files = homeless.iter().map(|problem| (problem.file.display().to_string(), problem.to_string())).collect();
        self.noted.troubles.are("InvalidManifest", &files);
        let homeless: Vec<String> = homeless.into_iter().map(ToString::to_string).collect();
        let report = Report { directory: None, objects: refused.clone(), problems };
        let Report { directory, objects: before, problems: told } = std::mem::replace(&mut *lock(&self.desired.report), report);
        for reason in [UNREADABLE, EMPTY] {
            self.noted.troubles.settle(reason, "");
        }
        if directory.is_some() {
            self.record.events.normal(Subject::Host, "DirectoryBack", "the desired-state directory is believed again");
            self.look_at_everything(Instant::now());
        }
        for message in homeless {
            if told.iter().all(|problem| problem.to_string() != message) {
                self.record.events.warning(Subject::Host, "InvalidManifest", message);
            }
        }
        for (key, message) in &refused {
            if before.get(key) != Some(message) {
                self.record.events.warning(key.clone(), "InvalidManifest", message.clone());
            }
        }
        // What is in force has not changed, so nothing else makes the condition follow.
        let touched = before.keys().chain(refused.keys()).filter(|key| before.get(key) != refused.get(key));
        touched.for_each(|key| self.triggers.trigger(key));
    }

    fn apply(&self, inner: &mut Inner) {
        let mut declared = inner.catalogue.manifests();
        inner.absences.bridge(&mut declared);
        let manifests = self.expanded(declared, &mut inner.plugins);
        let Changes { touched, gone } = inner.writer.replace(manifests);
        let changed: BTreeSet<Key> = touched.iter().chain(&gone).cloned().collect();
        self.holds_changed();
        let is_any_gone = !gone.is_empty();
        for key in gone {
            if key.kind.has_containers() {
                // They are still there, and have to go first.
                inner.writer.bury(&key, self.world.clock.now());
                self.triggers.trigger(&key);
            } else {
                // Its files are the user's, or it has nothing of its own.
                inner.writer.forget(&key);
                self.record.status.forget(&key);
            }
            self.look_at_environments(&key);
        }
        if is_any_gone {
            self.holds_changed();
        }
        for key in touched {
            self.world.retries.clear(&key);
            self.triggers.trigger(&key);
            self.look_at_environments(&key);
        }
        // All at once: with ten thousand new files, one search for each would take minutes.
        for user in self.world.users_of(&changed) {
            self.triggers.trigger(&user);
        }
    }

    /// Makes tombstones for objects that only their containers remember.
    pub(super) async fn bury_orphans(&self, snapshot: &Snapshot) {
        if self.desired.trouble().is_some() {
            return;
        }
        let objects = self.world.reader.objects();
        let orphans: Vec<Key> =
            snapshot.owned_objects(&self.world.settings.owner).into_iter().filter(|key| !objects.contains_key(key)).collect();
        if orphans.is_empty() {
            return;
        }
        let mut inner = self.desired.inner.lock().await;
        if inner.plugins.has_unknown() {
            // Any of them may be of a plugin that nobody has ever understood.
            return;
        }
        if inner.catalogue.is_empty() && !inner.catalogue.has_files() {
            let message = "the desired-state directory is empty while there are containers of ours, which looks like a missing mount: \
                           nothing is removed (to really want nothing, put a YAML file with only a comment into it)";
            lock(&self.desired.report).directory = Some(message.to_owned());
            self.noted.troubles.note(EMPTY, "", message);
            for key in orphans {
                self.record.events.warning(key, EMPTY, message);
            }
            return;
        }
        for key in orphans {
            inner.writer.bury(&key, self.world.clock.now());
            self.triggers.trigger(&key);
        }
    }
}

/// Where a manifest stands.
fn place(manifest: &Manifest) -> (PathBuf, usize) {
    let source = manifest.meta().annotations.as_ref().and_then(|annotations| annotations.get(resolve::SOURCE_ANNOTATION));
    let place = source.and_then(|source| source.rsplit_once(':')).map(|(file, line)| (file.into(), line.parse().unwrap_or(1)));
    place.unwrap_or_default()
}

/// Whether a problem is one of a file that never was good: no object can tell of it.
fn is_homeless(problem: &Problem, catalogue: &Catalogue) -> bool {
    let is_shown = catalogue.retained_files().contains(problem.file.as_path());
    !is_shown && problem.code != Code::DuplicateName
}

/// Rescans whenever something in the directory changes, and when something has been missing from it for long enough.
pub async fn watch(ctx: Arc<Context>) {
    let directory = ctx.world.settings.desired.clone();
    let mut changes = std::pin::pin!(source::watch::watch(&ctx.world.settings.hearing, vec![directory], SETTLE, SETTLE_CAP));
    let mut next = ctx.desired.inner.lock().await.absences.next();
    loop {
        tokio::select! {
            biased;
            look = changes.next() => if look.is_none() { return },
            () = absence::due(&mut next) => {}
        }
        ctx.rescan().await;
    }
}

/// Looks at environments and proxies, and at whoever uses them, whenever something in their directories changes.
pub async fn watch_files(ctx: Arc<Context>) {
    loop {
        let directories = directories(&ctx);
        let (paths, hearing) = (directories.keys().cloned().collect(), &ctx.world.settings.hearing);
        let mut changes = std::pin::pin!(source::watch::watch_flat(hearing, paths, ENVIRONMENT_SETTLE, ENVIRONMENT_SETTLE_CAP));
        let mut again = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                look = changes.next() => {
                    if look.is_none() { break; }
                    for key in directories.values().flatten() {
                        ctx.triggers.trigger(key);
                        ctx.look_at_users(key);
                    }
                }
                _ = again.tick() => if self::directories(&ctx) != directories { break },
            }
        }
    }
}

/// The directories in which a change by somebody else matters, with the objects that they belong to.
fn directories(ctx: &Context) -> BTreeMap<PathBuf, Vec<Key>> {
    let mut directories: BTreeMap<PathBuf, Vec<Key>> = BTreeMap::new();
    for (key, object) in ctx.world.reader.objects() {
        if !matches!(key.kind, Kind::Environment | Kind::Proxy) {
            continue;
        }
        match ctx.world.resolve(&object).0 {
            Some(Desired::Environment(environment)) => directories.entry(environment.directory).or_default().push(key),
            Some(Desired::Proxy(proxy)) => {
                for directory in proxy.directories() {
                    directories.entry(directory).or_default().push(key.clone());
                }
            }
            _ => {}
        }
    }
    directories
}
