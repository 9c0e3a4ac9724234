//! What makes us look again: keys, and since when they wait.
//!
//! A trigger carries no content. It says *look at this object, at a world no
//! older than this instant*; many triggers for one object that has not been
//! looked at yet are one. So the queue holds at most one entry for each object,
//! and the reader of engine events can never be held up by it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::Instant,
};

use crate::manifest::Key;

/// The objects that wait to be looked at.
#[derive(Debug)]
pub struct Triggers {
    waiting: Mutex<HashMap<Key, Mark>>,
    // Unbounded, yet never longer than there are objects: see above.
    queue: UnboundedSender<Key>,
}

/// Since when an object waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first trigger that has not been served: from here the response time counts.
    pub first: Instant,
    /// The last one: the observation has to be younger.
    pub last: Instant,
}

impl Triggers {
    /// Nothing waits yet. The receiver is for the applier.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<Key>) {
        let (queue, receiver) = unbounded_channel();
        (Self { waiting: Mutex::default(), queue }, receiver)
    }

    /// Asks for a look at this object as it is now.
    pub fn trigger(&self, key: &Key) {
        self.trigger_at(key, Instant::now());
    }

    /// Asks for a look at this object as it was at `at` or later.
    pub fn trigger_at(&self, key: &Key, at: Instant) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = waiting.get_mut(key) {
            mark.last = mark.last.max(at);
        } else {
            waiting.insert(key.clone(), Mark { first: at, last: at });
            // The receiver is gone only when we are shutting down.
            let _ = self.queue.send(key.clone());
        }
    }

    /// A look begins now: what is triggered from here on asks for another one.
    pub fn take(&self, key: &Key) -> Option<Mark> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// How many objects wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::manifest::Kind;

    #[tokio::test]
    async fn a_thousand_triggers_for_one_object_are_one_entry_that_keeps_first_and_last() {
        let (triggers, mut queue) = Triggers::new();
        let key = Key::new(Kind::Container, "web");
        let start = Instant::now();
        for millis in 0..1000 {
            triggers.trigger_at(&key, start + Duration::from_millis(millis));
        }
        assert_eq!(queue.recv().await.as_ref(), Some(&key));
        assert!(queue.try_recv().is_err());
        let mark = triggers.take(&key).unwrap();
        assert_eq!((mark.first, mark.last), (start, start + Duration::from_millis(999)));
    }

    #[tokio::test]
    async fn a_trigger_during_a_look_asks_for_another_one() {
        let (triggers, mut queue) = Triggers::new();
        let key = Key::new(Kind::Container, "web");
        triggers.trigger(&key);
        queue.recv().await.unwrap();
        triggers.take(&key).unwrap();
        triggers.trigger(&key);
        assert_eq!(queue.recv().await, Some(key));
    }
}
