//! Takes known secrets out of a text that others wrote.

use super::{Secret, said};

/// Shorter values are parts of too many other words.
const SHORTEST: usize = 4;
/// What stands in their place.
pub(super) const MASKED: &str = "***";

/// Names of variables that hold a secret more often than not.
const WORDS: [&str; 11] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "ACCESS_KEY", "PRIVATE", "CREDENTIAL", "JWT", "SALT"];

/// Whether the value of a variable of this name is better not shown.
#[must_use]
pub fn is_telling(variable: &str) -> bool {
    let name = variable.to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word)) || name.ends_with("_KEY") || name.ends_with("_PASS") || name == "PASS"
}

/// Ends of words in names whose values are not shown besides those of [`is_telling`], although they are too many other things to be
/// taken out of what others wrote.
const ENDS: [&str; 6] = ["PASSPHRASE", "PASS", "PWD", "KEY", "DSN", "AUTH"];

/// Whether the value of a variable may be one that must not be shown: by the words of its name, or because it is an address
/// with a password in it. When in doubt it is.
#[must_use]
pub fn may_be_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let mut words = upper.split(['_', '-', '.']);
    let has_password = value.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@') && authority.contains(':'))
    });
    is_telling(name)
        || words.any(|word| ENDS.iter().any(|end| word.ends_with(end)))
        || has_password
        || value.contains("-----BEGIN")
}

/// The password in a URL, if there is one: as it stands there.
#[must_use]
pub fn password_of(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

/// Values that are not to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(Vec<Secret>);

impl Mask {
    /// Of these values. Where one has several lines, each of them counts; so does a value as it stands in a URL.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut parts: Vec<String> = Vec::new();
        for value in values {
            for line in value.expose().lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
                parts.push(line.to_owned());
                let encoded = encoded(line);
                if encoded != line {
                    parts.push(encoded);
                }
            }
        }
        // The longest first: one may be a part of another.
        parts.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        parts.dedup();
        Self(parts.into_iter().map(Secret::new).collect())
    }

    /// With these values besides.
    #[must_use]
    pub fn with(&self, more: &[Secret]) -> Self {
        Self::new(self.0.iter().chain(more))
    }

    /// What somebody said or wrote, as it may be kept and told: without them, and without what only looks like a secret.
    #[must_use]
    pub fn said(&self, text: &str) -> String {
        self.apply(said::concealed(text))
    }

    /// The text without them.
    #[must_use]
    pub fn apply(&self, mut text: String) -> String {
        for value in &self.0 {
            if text.contains(value.expose()) {
                text = text.replace(value.expose(), MASKED);
            }
        }
        text
    }
}

/// As it stands in a URL.
fn encoded(value: &str) -> String {
    use std::fmt::Write as _;

    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes everything");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(values: &[&str]) -> Mask {
        let values: Vec<Secret> = values.iter().map(|value| Secret::new((*value).to_owned())).collect();
        Mask::new(&values)
    }

    #[test]
    fn a_secret_is_taken_out_wherever_it_stands() {
        let mask = mask(&["hunter2", "hunter2-and-more", "p@ss/word", "two\nlines here"]);
        let text = "hunter2,hunter2-and-more postgres://u:p%40ss%2Fword@db two lines here p@ss/word".to_owned();
        assert_eq!(mask.apply(text), "***,*** postgres://u:***@db two *** ***");
        assert_eq!(mask.apply("nothing of it".to_owned()), "nothing of it");
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_is_left() {
        assert_eq!(mask(&["", "on", "80"]).apply("on port 80".to_owned()), "on port 80");
    }

    #[test]
    fn names_tell_what_is_a_secret() {
        for name in ["POSTGRES_PASSWORD", "jwt_secret", "OPENAI_API_KEY", "GITHUB_TOKEN", "SMTP_PASS", "AWS_ACCESS_KEY_ID"] {
            assert!(is_telling(name), "{name}");
        }
        for name in ["PORT", "TZ", "PGHOST", "KEYCLOAK_URL", "COMPASS"] {
            assert!(!is_telling(name), "{name}");
        }
    }

    #[test]
    fn the_password_of_a_url_is_found() {
        assert_eq!(password_of("postgresql://app:s3cret@db:5432/shop?x=@"), Some("s3cret"));
        assert_eq!(password_of("redis://:s3cret@cache"), Some("s3cret"));
        for none in ["https://example.test/a:b@c", "redis://cache", "app:s3cret@db", "http://user@host"] {
            assert_eq!(password_of(none), None, "{none}");
        }
    }
}
