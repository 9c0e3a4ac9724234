//! Recognises values that someone was meant to replace.

use zeroize::Zeroizing;

/// Whether `value` stands for a value instead of being one: `${DB_PASSWORD}`, `<password>`, `changeme`, `your-key-here`.
///
/// Errs towards `false`: the answer makes Mooring complain about a value and refuse to store it, and a good password
/// must never be refused. So words count only as whole words, and weak passwords are not our business.
#[must_use]
pub fn is_placeholder(value: &str) -> bool {
    has_reference(value) || has_angle_brackets(value) || is_filler(value.trim()) || asks_to_be_replaced(value)
}

/// `${…}` or `$(…)`, which whoever wrote the value expected to be replaced before it got here.
fn has_reference(value: &str) -> bool {
    [("${", '}'), ("$(", ')')]
        .iter()
        .any(|(open, close)| value.find(open).is_some_and(|start| value[start + open.len()..].contains(*close)))
}

/// `<password>`, but not `Shop <shop@example.com>` and not `a < b > c`.
fn has_angle_brackets(value: &str) -> bool {
    value.match_indices('<').any(|(start, _)| {
        let rest = &value[start + 1..];
        let inner = rest.find('>').map_or("", |end| &rest[..end]);
        inner.starts_with(|c: char| c.is_ascii_alphabetic())
            && inner.chars().all(|c| c.is_ascii_alphanumeric() || " _-.".contains(c))
    })
}

/// `xxxx`, `****`, `...`.
fn is_filler(value: &str) -> bool {
    value.len() >= 3 && ["xX", "*", "."].iter().any(|filler| value.chars().all(|c| filler.contains(c)))
}

/// Whole values that are none.
const WHOLE: [&str; 6] = ["todo", "fixme", "tbd", "placeholder", "example", "fill in"];

/// Beginnings of words (after everything but letters and digits was taken for a space) that ask to be replaced.
const PHRASES: [&str; 10] = [
    " changeme",
    " change me ",
    " changethis",
    " change this ",
    " changeit",
    " replaceme",
    " replace me ",
    " replacethis",
    " replace this ",
    " fill me in ",
];

/// What a text in place of a value is about.
const SUBJECTS: [&str; 8] = ["secret", "password", "passphrase", "key", "token", "username", "value", "here"];

fn asks_to_be_replaced(value: &str) -> bool {
    let lower = Zeroizing::new(value.to_lowercase());
    let words: Vec<_> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let sentence = Zeroizing::new(format!(" {} ", words.join(" ")));
    WHOLE.contains(&sentence.trim())
        || PHRASES.iter().any(|phrase| sentence.contains(phrase))
        || match words[..] {
            ["your" | "example", .., last] => SUBJECTS.contains(&last),
            ["insert" | "put" | "enter" | "paste" | "add" | "my", .., last] => last == "here",
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_place_of_a_value_are_recognised() {
        for value in [
            "${DB_PASSWORD}",
            "postgres://app:${PW:-x}@db/app",
            "$(openssl rand -hex 32)",
            "<password>",
            "<your password>",
            "postgres://app:<db-password>@db/app",
            "changeme",
            "CHANGE_ME",
            "change-me-in-production",
            "please change this!",
            "ChangeIt",
            "changeme123",
            "REPLACE_ME",
            "your-key-here",
            "your_secret",
            "your-256-bit-secret",
            "insert token here",
            "example",
            "example-secret",
            "TODO",
            " tbd ",
            "xxxxxxxx",
            "***",
            "...",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn values_are_left_alone() {
        for value in [
            "",
            "x",
            "postgres",
            "minioadmin",
            "hunter2",
            "example.com",
            "https://shop.example.com/",
            "todo-service",
            "Your Shop",
            "your-shop",
            "Shop <shop@example.com>",
            "a < b && c > d",
            "cost: $5 (five)",
            "pa$$word",
            "${unfinished",
            "exchangemedia",
            "5f2d9c1ba77e4d0f8f0e0a1b2c3d4e5f5f2d9c1ba77e4d0f8f0e0a1b2c3d4e5f",
            r#"{"type":"HS256","key":"c2VjcmV0"}"#,
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
