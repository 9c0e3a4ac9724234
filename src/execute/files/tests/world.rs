//! A project directory, a state directory, and the passes that keep the one in order.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tempfile::TempDir;

use super::super::{ContainerVariables, Effect, Error, Files};
use crate::{
    dotenv::template::Template,
    manifest::{Key, Kind, environment::SecretFormat},
    observe::environment::{EnvironmentReader, Reading, RunningContainer},
    plan::{
        Action, FileAction, History, Plan,
        action::{SecretSource, SecretWrite},
        environment::{self, Computed, Desired, FileState, Generate, Recall, Secrets},
    },
    secret::{FingerprintKey, Secret},
};

pub(super) const SECRETS: &str = ".env.secrets";

/// More passes than anything needs.
const PASSES: usize = 5;

pub(super) struct World {
    /// Where the files are, and what removes them in the end. A guest in somebody else's directories has nothing to remove.
    directories: Option<(TempDir, TempDir)>,
    pub(super) state: PathBuf,
    desired: Desired,
    pub(super) running: Recall<Vec<RunningContainer>>,
    reader: EnvironmentReader,
}

impl World {
    /// A project with one file, which wants `TOKEN` and `PASSWORD`.
    pub(super) fn new(file: &str, text: &str) -> Self {
        let world = Self::in_directories(TempDir::new().unwrap(), TempDir::new().unwrap());
        world.write(file, text);
        world
    }

    pub(super) fn in_directories(project: TempDir, state: TempDir) -> Self {
        let world = Self::in_paths(project.path(), state.path());
        Self { directories: Some((project, state)), ..world }
    }

    pub(super) fn in_paths(project: &Path, state: &Path) -> Self {
        let wanted = [("TOKEN", SecretFormat::Hex, None), ("PASSWORD", SecretFormat::Alphanumeric, Some(40))];
        let generate = wanted.map(|(variable, format, length)| Generate { variable: variable.to_owned(), format, length });
        let desired = Desired {
            key: Key::new(Kind::Environment, "shop"),
            generation: 1,
            directory: project.to_owned(),
            files: [".env", SECRETS, ".env.local"].map(str::to_owned).to_vec(),
            secrets: Some(Secrets { file: SECRETS.to_owned(), generate: generate.to_vec() }),
            computed: Some(Computed { file: ".env.computed".to_owned(), templates: BTreeMap::new(), choosers: Vec::new() }),
        };
        let reader = EnvironmentReader::new(FingerprintKey::new([7; FingerprintKey::LENGTH]), state.to_owned());
        let state = state.to_owned();
        let mut world = Self { directories: None, state, desired, running: Recall::Known(Vec::new()), reader };
        world.template("URL", "db://${PASSWORD}");
        world
    }

    /// A project in which everything is as declared.
    pub(super) fn settled() -> Self {
        let world = Self::new(SECRETS, "# secrets of the shop\nTOKEN=t1\nPASSWORD=p1\nOTHER=o1\n");
        world.write(".env", "NAME=shop\n");
        world.converge();
        world
    }

    pub(super) fn template(&mut self, variable: &str, template: &str) {
        let computed = self.desired.computed.as_mut().unwrap();
        computed.templates.insert(variable.to_owned(), Template::parse(template).unwrap());
    }

    /// Has one container run, with these variables.
    pub(super) fn run(&mut self, name: &str, variables: &[(&str, &str)]) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect();
        let container = RunningContainer { id: format!("id-of-{name}"), name: name.to_owned(), variables };
        self.running = Recall::Known(vec![container]);
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.desired.directory.join(file)
    }

    pub(super) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Writes a file in place, as many an editor does.
    pub(super) fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    pub(super) fn read(&self) -> Reading {
        self.reader.read(&self.desired, &self.running, History::default(), Timestamp::UNIX_EPOCH)
    }

    pub(super) fn plan(&self) -> Plan {
        environment::plan(&self.desired, &self.read().observed)
    }

    pub(super) fn digest(&self, file: &str) -> String {
        match &self.read().observed.files[file] {
            FileState::Present(content) => content.digest.clone(),
            state => panic!("{state:?}"),
        }
    }

    pub(super) fn perform(&self, action: &Action) -> Result<Effect, Error> {
        let Action::File(action) = action else { panic!("{action} is not about a file") };
        runtime().block_on(Files::new(self.reader.clone()).perform(action, &self.desired, self))
    }

    pub(super) fn perform_computed(&self) -> Result<Effect, Error> {
        let path = self.path(".env.computed");
        self.perform(&FileAction::WriteComputed { environment: "shop".to_owned(), path, changed: Vec::new() }.into())
    }

    /// A plan to make these secrets, whatever there is.
    pub(super) fn write_generated(&self, expected: Option<String>, variables: &[&str]) -> Result<Effect, Error> {
        let made = |variable: &&str| SecretWrite {
            variable: (*variable).to_owned(),
            from: SecretSource::Generated { format: SecretFormat::Hex, length: None },
        };
        let secrets = variables.iter().map(made).collect();
        let path = self.path(SECRETS);
        self.perform(&FileAction::WriteSecrets { environment: "shop".to_owned(), path, expected, secrets }.into())
    }

    /// One pass; gives what was to be done, and the first thing that went wrong.
    pub(super) fn pass(&self) -> (Plan, Option<Error>) {
        let plan = self.plan();
        let error = plan.steps.iter().find_map(|step| self.perform(&step.action).err());
        (plan, error)
    }

    /// Passes until nothing is left to do; gives what was done in each, and what is left.
    pub(super) fn converge(&self) -> String {
        let mut text = String::new();
        for _ in 0..PASSES {
            let (plan, error) = self.pass();
            assert!(error.is_none(), "{plan}: {error:?}");
            text.push_str(&plan.to_string());
            if plan.steps.is_empty() {
                return text;
            }
            text.push_str("---\n");
        }
        panic!("still something to do:\n{text}");
    }

    pub(super) fn sweep(&self) -> usize {
        Files::new(self.reader.clone()).sweep(&self.desired).unwrap()
    }

    /// Gives the directories to whoever comes after this process.
    pub(super) fn into_directories(self) -> (TempDir, TempDir) {
        self.directories.unwrap()
    }

    /// The names of all files of both directories that are left over.
    pub(super) fn temporaries(&self) -> Vec<String> {
        let directories = [self.path("."), self.state.join("environments/shop")];
        let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(crate::paths::TEMPORARY_PREFIX)).collect()
    }
}

#[async_trait]
impl ContainerVariables for World {
    async fn container_variable(&self, id: &str, variable: &str) -> Option<Secret> {
        let container = self.running.known()?.iter().find(|container| container.id == id)?;
        container.variables.get(variable).cloned()
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What stands behind `NAME=`.
pub(super) fn line(text: &str, name: &str) -> String {
    let prefix = format!("{name}=");
    text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}
