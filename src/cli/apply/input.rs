//! What was given with `-f`: files, directories, standard input → texts with their manifests.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    cli::Error,
    manifest::Key,
    source::{
        desired::documents,
        directory::{FileReading, scan},
        parse::{Located, MAX_BYTES, parse_located},
        problem::Problem,
    },
};

/// One text that becomes one file.
#[derive(Debug)]
pub(super) struct Input {
    /// The name that the file gets when it is new.
    pub(super) file: PathBuf,
    /// The text, as it was given.
    pub(super) bytes: Vec<u8>,
    /// What it declares.
    pub(super) manifests: Vec<Located>,
}

/// Reads everything, or says everything that is wrong with it.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Input>, Error> {
    let (mut inputs, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match read_one(file) {
            Ok(mut read) => inputs.append(&mut read),
            Err(Error::Refused(mut found)) => problems.append(&mut found),
            Err(error) => return Err(error),
        }
    }
    if !problems.is_empty() {
        return Err(Error::Refused(problems));
    }
    inputs.retain(|input| !input.manifests.is_empty());
    if inputs.is_empty() {
        let message = "there is no manifest in what was given".to_owned();
        return Err(Error::Usage { message, help: "a manifest begins with `apiVersion: mooring.dev/v1alpha1`".to_owned() });
    }
    refuse_namesakes(&inputs)?;
    Ok(inputs)
}

fn read_one(file: &Path) -> Result<Vec<Input>, Error> {
    match file {
        file if file == Path::new("-") => standard_input(),
        file if file.is_dir() => directory(file),
        file => {
            let bytes = fs::read(file).map_err(|source| Error::file("read", file, source))?;
            let manifests = parse_located(file, &bytes).map_err(Error::Refused)?;
            let name = file.file_name().map_or_else(|| file.to_owned(), PathBuf::from);
            Ok(vec![Input { file: with_extension(name), bytes, manifests }])
        }
    }
}

/// Other files would not be read from the desired-state directory.
fn with_extension(file: PathBuf) -> PathBuf {
    match file.extension() {
        Some(extension) if extension == "yaml" || extension == "yml" => file,
        Some(_) | None => PathBuf::from(format!("{}.yaml", file.display())),
    }
}

fn directory(root: &Path) -> Result<Vec<Input>, Error> {
    let (mut inputs, mut problems) = (Vec::new(), Vec::new());
    for (file, reading) in scan(root)?.files {
        let path = root.join(&file);
        match &*reading {
            FileReading::Parsed(manifests) => {
                let bytes = fs::read(&path).map_err(|source| Error::file("read", &path, source))?;
                inputs.push(Input { file, bytes, manifests: manifests.clone() });
            }
            FileReading::Refused(found) => {
                problems.extend(found.iter().map(|problem| Problem { file: path.clone(), ..problem.clone() }));
            }
            FileReading::Unreadable(reason) => {
                return Err(Error::file("read", &path, io::Error::other(reason.clone())));
            }
        }
    }
    if problems.is_empty() { Ok(inputs) } else { Err(Error::Refused(problems)) }
}

/// Each document gets a file of its own: there is no name that would hold them together.
fn standard_input() -> Result<Vec<Input>, Error> {
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("could not read standard input", source))?;
    let manifests = parse_located(Path::new("standard input"), &bytes).map_err(Error::Refused)?;
    let text = String::from_utf8_lossy(&bytes);
    let inputs = manifests.into_iter().map(|located| {
        let Key { kind, name } = located.manifest.key();
        let file = PathBuf::from(format!("{}-{name}.yaml", kind.as_str().to_ascii_lowercase()));
        Input { file, bytes: documents::document(&text, located.line).as_bytes().to_vec(), manifests: vec![located] }
    });
    Ok(inputs.collect())
}

fn refuse_namesakes(inputs: &[Input]) -> Result<(), Error> {
    let mut first: BTreeMap<Key, &Input> = BTreeMap::new();
    for input in inputs {
        for located in &input.manifests {
            let key = located.manifest.key();
            if let Some(other) = first.insert(key.clone(), input) {
                let message = format!("{key} is declared in both {} and {}", other.file.display(), input.file.display());
                return Err(Error::Usage { message, help: "give only one of them".to_owned() });
            }
        }
    }
    Ok(())
}
