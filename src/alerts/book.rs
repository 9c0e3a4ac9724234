//! What was told to whom, and what is to be told now.
//!
//! An alert is told to a receiver when it has lasted for the delay, again
//! whenever the repeat has passed, and once when it is over. Whoever was not
//! told that it began is not told that it ended. What comes and goes counts as
//! one that lasts: each time it comes back, it has to be gone for twice as long.
//!
//! What is to be told stands in the outbox until it was delivered or given up.
//! All of it is kept on the disk, so that a restart tells nothing twice and
//! forgets nothing.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt::Write as _,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Alert, Firing, Id, Policy, Receiver};
use crate::manifest::Key;

/// What comes back this soon after its end is still the same thing.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);
/// After a start it takes a moment until all that is wrong has been found again.
const LEAST_QUIET: SignedDuration = SignedDuration::from_secs(5);
/// With a shorter delay, what comes and goes would be told again and again.
const SHORTEST_QUIET: SignedDuration = SignedDuration::from_secs(30);
/// Gone for this long is gone, however often it came back before.
const LONGEST_QUIET: SignedDuration = SignedDuration::from_mins(30);
/// When to try again to tell what could not be delivered.
const AFTER_LOSS: SignedDuration = SignedDuration::from_hours(1);
/// For how long it is tried to tell the end of something.
const LONGEST_END: SignedDuration = SignedDuration::from_hours(24);
/// More messages than this never wait for one receiver.
const MOST_WAITING: usize = 50;
/// More alerts than this are not in one message.
const MOST_TOGETHER: usize = 50;

/// What is wrong just now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is.
    pub firing: BTreeMap<Id, Firing>,
    /// Objects that nobody can look at: what was wrong with them still is, as far as is known.
    pub unknown: BTreeSet<Key>,
}

/// What was told, and what is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Book {
    entries: Vec<Line>,
    outbox: Vec<Notification>,
    /// Since when something is waiting for company, by receiver.
    gathering: BTreeMap<String, Timestamp>,
}

/// One alert, and who knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    alert: Alert,
    /// Whether it counts as being over, so that nobody who was told of it waits for more.
    is_closed: bool,
    /// How often it has come back.
    returns: u32,
    told: BTreeMap<String, Told>,
}

/// What a receiver knows of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// When it was decided to tell it.
    at: Timestamp,
    /// The message.
    message: String,
    state: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Delivery {
    /// It is in the outbox.
    Waiting,
    /// It has arrived.
    Arrived,
    /// It was given up.
    Lost,
    /// It has arrived before, and is told again.
    Again,
    /// It has arrived before, and that it is over is in the outbox.
    Ending,
    /// It has arrived before, and that it is over was given up.
    EndLost,
}

impl Delivery {
    fn is_in_outbox(self) -> bool {
        match self {
            Self::Waiting | Self::Again | Self::Ending => true,
            Self::Arrived | Self::Lost | Self::EndLost => false,
        }
    }

    /// Whether the receiver knows of it.
    fn is_known(self) -> bool {
        match self {
            Self::Arrived | Self::Again | Self::Ending | Self::EndLost => true,
            Self::Waiting | Self::Lost => false,
        }
    }
}

/// Whether something begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is wrong.
    Firing,
    /// It was.
    Resolved,
}

impl State {
    /// The state's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One message to one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Its own name, which no other has: whoever gets it twice can tell.
    pub id: String,
    /// To whom.
    pub receiver: String,
    /// Whether its alerts begin or end.
    pub state: State,
    /// When it was decided.
    pub at: Timestamp,
    /// Which.
    pub alerts: Vec<Alert>,
    /// The messages that told the same alerts before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub earlier: BTreeSet<String>,
}

/// An alert as the book has it, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Who was told, when, and whether that has arrived.
    pub told: Vec<(&'a str, Timestamp, &'static str)>,
}

impl Book {
    /// Whether there is nothing in it, so that nothing follows from time alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.outbox.is_empty()
    }

    /// How many alerts fire.
    #[must_use]
    pub fn firing(&self) -> usize {
        self.entries.iter().filter(|line| line.alert.over.is_none()).count()
    }

    /// The alerts that fire, or that somebody has to be told the end of.
    pub fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        self.entries.iter().filter(|line| !line.is_closed).map(|line| {
            let told = line.told.iter().map(|(receiver, told)| {
                let state = match told.state {
                    Delivery::Waiting => "waiting",
                    Delivery::Arrived | Delivery::Again | Delivery::Ending | Delivery::EndLost => "told",
                    Delivery::Lost => "not delivered",
                };
                (receiver.as_str(), told.at, state)
            });
            Shown { alert: &line.alert, told: told.collect() }
        })
    }

    /// The receivers that could not be told of something that still fires.
    #[must_use]
    pub fn unreached(&self) -> BTreeSet<&str> {
        let told = self.entries.iter().filter(|line| line.alert.over.is_none()).flat_map(|line| &line.told);
        told.filter(|(_, told)| told.state == Delivery::Lost).map(|(receiver, _)| receiver.as_str()).collect()
    }

    /// The message that comes next for a receiver.
    #[must_use]
    pub fn next(&self, receiver: &str) -> Option<&Notification> {
        self.outbox.iter().find(|waiting| waiting.receiver == receiver)
    }

    /// Takes note of what is wrong now, and puts what is to be told into the outbox. Returns what was put there.
    pub fn step(&mut self, now: Timestamp, seen: &Seen, policy: &Policy) -> Vec<Notification> {
        self.look(now, seen, policy);
        let mut new = Vec::new();
        for receiver in &policy.receivers {
            new.extend(self.tell(now, receiver, policy));
        }
        let names: BTreeSet<&str> = policy.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        self.outbox.retain(|waiting| names.contains(waiting.receiver.as_str()));
        self.gathering.retain(|receiver, _| names.contains(receiver.as_str()));
        for line in &mut self.entries {
            line.told.retain(|receiver, _| names.contains(receiver.as_str()));
        }
        self.close(now, policy);
        new
    }

    /// Begins, goes on with, and ends alerts.
    fn look(&mut self, now: Timestamp, seen: &Seen, policy: &Policy) {
        let mut firing: BTreeMap<&Id, &Firing> = seen.firing.iter().collect();
        self.entries.retain_mut(|line| {
            let is_unknown = || line.alert.id.object.as_ref().is_some_and(|key| seen.unknown.contains(key));
            match firing.remove(&line.alert.id) {
                Some(Firing { severity, message }) => {
                    // Some may know that it was over, others may have to hear of it yet.
                    if line.is_closed || line.is_quiet(now, policy) {
                        line.is_closed = false;
                        line.returns = line.returns.saturating_add(1);
                        line.alert.since = now;
                    }
                    line.alert = Alert { severity: *severity, message: message.clone(), over: None, ..line.alert.clone() };
                    true
                }
                None if line.alert.over.is_none() && !is_unknown() => {
                    line.alert.over = Some(now);
                    // What nobody was told of, and has never been back, is forgotten at once.
                    !line.told.is_empty() || line.returns > 0
                }
                None => true,
            }
        });
        for (id, Firing { severity, message }) in firing {
            let alert = Alert { id: id.clone(), severity: *severity, message: message.clone(), since: now, over: None };
            self.entries.push(Line { alert, is_closed: false, returns: 0, told: BTreeMap::new() });
        }
    }

    /// What is to be told to one receiver, if it is time.
    fn tell(&mut self, now: Timestamp, receiver: &Receiver, policy: &Policy) -> Vec<Notification> {
        let (group, repeat) = policy.rhythm(receiver);
        let due: Vec<(usize, State)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(at, line)| Some((at, line.due(now, receiver, policy, repeat)?)))
            .collect();
        if due.is_empty() {
            self.gathering.remove(&receiver.name);
            return Vec::new();
        }
        let since = match self.gathering.entry(receiver.name.clone()) {
            Entry::Occupied(since) => *since.get(),
            Entry::Vacant(vacant) => *vacant.insert(now),
        };
        let waiting = self.outbox.iter().filter(|waiting| waiting.receiver == receiver.name).count();
        // A clock that was set back must not keep anything from being told.
        if (now >= since && now.duration_since(since) < group) || waiting >= MOST_WAITING {
            return Vec::new();
        }
        self.gathering.remove(&receiver.name);
        let mut new = Vec::new();
        for state in [State::Firing, State::Resolved] {
            let of_state: Vec<usize> = due.iter().filter(|(_, due)| *due == state).map(|(at, _)| *at).collect();
            for together in of_state.chunks(MOST_TOGETHER) {
                new.push(self.write(now, &receiver.name, state, together));
            }
        }
        self.outbox.extend(new.iter().cloned());
        new
    }

    /// Makes one message, and notes that its alerts are being told.
    fn write(&mut self, now: Timestamp, receiver: &str, state: State, together: &[usize]) -> Notification {
        let alerts: Vec<Alert> = together.iter().map(|at| self.entries[*at].alert.clone()).collect();
        let told = |at: &usize| self.entries[*at].told.get(receiver).map(|told| told.message.clone());
        let earlier: BTreeSet<String> = together.iter().filter_map(told).collect();
        let id = name(receiver, state, now, &alerts);
        for at in together {
            let told = &mut self.entries[*at].told;
            let is_known = told.get(receiver).is_some_and(|told| told.state.is_known());
            let delivery = match (state, is_known) {
                (State::Resolved, _) => Delivery::Ending,
                (State::Firing, true) => Delivery::Again,
                (State::Firing, false) => Delivery::Waiting,
            };
            // What it was first told in stays its thread.
            let message = told.get(receiver).filter(|_| is_known).map_or_else(|| id.clone(), |told| told.message.clone());
            told.insert(receiver.to_owned(), Told { at: now, message, state: delivery });
        }
        Notification { id, receiver: receiver.to_owned(), state, at: now, alerts, earlier }
    }

    /// A message has arrived.
    pub fn delivered(&mut self, id: &str) {
        self.settle(id, Delivery::Arrived);
    }

    /// A message was given up.
    pub fn given_up(&mut self, id: &str) {
        self.settle(id, Delivery::Lost);
    }

    /// Takes a message out of the outbox, and notes what became of what it told.
    fn settle(&mut self, id: &str, became: Delivery) {
        let Some(at) = self.outbox.iter().position(|waiting| waiting.id == id) else { return };
        let Notification { receiver, state, alerts, .. } = self.outbox.remove(at);
        let told: BTreeSet<&Id> = alerts.iter().map(|alert| &alert.id).collect();
        for line in self.entries.iter_mut().filter(|line| told.contains(&line.alert.id)) {
            let Some(told) = line.told.get_mut(&receiver) else { continue };
            match (state, told.state) {
                (State::Resolved, _) if became == Delivery::Lost => told.state = Delivery::EndLost,
                (State::Resolved, _) => drop(line.told.remove(&receiver)),
                // They know it from the time before.
                (State::Firing, Delivery::Again) => told.state = Delivery::Arrived,
                (State::Firing, _) => told.state = became,
            }
        }
    }

    /// Closes what is over and of which nobody waits to hear, and forgets what was closed long ago.
    fn close(&mut self, now: Timestamp, policy: &Policy) {
        self.entries.retain_mut(|line| {
            let Some(over) = line.alert.over else { return true };
            let is_quiet = line.is_quiet(now, policy);
            let is_old = now.duration_since(over).abs() >= LONGEST_END;
            // Who was never reached is not told that it is over, and who cannot be reached for a day may know by now.
            if is_quiet {
                line.told.retain(|_, told| told.state != Delivery::Lost && !(is_old && told.state == Delivery::EndLost));
            }
            line.is_closed = line.is_closed || (is_quiet && line.told.is_empty());
            !line.is_closed || now.duration_since(over).abs() < REMEMBERED
        });
    }
}

impl Line {
    /// What is to be told of it to a receiver just now.
    fn due(&self, now: Timestamp, receiver: &Receiver, policy: &Policy, repeat: Option<SignedDuration>) -> Option<State> {
        let told = self.told.get(&receiver.name);
        if self.alert.over.is_some() {
            let is_due = told.is_some_and(|told| match told.state {
                Delivery::Arrived => self.is_quiet(now, policy),
                Delivery::EndLost => now.duration_since(told.at).abs() >= AFTER_LOSS,
                Delivery::Waiting | Delivery::Again | Delivery::Ending | Delivery::Lost => false,
            });
            return is_due.then_some(State::Resolved);
        }
        if !receiver.wants(&self.alert.id, self.alert.severity) || policy.mutes(&self.alert.id, now) {
            return None;
        }
        let is_due = match told {
            None => now.duration_since(self.alert.since).abs() >= policy.delay,
            Some(told) if told.state.is_in_outbox() => false,
            Some(Told { at, state, .. }) => {
                let pause = if *state == Delivery::Lost {
                    Some(repeat.map_or(AFTER_LOSS, |repeat| repeat.min(AFTER_LOSS)))
                } else {
                    repeat
                };
                pause.is_some_and(|pause| now.duration_since(*at).abs() >= pause)
            }
        };
        is_due.then_some(State::Firing)
    }

    /// Whether it has been over for long enough to believe it.
    fn is_quiet(&self, now: Timestamp, policy: &Policy) -> bool {
        let Some(over) = self.alert.over else { return false };
        let quiet = match self.returns {
            0 => policy.delay.max(LEAST_QUIET),
            returns => {
                let longer = policy.delay.max(SHORTEST_QUIET) * (1_i32 << returns.min(10));
                longer.min(LONGEST_QUIET.max(policy.delay))
            }
        };
        now.duration_since(over).abs() >= quiet
    }
}

/// The name of a message: the same for the same decision, and for no other.
fn name(receiver: &str, state: State, at: Timestamp, alerts: &[Alert]) -> String {
    let mut text = format!("{receiver}\n{}\n{at}\n", state.as_str());
    for Alert { id: Id { object, reason, about }, since, .. } in alerts {
        let object = object.as_ref().map(ToString::to_string).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{object}\t{reason}\t{about}\t{since}");
    }
    hex::encode(&Sha256::digest(text)[..12])
}

#[cfg(test)]
mod tests;
