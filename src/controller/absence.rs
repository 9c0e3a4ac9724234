//! Manifests that have just vanished.
//!
//! Editors rename a file away and write it anew, and a file that is half
//! written can be a whole one with less in it. What was wanted a moment ago is
//! therefore only given up when it stays away. After a start nobody can have
//! been seen saving: what is gone then is gone.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::manifest::{Key, Kind, Manifest};

/// How long a manifest has to be away until that is believed.
const GRACE: Duration = Duration::from_secs(2);

/// Since when which manifests are away.
pub(super) struct Absences {
    /// What was declared when last looked, and is therefore in force.
    last: BTreeMap<Key, Manifest>,
    since: BTreeMap<Key, Instant>,
    next: watch::Sender<Option<Instant>>,
}

impl Absences {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { last: BTreeMap::new(), since: BTreeMap::new(), next: watch::channel(None).0 }
    }

    /// When the next absence will have to be believed.
    pub(super) fn next(&self) -> watch::Receiver<Option<Instant>> {
        self.next.subscribe()
    }

    /// Puts back nothing of this kind for now.
    pub(super) fn believe(&mut self, kind: Kind) {
        self.last.retain(|key, _| key.kind != kind);
    }

    /// Puts back what has only just vanished from the files.
    pub(super) fn bridge(&mut self, declared: &mut BTreeMap<Key, Manifest>) {
        let now = Instant::now();
        self.since.retain(|key, _| !declared.contains_key(key));
        for (key, manifest) in std::mem::take(&mut self.last) {
            if !declared.contains_key(&key) && now < *self.since.entry(key.clone()).or_insert(now) + GRACE {
                declared.insert(key, manifest);
            }
        }
        self.since.retain(|key, _| declared.contains_key(key));
        self.last = declared.clone();
        self.next.send_replace(self.since.values().min().map(|since| *since + GRACE));
    }
}

/// Ends when an absence has to be believed.
pub(super) async fn due(next: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let at = *next.borrow_and_update();
        tokio::select! {
            biased;
            changed = next.changed() => {
                // Nobody is left who could have an absence.
                if changed.is_err() { std::future::pending::<()>().await; }
            }
            () = async { sleep_until(at.unwrap_or_else(Instant::now)).await }, if at.is_some() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(name: &str) -> (Key, Manifest) {
        let value = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "Container", "metadata": {"name": name}, "spec": {"image": "web:1"},
        });
        let manifest = Manifest::from_json(Kind::Container, value).unwrap();
        (manifest.key(), manifest)
    }

    /// The names in force after each of these moments, in milliseconds, at which the files have these manifests.
    async fn in_force(story: &[(u64, &[&str])]) -> Vec<String> {
        let (mut absences, begun, mut told) = (Absences::new(), Instant::now(), Vec::new());
        for (at, names) in story {
            sleep_until(begun + Duration::from_millis(*at)).await;
            let mut manifests = names.iter().map(|name| container(name)).collect();
            absences.bridge(&mut manifests);
            told.push(manifests.keys().map(|key| key.name.as_str()).collect::<Vec<_>>().join(" "));
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_back_within_two_seconds_was_never_away() {
        let story: &[(u64, &[&str])] = &[(0, &["api", "web"]), (100, &["api"]), (2000, &["api", "web"]), (2200, &["api"])];
        assert_eq!(in_force(story).await, ["api web", "api web", "api web", "api web"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_away_is_given_up() {
        let story: &[(u64, &[&str])] = &[(0, &["api", "web"]), (100, &["api"]), (1500, &["api"]), (2100, &["api"])];
        assert_eq!(in_force(story).await, ["api web", "api web", "api web", "api"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_has_ended_is_given_up_at_once() {
        let mut absences = Absences::new();
        absences.bridge(&mut ["api", "web"].map(container).into());
        absences.believe(Kind::Container);
        let mut declared = ["api"].map(container).into();
        absences.bridge(&mut declared);
        assert_eq!(declared.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_moment_at_which_to_look_again_is_that_of_the_first_to_be_given_up() {
        let mut absences = Absences::new();
        let mut next = absences.next();
        for names in [["api", "web"].as_slice(), &["api"], &[]] {
            let mut manifests = names.iter().map(|name| container(name)).collect();
            absences.bridge(&mut manifests);
            sleep_until(Instant::now() + Duration::from_millis(500)).await;
        }
        let before = Instant::now();
        due(&mut next).await;
        assert_eq!(before.elapsed(), Duration::from_secs(1));
    }
}
