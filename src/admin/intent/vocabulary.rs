//! The names that things on this host go by.
//!
//! A service is called by its object's name, its container's, what Compose calls it, its image, what it is for
//! ("the database", "the cache"), or a part of one of these. The more certain of these names wins; two services
//! of the same certainty have to be told apart by whoever asked.

use std::collections::{BTreeMap, BTreeSet};

use super::{lexicon, words::Word};

/// Longer words are no misspelt names; comparing them would cost more than it is worth.
const LONGEST_NAME: usize = 63;

/// So many words can make up one name: `shop my web server`.
const WORDS_IN_A_NAME: usize = 4;

/// One container that can be asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// What an intent calls it: the name of its object, or of its container where there is no object. Unique.
    pub name: String,
    /// The name of its container.
    pub container: Option<String>,
    /// Its Compose project.
    pub project: Option<String>,
    /// What Compose calls it in there.
    pub compose: Option<String>,
    /// Its image, with or without a tag.
    pub image: Option<String>,
    /// What people are shown.
    pub display_name: Option<String>,
}

/// Everything on this host that has a name.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    services: Vec<String>,
    /// By name without signs and spaces; per service how certain it is that this one is meant.
    names: BTreeMap<String, BTreeMap<usize, Rank>>,
    variables: BTreeSet<String>,
    tables: BTreeSet<String>,
}

/// How certain a name means a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Name,
    Container,
    Compose,
    Image,
    /// What it is for, and one of its names says that as a whole.
    Role,
    /// What it is for, and a part of its name says so.
    RolePart,
    /// A part of its name.
    Part,
}

impl Rank {
    /// Whether nobody would be surprised. `redis` may well not mean `redis-exporter`.
    pub(super) fn is_sure(self) -> bool {
        self <= Self::Role
    }
}

/// What a name was found to mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// One service, and whether anybody would agree.
    One { service: String, sure: bool },
    /// Several, any of which may be meant.
    Several(Vec<String>),
    /// None.
    Nothing,
}

/// A place in a sentence where a service is named.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) found: Found,
}

/// What services are for, and what those are called that are for it.
const ROLES: &[&[&str]] = &[
    &["postgres", "postgresql", "pg", "psql", "pgsql", "db", "database", "postgis", "pgvector", "timescaledb"],
    &["hasura", "graphql", "graphqlengine", "gql", "api"],
    &["auth", "authentication", "hasuraauth", "login", "signin", "gotrue", "keycloak"],
    &["redis", "cache", "valkey", "keydb", "dragonfly"],
    &["nginx", "proxy", "webserver", "reverseproxy", "edge", "ingress", "traefik", "caddy"],
    &["minio", "storage", "s3", "objectstorage", "objectstore", "filestorage", "bucket", "buckets"],
    &["mailpit", "mail", "mailhog", "smtp", "email", "mailserver"],
    &["ollama", "llm", "model", "localmodel", "languagemodel"],
    &["claw", "nclaw", "ɳclaw", "assistant", "backendmanager"],
    &["meilisearch", "meili", "search", "typesense", "elasticsearch", "opensearch", "searchengine"],
    &["functions", "serverless", "lambdas"],
    &["grafana", "dashboards", "graphs"],
    &["prometheus", "prom"],
    &["notify", "notifications", "notifier"],
    &["cron", "scheduler"],
    &["mlflow", "experiments"],
    &["worker", "workers", "bullmq", "queue", "jobs"],
];

impl Vocabulary {
    /// Of these services (of two with one name the first counts), variables and tables.
    #[must_use]
    pub fn new(
        services: impl IntoIterator<Item = Service>,
        variables: impl IntoIterator<Item = String>,
        tables: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut vocabulary = Self {
            variables: variables.into_iter().collect(),
            tables: tables.into_iter().map(|table| table.to_lowercase()).collect(),
            ..Self::default()
        };
        for service in services {
            if !vocabulary.services.contains(&service.name) {
                vocabulary.add(&service);
            }
        }
        vocabulary
    }

    /// The services, in the order in which they were given.
    #[must_use]
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Whether a variable has this name.
    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.variables.contains(name)
    }

    /// The variables, by name.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// Whether a table of the database has this name.
    pub(super) fn has_table(&self, word: &str) -> bool {
        self.tables.contains(word)
    }

    /// Whether a word, without signs, is a whole name or a role of something.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.names.contains_key(&squashed(word))
    }

    fn add(&mut self, service: &Service) {
        let index = self.services.len();
        self.services.push(service.name.clone());
        let names = names(service);
        for (name, rank) in &names {
            self.name(name, index, *rank);
        }
        let whole: BTreeSet<String> = names.iter().map(|(name, _)| squashed(name)).collect();
        let parts: BTreeSet<String> = names.iter().flat_map(|(name, _)| parts(name)).collect();
        let project = service.project.as_deref().map(squashed);
        for role in ROLES {
            let is_one = |of: &BTreeSet<String>| role.iter().any(|word| of.contains(*word) && project.as_deref() != Some(*word));
            let rank = match (is_one(&whole), is_one(&parts)) {
                (true, _) => Rank::Role,
                (false, true) => Rank::RolePart,
                (false, false) => continue,
            };
            for word in *role {
                self.name(word, index, rank);
            }
        }
        for part in parts {
            self.name(&part, index, Rank::Part);
        }
    }

    fn name(&mut self, name: &str, index: usize, rank: Rank) {
        let name = squashed(name);
        if name.is_empty() {
            return;
        }
        let best = self.names.entry(name).or_default().entry(index).or_insert(rank);
        *best = rank.min(*best);
    }

    fn means(&self, squashed: &str) -> Found {
        let Some(services) = self.names.get(squashed) else { return Found::Nothing };
        let Some(rank) = services.values().min() else { return Found::Nothing };
        let mut best = services.iter().filter(|(_, of)| *of == rank).map(|(index, _)| self.services[*index].clone());
        match (best.next(), best.next()) {
            (Some(service), None) => Found::One { service, sure: rank.is_sure() },
            (Some(one), Some(two)) => Found::Several([one, two].into_iter().chain(best).collect()),
            (None, _) => Found::Nothing,
        }
    }

    /// The service that one text names: a model's word for it, or what was quoted.
    pub(super) fn named(&self, text: &str) -> Found {
        match self.services.iter().find(|name| *name == text) {
            Some(name) => Found::One { service: name.clone(), sure: true },
            None => self.means(&squashed(text)),
        }
    }

    /// The service that all of these words together name.
    pub(super) fn resolve(&self, words: &[Word]) -> Found {
        if let [word] = words
            && let found @ Found::One { .. } = self.named(&word.raw)
        {
            return found;
        }
        if words.len() > 1 && words.iter().any(|word| word.quoted) {
            let mut names = words.iter().filter(|word| word.quoted || !lexicon::is_generic(&word.low));
            return match (names.next(), names.next()) {
                (Some(name), None) => self.named(&name.raw),
                _ => Found::Nothing,
            };
        }
        let mut words = words;
        loop {
            if words.is_empty() || words.len() > WORDS_IN_A_NAME {
                return Found::Nothing;
            }
            let found = self.means(&joined(words));
            if found != Found::Nothing {
                return found;
            }
            // "The redis cache server" is redis, "the container redis" as well.
            words = match words {
                [rest @ .., last] if !rest.is_empty() && lexicon::is_generic(&last.low) => rest,
                [first, rest @ ..] if !rest.is_empty() && lexicon::is_generic(&first.low) => rest,
                _ => return Found::Nothing,
            };
        }
    }

    /// All services that are named in these words, also misspelt.
    pub(super) fn mentions(&self, words: &[Word]) -> Vec<Mention> {
        let mut mentions = Vec::new();
        let mut start = 0;
        while start < words.len() {
            let mention = self.mention_at(words, start).or_else(|| self.misspelt_at(words, start));
            start = mention.as_ref().map_or(start + 1, |mention| mention.end);
            mentions.extend(mention);
        }
        mentions
    }

    fn mention_at(&self, words: &[Word], start: usize) -> Option<Mention> {
        let longest = (words.len() - start).min(WORDS_IN_A_NAME);
        let comma = words[start..start + longest].iter().position(|word| word.comma);
        let longest = comma.map_or(longest, |comma| comma + 1);
        (1..=longest).rev().find_map(|length| {
            let window = &words[start..start + length];
            let found = match window {
                [word] => self.named(&word.raw),
                _ if window.iter().any(|word| word.quoted) => Found::Nothing,
                _ => self.means(&joined(window)),
            };
            // A word of the language is a name only if it is one as a whole: `log` is not `audit-log`.
            let is_word = length == 1 && lexicon::is_known(&window[0].low);
            match found {
                Found::Nothing => None,
                Found::One { sure: false, .. } | Found::Several(_) if is_word && !self.is_whole(&window[0].low) => None,
                found => Some(Mention { start, end: start + length, found }),
            }
        })
    }

    fn is_whole(&self, word: &str) -> bool {
        self.names.get(&squashed(word)).is_some_and(|services| services.values().any(|rank| rank.is_sure()))
    }

    fn misspelt_at(&self, words: &[Word], at: usize) -> Option<Mention> {
        let word = &words[at];
        if word.quoted || lexicon::is_known(&word.low) {
            return None;
        }
        let nearest = self.nearest(&word.low);
        let found = match nearest.as_slice() {
            [] => return None,
            [one] => Found::One { service: one.clone(), sure: false },
            _ => Found::Several(nearest),
        };
        Some(Mention { start: at, end: at + 1, found })
    }

    /// The services whose name, or what they are for, is the nearest to a misspelt word; none if none is near.
    pub(super) fn nearest(&self, said: &str) -> Vec<String> {
        let said = squashed(said);
        let letters = said.chars().count();
        if !(4..=LONGEST_NAME).contains(&letters) || said.chars().any(|c| c.is_ascii_digit()) {
            return Vec::new();
        }
        let near =
            self.names.iter().filter(|(name, ranks)| name.chars().count() >= 4 && ranks.values().any(|rank| rank.is_sure()));
        let near = near.filter_map(|(name, ranks)| {
            let distance = strsim::damerau_levenshtein(&said, name);
            (distance <= lexicon::slips(letters)).then_some((distance, ranks))
        });
        let near: Vec<_> = near.collect();
        let Some(least) = near.iter().map(|(distance, _)| *distance).min() else { return Vec::new() };
        let nearest = near.into_iter().filter(|(distance, _)| *distance == least);
        let services: BTreeSet<usize> =
            nearest.flat_map(|(_, ranks)| ranks.iter().filter(|(_, rank)| rank.is_sure()).map(|(index, _)| *index)).collect();
        services.into_iter().map(|index| self.services[index].clone()).collect()
    }
}

fn names(service: &Service) -> Vec<(String, Rank)> {
    let Service { name, container, project, compose, image, display_name } = service;
    let mut names = vec![(name.clone(), Rank::Name), (format!("container {name}"), Rank::Name)];
    names.extend(container.iter().map(|container| (container.clone(), Rank::Container)));
    names.extend(compose.iter().chain(display_name).map(|name| (name.clone(), Rank::Compose)));
    if let Some(project) = project {
        names.extend(compose.iter().map(|compose| (format!("{project} {compose}"), Rank::Compose)));
        // Compose calls the containers of `shop` by `shop-redis-1`, and used to call them `shop_redis_1`.
        for name in [Some(name), container.as_ref()].into_iter().flatten() {
            let inner = name.strip_prefix(project.as_str()).and_then(|rest| rest.strip_prefix(['-', '_']));
            names.extend(inner.map(|inner| {
                let end = inner.trim_end_matches(|c: char| c.is_ascii_digit());
                let inner = end.strip_suffix(['-', '_']).filter(|_| end.len() < inner.len()).unwrap_or(inner);
                (inner.to_owned(), Rank::Compose)
            }));
        }
    }
    if let Some(image) = image {
        let path = image.split('@').next().unwrap_or_default();
        let base = path.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
        names.push((base.to_owned(), Rank::Image));
        let owner = path.rsplit('/').nth(1).filter(|owner| !owner.contains(['.', ':']));
        names.extend(
            owner
                .filter(|owner| *owner != "library" && project.as_deref() != Some(*owner))
                .map(|owner| (owner.to_owned(), Rank::Part)),
        );
    }
    names
}

/// The words in a name that may stand for it.
fn parts(name: &str) -> impl Iterator<Item = String> {
    let parts = name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    parts.filter(|part| part.chars().count() >= 2 && part.chars().any(char::is_alphabetic) && !lexicon::is_generic(part))
}

fn squashed(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn joined(words: &[Word]) -> String {
    words.iter().map(|word| squashed(&word.low)).collect()
}
