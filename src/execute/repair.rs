//! Mended sites → the running nginx, or everything as it was.
//!
//! In this order: the whole configuration is put together aside and tested by
//! nginx; each file's change goes on record; the files take their names, each in
//! one step; nginx tests what it will now read, reloads, and answers. Whatever
//! fails brings the old files back. There is a copy of each old file beside it
//! until the end, so that dying in the middle loses nothing.

pub mod answers;

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use nix::errno::Errno;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};

use crate::{
    crash,
    manifest::Key,
    paths::{TEMPORARY_PREFIX, copy_before},
    record::{
        self,
        journal::{Actor, Command, IntentId, Journal, Outcome},
    },
};

/// How long nginx may take to answer with its new workers. A reload takes a tenth of a second, on a loaded host one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What failed when it is nginx's own test with the files in place; until then nobody has told it to read them.
const REFUSED: &str = "nginx refuses the mended files";

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What nginx can be asked.
#[async_trait]
pub trait Nginx: Send + Sync {
    /// Tests the configuration that a reload would read, or the one of this main file. The error is nginx's own text.
    async fn test(&self, main: Option<&Path>) -> Result<(), String>;

    /// Tells the running nginx to read its configuration.
    async fn reload(&self) -> Result<(), String>;

    /// Whether all that was answered before is answered now; if not, what is.
    async fn answers(&self) -> Result<(), String>;
}

/// A file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Where it is on this host.
    pub path: PathBuf,
    /// What it holds now.
    pub old: String,
    /// What it will hold.
    pub new: String,
    /// What is changed, for the record.
    pub changes: Vec<String>,
}

/// The whole configuration in one file, to be tested before anything changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it is put on this host: beside nginx's main file, so that relative paths mean the same.
    pub path: PathBuf,
    /// Where nginx finds it.
    pub seen_as: PathBuf,
    /// The text.
    pub text: String,
}

/// Nothing is different from before, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// nginx says no to the mended files, which were not put in place.
    #[error("nginx refuses the mended files, so nothing was changed: {message}")]
    Refused {
        /// nginx's words.
        message: String,
    },
    /// The record cannot be written.
    #[error("the journal cannot be written, so nothing was changed")]
    Record(#[from] record::Error),
    /// A file is not what it was.
    #[error("{path} is not any more what it was when this was decided")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The system says no.
    #[error("could not {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// nginx did not go on with the mended files.
    #[error("{what}, so the old files are back: {message}")]
    Restored {
        /// What failed.
        what: &'static str,
        /// nginx's words.
        message: String,
    },
    /// The old files could not be brought back.
    #[error("{what} ({message}), and {path} could not be brought back: its old text is in {copy}")]
    Lost {
        /// What failed.
        what: &'static str,
        /// nginx's words.
        message: String,
        /// The file.
        path: PathBuf,
        /// Where its old text is.
        copy: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Whether nginx has what it had, and has read what is there.
    #[must_use]
    pub fn is_without_trace(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Record(_) | Self::Changed { .. } | Self::Io { .. } => true,
            Self::Restored { what, .. } => *what == REFUSED,
            Self::Lost { .. } => false,
        }
    }
}

/// In whose name, and where it is written down.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The journal.
    pub journal: &'a Journal,
    /// Who asked for it.
    pub actor: &'a Actor,
    /// The nginx.
    pub object: &'a Key,
}

/// Puts mended files in the place of the old ones, each on record.
pub async fn swap(recorded: Recorded<'_>, nginx: &dyn Nginx, aside: Option<&Aside>, swaps: &[Swap]) -> Result<(), Error> {
    if let Some(aside) = aside {
        test_aside(nginx, aside).await?;
    }
    let mut intents = Vec::new();
    for swap in swaps {
        match recorded.intend(swap).await {
            Ok(intent) => intents.push(intent),
            Err(source) => {
                let error = Error::Record(source);
                conclude(recorded.journal, intents, &failed(&error)).await;
                return Err(error);
            }
        }
    }
    crash::point("repair-after-intent");
    let result = put_in_place(nginx, swaps).await;
    crash::point("repair-before-outcome");
    let outcome = result.as_ref().map_or_else(failed, |()| Outcome::Done);
    conclude(recorded.journal, intents, &outcome).await;
    result
}

fn failed(error: &Error) -> Outcome {
    Outcome::Failed { error: crate::error_chain(error) }
}

async fn conclude(journal: &Journal, intents: Vec<IntentId>, outcome: &Outcome) {
    for intent in intents {
        // If this cannot be written the intent stays open, which is the truth.
        if let Err(error) = journal.conclude(intent, outcome.clone()).await {
            tracing::error!(error = crate::error_chain(&error), "an outcome could not be written down");
        }
    }
}

impl Recorded<'_> {
    async fn intend(&self, swap: &Swap) -> Result<IntentId, record::Error> {
        let command = Command {
            actor: self.actor,
            operation: "RepairSite",
            object: &self.object.clone().into(),
            target: &swap.path.display().to_string(),
            why: "it names a backend that nginx would never look up again",
            details: &json!({"changes": swap.changes}),
            outcome: &Outcome::Unknown,
        };
        self.journal.announce(&command).await
    }
}

/// Tests mended files aside and puts them in the place of the old ones; who asks for it has written it down.
pub async fn swap_on_record(nginx: &dyn Nginx, aside: Option<&Aside>, swaps: &[Swap]) -> Result<(), Error> {
    if let Some(aside) = aside {
        test_aside(nginx, aside).await?;
    }
    put_in_place(nginx, swaps).await
}

/// Brings back what is beside files that were mended by somebody who died before nginx had proven them; who asks for it has
/// written it down. `old` is here what was mended, `new` what was there before.
pub fn take_back(swaps: &[Swap]) -> Result<(), Error> {
    for Swap { path, old, new, .. } in swaps {
        for (path, text) in [(path, old), (&copy_before(path), new)] {
            let read = fs::read(path).map_err(|source| Error::Io { doing: "read", path: path.clone(), source })?;
            if read != text.as_bytes() {
                return Err(Error::Changed { path: path.clone() });
            }
        }
    }
    restore(swaps, "a repair is not proven", "whoever made it has ended in the middle")
}

async fn test_aside(nginx: &dyn Nginx, aside: &Aside) -> Result<(), Error> {
    let failed = |source| Error::Io { doing: "write", path: aside.path.clone(), source };
    // A left-over of an earlier death is ours, and nobody else's.
    fs::write(&aside.path, &aside.text).map_err(failed)?;
    crash::point("repair-after-aside");
    let tested = nginx.test(Some(&aside.seen_as)).await;
    let removed = fs::remove_file(&aside.path);
    tested.map_err(|message| Error::Refused { message })?;
    removed.map_err(failed)
}

async fn put_in_place(nginx: &dyn Nginx, swaps: &[Swap]) -> Result<(), Error> {
    for (number, swap) in swaps.iter().enumerate() {
        if let Err(error) = replace(swap) {
            // This one as well: it may have failed after the files had changed places.
            restore(&swaps[..=number], "a file could not be replaced", &crate::error_chain(&error))?;
            return Err(error);
        }
    }
    if let Err(message) = nginx.test(None).await {
        let what = REFUSED;
        restore(swaps, what, &message)?;
        return Err(Error::Restored { what, message });
    }
    crash::point("repair-before-reload");
    if let Err((what, message)) = prove(nginx).await {
        restore(swaps, what, &message)?;
        // It may have read the new files already. If it cannot be told, it goes on with what it has.
        if let Err(error) = nginx.reload().await {
            tracing::warn!(error, "nginx could not be told to read its old files");
        }
        return Err(Error::Restored { what, message });
    }
    crash::point("repair-before-tidy");
    for swap in swaps {
        // A copy that stays is in nobody's way.
        let _ = fs::remove_file(copy_before(&swap.path));
    }
    Ok(())
}

async fn prove(nginx: &dyn Nginx) -> Result<(), (&'static str, String)> {
    nginx.reload().await.map_err(|message| ("nginx did not reload", message))?;
    let end = Instant::now() + PATIENCE;
    loop {
        match nginx.answers().await {
            Ok(()) => return Ok(()),
            Err(message) if Instant::now() >= end => return Err(("nginx does not answer as before", message)),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn replace(swap: &Swap) -> Result<(), Error> {
    let Swap { path, old, new, .. } = swap;
    let failed = |doing| move |source| Error::Io { doing, path: path.clone(), source };
    let metadata = fs::metadata(path).map_err(failed("look at"))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let copy = copy_before(path);
    // One of an earlier death is older than what is there now, and must not be brought back.
    if let Err(error) = fs::remove_file(&copy)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed("keep a copy of")(error));
    }
    let mut temporary =
        tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(directory).map_err(failed("write beside"))?;
    write(&mut temporary, new, &metadata).map_err(failed("write beside"))?;
    fs::hard_link(path, &copy).map_err(failed("keep a copy of"))?;
    crash::point("repair-after-copy");
    if fs::read(path).map_err(failed("read"))? != old.as_bytes() {
        let _ = fs::remove_file(copy);
        return Err(Error::Changed { path: path.clone() });
    }
    temporary.persist(path).map_err(|error| failed("replace")(error.error))?;
    crash::point("repair-after-rename");
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync the directory of"))
}

fn write(temporary: &mut NamedTempFile, text: &str, like: &fs::Metadata) -> io::Result<()> {
    let file = temporary.as_file_mut();
    match fchown(&*file, Some(like.uid()), Some(like.gid())) {
        // Somebody who may write the file, and is not its owner, may not give it away either.
        Err(error) if error.raw_os_error() != Some(Errno::EPERM as i32) => return Err(error),
        _ => {}
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Brings the old files back.
fn restore(swaps: &[Swap], what: &'static str, message: &str) -> Result<(), Error> {
    crash::point("repair-before-restore");
    for swap in swaps {
        let copy = copy_before(&swap.path);
        // Without a copy it was not touched.
        if let Err(source) = fs::rename(&copy, &swap.path)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(Error::Lost { what, message: message.to_owned(), path: swap.path.clone(), copy, source });
        }
        crash::point("repair-after-restore");
    }
    Ok(())
}
