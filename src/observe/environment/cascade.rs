//! The files of a cascade, read and put on top of each other.

use zeroize::Zeroizing;

use super::wanted;
use crate::{
    dotenv::{self, MAX_SIZE, Quoting, Values, is_placeholder},
    observe::file::{Directory, Handle, Refusal},
    plan::environment::{Desired, ValueState},
    secret::{FingerprintKey, Secret},
};

/// The files of a cascade, lowest precedence first.
pub(crate) struct Cascade {
    layers: Vec<(String, Content)>,
    below_secrets: Values,
    values: Values,
}

/// One file.
pub(crate) enum Content {
    /// There is none.
    Absent,
    /// What is in it cannot be told.
    Unusable { reason: String },
    /// It has been read.
    Readable(Box<Readable>),
}

/// A file that has been read.
pub(crate) struct Readable {
    pub(crate) handle: Handle,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) digest: String,
    pub(crate) file: dotenv::File,
    /// What this file alone assigns.
    pub(crate) values: Values,
}

impl Cascade {
    /// Reads the files. Where one cannot be used, the values are those of the others.
    pub(super) fn read(key: &FingerprintKey, desired: &Desired) -> Self {
        let directory = Directory::open(&desired.directory);
        let mut cascade = Self { layers: Vec::new(), below_secrets: Values::new(), values: Values::new() };
        for name in &desired.files {
            if desired.secrets.as_ref().is_some_and(|secrets| secrets.file == *name) {
                cascade.below_secrets.clone_from(&cascade.values);
            }
            let content = match &directory {
                Ok(directory) => read_file(key, directory, name, &cascade.values),
                Err(refusal) => Content::Unusable { reason: refusal.to_string() },
            };
            if let Content::Readable(readable) = &content {
                cascade.values.extend(readable.values.clone());
            }
            cascade.layers.push((name.clone(), content));
        }
        cascade.unhide(desired);
        cascade
    }

    /// The files by name, lowest precedence first.
    pub(crate) fn layers(&self) -> &[(String, Content)] {
        &self.layers
    }

    /// The file of this name.
    pub(crate) fn take(self, name: &str) -> Option<Content> {
        self.layers.into_iter().find(|(layer, _)| layer == name).map(|(_, content)| content)
    }

    /// The first file that cannot be used, with the reason.
    pub(crate) fn unusable(&self) -> Option<(&str, &str)> {
        self.layers.iter().find_map(|(name, content)| match content {
            Content::Unusable { reason } => Some((name.as_str(), reason.as_str())),
            Content::Absent | Content::Readable(_) => None,
        })
    }

    /// Whether somebody has written a value for this variable in one of the files.
    pub(crate) fn has_value(&self, variable: &str) -> bool {
        self.layers.iter().any(|(_, content)| content.readable().is_some_and(|readable| readable.has_value(variable)))
    }

    /// The variables that stand in the file of this name.
    pub(crate) fn names_in(&self, name: &str) -> Vec<String> {
        let content = self.layers.iter().find(|(layer, _)| layer == name).and_then(|(_, content)| content.readable());
        content.map(|readable| readable.values.keys().cloned().collect()).unwrap_or_default()
    }

    /// The values that the files give together.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The values that the files give together.
    pub(crate) fn into_values(self) -> Values {
        self.values
    }

    /// The values that the files below the secrets file give together.
    pub(crate) fn below_secrets(&self) -> &Values {
        &self.below_secrets
    }

    /// An empty value of a secret counts as none: it neither hides one of an
    /// earlier file, as Compose would have it, nor is it handed on.
    fn unhide(&mut self, desired: &Desired) {
        for variable in wanted(desired) {
            let values = self.layers.iter().filter_map(|(_, content)| content.readable()?.values.get(variable));
            match values.rev().find(|value| !value.is_empty()).cloned() {
                Some(value) => self.values.insert(variable.to_owned(), value),
                None => self.values.remove(variable),
            };
        }
    }
}

impl Content {
    fn readable(&self) -> Option<&Readable> {
        match self {
            Self::Readable(readable) => Some(readable),
            Self::Absent | Self::Unusable { .. } => None,
        }
    }
}

impl Readable {
    /// How a variable fares in this file.
    ///
    /// Whatever somebody has written counts as a value, even when it comes to
    /// nothing: a reference to an unset variable, a comment that Compose takes
    /// for the value, a value on an earlier line. None of them is a real one.
    pub(super) fn state(&self, key: &FingerprintKey, variable: &str) -> ValueState {
        let value = self.values.get(variable).map_or("", Secret::expose);
        if !self.has_value(variable) {
            return ValueState::Empty;
        }
        let placeholder = value.is_empty() || is_placeholder(value) || self.is_comment(variable);
        ValueState::Set { fingerprint: key.fingerprint(value), placeholder }
    }

    /// Whether somebody has written a value for this variable.
    fn has_value(&self, variable: &str) -> bool {
        self.raw_values(variable).any(|value| !value.is_empty())
    }

    /// `NAME= # comment`, where the comment becomes the value.
    fn is_comment(&self, variable: &str) -> bool {
        let last = self.raw_values(variable).next_back();
        last.is_some_and(|value| value.quoting() == Quoting::Unquoted && value.expose().starts_with('#'))
    }

    fn raw_values(&self, variable: &str) -> impl DoubleEndedIterator<Item = dotenv::RawValue<'_>> {
        self.file.entries().filter(move |entry| entry.key == variable).filter_map(|entry| entry.value)
    }
}

/// Reads one file, whose references see the values of the files below it.
pub(super) fn read_file(key: &FingerprintKey, directory: &Directory, name: &str, below: &Values) -> Content {
    match try_read(key, directory, name, below) {
        Ok(Some(readable)) => Content::Readable(Box::new(readable)),
        Ok(None) => Content::Absent,
        Err(reason) => Content::Unusable { reason },
    }
}

fn try_read(key: &FingerprintKey, directory: &Directory, name: &str, below: &Values) -> Result<Option<Readable>, String> {
    let refused = |refusal: Refusal| refusal.to_string();
    let Some(mut handle) = directory.handle(name.as_ref()).map_err(refused)? else { return Ok(None) };
    let bytes = handle.read(MAX_SIZE as u64).map_err(refused)?;
    let malformed = |error: dotenv::Error| error.to_string();
    let file = dotenv::File::parse(&bytes).map_err(malformed)?;
    let values = file.values(below).map_err(malformed)?;
    Ok(Some(Readable { handle, digest: key.digest(&bytes), bytes, file, values }))
}
