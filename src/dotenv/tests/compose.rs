//! The same texts, read by the real Compose.
//!
//! Ignored unless asked for, because it needs the program:
//! `MOORING_COMPOSE=/path/to/docker-compose cargo test --lib dotenv -- --ignored`.

use std::{env, fs, path::PathBuf, process::Command, slice};

use proptest::{strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value as Json, json};

use super::*;

/// What Compose makes of a file: values by name, or that it refuses it.
type Reading = Option<BTreeMap<String, String>>;

struct Compose {
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl Compose {
    fn new() -> Self {
        let program = env::var_os("MOORING_COMPOSE").expect("MOORING_COMPOSE names the docker-compose program");
        Self { program: program.into(), directory: tempfile::tempdir().unwrap() }
    }

    /// The values of `keys` after reading `texts`, one file each.
    fn read(&self, texts: &[&str], keys: &[String]) -> Reading {
        let project = self.directory.path().join("compose.json");
        let service = json!({"services": {"it": {"image": "none", "environment": keys}}});
        fs::write(&project, service.to_string()).unwrap();
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(&self.directory).args(["--project-name", "it", "--file"]).arg(&project);
        for (number, text) in texts.iter().enumerate() {
            let file = self.directory.path().join(format!("{number}.env"));
            fs::write(&file, text).unwrap();
            command.arg("--env-file").arg(file);
        }
        let output = command.args(["config", "--format", "json"]).output().unwrap();
        if !output.status.success() {
            return None;
        }
        let config: Json = serde_json::from_slice(&output.stdout).unwrap();
        let environment = config["services"]["it"]["environment"].as_object().cloned().unwrap_or_default();
        // `config` doubles dollar signs, so that its output can be read again.
        let values = environment.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.replace("$$", "$"))));
        Some(values.collect())
    }
}

/// What we make of the files.
fn read(texts: &[&str]) -> Reading {
    let files = texts.iter().map(|text| Some((String::new(), File::parse(text.as_bytes()).ok()?)));
    let cascade = Cascade::new(files.collect::<Option<Vec<_>>>()?).ok()?;
    Some(cascade.values().iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect())
}

fn assert_same(compose: &Compose, texts: &[&str]) -> bool {
    let Some(ours) = read(texts) else { return false };
    let keys: Vec<_> =
        texts.iter().flat_map(|text| file(text).entries().map(|entry| entry.key.to_owned()).collect::<Vec<_>>()).collect();
    assert_eq!(compose.read(texts, &keys), Some(ours), "{texts:?}");
    true
}

#[test]
#[ignore = "needs docker-compose"]
fn compose_agrees_with_the_documentation() {
    let compose = Compose::new();
    for row in Row::all() {
        let (text, key) = (row.text.as_str(), row.key());
        match &row.expected {
            Ok(expected) => {
                let values = compose.read(&[text], slice::from_ref(&key)).unwrap_or_else(|| panic!("{text:?}"));
                assert_eq!(values.get(&key), expected.as_ref(), "{text:?}");
            }
            Err(error) if error.contains("only a comment") || error.contains("no name") || error.contains("NUL") => {}
            Err(_) if text.contains('\t') => {}
            Err(_) => assert_eq!(compose.read(&[text], &[key]), None, "{text:?}"),
        }
    }
}

#[test]
#[ignore = "needs docker-compose"]
fn compose_reads_random_files_as_we_do() {
    let (compose, mut runner) = (Compose::new(), TestRunner::deterministic());
    let wild = "([A-C] ?=[$A-C{}:+?x-]{0,10}\n|[A-C]=\"[\\\\$A-C{}:x'n01\n]{0,8}\"\n|[A-C]='[\\\\A$n\" \n]{0,6}\\\\?'\n){1,3}";
    let strategy = proptest::collection::vec(prop_oneof![texts(), wild], 1..3);
    let mut read = 0;
    while read < 600 {
        let texts = strategy.new_tree(&mut runner).unwrap().current();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        read += usize::from(assert_same(&compose, &texts));
    }
}

#[test]
#[ignore = "needs docker-compose"]
fn compose_refuses_the_references_we_refuse() {
    let (compose, mut runner) = (Compose::new(), TestRunner::deterministic());
    let strategy = "A=[$ABx{}:+?-]{0,12}";
    let mut refused = 0;
    while refused < 200 {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        if read(&[&text]).is_none() {
            assert_eq!(compose.read(&[&text], &["A".to_owned()]), None, "{text:?}");
            refused += 1;
        }
    }
}

#[test]
#[ignore = "needs docker-compose"]
fn compose_reads_what_we_write() {
    let (compose, mut runner) = (Compose::new(), TestRunner::deterministic());
    for _ in 0..400 {
        let (text, value) = (texts(), any_value()).new_tree(&mut runner).unwrap().current();
        let Ok(mut file) = File::parse(text.as_bytes()) else { continue };
        if file.values(&Values::new()).is_err() {
            continue;
        }
        file.set("A", &value).unwrap();
        let read = compose.read(&[file.expose()], &["A".to_owned()]);
        assert_eq!(read.and_then(|mut values| values.remove("A")), Some(value), "{:?}", file.expose());
    }
}
