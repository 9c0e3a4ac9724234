//! Texts out of texts: what hands slip, what merges leave behind, what attackers try.

use rand::{RngExt as _, rngs::StdRng};

use crate::engine::LONGEST;

/// What stands for something in nearly every language.
const SIGNS: &[&str] = &[
    "\"",
    "'",
    "`",
    "\\",
    "$",
    "${",
    "}",
    "{",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ";",
    ":",
    ",",
    "=",
    "#",
    "--",
    "/*",
    "*/",
    "|",
    "&",
    "*",
    "!",
    "?",
    "%",
    "@",
    "~",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "\0",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{feff}",
    "\u{2028}",
    "\u{200b}",
    "\u{202e}",
    "\u{fffd}",
    "é",
    "ß",
    "İ",
    "ﬀ",
    "🦀",
    "e\u{301}",
    "-",
    "0",
    "-1",
    "1e309",
    "18446744073709551616",
    "0x1F",
    "NaN",
    "null",
    "true",
    "~",
    "../",
    "//",
    "%00",
    "%0d%0a",
    "+",
    ".",
    "..",
];
/// What can be put into itself.
const NESTED: &[(&str, &str)] = &[
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("\"", "\""),
    ("'", "'"),
    ("${A:-", "}"),
    ("- ", ""),
    ("a {", "}"),
    ("NOT ", ""),
    ("<", ">"),
];

/// Makes texts at random.
pub struct Mutator<'a> {
    pub random: StdRng,
    pub corpus: &'a [Vec<u8>],
    pub words: &'a [&'a str],
}

impl Mutator<'_> {
    /// A text of the corpus with some changes; now and then one of words alone.
    pub fn text(&mut self) -> Vec<u8> {
        let mut text = if self.one_in(12) { self.of_words() } else { self.known().to_vec() };
        let changes = 1 << self.random.random_range(0..5_u32);
        for _ in 0..self.random.random_range(1..=changes) {
            self.change(&mut text);
        }
        text.truncate(LONGEST);
        text
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.random.random_range(0..many) == 0
    }

    fn known(&mut self) -> &[u8] {
        let at = self.random.random_range(0..self.corpus.len());
        &self.corpus[at]
    }

    fn of_words(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.random.random_range(1..30) {
            text.extend(self.piece());
            if self.one_in(2) {
                text.push(b' ');
            }
        }
        text
    }

    /// A word that means something, or a sign.
    fn piece(&mut self) -> Vec<u8> {
        let words = if self.one_in(2) || self.words.is_empty() { SIGNS } else { self.words };
        words[self.random.random_range(0..words.len())].as_bytes().to_vec()
    }

    /// Two places with not too much between them.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let begin = self.random.random_range(0..=length);
        let most = if self.one_in(4) { length } else { 24 };
        let end = (begin + self.random.random_range(0..=most)).min(length);
        begin..end
    }

    fn change(&mut self, text: &mut Vec<u8>) {
        let range = self.range(text.len());
        let at = range.start;
        match self.random.random_range(0..15) {
            0 | 1 => drop(text.drain(range)),
            2..=4 => insert(text, at, &self.piece()),
            5 => {
                let piece = self.piece();
                drop(text.splice(range, piece));
            }
            6 => {
                let copied = text[range].to_vec();
                let to = self.random.random_range(0..=text.len());
                insert(text, to, &copied);
            }
            7 => {
                let other = self.known().to_vec();
                let part = self.range(other.len());
                insert(text, at, &other[part]);
            }
            8 => {
                let other = self.known().to_vec();
                let rest = self.random.random_range(0..=other.len());
                text.truncate(at);
                text.extend(&other[rest..]);
            }
            9 => self.lines(text),
            10 => self.words_swapped(text),
            11 if !text.is_empty() => {
                let at = at.min(text.len() - 1);
                text[at] = if self.one_in(3) { self.random.random() } else { self.random.random_range(b' '..=b'~') };
            }
            12 => {
                let most = if self.one_in(8) { 13 } else { 5 };
                let copied = text[range].to_vec();
                let times = (1 << self.random.random_range(0..most)).min(LONGEST / copied.len().max(1));
                insert(text, at, &copied.repeat(times));
            }
            13 => {
                let most = if self.one_in(8) { 14 } else { 6 };
                let depth = 1 << self.random.random_range(0..most);
                let (open, close) = NESTED[self.random.random_range(0..NESTED.len())];
                insert(text, range.end, close.repeat(depth).as_bytes());
                insert(text, at, open.repeat(depth).as_bytes());
            }
            _ => text[range].iter_mut().for_each(|byte| {
                *byte = if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() }
            }),
        }
    }

    /// Two lines change places, or one is gone, or is there twice.
    fn lines(&mut self, text: &mut Vec<u8>) {
        let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.is_empty() {
            return;
        }
        let (one, other) = (self.random.random_range(0..lines.len()), self.random.random_range(0..lines.len()));
        match self.random.random_range(0..3) {
            0 => lines.swap(one, other),
            1 => drop(lines.remove(one)),
            _ => lines.insert(other, lines[one]),
        }
        *text = lines.concat();
    }

    fn words_swapped(&mut self, text: &mut Vec<u8>) {
        let mut words: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b' ').collect();
        if words.len() > 1 {
            let (one, other) = (self.random.random_range(0..words.len()), self.random.random_range(0..words.len()));
            words.swap(one, other);
            *text = words.concat();
        }
    }
}

fn insert(text: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let at = at.min(text.len());
    drop(text.splice(at..at, piece.iter().copied()));
}
