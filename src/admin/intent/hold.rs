//! Leaving things alone for a while, and no longer.

use super::{
    Context, End, Held, Intent, Understood, act,
    objects::{self, CANDIDATES, Choice, Objects},
    time::{self, Direction},
    words::{Word, starts},
};
use crate::manifest::quantity::Duration;

/// What asks for it, and what may stand behind the object.
const ASKED: &[(&str, &[&str])] = &[
    ("put a hold on", &[]),
    ("place a hold on", &[]),
    ("hold off on", &[]),
    ("hands off of", &[]),
    ("hands off", &[]),
    ("keep your hands off of", &[]),
    ("keep your hands off", &[]),
    ("keep hands off", &[]),
    ("do not touch", &[]),
    ("do not disturb", &[]),
    ("stop restarting", &[]),
    ("stop healing", &[]),
    ("stop touching", &[]),
    ("stop starting", &[]),
    ("pause healing of", &[]),
    ("put", &["on hold"]),
    ("leave", &["alone"]),
    ("hold", &[]),
    ("freeze", &[]),
    ("pause", &[]),
];

const ENDED: &[(&str, &str)] = &[
    ("lift the hold on", ""),
    ("end the hold on", ""),
    ("end the hold of", ""),
    ("remove the hold on", ""),
    ("remove the hold from", ""),
    ("stop the hold on", ""),
    ("stop holding", ""),
    ("take", "off hold"),
    ("release", ""),
    ("unhold", ""),
    ("unfreeze", ""),
    ("unpause", ""),
    ("resume", ""),
];

impl Context<'_> {
    /// "Hold redis for 2 hours because …".
    pub(super) fn hold(&self, words: &[Word]) -> Option<Understood> {
        let (phrase, after) = ASKED.iter().find(|(phrase, after)| {
            // Without "alone" behind it, leaving something is something else.
            starts(words, phrase) && (after.is_empty() || after.iter().any(|after| super::words::has(words, after)))
        })?;
        let rest = &words[phrase.split(' ').count()..];
        let Some((rest, reason)) = self.reason(rest) else { return Some(Understood::Unknown) };
        let begins = |at: &usize| time_at(&rest[*at..], self).is_some();
        let (objects, end) = match (0..rest.len()).find(begins) {
            Some(at) => {
                let (end, taken) = time_at(&rest[at..], self)?;
                if at + taken != rest.len() {
                    return Some(Understood::Unknown);
                }
                (&rest[..at], Some(end))
            }
            None => (&rest[..], None),
        };
        let length = |after: &&&str| after.split(' ').count();
        let behind =
            after.iter().find(|after| objects.len() > length(after) && starts(&objects[objects.len() - length(after)..], after));
        let objects = match behind {
            Some(after) => &objects[..objects.len() - length(&after)],
            None if after.is_empty() => objects,
            None => return Some(Understood::Unknown),
        };
        Some(self.held(objects, |what| match end {
            Some(End::Until(until)) if until <= self.now => how_long(&what),
            Some(End::For(duration)) if duration.0.is_zero() => how_long(&what),
            Some(end) => Intent::Hold { what, end, reason: reason.clone() }.into(),
            None => how_long(&what),
        }))
    }

    /// "Release redis".
    pub(super) fn release(&self, words: &[Word]) -> Option<Understood> {
        let (phrase, after) = ENDED
            .iter()
            .find(|(phrase, after)| starts(words, phrase) && (after.is_empty() || super::words::has(words, after)))?;
        let objects = &words[phrase.split(' ').count()..];
        let objects = match after.split(' ').count() {
            _ if after.is_empty() => objects,
            length if objects.len() > length && starts(&objects[objects.len() - length..], after) => {
                &objects[..objects.len() - length]
            }
            _ => return Some(Understood::Unknown),
        };
        Some(self.held(objects, |what| Intent::Release { what }.into()))
    }

    fn held(&self, objects: &[Word], on: impl Fn(Held) -> Understood) -> Understood {
        let named = match self.objects(objects) {
            Objects::All => return on(Held::All),
            Objects::Most => return Understood::Unknown,
            Objects::Missing(understood) => return understood,
            Objects::Named(named) => named,
            Objects::Which => {
                let all = self.vocabulary.services().iter().take(CANDIDATES);
                return candidates("Which service?", all.map(|service| on(Held::Services(vec![service.clone()]))));
            }
        };
        let mut combinations = objects::combinations(&named);
        if combinations.len() == 1 && named.iter().all(Choice::is_sure) {
            return on(Held::Services(combinations.remove(0)));
        }
        candidates("Which service is meant?", combinations.into_iter().map(|services| on(Held::Services(services))))
    }

    /// The words before the reason and behind it, and the reason as it was written; nothing if it is announced and missing.
    fn reason(&self, words: &[Word]) -> Option<(Vec<Word>, Option<String>)> {
        let because = (0..words.len()).find_map(|at| {
            let phrases = ["because of", "because", "due to", "reason"];
            phrases.iter().find(|phrase| starts(&words[at..], phrase)).map(|phrase| (at, at + phrase.split(' ').count()))
        });
        let Some((at, begin)) = because else { return Some((words.to_vec(), None)) };
        let first = words.get(begin)?;
        if first.quoted {
            return Some(([&words[..at], &words[begin + 1..]].concat(), Some(first.raw.clone())));
        }
        // "Because of the new disk for 2 hours": how long is no part of why.
        let end = (begin + 1..words.len())
            .find(|end| time_at(&words[*end..], self).is_some_and(|(_, taken)| end + taken == words.len()))
            .unwrap_or(words.len());
        let reason = self.written(words[begin - 1].span.end, words[end - 1].span.end);
        Some(([&words[..at], &words[end..]].concat(), Some(reason)))
    }

    /// What stands between two words, with the signs around it that are none of the sentence: `<50 GB>`.
    fn written(&self, begin: usize, end: usize) -> String {
        let line = self.text[end..].lines().next().unwrap_or_default();
        let mut end = end + line.find(char::is_whitespace).unwrap_or(line.len());
        for chunk in self.text[end..].lines().next().unwrap_or_default().split_inclusive(char::is_whitespace) {
            if chunk.contains(char::is_alphanumeric) {
                break;
            }
            end += chunk.len();
        }
        let reason = self.text[begin..end].trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | ','));
        reason.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | '?' | ',' | ';' | ':')).to_owned()
    }
}

/// Until when these words say, and how many of them.
fn time_at(words: &[Word], ctx: &Context<'_>) -> Option<(End, usize)> {
    let first = words.first()?;
    let rest = &words[1..];
    if first.is("for") {
        let skip = usize::from(rest.first().is_some_and(|word| word.is("the")))
            + usize::from(super::words::has(&rest[..rest.len().min(2)], "next"));
        let (seconds, taken) = time::duration(&rest[skip..])?;
        return Some((End::For(Duration::seconds(u64::try_from(seconds).ok()?)), taken + skip + 1));
    }
    if !first.is_one_of(&["until", "till"]) {
        return None;
    }
    time::moment(rest, ctx.now, Direction::Future).map(|(until, taken)| (End::Until(until), taken + 1))
}

/// Asks for the end of a hold, since a hold without one is forgotten.
pub(super) fn how_long(what: &Held) -> Understood {
    let hold = |hours: u64| Intent::Hold { what: what.clone(), end: End::For(Duration::seconds(hours * 3600)), reason: None };
    act::ask(format!("For how long shall {what} be left alone?"), [1, 4, 24].map(hold).to_vec())
}

/// One question with all the candidates of others.
fn candidates(question: &str, understood: impl Iterator<Item = Understood>) -> Understood {
    let of = |understood| match understood {
        Understood::Intent(intent) => vec![intent],
        // Of several lengths the first will do: it is which service that is asked.
        Understood::Ambiguous { candidates, .. } => candidates.into_iter().take(1).collect(),
        Understood::UnknownService { .. } | Understood::Unknown => Vec::new(),
    };
    act::ask(question.to_owned(), understood.flat_map(of).collect())
}
