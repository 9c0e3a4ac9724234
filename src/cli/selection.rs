//! Which objects were meant: `KIND`, `KIND/NAME…`, `KIND NAME…`, `all`.

use super::Error;
use crate::{
    manifest::{Key, Kind, UnknownKind},
    view::ObjectView,
};

/// The objects that were meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of them.
    All,
    /// Those of one kind.
    Kind(Kind),
    /// These.
    Keys(Vec<Key>),
}

const FORMS: &str = "say KIND, KIND/NAME, KIND NAME or all, as in `container/redis`";

impl Selection {
    /// Reads what was typed; nothing means all.
    pub(super) fn parse(words: &[String]) -> Result<Self, Error> {
        match words {
            [] => Ok(Self::All),
            [all] if all == "all" => Ok(Self::All),
            [word] if !word.contains('/') => {
                // Most often it is a name, typed alone.
                let help = format!("say KIND, KIND/NAME, KIND NAME or all, as in `container/{word}`");
                word.parse().map(Self::Kind).map_err(|error: UnknownKind| Error::Usage { message: error.to_string(), help })
            }
            [kind, names @ ..] if words.iter().all(|word| !word.contains('/')) => {
                let kind: Kind = kind.parse().map_err(unknown)?;
                Ok(Self::Keys(names.iter().map(|name| Key::new(kind, name)).collect()))
            }
            keys => keys.iter().map(|key| key.parse().map_err(unknown)).collect::<Result<_, _>>().map(Self::Keys),
        }
    }

    /// The one kind that is meant, to ask for less.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Kind(kind) => Some(*kind),
            Self::All | Self::Keys(_) => None,
        }
    }

    /// Whether this object is meant.
    pub(super) fn contains(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => key.kind == *kind,
            Self::Keys(keys) => keys.contains(key),
        }
    }

    /// Picks what is meant. What was named and is not there is an error.
    pub(super) fn pick(&self, objects: Vec<ObjectView>) -> Result<Vec<ObjectView>, Error> {
        if let Self::Keys(keys) = self
            && let Some(missing) = keys.iter().find(|key| objects.iter().all(|object| object.key != **key))
        {
            return Err(Error::no_object(missing, objects.iter().map(|object| &object.key)));
        }
        Ok(objects.into_iter().filter(|object| self.contains(&object.key)).collect())
    }
}

/// Reads the name of exactly one object.
pub(super) fn one(words: &[String]) -> Result<Key, Error> {
    match Selection::parse(words)? {
        Selection::Keys(keys) if keys.len() == 1 => Ok(keys.into_iter().next().expect("there is one")),
        Selection::All | Selection::Kind(_) | Selection::Keys(_) => {
            Err(usage(format!("`{}` does not name one object", words.join(" "))))
        }
    }
}

/// A word that is not what it should be.
fn unknown(error: impl std::fmt::Display) -> Error {
    usage(error.to_string())
}

fn usage(message: impl Into<String>) -> Error {
    Error::Usage { message: message.into(), help: FORMS.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Selection, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Selection::parse(&words).map_err(|error| error.to_string())
    }

    fn key(name: &str) -> Key {
        Key::new(Kind::Container, name)
    }

    #[test]
    fn kubectls_ways_to_name_objects_are_understood() {
        assert_eq!(parse(""), Ok(Selection::All));
        assert_eq!(parse("all"), Ok(Selection::All));
        assert_eq!(parse("ctr"), Ok(Selection::Kind(Kind::Container)));
        assert_eq!(parse("ctr/web"), Ok(Selection::Keys(vec![key("web")])));
        assert_eq!(parse("containers web api"), Ok(Selection::Keys(vec![key("web"), key("api")])));
        assert_eq!(parse("ctr/web env/shop"), Ok(Selection::Keys(vec![key("web"), Key::new(Kind::Environment, "shop")])));
    }

    #[test]
    fn what_is_no_object_is_told() {
        assert_eq!(
            parse("pod"),
            Err("`pod` is not a kind; the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host".to_owned())
        );
        assert_eq!(parse("ctr/web api"), Err("`api` is not KIND/NAME, as in container/redis".to_owned()));
        assert_eq!(parse("ctr/"), Err("`ctr/` is not KIND/NAME, as in container/redis".to_owned()));
    }
}
