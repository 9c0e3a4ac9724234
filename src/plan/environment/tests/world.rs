//! A world of plain text values that plans can be tried on: ten lines of
//! simulator for each action, and random worlds to begin with.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{super::*, digest, fingerprint, state};
use crate::plan::{Action, Step, action::SecretSource, action::SecretWrite};

pub(super) type Values = BTreeMap<String, String>;

/// The files of the cascade, the secrets file in the middle.
pub(super) const FILES: [&str; 3] = [".env", super::SECRETS, ".env.local"];

/// The variables that random files have; the first three are wanted.
const VARIABLES: [&str; 4] = ["A", "B", "C", "OTHER"];

/// Everything there is, with real values instead of fingerprints.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) files: BTreeMap<String, Option<File>>,
    /// A file that cannot be used at the moment.
    pub(super) broken: Option<String>,
    pub(super) copy: Option<Values>,
    pub(super) computed: Option<File>,
    /// Containers by name, with their variables.
    pub(super) running: BTreeMap<String, Values>,
    pub(super) engine_answers: bool,
    made: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) mode: u32,
    pub(super) values: Values,
}

/// Three secrets, one of which the computed file has under its own name.
pub(super) fn desired() -> Desired {
    let wanted = |name: &str| Generate { variable: name.to_owned(), format: SecretFormat::Hex, length: None };
    Desired {
        files: FILES.map(str::to_owned).to_vec(),
        secrets: Some(Secrets { file: super::SECRETS.to_owned(), generate: ["A", "B", "C"].map(wanted).to_vec() }),
        computed: Some(Computed {
            file: ".env.computed".to_owned(),
            templates: [("A", "${A}"), ("URL", "${OTHER:-none}")]
                .map(|(variable, template)| (variable.to_owned(), Template::parse(template).unwrap()))
                .into(),
            choosers: Vec::new(),
        }),
        ..super::desired()
    }
}

pub(super) fn is_placeholder(value: &str) -> bool {
    value.starts_with('<')
}

impl World {
    /// The file's values; none when it is absent.
    pub(super) fn values(&self, file: &str) -> Option<&Values> {
        self.files[file].as_ref().map(|file| &file.values)
    }

    /// All non-empty values of a variable, lowest precedence first.
    pub(super) fn in_files<'a>(&'a self, variable: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        FILES.iter().filter_map(|file| self.values(file)?.get(variable)).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the computed file should say.
    pub(super) fn rendered(&self) -> Option<Values> {
        let url = self.in_files("OTHER").next_back().unwrap_or("none").to_owned();
        Some([("A".to_owned(), self.in_files("A").next_back()?.to_owned()), ("URL".to_owned(), url)].into())
    }

    pub(super) fn observe(&self) -> Observed {
        let look = |(name, file): (&String, &Option<File>)| {
            let state = match file {
                _ if self.broken.as_ref() == Some(name) => FileState::Unusable { reason: "broken".to_owned() },
                None => FileState::Absent,
                Some(File { mode, values }) => FileState::Present(FileContent {
                    digest: digest(&format!("{values:?}")),
                    mode: *mode,
                    values: states(values),
                    duplicates: Vec::new(),
                }),
            };
            (name.clone(), state)
        };
        let mut running: BTreeMap<String, Vec<RunningValue>> = BTreeMap::new();
        for (name, values) in &self.running {
            for (variable, value) in values {
                let value = RunningValue { id: name.clone(), name: name.clone(), fingerprint: fingerprint(value) };
                running.entry(variable.clone()).or_default().push(value);
            }
        }
        let copy = self.copy.as_ref();
        let computed = self.computed.iter().flat_map(|file| &file.values);
        Observed {
            at: Timestamp::UNIX_EPOCH,
            files: self.files.iter().map(look).collect(),
            last_good: Recall::Known(
                copy.map(|values| LastGood { digest: digest(&format!("{values:?}")), values: states(values) }),
            ),
            computed_values: Recall::Known(computed.map(|(name, value)| (name.clone(), fingerprint(value))).collect()),
            running: if self.engine_answers {
                Recall::Known(running)
            } else {
                Recall::Unknown { reason: "no answer".to_owned() }
            },
            computed: self.computed_state(),
            history: History::default(),
        }
    }

    fn computed_state(&self) -> ComputedState {
        match (self.rendered(), &self.computed) {
            (None, _) => ComputedState::MissingValues { variables: vec!["A".to_owned()] },
            (Some(rendered), Some(File { mode, values })) if rendered == *values => ComputedState::UpToDate { mode: *mode },
            (Some(_), _) => ComputedState::Outdated { changed: Vec::new() },
        }
    }

    /// Performs one step.
    pub(super) fn apply(&mut self, step: &Step) {
        let Action::File(action) = &step.action else { panic!("{step} is not about a file") };
        let name = action.path().file_name().unwrap().to_str().unwrap().to_owned();
        match action {
            FileAction::WriteSecrets { expected, secrets, .. } => {
                let mut values = self.values(&name).cloned();
                assert_eq!(*expected, values.as_ref().map(|values| digest(&format!("{values:?}"))), "decided on another file");
                for write in secrets {
                    let before = values.get_or_insert_default().insert(write.variable.clone(), self.value(write));
                    assert!(before.is_none_or(|before| before.is_empty()), "{} is written over", write.variable);
                }
                self.files.insert(name, values.map(|values| File { mode: SECRET_MODE, values }));
            }
            FileAction::RestoreFile { secrets, .. } => {
                assert_eq!(self.files[&name], None, "a file is written over");
                let mut values = self.copy.clone().unwrap();
                values.extend(secrets.iter().map(|write| (write.variable.clone(), self.value(write))).collect::<Vec<_>>());
                self.files.insert(name, Some(File { mode: SECRET_MODE, values }));
            }
            FileAction::KeepLastGood { expected, .. } => {
                let values = self.values(&name).cloned();
                assert_eq!(Some(expected), values.as_ref().map(|values| digest(&format!("{values:?}"))).as_ref());
                self.copy = values;
            }
            FileAction::WriteComputed { .. } => {
                self.computed = Some(File { mode: SECRET_MODE, values: self.rendered().unwrap() });
            }
            // Only people ask for that.
            FileAction::ChangeVariable { .. } => unreachable!("no plan of ours changes a value"),
            FileAction::SetMode { mode, .. } if name == ".env.computed" => self.computed.as_mut().unwrap().mode = *mode,
            FileAction::SetMode { mode, .. } => self.files.get_mut(&name).unwrap().as_mut().unwrap().mode = *mode,
        }
    }

    fn value(&mut self, write: &SecretWrite) -> String {
        match &write.from {
            SecretSource::Container { name, .. } => self.running[name][&write.variable].clone(),
            SecretSource::LastGood => self.copy.as_ref().unwrap()[&write.variable].clone(),
            SecretSource::Computed => self.computed.as_ref().unwrap().values[&write.variable].clone(),
            SecretSource::Generated { .. } => {
                self.made += 1;
                format!("new{}", self.made)
            }
        }
    }
}

fn states(values: &Values) -> BTreeMap<String, ValueState> {
    values.iter().map(|(name, value)| (name.clone(), state(value))).collect()
}

/// A world in which anything may have happened.
pub(super) fn any_world() -> impl Strategy<Value = World> {
    let broken = prop_oneof![4 => Just(None), 1 => prop::sample::select(&FILES[..]).prop_map(|name| Some(name.to_owned()))];
    let files = [any_file(any_value()), any_file(any_value()), any_file(any_value())];
    let container = any_values(real_value());
    (
        files,
        broken,
        prop::option::of(any_values(any_value())),
        any_file(real_value()),
        prop::collection::vec(container, 0..4),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(files, broken, copy, computed, containers, engine_answers)| World {
            files: FILES.map(str::to_owned).into_iter().zip(files).collect(),
            broken,
            copy,
            computed,
            running: ["web", "api", "db"].map(str::to_owned).into_iter().zip(containers).collect(),
            engine_answers,
            made: 0,
        })
}

fn any_file(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Option<File>> {
    prop::option::of(
        (prop::sample::select(&[0o600, 0o644, 0o660][..]), any_values(value)).prop_map(|(mode, values)| File { mode, values }),
    )
}

fn any_values(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Values> {
    let variables =
        VARIABLES.map(|name| prop::option::of(value.clone()).prop_map(move |value| value.map(|value| (name.to_owned(), value))));
    variables.prop_map(|values| values.into_iter().flatten().collect())
}

fn any_value() -> impl Strategy<Value = String> + Clone {
    prop_oneof![3 => real_value(), 1 => Just(String::new()), 1 => Just("<placeholder>".to_owned())]
}

fn real_value() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(&["v1", "v2", "v3"][..]).prop_map(str::to_owned)
}
