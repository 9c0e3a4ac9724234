//! How an object is, in one word: the worst that is true of it.

use crate::manifest::status::{ConditionStatus, ConditionType, Status};

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As declared.
    Ready,
    /// On its way.
    Progressing,
    /// Left alone because somebody said so.
    Held,
    /// Not as declared, and not on its way.
    Degraded,
    /// Nobody has looked yet, or nobody could.
    Unknown,
}

impl Standing {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Held => "Held",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// The worst that is true of an object, what is said of it, and since when.
    #[must_use]
    pub fn of(status: Option<&Status>) -> (Self, String, String) {
        let Some(status) = status else { return (Self::Unknown, "nobody has looked yet".to_owned(), String::new()) };
        let order = [
            (ConditionType::CrashLoop, Self::Degraded),
            (ConditionType::Degraded, Self::Degraded),
            (ConditionType::Held, Self::Held),
            (ConditionType::Progressing, Self::Progressing),
            (ConditionType::Ready, Self::Ready),
        ];
        let holds = |kind| status.condition(kind).filter(|condition| condition.status == ConditionStatus::True);
        let worst = order.into_iter().find_map(|(kind, standing)| Some((holds(kind)?, standing)));
        if let Some((condition, standing)) = worst {
            return (standing, condition.message.clone(), condition.last_transition_time.clone());
        }
        let ready = status.condition(ConditionType::Ready);
        let message = ready.map(|ready| ready.message.clone()).unwrap_or_default();
        (Self::Unknown, message, ready.map(|ready| ready.last_transition_time.clone()).unwrap_or_default())
    }
}
