//! Questions: recognised by what they speak of.
//!
//! The order is from the particular to the general: "show the audit log of redis" is about the audit log, "the logs
//! of redis" about its logs, and "redis?" about redis. What speaks of much that we do not know is left to a model.

use std::ops::Range;

use super::{
    AuditOf, Context, DEFAULT_LINES, Gauge, Intent, MAX_LINES, Understood, act, lexicon, objects, phrases, time,
    time::Span,
    topics,
    vocabulary::{Found, Mention},
    words::{Word, has, has_any, starts},
};

/// So many words may be foreign to us before a question is more than we understand.
const FOREIGN: usize = 1;

/// A question, with what can be known of it before its topic is.
pub(super) struct Asked<'a> {
    /// Without politeness.
    pub(super) words: &'a [Word],
    /// Those of them that neither are quoted nor speak of time.
    pub(super) plain: Vec<Word>,
    /// The services that are named, by where they stand in `words`.
    pub(super) mentions: Vec<Mention>,
    pub(super) span: Span,
    /// Where that is said.
    pub(super) range: Range<usize>,
    pub(super) limit: Option<u32>,
    /// Where it is said what a log is to be searched for.
    pub(super) searched: Option<Range<usize>>,
    ctx: &'a Context<'a>,
}

impl Context<'_> {
    /// What a sentence that is no command asks for.
    pub(super) fn read(&self, all: &[Word]) -> Understood {
        let words = phrases::stripped(all);
        if words.is_empty() || words[0].is("but") || goes_on_to_act(words) {
            return Understood::Unknown;
        }
        if let Some(which) = self.all_variables(words) {
            return which;
        }
        let asked = Asked::new(self, words);
        asked.understand().map_or(Understood::Unknown, |understood| asked.checked(understood))
    }
}

impl<'a> Asked<'a> {
    pub(super) fn new(ctx: &'a Context<'a>, words: &'a [Word]) -> Self {
        let (span, range) = time::find_span(words, ctx.now).unwrap_or_default();
        let limit = limit(words);
        let searched = searched(words, &range);
        let is_said = |at: &usize| !range.contains(at) && !searched.as_ref().is_some_and(|place| place.contains(at));
        let plain: Vec<_> = (0..words.len()).filter(|at| is_said(at) && !words[*at].quoted).map(|at| words[at].clone()).collect();
        // What is looked for is no name, whatever is called so.
        let mut named = without(words, &range);
        if let Some(place) = &searched {
            named = without(&named, place);
        }
        let mentions = ctx.vocabulary.mentions(&named);
        Self { words, plain, mentions, span, range, limit, searched, ctx }
    }

    fn understand(&self) -> Option<Understood> {
        if topics::is_help(self.words) {
            return Some(Intent::Help.into());
        }
        if let Some(asked) = self.audit().or_else(|| self.ctx.asked_variable(self.words)) {
            return Some(asked.into());
        }
        // Who logs in somewhere reads nothing there.
        if has_any(&self.plain, topics::NO_LOGS) {
            return None;
        }
        if let Some(logs) = self.logs() {
            return Some(logs);
        }
        if self.is_about_data() {
            return Some(Intent::Database { question: self.ctx.text.to_owned() }.into());
        }
        if self.foreign() > FOREIGN {
            return None;
        }
        let has = |phrases: &[&str]| has_any(&self.plain, phrases);
        if has(&["secret", "secrets"]) {
            return Some(Intent::Secrets.into());
        }
        if starts(self.words, "why") || self.words.last().is_some_and(|word| word.is("why")) || has(topics::WRONG) {
            return self.why();
        }
        if has(topics::EVENTS) {
            return Some(self.events());
        }
        if has(topics::PLAN) {
            return Some(self.maybe_one(|service| Intent::Plan { service }));
        }
        let leads = starts(self.words, "where does") && has(&["go", "lead", "point"]);
        if leads || has(topics::ROUTES) && !has(topics::HEALTH) {
            return Some(Intent::Routes.into());
        }
        if topics::is_about_the_model(&self.plain) {
            return Some(Intent::Model.into());
        }
        if let Some(which) = self.gauge() {
            return Some(self.maybe_one(|service| Intent::Metrics { which, service }));
        }
        self.health().or_else(|| self.host())
    }

    fn host(&self) -> Option<Understood> {
        let has = |phrases: &[&str]| has_any(&self.plain, phrases);
        // A list says which there are; how they are is the status.
        let fails = has(topics::SERVICES) && has(&["down", "broken", "unhealthy"]);
        if has(topics::SERVICES) && !fails && !has(&["healthy", "ok", "okay", "well", "fine"]) {
            return Some(Intent::Services.into());
        }
        let is_status = fails || has(topics::STATUS) || self.plain.len() <= 3 && has(&["health", "healthy"]);
        (is_status && self.foreign() == 0).then(|| Intent::Status.into())
    }

    fn audit(&self) -> Option<Intent> {
        let words = &self.plain;
        let done = topics::OPERATIONS.iter().find(|(said, _)| has(words, said)).map(|(_, operation)| (*operation).to_owned());
        let who = words.first().is_some_and(|word| word.is("who")) && done.is_some();
        let session = self.words.iter().find(|word| !word.quoted && is_actor(&word.low)).map(|word| word.raw.clone());
        let arguments = usize::from(session.is_some())
            + ["by", "on", "operation", "outcome"].iter().filter(|word| self.after(word).is_some()).count();
        if !who && !has_any(words, topics::AUDIT) || self.foreign() > FOREIGN + arguments {
            return None;
        }
        let ours = has_any(
            words,
            &[
                "you do",
                "you done",
                "you change",
                "you changed",
                "mooring do",
                "mooring done",
                "mooring change",
                "mooring changed",
            ],
        );
        let target = self.after("on").or_else(|| {
            // "The audit log of the database" is still not a table.
            let argument = |at: usize| at > 0 && self.words[at - 1].is_one_of(&["by", "operation", "outcome"]);
            self.mentions.iter().find(|mention| !argument(mention.start)).and_then(|mention| first(&mention.found))
        });
        Some(Intent::Audit(AuditOf {
            since: self.span.since,
            until: self.span.until,
            actor: self.after("by").or(session).or_else(|| ours.then(|| "reconciler".to_owned())),
            operation: self.after("operation").or_else(|| done.filter(|_| who)),
            target,
            outcome: self.after("outcome").or_else(|| topics::outcome(words)),
            limit: self.limit,
        }))
    }

    /// The word after this one, if it is no time: its service, or as it is written.
    fn after(&self, word: &str) -> Option<String> {
        let at = self.words.iter().position(|said| said.is(word))?;
        let mut behind = self.words[at + 1..].iter();
        if word == "outcome" {
            return behind.find(|word| !word.is_one_of(&["is", "was", "of", "equals", "="])).map(|word| word.raw.clone());
        }
        let next = behind.next()?;
        let is_name = next.quoted || word == "by" && next.is_one_of(&["admin", "api", "cli", "user"]);
        let is_filler =
            !is_name && (lexicon::is_known(&next.low) || time::find_span(&self.words[at..=at + 1], self.ctx.now).is_some());
        if is_filler {
            return None;
        }
        match self.ctx.vocabulary.named(&next.raw) {
            Found::One { service, .. } if word == "on" => Some(service),
            _ => Some(next.raw.clone()),
        }
    }

    fn logs(&self) -> Option<Understood> {
        let words = &self.plain;
        let complaint = topics::COMPLAINTS.iter().find(|(said, _)| has(words, said)).map(|(_, text)| (*text).to_owned());
        let of_a_service = !self.mentions.is_empty()
            && has_any(words, &["say", "says", "saying", "print", "complain", "complaining", "tail", "lines"]);
        let is_about_logs = has_any(words, topics::LOGS)
            || of_a_service
            || complaint.is_some()
                && !self.mentions.is_empty()
                && has_any(words, &["in", "from", "of", "any", "errors", "warnings"]);
        if !is_about_logs || self.foreign() > FOREIGN + 1 {
            return None;
        }
        let quoted = self.words.iter().find(|word| word.quoted).map(|word| word.raw.clone());
        let searched = self.searched.clone().map(|place| self.text_of(place));
        let contains = searched.or(quoted).or(complaint);
        let lines = self.limit.unwrap_or(DEFAULT_LINES).clamp(1, MAX_LINES);
        let since = self.span.since;
        let of = |service: String| Intent::Logs { service, lines, contains: contains.clone(), since };
        Some(self.one("logs", of).unwrap_or_else(|| match self.called(&["of", "for", "from", "in"], &["logs", "log"]) {
            Some(said) => self.unknown(said),
            None => act::ask(
                match &contains {
                    Some(contains) => format!("The logs of which service shall be searched for `{contains}`?"),
                    None => "Of which service?".to_owned(),
                },
                act::each(self.ctx.vocabulary, |mut services| of(services.swap_remove(0))),
            ),
        }))
    }

    /// The words that stand here, as they were written.
    fn text_of(&self, place: Range<usize>) -> String {
        match &self.words[place] {
            [word] => word.raw.clone(),
            words => words
                .first()
                .zip(words.last())
                .map_or_else(String::new, |(first, last)| self.ctx.text[first.span.start..last.span.end].to_owned()),
        }
    }

    fn why(&self) -> Option<Understood> {
        self.one("about", |service| Intent::Why { service }).or_else(|| {
            let said = self.called(&["is", "was", "did", "does", "with"], &[])?;
            Some(self.unknown(said))
        })
    }

    fn events(&self) -> Understood {
        let Span { since, until } = self.span;
        self.maybe_one(|service| Intent::Events { service, since, until, limit: self.limit })
    }

    fn gauge(&self) -> Option<Gauge> {
        let of = |phrases: &[&str]| has_any(&self.plain, phrases);
        let gauges = [(Gauge::Cpu, topics::CPU), (Gauge::Memory, topics::MEMORY), (Gauge::Disk, topics::DISK)];
        let named: Vec<_> = gauges.into_iter().filter(|(_, phrases)| of(phrases)).map(|(gauge, _)| gauge).collect();
        match named.as_slice() {
            [] => of(topics::METRICS).then_some(Gauge::All),
            [gauge] => Some(*gauge),
            _ => Some(Gauge::All),
        }
    }

    fn health(&self) -> Option<Understood> {
        let speaks_of_it = has_any(&self.plain, topics::HEALTH);
        if self.mentions.is_empty() {
            let said =
                self.called(&["is", "are", "of", "how", "health", "check", "status"], topics::HEALTH).filter(|_| speaks_of_it)?;
            return Some(self.unknown(said));
        }
        let is_short = self.plain.len() <= 3 && !has_any(&self.plain, &["open", "use", "deploy", "build"]);
        // "Maybe restart redis" is no question, and a look at redis no answer.
        let acts = ["restart", "restarting", "reboot", "stop", "stopping", "start", "starting", "kill", "bounce"];
        let is_question =
            self.words[0].is_one_of(&["is", "are", "was", "were", "when", "how", "did", "does", "has", "have", "do"]);
        if has_any(&self.plain, &acts) && !is_question {
            return None;
        }
        if !speaks_of_it && !is_short || self.foreign() > 0 {
            return None;
        }
        // Looking at all of them answers the question for whichever is meant.
        let services = self.mentioned();
        Some(Intent::Health { services: objects::once(services) }.into())
    }

    /// A question about things that are in no part of this program but in a database.
    fn is_about_data(&self) -> bool {
        let words = &self.plain;
        let table = words.iter().any(|word| self.ctx.vocabulary.has_table(&word.low));
        let data = has_any(words, topics::DATA) || table;
        let ours = has_any(words, topics::OURS);
        let asks = words.first().is_some_and(|word| word.is_one_of(topics::ASKS))
            || has_any(words, &["how many", "how much", "number of"]);
        let counts = has_any(words, &["how many", "number of", "average", "count"])
            && !words.iter().any(|word| word.is_one_of(topics::NOT_COUNTED));
        let who = starts(words, "who") && words.len() > 2 && !words[1].is_one_of(&["is", "are", "am"]);
        asks && !ours && (data || counts || who)
    }

    /// How many words are neither of the language as we know it, nor names, nor times, nor quoted.
    fn foreign(&self) -> usize {
        let mentioned = |word: &Word| {
            let says = |mention: &Mention| self.words[mention.start..mention.end].iter().any(|said| said.span == word.span);
            self.mentions.iter().any(says)
        };
        let is_foreign = |word: &&Word| {
            !lexicon::is_known(&word.low) && lexicon::number(&word.low).is_none() && word.low != "?" && !mentioned(word)
        };
        self.plain.iter().filter(is_foreign).count()
    }

    /// The one foreign word that stands after or before one of these: what a service was probably called.
    fn called(&self, before: &[&str], after: &[&str]) -> Option<String> {
        let mut foreign = self.plain.iter().enumerate().filter(|(_, word)| {
            !lexicon::is_known(&word.low) && lexicon::number(&word.low).is_none() && word.low.chars().count() > 1
        });
        let (at, word) = foreign.next().filter(|_| foreign.next().is_none())?;
        let mut back = at;
        while back > 0
            && (self.plain[back - 1].is_one_of(&["the", "my", "our"]) || lexicon::is_generic(&self.plain[back - 1].low))
        {
            back -= 1;
        }
        let follows = back > 0 && self.plain[back - 1].is_one_of(before);
        let precedes = self.plain.get(at + 1).is_some_and(|next| next.is_one_of(after));
        (follows || precedes).then(|| word.raw.clone())
    }

    /// Every service that may be meant.
    fn mentioned(&self) -> Vec<String> {
        let meant = self.mentions.iter().flat_map(|mention| match &mention.found {
            Found::One { service, .. } => std::slice::from_ref(service),
            Found::Several(several) => several,
            Found::Nothing => &[],
        });
        meant.cloned().collect()
    }

    fn unknown(&self, said: String) -> Understood {
        let nearest = self.ctx.vocabulary.nearest(&said);
        Understood::UnknownService { said, nearest }
    }

    /// The intent about the one service that is named; what to ask if several are; none if none is.
    fn one(&self, about: &str, of: impl Fn(String) -> Intent) -> Option<Understood> {
        let services = self.mentioned();
        let mut services = objects::once(services);
        match services.len() {
            0 => None,
            1 => Some(of(services.swap_remove(0)).into()),
            _ => {
                let candidates = services.into_iter().take(objects::CANDIDATES).map(of).collect();
                let question = if about == "logs" { "The logs of which one?" } else { "Which one is meant?" };
                Some(act::ask(question.to_owned(), candidates))
            }
        }
    }

    fn maybe_one(&self, of: impl Fn(Option<String>) -> Intent) -> Understood {
        self.one("about", |service| of(Some(service))).unwrap_or_else(|| of(None).into())
    }
}

/// "… and restart it": whoever only answered the rest would seem to have done all of it.
fn goes_on_to_act(words: &[Word]) -> bool {
    let acts =
        ["restart", "reboot", "bounce", "stop", "start", "kill", "shutdown", "teardown", "hold", "release", "delete", "remove"];
    let joins = |word: &Word| word.comma || word.is_one_of(&["and", "then", "no", "but", "please", "not"]);
    words.windows(2).any(|pair| joins(&pair[0]) && pair[1].is_one_of(&acts))
}

/// Whether it is somebody as the audit log calls him: `session:5`, `cli:root`, `reconciler`.
fn is_actor(low: &str) -> bool {
    let kinds = ["session", "cli", "token", "playbook", "plugin", "api", "user"];
    low == "reconciler" || low.split_once([':', '-']).is_some_and(|(kind, name)| kinds.contains(&kind) && !name.is_empty())
}

fn first(found: &Found) -> Option<String> {
    match found {
        Found::One { service, .. } => Some(service.clone()),
        Found::Several(services) => services.first().cloned(),
        Found::Nothing => None,
    }
}

/// "The last 20", "limit 20", "50 lines".
fn limit(words: &[Word]) -> Option<u32> {
    let counted = |word: Option<&Word>| {
        word.is_some_and(|word| {
            word.is_one_of(&[
                "lines", "line", "entries", "entry", "events", "rows", "actions", "records", "logs", "log", "messages", "errors",
            ])
        })
    };
    (0..words.len()).find_map(|at| {
        let number = lexicon::number(&words[at].low).filter(|number| *number > 0 && !words[at].quoted)?;
        let announced =
            at > 0 && words[at - 1].is_one_of(&["last", "latest", "limit", "newest", "first", "recent", "tail", "top"]);
        let is_word = words[at].is_one_of(&["a", "an"]);
        let is_time = time::duration(&words[at..]).is_some();
        ((announced && !is_time || counted(words.get(at + 1))) && !is_word).then_some(number)
    })
}

/// Where it is said what is to be looked for in a log: behind `grep`, `containing`, or the `with` of "the logs with …".
fn searched(words: &[Word], time: &Range<usize>) -> Option<Range<usize>> {
    const BEHIND: &[&str] =
        &["of", "in", "from", "on", "and", "since", "until", "between", "for", "the", "please", "thanks", "a"];
    let is_argument = |at: usize| {
        let word = words.get(at)?;
        (word.quoted || !time.contains(&at) && !word.is_one_of(BEHIND)).then_some(at)
    };
    let filler = ["for", "the", "word", "text", "lines", "that"];
    let after = |at: usize| {
        let next = at + 1 + words[at + 1..].iter().take_while(|word| word.is_one_of(&filler)).count();
        is_argument(next)
    };
    let says = ["grep", "containing", "contain", "contains", "matching", "mentioning", "mention", "mentions"];
    let is_log = |word: &Word| word.is_one_of(topics::LOGS);
    let begin = words.iter().position(|word| word.is_one_of(&says)).and_then(after).or_else(|| {
        // "Show the logs of x with WORD", "search the logs of x for WORD".
        let log = words.iter().position(is_log)?;
        // "Search for WORD in the logs of x".
        let sought = (0..log).find(|at| starts(&words[*at..], "search for") || starts(&words[*at..], "look for"));
        if let Some(found) = sought.and_then(|at| after(at + 1)) {
            return (found < log && words[found + 1].is_one_of(&["in", "of", "from"])).then_some(found);
        }
        let searches =
            words[..log].iter().any(|word| word.is_one_of(&["search", "searching", "look", "scan", "filter", "check"]));
        let with = words[log..].iter().rposition(|word| word.is("with") || searches && word.is("for"))? + log;
        after(with).filter(|at| *at + 1 == words.len() || time.start == *at + 1 || words[*at].quoted)
    })?;
    Some(begin..begin + 1)
}

/// The words, with nothing that could be a name where these are.
fn without(words: &[Word], range: &Range<usize>) -> Vec<Word> {
    let blank =
        |word: &Word| Word { raw: String::new(), low: "the".to_owned(), quoted: false, comma: false, span: word.span.clone() };
    let blank = |(at, word): (usize, &Word)| if range.contains(&at) { blank(word) } else { word.clone() };
    words.iter().enumerate().map(blank).collect()
}
