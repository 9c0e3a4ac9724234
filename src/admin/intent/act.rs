//! Commands: sentences in which every word is accounted for.
//!
//! What begins with a word that acts and is not understood to its end is not understood at all. Whoever reads on
//! regardless would restart what was to be restarted *if*.

use super::{
    Context, Intent, Understood, Vocabulary,
    objects::{CANDIDATES, Choice, Objects, combinations, without_articles},
    phrases::{CANCEL, CANCELLED, CONFIRM, CONFIRMED, IMPERATIVES, stripped},
    words::{Word, starts},
};

/// What one does to services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Restart,
    Start,
    Stop,
    /// nginx is reloaded by us whenever there is a reason, and nothing else can be.
    Reload,
}

const RESTART: &[&str] =
    &["restart", "reboot", "bounce", "kick", "recycle", "cycle", "power cycle", "power-cycle", "hard restart", "re start"];
const START: &[&str] = &["start", "launch", "boot", "boot up", "start up"];
const STOP: &[&str] = &["stop", "halt", "kill", "terminate", "shutdown", "teardown"];

/// Two-part words, whose second part may stand behind the object: `turn redis off`.
const TWO_PARTS: &[(&str, &str, Act)] = &[
    ("turn", "off and on again", Act::Restart),
    ("turn", "off and on", Act::Restart),
    ("turn", "off and back on", Act::Restart),
    ("switch", "off and on", Act::Restart),
    ("turn", "off", Act::Stop),
    ("switch", "off", Act::Stop),
    ("power", "off", Act::Stop),
    ("power", "down", Act::Stop),
    ("shut", "down", Act::Stop),
    ("shut", "off", Act::Stop),
    ("take", "down", Act::Stop),
    ("take", "offline", Act::Stop),
    ("tear", "down", Act::Stop),
    ("bring", "down", Act::Stop),
    ("spin", "down", Act::Stop),
    ("turn", "on", Act::Start),
    ("switch", "on", Act::Start),
    ("power", "on", Act::Start),
    ("bring", "back up", Act::Start),
    ("bring", "back online", Act::Start),
    ("bring", "back", Act::Start),
    ("bring", "online", Act::Start),
    ("bring", "up", Act::Start),
    ("spin", "up", Act::Start),
    ("fire", "up", Act::Start),
    ("start", "up", Act::Start),
    ("boot", "up", Act::Start),
];

impl Context<'_> {
    /// The command that a sentence is, or what to ask or say about it; none if it is not one.
    pub(super) fn act(&self, all: &[Word]) -> Option<Understood> {
        if let Some(answer) = answer(all).or_else(|| self.cancelled(all)) {
            return Some(answer.into());
        }
        let words = stripped(all);
        if words.is_empty() {
            return Some(Understood::Unknown);
        }
        if let Some(understood) = self.variable(words).or_else(|| self.hold(words)).or_else(|| self.release(words)) {
            return Some(understood);
        }
        if let Some((act, objects)) = verb(words) {
            return Some(self.acted(act, &objects));
        }
        if let Some(understood) = self.not_an_act(words) {
            return Some(understood);
        }
        // A question may begin with such a word as well, but then it is of the kind that a model is for.
        words[0].is_one_of(IMPERATIVES).then_some(Understood::Unknown)
    }

    /// "Cancel the restart of redis", but not "cancel order 5".
    fn cancelled(&self, words: &[Word]) -> Option<Intent> {
        let asked = stripped(words);
        let about = ["restart", "start", "stop", "hold", "shutdown", "teardown", "release"];
        let object = without_articles(asked.get(1..)?);
        let is_act = asked[0].is_one_of(&["cancel", "abort", "forget"]) && object.first()?.is_one_of(&about);
        let is_of_something = || object[1].is_one_of(&["of", "on"]) && matches!(self.objects(&object[2..]), Objects::Named(_));
        (is_act && (object.len() == 1 || is_of_something())).then_some(Intent::Cancel)
    }

    fn acted(&self, act: Act, objects: &[Word]) -> Understood {
        let named = match self.objects(objects) {
            Objects::Named(named) => named,
            Objects::Which => return which(act.done(), self.vocabulary, |services| act.on(services)),
            Objects::All | Objects::Most => {
                let question =
                    format!("Everything at once would take the whole host down. Which service shall be {}?", act.done());
                return ask(question, each(self.vocabulary, |services| act.on(services)));
            }
            Objects::Missing(understood) => return understood,
        };
        let is_sure = act != Act::Reload && named.iter().all(Choice::is_sure);
        let mut combinations = combinations(&named);
        match combinations.as_slice() {
            [services] if is_sure && (act != Act::Stop || services.len() == 1) => act.on(combinations.remove(0)).into(),
            [services] if is_sure => {
                let each = services.iter().map(|service| act.on(vec![service.clone()])).collect();
                ask("Services are stopped one at a time. Which one?".to_owned(), each)
            }
            [_] if act == Act::Reload => ask(
                "What runs is reloaded by itself when there is a reason. Shall it be restarted?".to_owned(),
                all(act, combinations),
            ),
            [_] => ask(format!("There is no service of that name. Shall this one be {}?", act.done()), all(act, combinations)),
            _ => ask(format!("Which one shall be {}?", act.done()), all(act, combinations)),
        }
    }

    /// What speaks of acting and is not a command: a refusal, the question whether to, or only a heading.
    fn not_an_act(&self, words: &[Word]) -> Option<Understood> {
        if let [objects @ .., last] = words
            && last.is_one_of(RESTART)
            && let Objects::Named(named) = self.objects(objects)
        {
            return Some(ask("Shall it be restarted?".to_owned(), all(Act::Restart, combinations(&named))));
        }
        for phrase in ["do not", "not", "never", "no do not", "no not"] {
            if starts(words, phrase)
                && let Some((_, objects)) = verb(stripped(&words[phrase.split(' ').count()..]))
            {
                // "Do not restart redis but postgres" is more than a no.
                let is_no = !matches!(self.objects(&objects), Objects::Missing(_) | Objects::Most);
                return Some(if is_no { Intent::Cancel.into() } else { Understood::Unknown });
            }
        }
        let asked = [
            "should i",
            "should we",
            "shall i",
            "shall we",
            "can i",
            "may i",
            "do i need to",
            "do we need to",
            "do i have to",
            "is it safe to",
            "is it ok to",
            "is it okay to",
            "must i",
            "would it help to",
        ];
        for phrase in asked {
            if !starts(words, phrase) {
                continue;
            }
            let Some((_, objects)) = verb(&words[phrase.split(' ').count()..]) else { continue };
            // Nobody is asked about what is only looked at, and how it is answers half of the question.
            return Some(match self.objects(&objects) {
                Objects::Named(named) if named.iter().all(|choice| choice.services.len() == 1) => {
                    Intent::Health { services: combinations(&named).remove(0) }.into()
                }
                _ => Understood::Unknown,
            });
        }
        [
            "what happens if",
            "what happens when",
            "what would happen if",
            "what if",
            "how do i",
            "how can i",
            "how to",
            "how would i",
        ]
        .iter()
        .any(|phrase| starts(words, phrase))
        .then_some(Understood::Unknown)
    }
}

/// Yes or no, and nothing else.
fn answer(words: &[Word]) -> Option<Intent> {
    let only =
        |of: &[&str], all: &[&str]| words.iter().any(|word| word.is_one_of(of)) && words.iter().all(|word| word.is_one_of(all));
    if only(CANCEL, CANCELLED)
        || ["hold on", "wait"].iter().any(|phrase| starts(words, phrase) && words.len() == phrase.split(' ').count())
    {
        // "Stop everything" is more than to stop asking.
        let everything = starts(stripped(words), "stop everything") || starts(stripped(words), "stop all");
        return (!everything).then_some(Intent::Cancel);
    }
    let go = ["go ahead", "do it", "go for it", "make it so"];
    if only(CONFIRM, CONFIRMED)
        || go.iter().any(|phrase| starts(stripped(words), phrase) && stripped(words).len() == phrase.split(' ').count())
    {
        return Some(Intent::Confirm);
    }
    None
}

/// What is to be done, and the words that say to what.
fn verb(words: &[Word]) -> Option<(Act, Vec<Word>)> {
    for (first, second, act) in TWO_PARTS {
        if !words.first().is_some_and(|word| word.is(first)) {
            continue;
        }
        let rest = &words[1..];
        let length = second.split(' ').count();
        if starts(rest, second) {
            return Some((*act, rest[length..].to_vec()));
        }
        if rest.len() > length && starts(&rest[rest.len() - length..], second) {
            return Some((*act, rest[..rest.len() - length].to_vec()));
        }
    }
    for (phrases, act) in [(RESTART, Act::Restart), (START, Act::Start), (STOP, Act::Stop), (&["reload"][..], Act::Reload)] {
        if let Some(phrase) = phrases.iter().filter(|phrase| starts(words, phrase)).max_by_key(|phrase| phrase.len()) {
            let rest = &words[phrase.split(' ').count()..];
            return Some((act, rest.to_vec()));
        }
    }
    given(words)
}

/// "Give redis a kick", "do a restart of redis".
fn given(words: &[Word]) -> Option<(Act, Vec<Word>)> {
    match words {
        [give, to @ .., a, last] if give.is("give") && a.is("a") && last.is_one_of(RESTART) && !to.is_empty() => {
            Some((Act::Restart, to.to_vec()))
        }
        [done, a, restart, of, rest @ ..] => {
            let is_done = done.is_one_of(&["do", "perform", "trigger", "run"]) && a.is("a");
            let is_of = of.is_one_of(&["of", "on", "for"]);
            (is_done && restart.is_one_of(RESTART) && is_of).then(|| (Act::Restart, rest.to_vec()))
        }
        _ => None,
    }
}

impl Act {
    fn done(self) -> &'static str {
        match self {
            Self::Restart | Self::Reload => "restarted",
            Self::Start => "started",
            Self::Stop => "stopped",
        }
    }

    fn on(self, mut services: Vec<String>) -> Intent {
        match self {
            Self::Restart | Self::Reload => restart(services),
            Self::Start => start(services),
            Self::Stop => Intent::Stop { service: services.swap_remove(0) },
        }
    }
}

pub(super) fn restart(services: Vec<String>) -> Intent {
    Intent::Restart { services }
}

pub(super) fn start(services: Vec<String>) -> Intent {
    Intent::Start { services }
}

fn all(act: Act, combinations: Vec<Vec<String>>) -> Vec<Intent> {
    combinations.into_iter().map(|services| act.on(services)).collect()
}

pub(super) fn ask(question: String, candidates: Vec<Intent>) -> Understood {
    Understood::Ambiguous { question, candidates }
}

/// Asks which service is meant.
pub(super) fn which(done: &str, vocabulary: &Vocabulary, on: impl Fn(Vec<String>) -> Intent) -> Understood {
    ask(format!("Which service shall be {done}?"), each(vocabulary, on))
}

/// The same for each service that there is.
pub(super) fn each(vocabulary: &Vocabulary, on: impl Fn(Vec<String>) -> Intent) -> Vec<Intent> {
    vocabulary.services().iter().take(CANDIDATES).map(|service| on(vec![service.clone()])).collect()
}
