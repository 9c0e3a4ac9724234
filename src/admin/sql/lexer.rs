//! Takes a statement apart into words, exactly as PostgreSQL does, and writes it again without anything to argue about.
//!
//! Two programs that read one text differently are how a guard is walked
//! around: a comment that ends earlier for the one, a quote that is escaped for
//! the other. So neither the parser nor the database gets the text that
//! somebody wrote. Both get what is written here: no comments, every string in
//! plain quotes, every word apart from the next. What cannot be written that
//! way is refused.

use std::{fmt::Write as _, iter::Peekable, str::CharIndices};

use super::guard::Refusal;

/// PostgreSQL cuts longer names off, so that one that is looked up is not the one that is called.
const NAME: usize = 63;
/// What operators are made of.
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";
/// Without one of these an operator does not end in `+` or `-`.
const ENDS_IN_SIGN: &str = "~!@#%^&|`?";

/// A word and the white space before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) word: Word,
    /// How far in it stood, if it began a line.
    indent: Option<usize>,
    /// A name as somebody spelled it.
    spelled: Option<String>,
}

/// One word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A keyword or a name, in small letters.
    Name(String),
    /// A name in double quotes.
    Quoted(String),
    /// A string, as its value.
    Text(String),
    /// `b'…'` or `x'…'`.
    Bits(char, String),
    /// A number, as it was written.
    Number(String),
    /// An operator.
    Operator(String),
    /// A bracket, a comma and the like.
    Mark(&'static str),
}

impl Token {
    /// A word that nobody wrote.
    pub(super) fn new(word: Word) -> Self {
        Self { word, indent: None, spelled: None }
    }

    /// A keyword that nobody wrote.
    pub(super) fn name(name: &str) -> Self {
        Self::new(Word::Name(name.to_owned()))
    }

    /// Whether it is this keyword, or a name of that spelling without quotes.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(&self.word, Word::Name(word) if word == name)
    }

    /// Whether it is this bracket, comma and the like.
    pub(super) fn is_mark(&self, mark: &str) -> bool {
        matches!(&self.word, Word::Mark(word) if *word == mark)
    }

    /// The name, if it may be one.
    pub(super) fn as_name(&self) -> Option<&str> {
        match &self.word {
            Word::Name(name) | Word::Quoted(name) => Some(name),
            Word::Text(_) | Word::Bits(..) | Word::Number(_) | Word::Operator(_) | Word::Mark(_) => None,
        }
    }
}

/// The words of a statement.
pub(super) fn tokens(sql: &str) -> Result<Vec<Token>, Refusal> {
    let mut lexer = Lexer { sql, rest: sql.char_indices().peekable(), indent: None, spelled: None };
    let mut tokens = Vec::new();
    while lexer.skip_space()? {
        let indent = lexer.indent.take();
        let word = lexer.word()?;
        let follows_text = tokens.last().is_some_and(|last: &Token| matches!(last.word, Word::Text(_) | Word::Bits(..)));
        if follows_text && matches!(word, Word::Text(_) | Word::Bits(..)) {
            return Err(Refusal::Unreadable("a string that goes on in a second pair of quotes".to_owned()));
        }
        tokens.push(Token { word, indent, spelled: lexer.spelled.take() });
    }
    Ok(tokens)
}

/// The statement again, for the parser, for the database and for people.
pub(super) fn write(tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut before: Option<&Token> = None;
    for token in tokens {
        match (before, token.indent) {
            (Some(_), Some(indent)) => {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent));
            }
            (Some(before), None) if !are_joined(before, token) => text.push(' '),
            (None, _) | (Some(_), None) => {}
        }
        match &token.spelled {
            Some(spelled) => text.push_str(spelled),
            None => write_word(&mut text, &token.word),
        }
        before = Some(token);
    }
    text
}

/// Whether it reads better without a space, and means the same.
fn are_joined(before: &Token, token: &Token) -> bool {
    let opens = |token: &Token| token.is_mark("(") || token.is_mark("[");
    let closes = |token: &Token| token.is_mark(")") || token.is_mark("]");
    let ends = |token: &Token| token.as_name().is_some() || closes(token);
    let is_call =
        token.is_mark("(") && ends(before) && !closes(before) && !matches!(&before.word, Word::Name(name) if is_spaced(name));
    // Next to a number a dot could be taken for a part of it.
    let is_dotted = (token.is_mark(".") && ends(before))
        || (before.is_mark(".") && (token.as_name().is_some() || token.word == Word::Operator("*".to_owned())));
    let is_cast = token.is_mark("::") || before.is_mark("::");
    opens(before)
        || closes(token)
        || token.is_mark(",")
        || is_call
        || is_dotted
        || is_cast
        || (token.is_mark("[") && ends(before))
}

/// Keywords that stand apart from a bracket in what people write.
fn is_spaced(name: &str) -> bool {
    matches!(
        name,
        "as" | "in"
            | "and"
            | "or"
            | "not"
            | "from"
            | "join"
            | "on"
            | "using"
            | "over"
            | "filter"
            | "where"
            | "by"
            | "select"
            | "values"
            | "when"
            | "then"
            | "else"
            | "lateral"
            | "union"
            | "except"
            | "intersect"
            | "all"
            | "group"
            | "explain"
            | "exists"
            | "materialized"
    )
}

fn write_word(text: &mut String, word: &Word) {
    let quoted = |text: &str, quote: char| text.replace(quote, &format!("{quote}{quote}"));
    let written = match word {
        Word::Name(name) | Word::Number(name) | Word::Operator(name) => write!(text, "{name}"),
        Word::Quoted(name) => write!(text, "\"{}\"", quoted(name, '"')),
        Word::Text(value) => write!(text, "'{}'", quoted(value, '\'')),
        Word::Bits(prefix, digits) => write!(text, "{prefix}'{digits}'"),
        Word::Mark(mark) => write!(text, "{mark}"),
    };
    written.expect("a string takes what is written to it");
}

struct Lexer<'a> {
    sql: &'a str,
    rest: Peekable<CharIndices<'a>>,
    indent: Option<usize>,
    spelled: Option<String>,
}

fn unreadable<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::Unreadable(what.to_owned()))
}

fn is_name_start(letter: char) -> bool {
    // PostgreSQL takes every byte above 0x7f for a letter; what does not look like one is not to be taken for a gap.
    letter.is_ascii_alphabetic() || letter == '_' || (!letter.is_ascii() && letter.is_alphanumeric())
}

fn is_name_part(letter: char) -> bool {
    is_name_start(letter) || letter.is_ascii_digit() || letter == '$'
}

impl Lexer<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, letter)| *letter)
    }

    fn next(&mut self) -> Option<char> {
        self.rest.next().map(|(_, letter)| letter)
    }

    /// Where the next letter stands.
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.sql.len(), |(at, _)| *at)
    }

    /// Whether this follows.
    fn sees(&mut self, text: &str) -> bool {
        let at = self.at();
        self.sql[at..].starts_with(text)
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(letter) = self.peek().filter(|letter| is_part(*letter)) {
            taken.push(letter);
            self.next();
        }
        taken
    }

    /// Leaves white space and comments behind. False at the end.
    fn skip_space(&mut self) -> Result<bool, Refusal> {
        loop {
            match self.peek() {
                None => return Ok(false),
                Some('\n') => {
                    self.next();
                    self.indent = Some(0);
                }
                Some(' ' | '\t' | '\r' | '\x0c') => {
                    self.next();
                    self.indent = self.indent.map(|indent| (indent + 1).min(40));
                }
                Some('-') if self.sees("--") => {
                    self.take_while(|letter| letter != '\n' && letter != '\r');
                }
                Some('/') if self.sees("/*") => self.skip_comment()?,
                Some(_) => return Ok(true),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Refusal> {
        let mut depth = 0_u32;
        loop {
            if self.sees("/*") {
                depth += 1;
            } else if self.sees("*/") {
                depth -= 1;
            } else if self.next().is_some() {
                continue;
            } else {
                return unreadable("a comment without an end");
            }
            self.next();
            self.next();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> Result<Word, Refusal> {
        let Some(letter) = self.peek() else { return unreadable("an end where a word should be") };
        for mark in ["::", "=>", "(", ")", "[", "]", ",", ";"] {
            // `=>` is an operator of its own, but not where more operator follows.
            if self.sees(mark) && (mark != "=>" || !self.sql[self.at() + 2..].starts_with(|next| OPERATOR.contains(next))) {
                for _ in mark.chars() {
                    self.next();
                }
                return Ok(Word::Mark(mark));
            }
        }
        match letter {
            '\'' => self.plain('\'').map(Word::Text),
            '"' => Ok(Word::Quoted(name(self.plain('"')?)?)),
            '$' => self.dollars(),
            '0'..='9' => self.number(),
            '.' if self.sql[self.at() + 1..].starts_with(|next: char| next.is_ascii_digit()) => self.number(),
            '.' => {
                self.next();
                if self.peek() == Some('.') { unreadable("two dots") } else { Ok(Word::Mark(".")) }
            }
            ':' => {
                self.next();
                if self.peek() == Some('=') { unreadable("an assignment") } else { Ok(Word::Mark(":")) }
            }
            letter if OPERATOR.contains(letter) => Ok(Word::Operator(self.operator())),
            letter if is_name_start(letter) => self.name_or_string(letter),
            letter => Err(Refusal::Unreadable(format!("the character U+{:04X}", u32::from(letter)))),
        }
    }

    /// A name, or a string whose kind is said before its quotes.
    fn name_or_string(&mut self, letter: char) -> Result<Word, Refusal> {
        let at = self.at();
        let rest = &self.sql[at + letter.len_utf8()..];
        match letter.to_ascii_lowercase() {
            'e' if rest.starts_with('\'') => {
                self.next();
                self.escaped().map(Word::Text)
            }
            kind @ ('b' | 'x') if rest.starts_with('\'') => {
                self.next();
                let digits = self.plain('\'')?;
                let is_digit = |digit: char| if kind == 'b' { matches!(digit, '0' | '1') } else { digit.is_ascii_hexdigit() };
                if digits.chars().all(is_digit) { Ok(Word::Bits(kind, digits)) } else { unreadable("digits that are none") }
            }
            'n' if rest.starts_with('\'') => unreadable("a string of the kind n'…'"),
            'u' if rest.starts_with("&'") || rest.starts_with("&\"") => {
                self.next();
                self.next();
                let quote = self.peek().unwrap_or('\'');
                let text = decode_unicode(&self.plain(quote)?)?;
                if quote == '"' { Ok(Word::Quoted(name(text)?)) } else { Ok(Word::Text(text)) }
            }
            _ => {
                let word = self.take_while(is_name_part);
                // As PostgreSQL does in UTF-8: other letters than ASCII stay as they are.
                let folded = name(word.to_ascii_lowercase())?;
                self.spelled = (folded != word).then_some(word);
                Ok(Word::Name(folded))
            }
        }
    }

    /// What is in quotes, where two of them stand for one.
    fn plain(&mut self, quote: char) -> Result<String, Refusal> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return unreadable("quotes without an end"),
                Some('\0') => return unreadable("a zero byte"),
                Some(letter) if letter != quote => text.push(letter),
                Some(_) if self.peek() == Some(quote) => {
                    self.next();
                    text.push(quote);
                }
                Some(_) => return Ok(text),
            }
        }
    }

    /// What is in the quotes of `e'…'`.
    fn escaped(&mut self) -> Result<String, Refusal> {
        self.next();
        let mut bytes = Vec::new();
        let mut letters = [0; 4];
        loop {
            let letter = match self.next() {
                None => return unreadable("quotes without an end"),
                Some('\'') if self.peek() == Some('\'') => {
                    self.next();
                    '\''
                }
                Some('\'') => break,
                Some('\\') => match self.next() {
                    Some('b') => '\x08',
                    Some('f') => '\x0c',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('x') if self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) => {
                        bytes.push(self.byte(16, 2, 0)?);
                        continue;
                    }
                    Some(digit @ '0'..='7') => {
                        bytes.push(self.byte(8, 2, digit.to_digit(8).unwrap_or(0))?);
                        continue;
                    }
                    Some('u') => self.code_point(4)?,
                    Some('U') => self.code_point(8)?,
                    Some(letter) => letter,
                    None => return unreadable("quotes without an end"),
                },
                Some(letter) => letter,
            };
            bytes.extend_from_slice(letter.encode_utf8(&mut letters).as_bytes());
        }
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => unreadable("a string that is no text"),
        }
    }

    /// Up to so many digits more of a byte.
    fn byte(&mut self, radix: u32, digits: usize, first: u32) -> Result<u8, Refusal> {
        let mut value = first;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|letter| letter.to_digit(radix)) else { break };
            value = value * radix + digit;
            self.next();
        }
        u8::try_from(value).or_else(|_| unreadable("an escape that is no byte"))
    }

    fn code_point(&mut self, digits: usize) -> Result<char, Refusal> {
        let mut value = 0_u32;
        for _ in 0..digits {
            let Some(digit) = self.next().and_then(|letter| letter.to_digit(16)) else {
                return unreadable("an escape that is no character");
            };
            value = value.wrapping_mul(16).wrapping_add(digit);
        }
        // Two halves of one character are left to those who can write it in one.
        char::from_u32(value).map_or_else(|| unreadable("an escape that is no character"), Ok)
    }

    /// `$tag$…$tag$`.
    fn dollars(&mut self) -> Result<Word, Refusal> {
        let rest = &self.sql[self.at()..];
        let end = rest[1..].find('$').map(|end| end + 2);
        let tag = end.map(|end| &rest[..end]).filter(|tag| {
            let inner = &tag[1..tag.len() - 1];
            let is_tag = |inner: &str| inner.starts_with(is_name_start) && inner.chars().all(is_name_part);
            inner.is_empty() || is_tag(inner)
        });
        let Some(tag) = tag else { return unreadable("a parameter") };
        let body = &rest[tag.len()..];
        let Some(length) = body.find(tag) else { return unreadable("quotes without an end") };
        let text = body[..length].to_owned();
        for _ in rest[..length + 2 * tag.len()].chars() {
            self.next();
        }
        if text.contains('\0') { unreadable("a zero byte") } else { Ok(Word::Text(text)) }
    }

    fn number(&mut self) -> Result<Word, Refusal> {
        let digits = |lexer: &mut Self| lexer.take_while(|letter| letter.is_ascii_digit());
        let mut number = digits(self);
        if self.peek() == Some('.') && !self.sees("..") {
            self.next();
            number.push('.');
            number.push_str(&digits(self));
        }
        if self.peek().is_some_and(|letter| matches!(letter, 'e' | 'E')) {
            self.next();
            number.push('e');
            if let Some(sign @ ('+' | '-')) = self.peek() {
                self.next();
                number.push(sign);
            }
            let exponent = digits(self);
            if exponent.is_empty() {
                return unreadable("a number with letters");
            }
            number.push_str(&exponent);
        }
        // Older versions take this for a number and a name, later ones for a mistake.
        if self.peek().is_some_and(|letter| is_name_part(letter) || letter == '.') {
            return unreadable("a number with letters");
        }
        Ok(Word::Number(number))
    }

    fn operator(&mut self) -> String {
        let rest = &self.sql[self.at()..];
        let length = rest.find(|letter| !OPERATOR.contains(letter)).unwrap_or(rest.len());
        // A comment may begin in the middle of what looks like one.
        let comment = ["--", "/*"].iter().filter_map(|comment| rest[..length].find(comment)).min();
        let mut operator = &rest[..comment.unwrap_or(length)];
        // Signs at the end belong to what follows.
        while operator.len() > 1 && operator.ends_with(['+', '-']) && !operator.contains(|letter| ENDS_IN_SIGN.contains(letter)) {
            operator = &operator[..operator.len() - 1];
        }
        for _ in operator.chars() {
            self.next();
        }
        operator.to_owned()
    }
}

fn name(name: String) -> Result<String, Refusal> {
    match name.len() {
        0 => unreadable("a name without letters"),
        length if length > NAME => unreadable("a name of more than 63 bytes"),
        _ => Ok(name),
    }
}

/// `\0041` and `\+000041` in what `u&'…'` quotes.
fn decode_unicode(text: &str) -> Result<String, Refusal> {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            decoded.push('\\');
            rest = after;
            continue;
        }
        let (digits, skip) = if rest.starts_with('+') { (6, 1) } else { (4, 0) };
        let hex = rest.get(skip..skip + digits).filter(|hex| hex.chars().all(|digit| digit.is_ascii_hexdigit()));
        let letter =
            hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32).filter(|letter| *letter != '\0');
        let Some(letter) = letter else { return unreadable("an escape that is no character") };
        decoded.push(letter);
        rest = &rest[skip + digits..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}
