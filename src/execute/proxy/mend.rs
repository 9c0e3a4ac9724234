//! Sites of another tool: mended as one step, or as they were.
//!
//! In one step, because what puts the old files back has to know them. If we
//! die in the middle, the mark that nginx has not been told is what is left, and
//! the copies of the old files: the next look takes back what nobody has
//! proven, and begins anew.

use std::{fs, path::Path};

use async_trait::async_trait;

use super::{Effect, Engine, Error, Nginx, failed, mark_unloaded, open, refused, run, words};
use crate::{
    crash,
    execute::repair::{self, Aside, Swap, answers::Answers},
    nginx::flatten::Dump,
    observe::proxy::{HIDDEN, unloaded_mark},
    plan::proxy::action::{Mended, Mending},
};

pub(super) async fn mend(nginx: &Nginx, mending: &Mending, engine: &dyn Engine) -> Result<Effect, Error> {
    let directory = open(&mending.directory)?;
    let mark = unloaded_mark(directory.path(), &mending.proxy);
    let was_marked = mark.exists();
    mark_unloaded(directory.path(), &mending.proxy)?;
    let asked = Asked { nginx, engine, answers: Answers::new(&mending.probes).await };
    let aside = asked.aside(directory.path(), mending).await?;
    let result = repair::swap_on_record(&asked, aside.as_ref(), &swaps(mending)).await;
    let is_told = match &result {
        Ok(()) => true,
        Err(error) => error.is_without_trace() && !was_marked,
    };
    crash::point("repair-before-unmark");
    if is_told {
        fs::remove_file(&mark).map_err(failed("remove", &mark))?;
    }
    result.map(|()| Effect::Done).map_err(Error::Repair)
}

/// Takes a repair back that was never proven. The mark stays, so that nginx is told.
pub(super) fn take_back(mending: &Mending) -> Result<Effect, Error> {
    repair::take_back(&swaps(mending)).map(|()| Effect::Done).map_err(Error::Repair)
}

fn swaps(mending: &Mending) -> Vec<Swap> {
    let swap = |file: &Mended| Swap {
        path: file.path.clone(),
        old: file.old.clone(),
        new: file.new.clone(),
        changes: file.changes.clone(),
    };
    mending.files.iter().map(swap).collect()
}

/// nginx, as a `Proxy` reaches it.
struct Asked<'a> {
    nginx: &'a Nginx,
    engine: &'a dyn Engine,
    answers: Answers,
}

impl Asked<'_> {
    /// The whole configuration with the mended files, for a test. None where what is in force is broken, so that nginx
    /// does not show it: then the test is made with the files in place.
    async fn aside(&self, directory: &Path, mending: &Mending) -> Result<Option<Aside>, Error> {
        let dumped = run(self.nginx, self.engine, &self.with(&["-T"])).await?;
        if dumped.exit_code != 0 {
            return Ok(None);
        }
        let texts = mending.files.iter().map(|file| (file.seen_as.as_path(), file.new.as_str()));
        let text = Dump::parse(&dumped.stdout)?.with_texts(texts)?;
        let name = format!("{}.repair.conf", mending.proxy);
        let seen_as = Path::new(&mending.inside).join(HIDDEN).join(&name);
        Ok(Some(Aside { path: directory.join(HIDDEN).join(name), seen_as, text }))
    }

    fn with(&self, arguments: &[&str]) -> Vec<String> {
        self.nginx.command().into_iter().chain(words(arguments)).collect()
    }

    async fn says(&self, command: &[String]) -> Result<(), String> {
        let ran = run(self.nginx, self.engine, command).await.map_err(|error| crate::error_chain(&error))?;
        if ran.exit_code == 0 { Ok(()) } else { Err(refused(&ran).to_string()) }
    }
}

#[async_trait]
impl repair::Nginx for Asked<'_> {
    async fn test(&self, main: Option<&Path>) -> Result<(), String> {
        match main {
            None => self.says(&self.with(&["-t", "-q"])).await,
            // nginx goes by the last `-c`.
            Some(main) => self.says(&self.with(&["-t", "-q", "-c", &main.to_string_lossy()])).await,
        }
    }

    async fn reload(&self) -> Result<(), String> {
        self.answers.before_reload().await;
        self.says(&self.nginx.reload()).await?;
        self.answers.reloaded();
        Ok(())
    }

    async fn answers(&self) -> Result<(), String> {
        self.answers.are_as_before().await
    }
}
