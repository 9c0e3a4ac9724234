//! What a command is about: the services that its words name, and nothing else.

use super::{Context, Understood, lexicon, vocabulary::Found, words::Word};

/// More to choose from is no choice.
pub(super) const CANDIDATES: usize = 8;

impl Context<'_> {
    /// The services that these words name, and nothing else.
    pub(super) fn objects(&self, words: &[Word]) -> Objects {
        let words = without_articles(words);
        match words {
            [] => return Objects::Which,
            [word] if word.is_one_of(&["it", "that", "this", "them", "those", "one", "something", "service", "container"]) => {
                return Objects::Which;
            }
            [first, rest @ ..] if first.is_one_of(&["everything", "all", "every", "everyone", "everybody", "anything"]) => {
                let is_whole = rest.iter().all(|word| {
                    !word.quoted
                        && (word
                            .is_one_of(&["of", "the", "my", "our", "it", "them", "stack", "host", "machine", "here", "system"])
                            || lexicon::is_generic(&word.low))
                });
                return if is_whole { Objects::All } else { Objects::Most };
            }
            _ => {}
        }
        if words
            .iter()
            .all(|word| word.is_one_of(&["whole", "entire", "stack", "host", "server", "machine", "system", "box", "services"]))
        {
            return Objects::All;
        }
        let mut named = Vec::new();
        for segment in segments(words) {
            match self.object(segment) {
                Ok(choice) => named.push(choice),
                Err(understood) => return Objects::Missing(*understood),
            }
        }
        if named.is_empty() { Objects::Which } else { Objects::Named(named) }
    }

    fn object(&self, words: &[Word]) -> Result<Choice, Box<Understood>> {
        let words = without_articles(words);
        match self.vocabulary.resolve(words) {
            Found::One { service, sure } => return Ok(Choice { services: vec![service], sure }),
            Found::Several(services) => return Ok(Choice { services, sure: false }),
            Found::Nothing => {}
        }
        let names: Vec<_> = words.iter().filter(|word| word.quoted || !lexicon::is_generic(&word.low)).collect();
        let [name] = names.as_slice() else { return Err(Box::new(Understood::Unknown)) };
        if !name.quoted && lexicon::is_known(&name.low) {
            return Err(Box::new(Understood::Unknown));
        }
        let nearest = self.vocabulary.nearest(&name.low);
        if nearest.is_empty() {
            return Err(Box::new(Understood::UnknownService { said: name.raw.clone(), nearest }));
        }
        Ok(Choice { services: nearest, sure: false })
    }
}

/// What the words behind a command name.
pub(super) enum Objects {
    Named(Vec<Choice>),
    All,
    /// Everything, and words more, which may well say what is to be spared.
    Most,
    /// "It".
    Which,
    Missing(Understood),
}

/// The services that one name may mean; never none.
pub(super) struct Choice {
    pub(super) services: Vec<String>,
    sure: bool,
}

impl Choice {
    pub(super) fn is_sure(&self) -> bool {
        self.sure && self.services.len() == 1
    }
}

/// Every way to choose one service for each name.
pub(super) fn combinations(named: &[Choice]) -> Vec<Vec<String>> {
    let mut combinations = vec![Vec::new()];
    for choice in named {
        let with = |so_far: &Vec<String>| {
            choice.services.iter().map(|service| [so_far.as_slice(), std::slice::from_ref(service)].concat()).collect::<Vec<_>>()
        };
        combinations = combinations.iter().flat_map(with).take(CANDIDATES).collect();
    }
    combinations.into_iter().map(once).collect()
}

/// Each service once, in the order in which they were named.
pub(super) fn once(services: Vec<String>) -> Vec<String> {
    let mut once = Vec::new();
    for service in services {
        if !once.contains(&service) {
            once.push(service);
        }
    }
    once
}

/// The parts of a list.
fn segments(words: &[Word]) -> Vec<&[Word]> {
    let mut segments = Vec::new();
    let mut start = 0;
    for (at, word) in words.iter().enumerate() {
        if word.is_one_of(&["and", "plus"]) {
            segments.push(&words[start..at]);
            start = at + 1;
        } else if word.comma {
            segments.push(&words[start..=at]);
            start = at + 1;
        }
    }
    segments.push(&words[start..]);
    // "Redis, and postgres" has nothing between the comma and the "and".
    segments.retain(|segment| !segment.is_empty());
    segments
}

pub(super) fn without_articles(words: &[Word]) -> &[Word] {
    let articles = ["the", "my", "our", "your", "a", "an", "this", "that", "both"];
    match words {
        [first, rest @ ..] if !rest.is_empty() && first.is_one_of(&articles) => without_articles(rest),
        words => words,
    }
}
