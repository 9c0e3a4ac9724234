//! Whether every word of a question was used.
//!
//! A question is answered as it was asked, or not at all: a word that nothing was made of may be what the answer had to be
//! filtered by. Who reads "the logs of redis without the noise" and leaves out the end has answered something else.

use super::{Intent, Understood, act, lexicon, read::Asked, topics, words::starts};

/// With more words left over it is another question, which a model may know.
const MOST: usize = 3;

/// Words that ask, join and point, and say nothing more.
const GLUE: &str = "? a about again all am an and any are as asap at be been being by can check claw could current currently did \
    display do does doing exactly fetch find for from get gets give go had has have hello help here hey hi how i if in info into \
    is it its just kindly know let like list look looks lot many may me might mine mooring more my need now of oh ok okay on or \
    our out over overview please pls print quick quickly read really right say see seem seems shall should show so some sorry \
    still sure take tell thank thanks that the their them then there these they thing things this those to too up us view want \
    wanted was we well were what when which will with would yes yet you your";

impl Asked<'_> {
    /// What was understood, if all that was said is in it; otherwise what to ask.
    pub(super) fn checked(&self, understood: Understood) -> Understood {
        let intents = match &understood {
            Understood::Intent(intent) => std::slice::from_ref(intent),
            Understood::Ambiguous { candidates, .. } => candidates,
            Understood::UnknownService { .. } | Understood::Unknown => return understood,
        };
        let Some(left) = intents.first().map(|intent| self.left(intent)) else { return understood };
        match left.len() {
            0 => understood,
            1..=MOST => {
                let left: Vec<String> = left.iter().map(|word| format!("`{word}`")).collect();
                let question = format!("I did not understand {}. Do you mean this, without it?", left.join(", "));
                act::ask(question, intents.to_vec())
            }
            _ => Understood::Unknown,
        }
    }

    /// The words of which nothing was made.
    fn left(&self, intent: &Intent) -> Vec<String> {
        // In words it is passed on as a whole.
        if matches!(intent, Intent::Database { .. } | Intent::DatabaseChange { .. }) {
            return Vec::new();
        }
        let topic = topic(intent);
        let is_of_it = |at: usize| {
            let word = &self.words[at];
            let is_said = || is_in(GLUE, &word.low) || topic.iter().any(|of| is_in(of, &word.low));
            // Half of a time is none: "this" of "this week".
            self.is_argument(intent, at) || !word.quoted && !self.range.contains(&at) && is_said()
        };
        let mut left: Vec<std::ops::Range<usize>> = Vec::new();
        for at in (0..self.words.len()).filter(|at| !is_of_it(*at)) {
            match left.last_mut() {
                Some(last) if last.end == at && self.range.contains(&at) && self.range.contains(&last.start) => last.end += 1,
                _ => left.push(at..at + 1),
            }
        }
        let text = |of: std::ops::Range<usize>| self.words[of].iter().map(|word| word.raw.as_str()).collect::<Vec<_>>().join(" ");
        left.into_iter().map(text).collect()
    }

    /// Whether the word that stands here is in the intent: as a name, a time, a number, or what is looked for.
    fn is_argument(&self, intent: &Intent, at: usize) -> bool {
        let word = &self.words[at];
        let is_time = self.range.contains(&at);
        let is_named = self.mentions.iter().any(|mention| (mention.start..mention.end).contains(&at));
        let is_generic = !word.quoted && lexicon::is_generic(&word.low);
        // How it is now is how it is today.
        let is_now = self.words[self.range.clone()].iter().all(|word| word.is_one_of(&["today", "now"]));
        let is_count = self.limit.is_some()
            && (lexicon::number(&word.low).is_some() || word.is_one_of(&["last", "latest", "limit", "newest", "recent", "tail"]));
        match intent {
            Intent::Logs { contains, since, .. } => {
                is_time && since.is_some() && self.span.until.is_none()
                    || is_named
                    || is_generic
                    || is_count
                    || self.searched.as_ref().is_some_and(|place| place.contains(&at))
                    || contains.as_deref() == Some(&word.raw)
                    || topics::COMPLAINTS.iter().any(|(said, text)| word.is(said) && contains.as_deref() == Some(text))
            }
            Intent::Audit(of) => {
                let values = [&of.actor, &of.operation, &of.target, &of.outcome];
                let is_value = values.into_iter().flatten().any(|value| *value == word.raw);
                is_time || is_named && of.target.is_some() || is_generic && of.target.is_some() || is_count || is_value
            }
            Intent::Events { service, .. } => is_time || (is_named || is_generic) && service.is_some() || is_count,
            Intent::Metrics { service, .. } | Intent::Plan { service } => (is_named || is_generic) && service.is_some(),
            Intent::Health { .. } => is_named || is_generic || is_time && is_now || word.quoted && lexicon::is_known(&word.low),
            Intent::Status | Intent::Services => is_generic || is_time && is_now,
            Intent::Why { .. } => is_named || is_generic,
            Intent::EnvShow { key } => *key == word.raw || key.split('_').any(|part| part == word.raw.to_uppercase()),
            Intent::Routes => starts(self.words, "where does") && at == 2,
            _ => false,
        }
    }
}

/// Whether the words of a phrase have this one.
fn is_in(phrase: &str, low: &str) -> bool {
    phrase.split(' ').any(|word| word == low)
}

/// The words that speak of what an intent is about.
fn topic(intent: &Intent) -> Vec<&'static str> {
    let (lists, more): (&[&[&'static str]], &'static str) = match intent {
        Intent::Help => (&[], "commands usage man work able questions ask else need"),
        Intent::Status => (
            &[topics::STATUS, topics::HEALTH],
            "host machine system server stack everything anything something alright today going wrong whole entire box state \
             services service containers",
        ),
        Intent::Services => {
            // Those that are down are not all of them.
            (
                &[topics::SERVICES],
                "up alive active online on there containers services apps manage many docker compose running names everything",
            )
        }
        Intent::Health { .. } => (
            &[topics::HEALTH],
            "describe not no often last latest restarts times time restart restarting restarted stop stopping start starting \
             safe need must both since long service back alright good still stopped maybe running run runs reboot rebooted help \
             started ever",
        ),
        Intent::Metrics { .. } => (
            &[topics::CPU, topics::MEMORY, topics::DISK, topics::METRICS],
            "use uses used using usage free left full much machine host most system server high consume consuming whole stack \
             containers container services service everything hot eat eats eating much low available percent total average",
        ),
        Intent::Logs { .. } => (
            &[topics::LOGS],
            "lines line entries entry output messages says said saying complain complaining last latest newest recent lately \
             containing contain contains matching mentioning mention mentions search searching filter word text only new",
        ),
        Intent::Audit(_) => (
            &[topics::AUDIT],
            "who where touched trail entries entry by on operation outcome done everything went wrong failed failures failing \
             failure successful succeeded restarts restarted rebooted bounced stopped killed started created removed pulled \
             admin manager backend change changed anything something last latest newest recent records rows",
        ),
        Intent::Events { .. } => (
            &[topics::EVENTS],
            "crash crashed crashes fail failed anything last latest newest recent lately anything something everything just",
        ),
        Intent::Why { .. } => (
            &[topics::WRONG, topics::HEALTH],
            "why not restarted restarting restart restarts stop stopped start started not killed rebooted bounced created removed \
             stopping starting died fail failed failing keep keeps always",
        ),
        Intent::Plan { .. } => (&[topics::PLAN], "next pending waiting would going anything something everything change changes"),
        Intent::Secrets => (&[], "secret secrets old age ages names name many fresh"),
        Intent::Routes => (&[topics::ROUTES], "where lead leads point points go goes names proxy nginx served serve"),
        Intent::Model => {
            (&[], "model models llm ai provider language answer answers answering active force using used use talking talk")
        }
        Intent::EnvShow { .. } => (&[], "variable var env environment variables set value key setting echo equal contain has"),
        _ => (&[], ""),
    };
    lists.iter().flat_map(|list| list.iter().copied()).chain(std::iter::once(more)).collect()
}
