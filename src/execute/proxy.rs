//! Changes of an nginx's configuration: tested by nginx, put in force file by file, loaded, proven.
//!
//! Every step can be repeated, and every one can be the last: a test leaves the
//! files in force as they are, a file is replaced in one step and only by one
//! that nginx has tested, and workers go on with what they have until new ones
//! have read everything.

mod mend;
mod prove;
mod stage;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::engine::{self, Effect, Engine, Ran};
use crate::{
    crash,
    nginx::flatten,
    observe::{
        dial::Dial,
        file::Directory,
        proxy::{HIDDEN, file, unloaded_mark},
    },
    paths::TEMPORARY_PREFIX,
    plan::proxy::{FileState, Nginx, ProxyAction, action::Change},
};

/// Reading a configuration with thousands of hosts takes seconds on a busy machine.
const COMMAND: Duration = Duration::from_secs(30);
/// nginx says in its last words what is wrong.
const SHOWN: usize = 600;

/// An nginx was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine could not run the command.
    #[error("nginx could not be asked")]
    Engine(#[source] engine::Error),
    /// The host could not run the command.
    #[error("{command} could not be run")]
    Command {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// nginx said no.
    #[error("nginx says: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The sites would not be read.
    #[error(transparent)]
    Configuration(#[from] flatten::Error),
    /// A file cannot be written.
    #[error("could not {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A file is somebody else's by now.
    #[error("{path} is not ours")]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// The sites of another tool could not be mended.
    #[error(transparent)]
    Repair(super::repair::Error),
    /// nginx does not do what its files say.
    #[error("{0}")]
    Unproven(String),
    /// What was to be proven is not what should be any more.
    #[error("broken off: a backend has moved meanwhile")]
    Outdated,
}

/// Between two looks whether a proof is still worth having.
const LOOK: Duration = Duration::from_millis(20);

/// Performs `action`. A proof ends when `is_outdated`: where nobody is any more, nginx waits for seconds.
pub async fn perform(
    action: &ProxyAction,
    (engine, dial): (&dyn Engine, &Arc<dyn Dial>),
    is_outdated: &(dyn Fn() -> bool + Sync),
) -> Result<Effect, Error> {
    match action {
        ProxyAction::TestSites { change, nginx } => stage::test(change, nginx, engine).await,
        ProxyAction::SwapSites { change } => {
            let change = change.clone();
            let path = change.directory.clone();
            let swapped = tokio::task::spawn_blocking(move || swap(&change)).await;
            swapped.unwrap_or_else(|lost| Err(Error::Io { doing: "change", path, source: io::Error::other(lost) }))
        }
        ProxyAction::ReloadProxy { nginx, directory, proxy, .. } => {
            let ran = run(nginx, engine, &nginx.reload()).await?;
            if ran.exit_code != 0 {
                return Err(refused(&ran));
            }
            crash::point("reload-before-mark");
            let mark = unloaded_mark(directory, proxy);
            match fs::remove_file(&mark) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &mark)(error)),
                Ok(()) | Err(_) => {
                    crash::point("reload-after-mark");
                    Ok(Effect::Done)
                }
            }
        }
        ProxyAction::ProveRoutes { proof, .. } => {
            let outdated = async {
                while !is_outdated() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                proven = prove::prove(proof, dial) => proven.map_err(Error::Unproven),
                () = outdated => Err(Error::Outdated),
            }
        }
        ProxyAction::RepairSites { nginx, mending } => mend::mend(nginx, mending, engine).await,
        ProxyAction::RestoreSites { mending } => mend::take_back(mending),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Runs a command where that nginx is.
async fn run(nginx: &Nginx, engine: &dyn Engine, command: &[String]) -> Result<Ran, Error> {
    match nginx {
        Nginx::Container(target) => engine.exec(target.reference(), command, COMMAND).await.map_err(Error::Engine),
        Nginx::Host { .. } => {
            let failed = |source| Error::Command { command: command.join(" "), source };
            let (program, arguments) = command.split_first().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
            let output = tokio::process::Command::new(program).args(arguments).kill_on_drop(true).output();
            let output = tokio::time::timeout(COMMAND, output).await;
            let output = output.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let exit_code = output.status.code().map_or(-1, i64::from);
            Ok(Ran { exit_code, stdout: text(output.stdout), stderr: text(output.stderr) })
        }
    }
}

/// What nginx has against it: its last complaint, without the lines in which it only says that it failed.
fn refused(ran: &Ran) -> Error {
    let said = if ran.stderr.trim().is_empty() { &ran.stdout } else { &ran.stderr };
    let complaint = said.lines().filter_map(complaint).next_back();
    let chosen = complaint.or_else(|| said.lines().rfind(|line| !line.trim().is_empty()));
    let message = chosen.map_or_else(|| format!("nothing, but exited with {}", ran.exit_code), |line| line.trim().to_owned());
    Error::Refused { message: message.chars().take(SHOWN).collect() }
}

/// A line of nginx's log from the complaint on: time and process would make each one another complaint.
fn complaint(line: &str) -> Option<&str> {
    let complaint = ["[emerg] ", "[alert] ", "[error] "].iter().find_map(|level| line.split_once(level))?.1;
    let is_process = |process: &str| process.chars().all(|c| c.is_ascii_digit() || c == '#');
    Some(complaint.split_once(": ").filter(|(process, _)| is_process(process)).map_or(complaint, |(_, rest)| rest))
}

/// Files are about to change, and nginx does not know.
fn mark_unloaded(directory: &Path, proxy: &str) -> Result<(), Error> {
    let mark = unloaded_mark(directory, proxy);
    let marked = fs::create_dir_all(directory.join(HIDDEN)).and_then(|()| fs::File::create(&mark)?.sync_all());
    marked.map_err(failed("write", &mark))?;
    crash::point("site-after-mark");
    Ok(())
}

/// Puts the files in force. What is not ours stays, whatever was decided: it may have come since.
fn swap(change: &Change) -> Result<Effect, Error> {
    let directory = open(&change.directory)?;
    mark_unloaded(directory.path(), &change.proxy)?;
    let mut effect = Effect::AlreadySo;
    let taken = |name: &String| Error::Taken { path: change.directory.join(name) };
    for name in &change.write {
        let Some(site) = change.sites.get(name) else { continue };
        match state(&directory, name) {
            Some(FileState::Ours { seal, .. }) if seal.proxy != change.proxy => return Err(taken(name)),
            Some(FileState::Foreign) => return Err(taken(name)),
            Some(FileState::Ours { hash, .. }) if hash == crate::sites::site::hash(&site.text) => {}
            Some(FileState::Ours { .. }) | None => {
                write(&directory.path().join(name), &site.text)?;
                effect = Effect::Done;
                crash::point("swap-after-file");
            }
        }
    }
    for name in &change.remove {
        match state(&directory, name) {
            Some(FileState::Ours { seal, .. }) if seal.proxy == change.proxy => {
                let path = directory.path().join(name);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                crash::point("site-after-remove");
                effect = Effect::Done;
            }
            Some(_) | None => {}
        }
    }
    let synced = fs::File::open(directory.path()).and_then(|directory| directory.sync_all());
    synced.map_err(failed("write to disk", directory.path()))?;
    Ok(effect)
}

fn open(directory: &Path) -> Result<Directory, Error> {
    let failed = |refusal: crate::observe::file::Refusal| Error::Io {
        doing: "enter",
        path: directory.to_owned(),
        source: io::Error::other(refusal),
    };
    Directory::open(directory).map_err(failed)
}

fn state(directory: &Directory, name: &str) -> Option<FileState> {
    fs::symlink_metadata(directory.path().join(name)).is_ok().then(|| file(directory, name))
}

/// Puts a file that everybody may read in a place, in one step.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let write = || {
        // Not `*.conf`: nginx may be reading the directory at this moment.
        let mut temporary = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(directory)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        temporary.as_file().sync_all()?;
        crash::point("site-after-temp");
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(failed("write", path))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(stderr: &str) -> String {
        refused(&Ran { exit_code: 1, stdout: String::new(), stderr: stderr.to_owned() }).to_string()
    }

    #[test]
    fn the_same_complaint_is_the_same_text_whenever_nginx_makes_it() {
        let early = "nginx: [emerg] unknown \"x\" variable\nnginx: configuration file /etc/nginx/nginx.conf test failed\n";
        let late = "2026/11/21 09:55:31 [warn] 7#7: conflict\n2026/11/21 09:55:31 [emerg] 7#7: unknown \"x\" variable\n";
        assert_eq!(says(early), "nginx says: unknown \"x\" variable");
        assert_eq!(says(late), says(early));
        assert_eq!(says(""), "nginx says: nothing, but exited with 1");
    }
}
