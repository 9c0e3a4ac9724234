//! Which file of the desired-state directory a text goes to. Pure.
//!
//! Where its objects are already, when nothing else is there; otherwise a file
//! of the text's own name. Whatever would take another object's declaration away
//! is refused: that is what `mooring delete` is for.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Input, Placed};
use crate::{
    cli::Error,
    manifest::Key,
    source::{desired::DesiredDirectory, directory::FileReading},
};

/// Finds a file for each text.
pub(super) fn place(inputs: Vec<Input>, directory: &DesiredDirectory) -> Result<Vec<Placed>, Error> {
    let mut taken = BTreeSet::new();
    let mut placed = Vec::with_capacity(inputs.len());
    for input in inputs {
        let file = file_of(&input, directory)?;
        if !taken.insert(file.clone()) {
            let message = format!("two of the given files would become {}", file.display());
            return Err(Error::InTheWay { message, help: "apply them one after the other, under different names".to_owned() });
        }
        placed.push(Placed { input, file });
    }
    Ok(placed)
}

fn file_of(input: &Input, directory: &DesiredDirectory) -> Result<PathBuf, Error> {
    let keys: BTreeSet<Key> = input.manifests.iter().map(|located| located.manifest.key()).collect();
    let declared = keys.iter().flat_map(|key| directory.declarations(key));
    let holders: BTreeSet<&Path> = declared.map(|located| located.file.as_path()).collect();
    let file = match holders.iter().collect::<Vec<_>>().as_slice() {
        [] => input.file.as_path(),
        [holder] => holder,
        _ if holders.contains(input.file.as_path()) => input.file.as_path(),
        [first, ..] => first,
    };
    for holder in holders.iter().copied().chain([file]) {
        refuse_loss(holder, file, &keys, directory)?;
    }
    Ok(file.to_owned())
}

/// Refuses to write `file` when a declaration in `holder` would be lost, or stay there as a second one.
fn refuse_loss(holder: &Path, file: &Path, keys: &BTreeSet<Key>, directory: &DesiredDirectory) -> Result<(), Error> {
    let held = match directory.reading(holder) {
        None => return Ok(()),
        Some(FileReading::Parsed(located)) => located.iter().map(|located| located.manifest.key()),
        Some(FileReading::Refused(_) | FileReading::Unreadable(_)) => {
            let message = format!("{} is there and cannot be understood, so nobody knows what would be lost", holder.display());
            return Err(Error::InTheWay { message, help: "repair it or remove it first".to_owned() });
        }
    };
    let held: Vec<Key> = held.collect();
    if let Some(other) = held.iter().find(|key| !keys.contains(key)) {
        let message = match held.iter().find(|key| keys.contains(key)) {
            Some(ours) => format!("{ours} is declared in {}, together with {other}", holder.display()),
            None => format!("{} is there and declares {other}", holder.display()),
        };
        return Err(Error::InTheWay {
            message,
            help: format!("edit {} itself, or `mooring delete {other}` first", holder.display()),
        });
    }
    match held.first() {
        Some(ours) if holder != file => {
            let message =
                format!("{ours} is declared in {} already, which would not become {}", holder.display(), file.display());
            Err(Error::InTheWay { message, help: format!("`mooring delete {ours}` first, or apply its document alone") })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use expect_test::expect;

    use super::*;
    use crate::source::{directory::Scan, parse::parse_located};

    fn input(file: &str, names: &[&str]) -> Input {
        let document = |name: &&str| {
            format!("---\napiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: a}}\n")
        };
        let text: String = names.iter().map(document).collect();
        let manifests = parse_located(Path::new(file), text.as_bytes()).unwrap();
        Input { file: file.into(), bytes: text.into_bytes(), manifests }
    }

    fn directory(files: &[(&str, &[&str])]) -> DesiredDirectory {
        let mut readings: BTreeMap<PathBuf, Arc<FileReading>> = BTreeMap::new();
        for (file, names) in files {
            readings.insert(file.into(), Arc::new(FileReading::Parsed(input(file, names).manifests)));
        }
        readings.insert("broken.yaml".into(), Arc::new(FileReading::Refused(Vec::new())));
        DesiredDirectory::of(Scan { files: readings })
    }

    type Files<'a> = &'a [(&'a str, &'a [&'a str])];

    fn placed(file: &str, names: &[&str], files: Files<'_>) -> Result<String, String> {
        let file = file_of(&input(file, names), &directory(files));
        file.map(|file| file.display().to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_new_keeps_its_name() {
        assert_eq!(placed("web.yaml", &["web"], &[("api.yaml", &["api"])]), Ok("web.yaml".to_owned()));
    }

    #[test]
    fn what_is_declared_is_replaced_where_it_is() {
        assert_eq!(placed("new.yaml", &["web"], &[("sub/web.yaml", &["web"])]), Ok("sub/web.yaml".to_owned()));
        assert_eq!(placed("new.yaml", &["web", "api"], &[("both.yaml", &["web"])]), Ok("both.yaml".to_owned()));
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_declared_twice() {
        let refusals = [
            placed("web.yaml", &["web"], &[("both.yaml", &["web", "api"])]),
            placed("web.yaml", &["web"], &[("web.yaml", &["api"])]),
            placed("both.yaml", &["web", "api"], &[("web.yaml", &["web"]), ("api.yaml", &["api"])]),
            placed("broken.yaml", &["web"], &[]),
        ];
        expect![[r#"
            Container/web is declared in both.yaml, together with Container/api
            web.yaml is there and declares Container/api
            Container/web is declared in web.yaml already, which would not become api.yaml
            broken.yaml is there and cannot be understood, so nobody knows what would be lost"#]]
        .assert_eq(&refusals.map(Result::unwrap_err).join("\n"));
    }
}
