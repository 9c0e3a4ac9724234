//! What nginx makes of its files, as far as the simulated stacks have any.

use std::collections::{BTreeMap, BTreeSet};

use super::Answer;

/// All that is ever written there by Mooring or by people. Anything else is a mistake, as it is to nginx.
const KNOWN: &str = " access_log add_header client_max_body_size default_type error_page events http if include internal keepalive \
                     listen location proxy_connect_timeout proxy_http_version proxy_pass proxy_read_timeout proxy_send_timeout \
                     proxy_set_header return rewrite server server_name set upstream ";

/// Reads the files that an `include` means; none where one is missing.
pub type Read<'a> = &'a dyn Fn(&str) -> Option<Vec<(String, String)>>;

/// A configuration that nginx accepts.
#[derive(Clone, Debug, Default)]
pub struct Config {
    servers: Vec<Server>,
    groups: BTreeMap<String, Vec<String>>,
    /// The texts of the files that it is made of, but for the main one.
    pub texts: Vec<String>,
}

#[derive(Clone, Debug)]
struct Server {
    names: Vec<String>,
    is_default: bool,
    /// Where a path begins like this, or is this.
    locations: Vec<(String, bool, Action)>,
    otherwise: Option<Action>,
}

#[derive(Clone, Debug)]
enum Action {
    Pass(String),
    Return(u16),
}

struct Directive {
    words: Vec<String>,
    block: Option<Vec<Self>>,
}

impl Config {
    /// Reads a main file and everything that it includes.
    pub fn load(main: &str, read: Read<'_>) -> Result<Self, String> {
        let mut config = Self::default();
        let parsed = config.parse(main, read)?;
        for http in parsed.iter().filter(|directive| directive.words[0] == "http") {
            for directive in http.block.iter().flatten() {
                config.take(directive)?;
            }
        }
        config.check()?;
        Ok(config)
    }

    /// What somebody gets who asks for this.
    pub fn answer(&self, host: &str, path: &str) -> Answer {
        let by_name = self.servers.iter().find(|server| server.names.iter().any(|name| name == host));
        let default = || self.servers.iter().find(|server| server.is_default).or(self.servers.first());
        let Some(server) = by_name.or_else(default) else { return Answer::Nobody };
        let fits = |(beginning, is_exact, _): &&(String, bool, Action)| {
            if *is_exact { path == beginning } else { path.starts_with(beginning.as_str()) }
        };
        let best = server.locations.iter().filter(fits).max_by_key(|(beginning, is_exact, _)| (*is_exact, beginning.len()));
        match best.map(|(.., action)| action).or(server.otherwise.as_ref()) {
            Some(Action::Return(status)) => Answer::Status(*status),
            Some(Action::Pass(group)) => Answer::From(self.groups.get(group).cloned().unwrap_or_default()),
            None => Answer::Status(404),
        }
    }

    fn parse(&mut self, text: &str, read: Read<'_>) -> Result<Vec<Directive>, String> {
        let mut words = words(text)?.into_iter();
        let (directives, closed) = self.block(&mut words, read)?;
        if closed { Err("unexpected \"}\"".to_owned()) } else { Ok(directives) }
    }

    fn block(&mut self, words: &mut dyn Iterator<Item = Word>, read: Read<'_>) -> Result<(Vec<Directive>, bool), String> {
        let (mut directives, mut sentence) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word {
                Word::Text(text) => sentence.push(text),
                Word::Close if sentence.is_empty() => return Ok((directives, true)),
                Word::Close => return Err("unexpected \"}\"".to_owned()),
                Word::Open | Word::End => {
                    let spoken = std::mem::take(&mut sentence);
                    let Some(name) = spoken.first() else { return Err("unexpected \";\"".to_owned()) };
                    if !KNOWN.contains(&format!(" {name} ")) {
                        return Err(format!("unknown directive \"{name}\""));
                    }
                    if name == "include" {
                        directives.extend(self.include(spoken.get(1).map_or("", String::as_str), read)?);
                        continue;
                    }
                    let block = if word == Word::Open { Some(self.inner(words, read)?) } else { None };
                    directives.push(Directive { words: spoken, block });
                }
            }
        }
        if sentence.is_empty() { Ok((directives, false)) } else { Err("unexpected end of file, expecting \";\"".to_owned()) }
    }

    fn inner(&mut self, words: &mut dyn Iterator<Item = Word>, read: Read<'_>) -> Result<Vec<Directive>, String> {
        let (directives, closed) = self.block(words, read)?;
        if closed { Ok(directives) } else { Err("unexpected end of file, expecting \"}\"".to_owned()) }
    }

    fn include(&mut self, path: &str, read: Read<'_>) -> Result<Vec<Directive>, String> {
        let files = read(path).ok_or_else(|| format!("open() \"{path}\" failed (2: No such file or directory)"))?;
        let mut directives = Vec::new();
        for (path, text) in files {
            let parsed = self.parse(&text, read).map_err(|message| format!("{message} in {path}"))?;
            directives.extend(parsed);
            self.texts.push(text);
        }
        Ok(directives)
    }

    fn take(&mut self, directive: &Directive) -> Result<(), String> {
        let (Some(block), name) = (&directive.block, directive.words[0].as_str()) else { return Ok(()) };
        let argument = directive.words.get(1).cloned().unwrap_or_default();
        if name == "upstream" {
            let servers: Vec<String> =
                block.iter().filter(|inner| inner.words[0] == "server").map(|inner| inner.words[1].clone()).collect();
            if servers.is_empty() {
                return Err(format!("no servers are inside upstream \"{argument}\""));
            }
            if self.groups.insert(argument.clone(), servers).is_some() {
                return Err(format!("duplicate upstream \"{argument}\""));
            }
        }
        if name == "server" {
            self.servers.push(server(block)?);
        }
        Ok(())
    }

    /// What can only be said of all files together.
    fn check(&self) -> Result<(), String> {
        let actions = self.servers.iter().flat_map(|server| &server.locations).map(|(.., action)| action);
        for action in actions {
            if let Action::Pass(group) = action
                && !self.groups.contains_key(group)
            {
                return Err(format!("host not found in upstream \"{group}\""));
            }
        }
        let defaults = self.servers.iter().filter(|server| server.is_default).count();
        if defaults > 1 { Err("a duplicate default server for 0.0.0.0:80".to_owned()) } else { Ok(()) }
    }
}

fn server(block: &[Directive]) -> Result<Server, String> {
    let mut server = Server { names: Vec::new(), is_default: false, locations: Vec::new(), otherwise: action(block) };
    let mut known = BTreeSet::new();
    for directive in block {
        match directive.words[0].as_str() {
            "server_name" => server.names.extend(directive.words[1..].iter().cloned()),
            "listen" => server.is_default |= directive.words.iter().any(|word| word == "default_server"),
            "location" => {
                let path = directive.words.last().cloned().unwrap_or_default();
                let is_exact = directive.words[1] == "=";
                if !known.insert((path.clone(), is_exact)) {
                    return Err(format!("duplicate location \"{path}\""));
                }
                server.locations.extend(directive.block.as_deref().and_then(action).map(|action| (path, is_exact, action)));
            }
            _ => {}
        }
    }
    Ok(server)
}

/// What a block does with a request.
fn action(block: &[Directive]) -> Option<Action> {
    block.iter().find_map(|directive| match directive.words[0].as_str() {
        "return" => directive.words.get(1)?.parse().ok().map(Action::Return),
        "proxy_pass" => Some(Action::Pass(directive.words.get(1)?.trim_start_matches("http://").to_owned())),
        _ => None,
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Text(String),
    Open,
    Close,
    End,
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let (mut words, mut letters) = (Vec::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '#' => while letters.next_if(|letter| *letter != '\n').is_some() {},
            ';' => words.push(Word::End),
            '{' => words.push(Word::Open),
            '}' => words.push(Word::Close),
            '"' | '\'' => {
                let mut word = String::new();
                loop {
                    match letters.next() {
                        Some(end) if end == letter => break,
                        Some('\\') => word.extend(letters.next()),
                        Some(inner) => word.push(inner),
                        None => return Err("unexpected end of file, expecting a quote".to_owned()),
                    }
                }
                words.push(Word::Text(word));
            }
            letter if letter.is_whitespace() => {}
            letter => {
                let mut word = String::from(letter);
                while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace() && !";{}".contains(*letter)) {
                    word.push(letter);
                }
                words.push(Word::Text(word));
            }
        }
    }
    Ok(words)
}
