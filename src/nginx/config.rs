//! The text of one configuration file → its directives, each with its place.
//!
//! Nothing is lost: every byte belongs to one token, and a change replaces a
//! range of the text, so that what is not meant to change cannot. Words end
//! where nginx says that they end (`ngx_conf_read_token`), which is not where
//! one would think: a quote inside a word is part of it, `}` inside a word too,
//! and a comment can begin right behind a `;`. The parsers that there are for
//! this take such files for broken, or a comment for a directive.

use std::{iter::Peekable, ops::Range, vec};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line ends.
    Space,
    /// From `#` up to the line's end.
    Comment,
    /// A directive's name or an argument, with its quotes.
    Word,
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
    /// What is between the braces of a block of Lua.
    Raw,
}

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// A name or an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its value as nginx sees it: without quotes and escapes.
    pub value: String,
    /// Where it is, quotes included.
    pub range: Range<usize>,
}

/// A directive with everything that is in its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name.
    pub name: Word,
    /// Its arguments.
    pub arguments: Vec<Word>,
    /// From its name to its `;` or `}`, both included.
    pub range: Range<usize>,
    /// The line of its name, counted from one.
    pub line: usize,
    /// Its block, if it has one.
    pub block: Option<Block>,
}

impl Directive {
    /// Whether it is of this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.value == name
    }

    /// The value of an argument, counted from zero.
    #[must_use]
    pub fn argument(&self, number: usize) -> Option<&str> {
        self.arguments.get(number).map(|word| word.value.as_str())
    }

    /// The directives in its block; none without one.
    #[must_use]
    pub fn children(&self) -> &[Directive] {
        self.block.as_ref().map_or(&[], |block| &block.directives)
    }
}

/// What is between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Between the braces, which are not included.
    pub inside: Range<usize>,
    /// The directives.
    pub directives: Vec<Directive>,
}

/// A file that nginx could read, as far as its form goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    text: String,
    tokens: Vec<Token>,
    /// The directives at the top of the file.
    pub directives: Vec<Directive>,
}

/// The form is not that of an nginx configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Error {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// nginx itself has no limit; nobody nests deeper, and the stack has one.
const MAX_DEPTH: usize = 100;

impl Config {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines = Lines::of(text);
        let tokens = Lexer { text, position: 0, lines: &lines }.tokens()?;
        let mut parser = Parser { text, lines: &lines, tokens: tokens.clone().into_iter().peekable() };
        let directives = parser.directives(0)?;
        Ok(Self { text: text.to_owned(), tokens, directives })
    }

    /// The text, put together from its tokens.
    #[must_use]
    pub fn print(&self) -> String {
        self.tokens.iter().map(|token| &self.text[token.range.clone()]).collect()
    }

    /// The text as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tokens, which cover the text without gaps.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The first line without its end.
    #[must_use]
    pub fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The number of the line that a byte is on, counted from one.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        Lines::of(&self.text[..offset]).number(offset)
    }
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn number(&self, offset: usize) -> usize {
        self.0.partition_point(|begin| *begin <= offset)
    }
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
    lines: &'a Lines,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<Token>, Error> {
        let mut tokens: Vec<Token> = Vec::new();
        // The name of the directive that is being read, while one is.
        let mut name: Option<Range<usize>> = None;
        while let Some(byte) = self.byte(0) {
            let begin = self.position;
            let kind = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.space(),
                b'#' => self.comment(),
                b';' => self.one(TokenKind::End),
                b'{' => self.one(TokenKind::Open),
                // Only where a directive can begin; as an argument it would be a word to nginx, and then an error.
                b'}' => self.one(TokenKind::Close),
                _ => self.word()?,
            };
            tokens.push(Token { kind, range: begin..self.position });
            match kind {
                TokenKind::Word => {
                    name.get_or_insert(begin..self.position);
                }
                TokenKind::Open => {
                    if name.take().is_some_and(|name| self.text[name].ends_with("_by_lua_block")) {
                        tokens.push(self.raw()?);
                    }
                }
                TokenKind::End | TokenKind::Close => name = None,
                TokenKind::Space | TokenKind::Comment | TokenKind::Raw => {}
            }
        }
        Ok(tokens)
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position + ahead).copied()
    }

    fn one(&mut self, kind: TokenKind) -> TokenKind {
        self.position += 1;
        kind
    }

    fn space(&mut self) -> TokenKind {
        while self.byte(0).is_some_and(is_space) {
            self.position += 1;
        }
        TokenKind::Space
    }

    fn comment(&mut self) -> TokenKind {
        while self.byte(0).is_some_and(|byte| byte != b'\n') {
            self.position += 1;
        }
        TokenKind::Comment
    }

    fn word(&mut self) -> Result<TokenKind, Error> {
        match self.byte(0) {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
            _ => self.bare()?,
        }
        Ok(TokenKind::Word)
    }

    fn quoted(&mut self, quote: u8) -> Result<(), Error> {
        let begin = self.position;
        self.position += 1;
        loop {
            match self.byte(0) {
                None => return Err(self.error(begin, "this quote is not closed")),
                Some(b'\\') => self.escape(),
                Some(byte) if byte == quote => break,
                Some(_) => self.position += 1,
            }
        }
        self.position += 1;
        // `)` is for conditions; it begins a word of its own.
        match self.byte(0) {
            Some(byte) if !is_space(byte) && !matches!(byte, b';' | b'{' | b')') => {
                Err(self.error(self.position, "a blank or a semicolon is missing behind a quote"))
            }
            _ => Ok(()),
        }
    }

    fn bare(&mut self) -> Result<(), Error> {
        let begin = self.position;
        let mut variable = false;
        loop {
            match self.byte(0) {
                None => return Err(self.error(begin, "the file ends in the middle of a directive")),
                // `${name}`
                Some(b'{') if variable => self.position += 1,
                Some(byte) if is_space(byte) || matches!(byte, b';' | b'{') => return Ok(()),
                Some(b'\\') => {
                    variable = false;
                    self.escape();
                }
                Some(byte) => {
                    variable = byte == b'$';
                    self.position += 1;
                }
            }
        }
    }

    /// A backslash and what is behind it, whatever that is.
    fn escape(&mut self) {
        self.position += 1;
        let escaped = self.text[self.position..].chars().next();
        self.position += escaped.map_or(0, char::len_utf8);
    }

    /// Lua up to the brace that closes its block, which is left.
    fn raw(&mut self) -> Result<Token, Error> {
        let begin = self.position;
        let mut depth = 0usize;
        loop {
            match self.byte(0) {
                None => return Err(self.error(begin, "this block is not closed")),
                Some(b'}') if depth == 0 => return Ok(Token { kind: TokenKind::Raw, range: begin..self.position }),
                Some(b'}') => depth -= 1,
                Some(b'{') => depth += 1,
                Some(b'-') if self.byte(1) == Some(b'-') => {
                    self.position += 2;
                    if !self.long_bracket() {
                        self.comment();
                    }
                    continue;
                }
                Some(b'[') if self.long_bracket() => continue,
                Some(quote @ (b'"' | b'\'')) => {
                    self.lua_string(quote);
                    continue;
                }
                Some(_) => {}
            }
            self.position += 1;
        }
    }

    /// Steps over `[[ … ]]` or `[=[ … ]=]` if one begins here.
    fn long_bracket(&mut self) -> bool {
        let rest = &self.text[self.position..];
        let Some(inner) = rest.strip_prefix('[') else { return false };
        let level = inner.len() - inner.trim_start_matches('=').len();
        if !inner[level..].starts_with('[') {
            return false;
        }
        let closing = format!("]{}]", "=".repeat(level));
        let length = rest.find(&closing).map_or(rest.len(), |at| at + closing.len());
        self.position += length;
        true
    }

    fn lua_string(&mut self, quote: u8) {
        self.position += 1;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\\' => self.escape(),
                _ => self.position += 1,
            }
            if byte == quote || byte == b'\n' {
                return;
            }
        }
    }

    fn error(&self, offset: usize, message: &str) -> Error {
        Error { line: self.lines.number(offset), message: message.to_owned() }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

struct Parser<'a> {
    text: &'a str,
    lines: &'a Lines,
    tokens: Peekable<vec::IntoIter<Token>>,
}

impl Parser<'_> {
    /// Directives up to the end of the block, whose brace is left, or of the file.
    fn directives(&mut self, depth: usize) -> Result<Vec<Directive>, Error> {
        let mut directives = Vec::new();
        while let Some(token) = self.peek() {
            match token.kind {
                TokenKind::Word => directives.push(self.directive(depth)?),
                TokenKind::Close if depth > 0 => return Ok(directives),
                TokenKind::Close => return Err(self.error(token.range.start, "there is no block for this } to close")),
                TokenKind::End => return Err(self.error(token.range.start, "there is no directive before this semicolon")),
                TokenKind::Open => return Err(self.error(token.range.start, "there is no directive before this {")),
                TokenKind::Space | TokenKind::Comment | TokenKind::Raw => unreachable!("peek steps over them"),
            }
        }
        Ok(directives)
    }

    fn directive(&mut self, depth: usize) -> Result<Directive, Error> {
        let mut words = Vec::new();
        let begin = self.peek().map_or(self.text.len(), |token| token.range.start);
        let line = self.lines.number(begin);
        let (block, end) = loop {
            let Some(token) = self.peek() else {
                return Err(self.error(begin, "the file ends before the ; of this directive"));
            };
            self.tokens.next();
            match token.kind {
                TokenKind::Word => words.push(Word { value: value(&self.text[token.range.clone()]), range: token.range }),
                TokenKind::End => break (None, token.range.end),
                TokenKind::Open => break self.block(&token, depth)?,
                TokenKind::Close => return Err(self.error(begin, "the block ends before the ; of this directive")),
                TokenKind::Space | TokenKind::Comment | TokenKind::Raw => unreachable!("peek steps over them"),
            }
        };
        let mut words = words.into_iter();
        let name = words.next().expect("a directive begins with a word");
        Ok(Directive { name, arguments: words.collect(), range: begin..end, line, block })
    }

    /// A block whose brace was just read, and where it ends.
    fn block(&mut self, open: &Token, depth: usize) -> Result<(Option<Block>, usize), Error> {
        if depth == MAX_DEPTH {
            return Err(self.error(open.range.start, "blocks are nested too deep"));
        }
        let directives = self.directives(depth + 1)?;
        let Some(close) = self.tokens.next() else {
            return Err(self.error(open.range.start, "this block is not closed"));
        };
        let inside = open.range.end..close.range.start;
        Ok((Some(Block { inside, directives }), close.range.end))
    }

    /// The next token that means something, which is left where it is.
    fn peek(&mut self) -> Option<Token> {
        let means_nothing = |token: &Token| matches!(token.kind, TokenKind::Space | TokenKind::Comment | TokenKind::Raw);
        while self.tokens.next_if(means_nothing).is_some() {}
        self.tokens.peek().cloned()
    }

    fn error(&self, offset: usize, message: &str) -> Error {
        Error { line: self.lines.number(offset), message: message.to_owned() }
    }
}

/// A word's value: nginx takes its quotes off, and backslashes before what would have ended it.
fn value(word: &str) -> String {
    let bare = match word.as_bytes() {
        [b'"', .., b'"'] | [b'\'', .., b'\''] => &word[1..word.len() - 1],
        _ => word,
    };
    let mut value = String::with_capacity(bare.len());
    let mut characters = bare.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = match (character, characters.peek()) {
            ('\\', Some(quote @ ('"' | '\'' | '\\'))) => Some(*quote),
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('r')) => Some('\r'),
            ('\\', Some('n')) => Some('\n'),
            _ => None,
        };
        if escaped.is_some() {
            characters.next();
        }
        value.push(escaped.unwrap_or(character));
    }
    value
}
