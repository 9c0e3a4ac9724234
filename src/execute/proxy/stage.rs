//! New files beside those in force, for nginx to test.
//!
//! They lie in a hidden directory that no `include` means, in the directory
//! that nginx sees anyway. A main configuration of their own lies there, too: it
//! is the one that nginx has, with the new files in the place of the old ones.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Effect, Engine, Error, Nginx, failed, open, refused, run, words};
use crate::{
    crash,
    nginx::flatten::Dump,
    observe::proxy::{HIDDEN, files},
    plan::proxy::{FileState, action::Change},
    sites::Sites,
};

/// The main configuration for a test.
const MAIN: &str = "nginx.conf";

pub(super) async fn test(change: &Change, nginx: &Nginx, engine: &dyn Engine) -> Result<Effect, Error> {
    let mut program = nginx.command();
    let mut dump = program.clone();
    dump.push("-T".to_owned());
    let dumped = run(nginx, engine, &dump).await?;
    let staged = {
        let change = change.clone();
        let path = change.directory.clone();
        let staged = tokio::task::spawn_blocking(move || stage(&change, &dumped)).await;
        staged.unwrap_or_else(|lost| Err(Error::Io { doing: "change", path, source: io::Error::other(lost) }))?
    };
    program.extend(words(&["-t", "-q", "-c", &format!("{}/{MAIN}", staged.inside)]));
    crash::point("stage-before-test");
    let tested = run(nginx, engine, &program).await;
    // Left where it is if this fails: the next test writes over it.
    let _ = fs::remove_dir_all(&staged.outside);
    crash::point("stage-after-tidy");
    let tested = tested?;
    if tested.exit_code == 0 {
        return Ok(Effect::Done);
    }
    let Error::Refused { message } = refused(&tested) else { return Err(refused(&tested)) };
    // People know the file by the name that it would have.
    Err(Error::Refused { message: message.replace(&format!("{}/", staged.inside), &format!("{}/", change.inside)) })
}

struct Staged {
    outside: PathBuf,
    inside: String,
}

fn stage(change: &Change, dumped: &super::Ran) -> Result<Staged, Error> {
    let directory = open(&change.directory)?;
    let outside = directory.path().join(HIDDEN).join(&change.proxy);
    let inside = format!("{}/{HIDDEN}/{}", change.inside, change.proxy);
    // What an earlier test left may hold files that are wanted no more.
    match fs::remove_dir_all(&outside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &outside)(error)),
        Ok(()) | Err(_) => {}
    }
    fs::create_dir_all(&outside).map_err(failed("make", &outside))?;
    for (name, site) in &change.sites {
        write(&outside.join(name), &site.text)?;
        crash::point("stage-after-file");
    }
    let mut includes: Vec<String> = change.sites.keys().map(|name| format!("{inside}/{name}")).collect();
    includes.extend(others(directory.path(), &change.sites, change)?.into_iter().map(|name| format!("{}/{name}", change.inside)));
    let main = if dumped.exit_code == 0 {
        Dump::parse(&dumped.stdout)?.with_sites(&change.inside, &includes)?
    } else {
        // What is in force is broken, so nginx does not show it. The new files alone can be tested all the same.
        let ours = change.sites.keys().map(|name| format!("    include \"{inside}/{name}\";\n"));
        format!("events {{}}\nhttp {{\n{}}}\n", ours.collect::<String>())
    };
    write(&outside.join(MAIN), &main)?;
    Ok(Staged { outside, inside })
}

/// The files in force that stay beside the new ones.
fn others(directory: &Path, sites: &Sites, change: &Change) -> Result<Vec<String>, Error> {
    let files = files(directory);
    let files = files.map_err(|reason| failed("read", directory)(io::Error::other(reason)))?;
    let stays = |(name, file): (String, FileState)| {
        let goes = match file {
            FileState::Ours { seal, .. } => seal.proxy == change.proxy && change.remove.contains(&name),
            FileState::Foreign => false,
        };
        (!goes && !sites.contains_key(&name)).then_some(name)
    };
    Ok(files.into_iter().filter_map(stays).collect())
}

/// These are for one test: nothing is lost if they are.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(failed("write", path))
}
