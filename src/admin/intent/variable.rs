//! Variables: setting, removing and looking at them.
//!
//! A value is taken off the text as it was written, sign for sign; only what is around it is read as words.

use super::{
    Context, Intent, Understood, Value, act, lexicon, objects, phrases,
    words::{Word, starts},
};
use crate::secret::mask::may_be_secret;

/// Words that say that a variable's name follows.
const SAYS_SO: &[&str] = &["variable", "var", "env", "environment", "key", "setting"];

/// Names of this form that are no variables.
const ACRONYMS: &[&str] = &[
    "CPU", "RAM", "SQL", "HTTP", "HTTPS", "URL", "URLS", "API", "DNS", "TLS", "SSL", "UTC", "LLM", "AI", "OK", "JSON", "DB",
    "IP", "SMTP", "S3", "GPU", "ASAP", "OOM",
];

/// What stands behind a name and is not its value.
const NO_VALUE: &[&str] = &["in", "for", "of", "on", "from", "at", "and", "or", "back", "up", "please", "to", "=", "as", "equal"];

/// Whether a variable can have this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Context<'_> {
    /// The change of a variable that a sentence asks for.
    pub(super) fn variable(&self, words: &[Word]) -> Option<Understood> {
        let first = words.first()?;
        if first.is_one_of(&[
            "set",
            "change",
            "update",
            "make",
            "export",
            "add",
            "put",
            "switch",
            "define",
            "assign",
            "configure",
        ]) {
            let at_once = first.is_one_of(&["set", "define", "configure", "assign"]);
            return self.set(&words[1..], at_once).or_else(|| self.given(words).filter(|_| first.is("put")));
        }
        if first.is_one_of(&["use", "store", "save", "take"]) {
            return self.given(words);
        }
        if self.text[first.span.start..]
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')
            .trim_start()
            .starts_with('=')
            && self.is_key(first.raw.split('=').next().unwrap_or_default(), false)
        {
            return self.set(words, false);
        }
        if first.is_one_of(&["unset", "remove", "delete", "drop", "clear"]) {
            let (rest, said_so) = introduced(&words[1..]);
            let (key, rest) = rest.split_first()?;
            let is_key = self.is_key(&key.raw, said_so || first.is("unset"));
            let is_all = rest.is_empty() || file(rest).is_some();
            return (is_key && is_all).then(|| Intent::EnvUnset { key: key.raw.clone() }.into());
        }
        None
    }

    /// "Use VALUE as NAME", "put VALUE into NAME".
    fn given(&self, words: &[Word]) -> Option<Understood> {
        let behind = words.iter().rposition(|word| word.is_one_of(&["as", "into", "for"])).filter(|at| *at > 1)?;
        let (rest, said_so) = introduced(&words[behind + 1..]);
        let (key, rest) = rest.split_first()?;
        let file = file(rest);
        if !self.is_key(&key.raw, said_so) || !rest.is_empty() && file.is_none() {
            return None;
        }
        let value = match &words[1..behind] {
            [word] if word.quoted => word.raw.clone(),
            [first, ..] => self.text[first.span.start..words[behind].span.start].trim().to_owned(),
            [] => return None,
        };
        let in_doubt = behind > 2;
        let set = Intent::EnvSet { key: key.raw.clone(), value: Value::new(value), file };
        Some(if in_doubt { act::ask(format!("Shall {} be set to all of this?", key.raw), vec![set]) } else { set.into() })
    }

    /// "The password of db": the variable that it stands in has a name, which we do not guess.
    fn which_secret(&self, words: &[Word]) -> Option<Understood> {
        let to = words.iter().position(|word| word.is_one_of(&["to", "="]))?;
        let spoken = ["password", "secret", "token", "passphrase", "key", "credentials"];
        words[..to].iter().find(|word| word.is_one_of(&spoken)).filter(|_| to + 1 < words.len())?;
        let telling = self.vocabulary.variables().filter(|name| may_be_secret(name, ""));
        let shown: Vec<Intent> = telling.take(objects::CANDIDATES).map(|name| Intent::EnvShow { key: name.to_owned() }).collect();
        let question = "In which variable does it stand? I set one by its name, as in `set DB_PASSWORD to …`.";
        (!shown.is_empty()).then(|| act::ask(question.to_owned(), shown))
    }

    /// What is set, in the words behind the one that says so; its value may follow at once, where that word allows for it.
    fn set(&self, words: &[Word], at_once: bool) -> Option<Understood> {
        let (rest, said_so) = introduced(words);
        let (first, mut rest) = rest.split_first()?;
        // The sentence may go on behind the last of its words: `A=b!` and `A=` end with signs.
        let start = first.span.start;
        let line = &self.text[start..];
        let line = line.lines().next().unwrap_or_default();
        let name = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
        if !first.quoted && line[name..].starts_with('=') {
            let key = &line[..name];
            return self.is_key(key, true).then(|| self.assigned(key, start + name + 1, start + line.len()));
        }
        // What is quoted is announced, or it is no name.
        let is_whole = if first.quoted { said_so } else { first.raw.len() == name };
        if !self.is_key(&first.raw, said_so) || !is_whole {
            return self.which_secret(words);
        }
        if rest.first().is_some_and(|word| word.is("from")) {
            rest = &rest[rest.iter().position(|word| word.is("to"))?..];
        }
        if at_once && rest.first().is_some_and(|word| word.quoted || !word.is_one_of(NO_VALUE)) {
            return Some(self.assigned(&first.raw, first.span.end, start + line.len()));
        }
        let to = rest.first().filter(|word| word.is_one_of(&["to", "=", "as", "equal"]))?;
        let begin = if starts(rest, "equal to") { rest.get(1)?.span.end } else { to.span.end };
        if rest.len() < 2 {
            return None;
        }
        // Who does not say that it is a variable does not say either how exactly it is written.
        let known = first.raw.to_uppercase();
        let is_other = !said_so && !self.vocabulary.has_variable(&first.raw) && self.vocabulary.has_variable(&known);
        Some(self.assigned(if is_other { &known } else { &first.raw }, begin, start + line.len()))
    }

    /// The value that stands between two places of the text, without what is said about it behind.
    fn assigned(&self, key: &str, begin: usize, end: usize) -> Understood {
        let said = self.text[begin..end].trim();
        let begin = end - self.text[begin..end].trim_start().len();
        let quoted = super::words::following(said)
            .and_then(|sentences| sentences.into_iter().next())
            .and_then(|mut words| (!words.is_empty() && words[0].quoted && words[0].span.start == 0).then(|| words.remove(0)));
        let is_quoted = quoted.is_some();
        let (value, behind) = if let Some(word) = quoted {
            (word.raw, &self.text[begin + word.span.end..end])
        } else {
            let value = unquoted(said);
            (value.to_owned(), &said[value.len()..])
        };
        let Some(after) = super::words::following(behind) else { return Understood::Unknown };
        let mut after = after.concat();
        lexicon::mend(&mut after, self.vocabulary);
        let after = phrases::stripped(&after);
        let file = file(after);
        if !after.is_empty() && file.is_none() {
            return Understood::Unknown;
        }
        // What goes on with a quotation mark in it may begin or end elsewhere than we think.
        let in_doubt = !is_quoted && value.contains(char::is_whitespace);
        let set = Intent::EnvSet { key: key.to_owned(), value: Value::new(value), file };
        if in_doubt {
            return act::ask(format!("Shall {key} be set to all of this?"), vec![set]);
        }
        set.into()
    }

    /// The variable that a question is about.
    pub(super) fn asked_variable(&self, words: &[Word]) -> Option<Intent> {
        let asks = words[0]
            .is_one_of(&["show", "what", "print", "get", "echo", "display", "tell", "value", "is", "read", "give", "see", "env"]);
        if !asks {
            return None;
        }
        // "The log level" is `LOG_LEVEL`, where there is one.
        let spoken = words.windows(2).find_map(|pair| {
            let key = format!("{}_{}", pair[0].low, pair[1].low).to_uppercase();
            (!pair[0].quoted && !pair[1].quoted && self.vocabulary.has_variable(&key)).then_some(Intent::EnvShow { key })
        });
        spoken.or_else(|| {
            words.iter().enumerate().find_map(|(at, word)| {
                let announced = at > 0 && words[at - 1].is_one_of(&["variable", "var", "env"]);
                let said_so = announced && (word.quoted || !lexicon::is_known(&word.low));
                let is_key = (said_so || !word.quoted) && self.is_key(&word.raw, said_so);
                is_key.then(|| Intent::EnvShow { key: word.raw.clone() })
            })
        })
    }

    /// "Show the variables": each by its name, since that is how they are asked about.
    pub(super) fn all_variables(&self, words: &[Word]) -> Option<Understood> {
        let is_all = words.iter().all(|word| {
            word.is_one_of(&[
                "show",
                "list",
                "print",
                "me",
                "all",
                "the",
                "my",
                "env",
                "environment",
                "variable",
                "variables",
                "vars",
            ])
        });
        let named = words.iter().any(|word| word.is_one_of(&["env", "variables", "vars"]));
        let each: Vec<Intent> =
            self.vocabulary.variables().take(objects::CANDIDATES).map(|key| Intent::EnvShow { key: key.to_owned() }).collect();
        (is_all && named && !each.is_empty()).then(|| act::ask("Which variable?".to_owned(), each))
    }

    /// Whether this is a variable's name. Who shouts may mean a word; a name with `_` in it is none of the language.
    fn is_key(&self, raw: &str, said_so: bool) -> bool {
        let is_capital = raw.len() > 1 && raw.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let shouts = !self.text.chars().any(char::is_lowercase);
        let is_word = lexicon::is_known(&raw.to_lowercase()) || ACRONYMS.contains(&raw);
        is_name(raw)
            && (said_so
                || self.vocabulary.has_variable(raw)
                || is_capital && raw.contains('_')
                || is_capital && !shouts && !is_word
                || raw.contains('_') && self.vocabulary.has_variable(&raw.to_uppercase()))
    }
}

/// The file that `in the .env.local file` speaks of, if that is all that these words say.
fn file(words: &[Word]) -> Option<String> {
    let [first, rest @ ..] = words else { return None };
    if !first.is_one_of(&["in", "into", "to", "from", "inside"]) {
        return None;
    }
    let rest = objects::without_articles(rest);
    let rest = match rest {
        [rest @ .., last] if last.is("file") && !rest.is_empty() => rest,
        [first, rest @ ..] if first.is("file") && !rest.is_empty() => rest,
        rest => rest,
    };
    let [file] = rest else { return None };
    let is_file = file.quoted || file.raw.split('.').any(|part| part == "env");
    (is_file && !file.raw.is_empty()).then(|| file.raw.clone())
}

/// The words after "the value of the environment variable", and whether they were announced so.
fn introduced(words: &[Word]) -> (&[Word], bool) {
    let mut words = words;
    let mut said_so = false;
    while words.len() > 1 {
        let [first, rest @ ..] = words else { break };
        // A variable can have such a name itself.
        if rest[0].is_one_of(&["to", "="]) {
            break;
        }
        if first.is_one_of(SAYS_SO) {
            said_so = true;
        } else if !first.is_one_of(&["the", "value", "of", "called", "named"]) {
            break;
        }
        words = rest;
    }
    (words, said_so)
}

/// The value at the beginning of what was said: up to where a file or thanks are named.
fn unquoted(said: &str) -> &str {
    let mut end = said.len();
    for behind in [" in the ", " in .", " in \"", " into ", " inside ", " please", " pls", " thanks", " thank you", " now"] {
        if let Some(at) = said.to_ascii_lowercase().find(behind)
            && (!behind.starts_with(" in") || said[at..].contains("env") || behind == " in \"")
        {
            end = end.min(at);
        }
    }
    let value = said[..end].trim_end();
    // A full stop ends the sentence, and a comma goes on; other signs are found in passwords.
    value.strip_suffix(['.', ',']).filter(|value| !value.is_empty()).unwrap_or(value)
}
