//! Text into sentences of words.
//!
//! Signs, case, politeness in the form of contractions, and quotation marks are dealt with here, so that the grammar
//! sees plain words. What is quoted is one word, and marked: it can be an argument and never a command.

use std::ops::Range;

/// No command and no question has more words; what has is something pasted.
pub(super) const MAX_WORDS: usize = 400;

/// One word, or what stands between quotation marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// As it was written, without the signs around it.
    pub(super) raw: String,
    /// In small letters, mended where it is misspelt.
    pub(super) low: String,
    /// Whether it stood in quotation marks.
    pub(super) quoted: bool,
    /// Whether a comma or a colon follows.
    pub(super) comma: bool,
    /// Where in the text it stands, quotation marks included and the signs after it not.
    pub(super) span: Range<usize>,
}

impl Word {
    /// Whether it is this word, and not quoted.
    pub(super) fn is(&self, word: &str) -> bool {
        !self.quoted && self.low == word
    }

    /// Whether it is one of these, and not quoted.
    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        !self.quoted && words.contains(&self.low.as_str())
    }
}

/// Whether these words begin with the words of a phrase.
pub(super) fn starts(words: &[Word], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase.split(' ').all(|word| words.next().is_some_and(|said| said.is(word)))
}

/// Whether the words of a phrase stand somewhere in these.
pub(super) fn has(words: &[Word], phrase: &str) -> bool {
    (0..words.len()).any(|at| starts(&words[at..], phrase))
}

/// Whether one of these phrases stands somewhere.
pub(super) fn has_any(words: &[Word], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| has(words, phrase))
}

/// The sentences of a text; none if it has more words than anybody says.
pub(super) fn sentences(text: &str) -> Option<Vec<Vec<Word>>> {
    read(text, false)
}

/// The same of what stands behind something on its line, where a sign of quoting is none.
pub(super) fn following(text: &str) -> Option<Vec<Vec<Word>>> {
    read(text, true)
}

fn read(text: &str, is_begun: bool) -> Option<Vec<Vec<Word>>> {
    let mut reader = Reader { sentences: vec![Vec::new()], count: 0 };
    let mut fenced = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let said = line.trim_start();
        let is_begun = is_begun && start == 0;
        if !is_begun && said.starts_with("```") {
            fenced = !fenced;
        } else if is_begun || (!fenced && !said.starts_with('>')) {
            reader.line(text, start..start + line.len());
        }
        reader.end_sentence();
        if reader.count > MAX_WORDS {
            return None;
        }
        start += line.len();
    }
    reader.sentences.retain(|sentence| !sentence.is_empty());
    Some(reader.sentences)
}

struct Reader {
    sentences: Vec<Vec<Word>>,
    count: usize,
}

impl Reader {
    fn line(&mut self, text: &str, line: Range<usize>) {
        let mut at = line.start;
        while at < line.end && self.count <= MAX_WORDS {
            let rest = &text[at..line.end];
            let Some(c) = rest.chars().next() else { return };
            if c.is_whitespace() {
                at += c.len_utf8();
            } else if let Some((raw, length)) = quotation(rest) {
                self.push(raw, true, at..at + length);
                at += length;
            } else {
                let length = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&')).unwrap_or(rest.len());
                match length {
                    0 => self.sign(c),
                    _ => self.plain(&rest[..length], at),
                }
                at += length.max(c.len_utf8());
            }
        }
    }

    /// A sign that stands for itself.
    fn sign(&mut self, c: char) {
        match c {
            ';' => self.end_sentence(),
            _ => self.comma(),
        }
    }

    /// Everything between two spaces.
    fn plain(&mut self, chunk: &str, at: usize) {
        let is_sign = |c: char| !c.is_alphanumeric() && c != '_';
        // A name may begin with a dot, and a value end with anything; those are read off the text by their place.
        let begun = chunk.trim_start_matches(|c| is_sign(c) && c != '.');
        let skipped = chunk.len() - begun.len();
        let raw = begun.trim_end_matches(is_sign);
        let after = &begun[raw.len()..];
        if raw.is_empty() {
            match chunk {
                "?" if self.count == 0 => self.push("?".to_owned(), false, at..at + 1),
                "+" => self.push("and".to_owned(), false, at..at + 1),
                "=" => self.push("=".to_owned(), false, at..at + 1),
                _ => {}
            }
        } else {
            self.push(raw.to_owned(), false, at + skipped..at + skipped + raw.len());
        }
        if after.contains(['.', '!', '?']) {
            self.end_sentence();
        } else if after.contains(':') {
            self.comma();
        }
    }

    fn push(&mut self, raw: String, quoted: bool, span: Range<usize>) {
        self.count += 1;
        let Some(sentence) = self.sentences.last_mut() else { return };
        let word = |raw: String, low: String| Word { raw, low, quoted, comma: false, span: span.clone() };
        if quoted {
            let low = raw.to_lowercase();
            return sentence.push(word(raw, low));
        }
        let low = raw.to_lowercase().replace('’', "'");
        sentence.extend(contraction(&low).into_iter().map(|low| word(raw.clone(), low)));
    }

    fn comma(&mut self) {
        if let Some(last) = self.sentences.last_mut().and_then(|sentence| sentence.last_mut()) {
            last.comma = true;
        }
    }

    fn end_sentence(&mut self) {
        if self.sentences.last().is_some_and(|sentence| !sentence.is_empty()) {
            self.sentences.push(Vec::new());
        }
    }
}

/// What is quoted at the start of a text, and how many bytes that takes with its marks.
fn quotation(text: &str) -> Option<(String, usize)> {
    let open = text.chars().next()?;
    let close = match open {
        '"' => return escaped(text),
        '\'' | '`' => open,
        '“' | '„' => '”',
        '‘' => '’',
        '«' => '»',
        _ => return None,
    };
    let inner = &text[open.len_utf8()..];
    let ends = |at: usize| inner[at + close.len_utf8()..].chars().next().is_none_or(|c| !c.is_alphanumeric());
    let end = inner.match_indices(close).map(|(at, _)| at).find(|at| ends(*at))?;
    Some((inner[..end].to_owned(), open.len_utf8() + end + close.len_utf8()))
}

/// What stands between `"` and `"`. Only what we write ourselves is taken for an escape: Windows has paths.
fn escaped(text: &str) -> Option<(String, usize)> {
    let mut raw = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek().map(|(_, c)| *c)) {
            ('"', _) => return Some((raw, at + 1)),
            ('\n', _) => return None,
            ('\\', Some(next)) if let Some(meant) = unescaped(next) => {
                raw.push(meant);
                chars.next();
            }
            _ => raw.push(c),
        }
    }
    None
}

fn unescaped(c: char) -> Option<char> {
    match c {
        '"' | '\\' => Some(c),
        'n' => Some('\n'),
        'r' => Some('\r'),
        _ => None,
    }
}

/// The same in quotation marks, so that it is read as it was.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The words that one stands for: `don't` for `do` and `not`, `redis's` for `redis`.
fn contraction(low: &str) -> Vec<String> {
    let words: &[&str] = match low {
        "can't" | "cannot" | "cant" => &["can", "not"],
        "won't" => &["will", "not"],
        "dont" => &["do", "not"],
        "doesnt" => &["does", "not"],
        "isnt" => &["is", "not"],
        "let's" | "lets" => &["let", "us"],
        "whats" => &["what", "is"],
        "hows" => &["how", "is"],
        "whos" => &["who", "is"],
        "wheres" => &["where", "is"],
        "gimme" => &["give", "me"],
        "wanna" => &["want", "to"],
        _ => &[],
    };
    if !words.is_empty() {
        return words.iter().map(|word| (*word).to_owned()).collect();
    }
    for (ending, word) in [("n't", "not"), ("'re", "are"), ("'m", "am"), ("'ll", "will"), ("'d", "would"), ("'ve", "have")] {
        if let Some(stem) = low.strip_suffix(ending)
            && !stem.is_empty()
        {
            return vec![stem.to_owned(), word.to_owned()];
        }
    }
    match low.strip_suffix("'s") {
        Some(stem @ ("what" | "where" | "who" | "how" | "that" | "it" | "there" | "when" | "why")) => {
            vec![stem.to_owned(), "is".to_owned()]
        }
        Some(stem) if !stem.is_empty() => vec![stem.to_owned()],
        _ => vec![low.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        let show = |word: Word| if word.quoted { format!("[{}]", word.raw) } else { word.low };
        let sentences = sentences(text).unwrap();
        sentences.into_iter().map(|sentence| sentence.into_iter().map(show).collect()).collect()
    }

    #[test]
    fn signs_case_and_contractions_do_not_count() {
        assert_eq!(
            read("Hey, DON’T (please) restart redis's cache!"),
            [["hey", "do", "not", "please", "restart", "redis", "cache"]]
        );
        assert_eq!(read("a.b 1.5 what's .env.local?"), [["a.b", "1.5", "what", "is", ".env.local"]]);
        assert_eq!(read("It is slow. Why?\nhelp"), [vec!["it", "is", "slow"], vec!["why"], vec!["help"]]);
    }

    #[test]
    fn what_is_quoted_is_one_word_and_what_is_cited_is_none() {
        assert_eq!(read(r#"say "a \"b\" c" and `d e`"#), [["say", r#"[a "b" c]"#, "and", "[d e]"]]);
        assert_eq!(read("he said\n> restart redis\n```\nstop it\n```\n"), [["he", "said"]]);
        assert_eq!(read("5\" disk"), [["5", "disk"]]);
    }

    #[test]
    fn quoting_is_undone_by_reading() {
        for text in ["", "a b", "\"", "\\", "\\n", "a\nb\r", "C:\\dir\\new", "“x”"] {
            let mut words = sentences(&quoted(text)).unwrap();
            assert_eq!(words.remove(0).remove(0).raw, text);
        }
    }
}
