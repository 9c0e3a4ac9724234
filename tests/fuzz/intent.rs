//! What people say: nothing acts by accident, and whatever is offered means what it says.

use std::{sync::LazyLock, time::Duration};

use jiff::Timestamp;
use mooring::admin::intent::{self, Intent, Service, Tier, Understood, Vocabulary};

use crate::{
    engine::{self, Target},
    law,
};

const WORDS: &[&str] = &[
    "restart ",
    "start ",
    "stop ",
    "hold ",
    "release ",
    "set ",
    "unset ",
    "confirm",
    "yes",
    "cancel",
    "please ",
    "not ",
    "don't ",
    "never ",
    "if ",
    "and ",
    "all ",
    "everything ",
    "the ",
    "redis",
    "postgres",
    "auth",
    "workers",
    "database",
    "LOG_LEVEL",
    "DEBUG",
    "=",
    " to ",
    "for 2 hours",
    "until tomorrow",
    "until 18:00",
    "because ",
    "logs of ",
    "since yesterday",
    "in the last 99999999999 days",
    "why ",
    "what would ",
    "audit log",
    "SELECT * FROM ",
    "DELETE FROM ",
    "ask the database: ",
    "change the database: ",
    "?",
    ".",
    "!",
    ",",
    "\n",
    "\"",
    "'",
    "restrat ",
    "redsi",
    "shop_redis",
    "worker-mail",
    "'s ",
    "n't ",
    "9999999999999 lines",
    "31.12.9999",
    "2026-02-30",
    "25:61",
    "a year ago",
    "half an hour",
    "1e9 minutes",
    "-1 hour",
    "İ",
    "ﬀ",
];
/// No word of any language that we know.
const STRANGE: &str = "zqxvk";

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let names = [
        "postgres",
        "hasura",
        "auth",
        "redis",
        "nginx",
        "minio",
        "mailpit",
        "ollama",
        "claw",
        "worker-mail",
        "worker-video",
        "postgres-exporter",
    ];
    let service = |name: &str| Service {
        name: name.to_owned(),
        container: Some(format!("shop_{name}")),
        project: Some("shop".to_owned()),
        compose: Some(name.to_owned()),
        ..Service::default()
    };
    let variables = ["LOG_LEVEL", "POSTGRES_PASSWORD", "DEBUG"].map(str::to_owned);
    Vocabulary::new(names.map(service), variables, ["users".to_owned(), "orders".to_owned()])
});

#[test]
fn nothing_that_anybody_says_acts_by_accident() {
    let list = engine::file("tests/questions/builtin.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" => "));
    let seeds = lines.map(|(said, _)| said.replace("\\n", "\n")).collect();
    Target { name: "intent", seeds, words: WORDS, cases: 1_200, limit: Duration::from_secs(1), check }.run();
}

/// A Saturday.
fn now() -> Timestamp {
    "2026-11-21T14:30:00Z".parse().unwrap()
}

fn understood(text: &str) -> Understood {
    intent::parse(text, &VOCABULARY, now())
}

fn acts(understood: &Understood) -> bool {
    matches!(understood, Understood::Intent(intent) if intent.tier() > Tier::Read)
}

fn check(text: &[u8]) -> Result<(), String> {
    let text = engine::lossy(text);
    let meant = understood(&text);
    law!(understood(&text) == meant, "the same twice", "{meant}");
    law!(!meant.to_string().is_empty(), "it can be told", "{meant:?}");
    match &meant {
        Understood::Intent(intent) => {
            said_again(intent)?;
            // Nobody says yes for a person, and what is for the database is looked at there.
            if *intent != Intent::Confirm {
                let vetted = intent::vet(intent.clone(), &VOCABULARY, now());
                law!(vetted == meant, "what was understood passes the gate", "{meant} {vetted}");
            }
        }
        Understood::Ambiguous { candidates, .. } => candidates.iter().try_for_each(said_again)?,
        Understood::UnknownService { .. } | Understood::Unknown => {}
    }
    if acts(&meant) && text.len() < 300 {
        by_accident(&text, &meant)?;
    }
    Ok(())
}

/// What an intent prints is a sentence that means it.
fn said_again(intent: &Intent) -> Result<(), String> {
    let again = understood(&intent.to_string());
    law!(again == Understood::Intent(intent.clone()), "an intent prints as a sentence that means it", "{intent} is {again}");
    Ok(())
}

/// What acts, with a word that nobody knows anywhere in it, does not do the same any more.
fn by_accident(text: &str, meant: &Understood) -> Result<(), String> {
    // What follows is not ours to understand.
    if matches!(meant, Understood::Intent(Intent::DatabaseChange { .. })) {
        return Ok(());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    for at in 0..=words.len() {
        // What a variable was set to before is not asked for, so that it may be anything. Signs around a word are no part of it, nor is
        // what makes it a possessor.
        let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let is_from = |word: &&str| bare(word.split(['\'', '’']).find(|part| !part.is_empty()).unwrap_or_default()) == "from";
        let from = words[..at].iter().rposition(is_from);
        if from.is_some_and(|from| !words[from..at].contains(&"to")) {
            continue;
        }
        let with = [&words[..at], &[STRANGE], &words[at..]].concat().join(" ");
        let now = understood(&with);
        law!(!acts(&now) || now != *meant, "no word is passed over", "{with:?} is {now}");
        if at < words.len() {
            let with = [&words[..at], &[STRANGE], &words[at + 1..]].concat().join(" ");
            let now = understood(&with);
            law!(!acts(&now) || now != *meant, "a changed word is another sentence", "{with:?} is {now}");
        }
    }
    for not in ["don't", "do not", "never", "if it is down,", "why did you", "he said:", "I would not"] {
        let with = format!("{not} {}", text.trim());
        let now = understood(&with);
        law!(!acts(&now), "what is denied or told does not act", "{with:?} is {now}");
    }
    Ok(())
}
