//! What servers say, as it may be shown.

use crate::secret::Secret;

/// What is shown of it.
const SHOWN: usize = 200;
/// So many characters of a key in a row are no accident.
const TELLING: usize = 6;
/// Longer words are no words.
const LONGEST_WORD: usize = 40;

/// A server's words in one line, cut, and without what looks like a key: some repeat a part of it.
pub(super) fn clean(said: &str, key: Option<&Secret>) -> String {
    let key: Vec<char> = key.map(|key| key.expose().chars().collect()).unwrap_or_default();
    let tells =
        |word: &str| key.windows(TELLING.min(key.len().max(1))).any(|part| word.contains(&part.iter().collect::<String>()));
    let looks_like_a_key = |word: &str| word.contains("sk-") || word.chars().count() > LONGEST_WORD || tells(word);
    let words = said.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| if looks_like_a_key(word) { "(…)" } else { word }).collect();
    words.join(" ").chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_key_is_repeated() {
        let key = Secret::new("sk-proj-abcdefghijklmnop".to_owned());
        let said = |text: &str| clean(text, Some(&key));
        assert_eq!(said("Incorrect API key provided: sk-proj-****mnop."), "Incorrect API key provided: (…)");
        assert_eq!(said("the key ending in hijklmnop\r\nis not known"), "the key ending in (…) is not known");
        assert_eq!(said("you are out of tokens"), "you are out of tokens");
        assert_eq!(clean(&"x".repeat(50), None), "(…)");
        assert_eq!(clean(&"word ".repeat(100), None).len(), 200);
    }
}
