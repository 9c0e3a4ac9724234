use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// Sentences and what they mean, one on a line.
const QUESTIONS: &str = include_str!("../../../tests/questions/builtin.txt");

/// A Saturday.
fn now() -> Timestamp {
    "2026-11-21T14:30:00Z".parse().unwrap()
}

/// A stack as nself makes it, with two workers and something that is nearly called `postgres`.
fn vocabulary() -> Vocabulary {
    let service = |name: &str, image: &str| Service {
        name: name.to_owned(),
        container: Some(format!("shop_{name}")),
        project: Some("shop".to_owned()),
        compose: Some(name.to_owned()),
        image: Some(image.to_owned()),
        display_name: None,
    };
    let services = [
        ("postgres", "postgres:16-alpine"),
        ("hasura", "hasura/graphql-engine:v2.44.0"),
        ("auth", "nhost/hasura-auth:0.36.0"),
        ("redis", "redis:7"),
        ("nginx", "nginx:alpine"),
        ("minio", "minio/minio:latest"),
        ("mailpit", "axllent/mailpit@sha256:00"),
        ("ollama", "ollama/ollama"),
        ("claw", "registry.test:5000/nself/claw:1"),
        ("worker-mail", "worker:dev"),
        ("worker-video", "worker:dev"),
        ("postgres-exporter", "prometheuscommunity/postgres-exporter"),
    ];
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let services = services.map(|(name, image)| service(name, image));
    Vocabulary::new(services, owned(&["LOG_LEVEL", "POSTGRES_PASSWORD", "DEBUG"]), owned(&["users", "orders"]))
}

fn understood(text: &str) -> Understood {
    parse(text, &vocabulary(), now())
}

fn questions() -> Vec<(String, &'static str)> {
    let lines = QUESTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let question = |line: &'static str| {
        let (said, meant) = line.split_once("=>").unwrap_or_else(|| panic!("no `=>` in: {line}"));
        (said.trim().replace("\\n", "\n"), meant.trim())
    };
    lines.map(question).collect()
}

#[test]
fn every_question_of_the_list_is_understood_as_it_says_there() {
    let questions = questions();
    let wrong: Vec<String> = questions
        .iter()
        .map(|(said, meant)| (said, meant, shown(&understood(said))))
        .filter(|(_, meant, understood)| understood != **meant)
        .map(|(said, meant, understood)| format!("{}\n  meant: {meant}\n  read:  {understood}", said.replace('\n', "\\n")))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), questions.len(), wrong.join("\n"));
    assert!(questions.len() >= 150, "only {} questions", questions.len());
}

/// Sentences of questions stand in front of their first candidate, and values are shown: there is nothing secret here.
fn shown(understood: &Understood) -> String {
    match understood {
        Understood::Intent(intent) => intent.to_string(),
        Understood::Ambiguous { candidates, .. } if candidates.len() > 3 => {
            format!("asks: {} | {} | ... {} in all", candidates[0], candidates[1], candidates.len())
        }
        Understood::Ambiguous { candidates, .. } => {
            format!("asks: {}", candidates.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
        }
        other => other.to_string(),
    }
}

/// The words of all questions of the list that only look: none of them acts.
fn read_words() -> Vec<String> {
    let acts = ["restart", "start", "stop", "hold", "release", "set", "unset"];
    let mut words: Vec<String> = questions()
        .into_iter()
        .filter(|(said, _)| matches!(understood(said), Understood::Intent(intent) if intent.tier() == Tier::Read && intent != Intent::Cancel))
        .flat_map(|(said, _)| said.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| !acts.iter().any(|act| word.to_lowercase().contains(act)))
        .filter(|word| !is_an_act_word(word))
        .collect();
    words.sort();
    words.dedup();
    words
}

fn is_an_act_word(word: &str) -> bool {
    let low = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let acts = [
        "bounce",
        "kick",
        "reboot",
        "recycle",
        "cycle",
        "launch",
        "boot",
        "halt",
        "kill",
        "terminate",
        "shutdown",
        "teardown",
        "turn",
        "switch",
        "power",
        "shut",
        "take",
        "tear",
        "bring",
        "spin",
        "fire",
        "reload",
        "give",
        "do",
        "perform",
        "trigger",
        "run",
        "freeze",
        "pause",
        "resume",
        "unhold",
        "leave",
        "put",
        "hands",
        "keep",
        "lift",
        "end",
        "remove",
        "delete",
        "drop",
        "clear",
        "change",
        "update",
        "make",
        "add",
        "export",
        "insert",
        "truncate",
        "alter",
        "create",
        "grant",
        "revoke",
        "place",
    ];
    acts.contains(&low.as_str())
}

#[test]
fn what_a_confirmation_needs_is_of_the_right_tier() {
    let tier = |text: &str| match understood(text) {
        Understood::Intent(intent) => intent.tier(),
        other => panic!("{text}: {other}"),
    };
    assert_eq!(["redis?", "help", "SELECT 1 FROM x", "show POSTGRES_PASSWORD"].map(tier), [Tier::Read; 4]);
    assert_eq!(
        ["restart redis", "start redis", "hold redis for 1h", "release redis", "set A_B to c", "unset LOG_LEVEL"].map(tier),
        [Tier::Write; 6]
    );
    assert_eq!(
        ["stop redis", "tear down the cache", "DELETE FROM users", "change the database: x"].map(tier),
        [Tier::Destructive; 4]
    );
}

#[test]
fn a_value_that_is_set_is_neither_debugged_nor_recorded() {
    let understood = understood("set POSTGRES_PASSWORD to hunter2");
    let Understood::Intent(intent) = &understood else { panic!("{understood}") };
    assert!(intent.to_string().contains("hunter2"));
    for told in [format!("{understood:?}"), understood.to_string(), serde_json::to_string(&intent.clone().masked()).unwrap()] {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// A sign of quoting begins a line of somebody else's, and behind a value it hid whatever followed on the line.
#[test]
fn what_stands_behind_a_value_is_heard_whatever_sign_it_begins_with() {
    assert_eq!(understood("A_B=\"a\"> zorgle"), Understood::Unknown);
    assert_eq!(understood("A_B=\"a\" ``` zorgle"), Understood::Unknown);
    assert_eq!(understood("A_B=\"a\" please"), understood("A_B=\"a\""));
}

#[test]
fn a_model_can_propose_everything_but_a_confirmation() {
    let schema = serde_json::to_string(&schemars::schema_for!(Intent)).unwrap();
    assert!(
        schema.contains("\"restart\"") && schema.contains("\"databaseChange\"") && !schema.contains("\"confirm\""),
        "{schema}"
    );
    assert!(serde_json::from_str::<Intent>(r#"{"intent": "confirm"}"#).is_err());
    assert!(serde_json::from_str::<Intent>(r#"{"intent": "restart", "services": ["redis"], "confirmed": true}"#).is_err());
    let proposed = |json: &str| vet(serde_json::from_str(json).unwrap(), &vocabulary(), now());
    let text = |json: &str| shown(&proposed(json));
    assert_eq!(text(r#"{"intent": "restart", "services": ["cache"]}"#), "restart redis");
    assert_eq!(text(r#"{"intent": "restart", "services": ["reddis"]}"#), "there is no service reddis; the nearest: redis");
    assert_eq!(text(r#"{"intent": "restart", "services": []}"#), "asks: restart postgres | restart hasura | ... 8 in all");
    assert_eq!(
        text(r#"{"intent": "stop", "service": "worker"}"#),
        "there is no service worker; the nearest: worker-mail, worker-video"
    );
    assert_eq!(
        text(r#"{"intent": "logs", "service": "pg", "lines": 99999}"#),
        "show the last 5000 lines of the logs of postgres"
    );
    assert_eq!(text(r#"{"intent": "hold", "what": {"services": []}, "end": {"for": "1h"}}"#), "unknown");
    assert_eq!(
        text(r#"{"intent": "hold", "what": "all", "end": {"until": "2026-11-21T14:00:00Z"}}"#),
        "asks: hold everything for 1h | hold everything for 4h | hold everything for 24h"
    );
    assert_eq!(vet(Intent::Confirm, &vocabulary(), now()), Understood::Unknown);
}

#[test]
fn an_intent_is_the_same_after_it_was_json() {
    for (said, _) in questions() {
        if let Understood::Intent(intent) = understood(&said)
            && intent != Intent::Confirm
        {
            let json = serde_json::to_string(&intent).unwrap();
            assert_eq!(serde_json::from_str::<Intent>(&json).unwrap(), intent, "{json}");
        }
    }
}

#[test]
fn what_is_asked_back_can_be_answered_with_a_candidate() {
    let mut asked = 0;
    for (said, _) in questions() {
        let Understood::Ambiguous { question, candidates } = understood(&said) else { continue };
        assert!(!candidates.is_empty(), "{said}: {question}");
        for candidate in candidates {
            assert_eq!(understood(&candidate.to_string()), Understood::Intent(candidate));
            asked += 1;
        }
    }
    assert!(asked > 20, "only {asked} candidates");
}

#[test]
fn names_that_are_words_are_still_names() {
    let names = ["all", "now", "the logs", "log", "audit", "2h", "today", "und", "a,b", "\"", "restart"];
    let services = names.map(|name| Service { name: name.to_owned(), ..Service::default() });
    let vocabulary = Vocabulary::new(services, [], []);
    for name in names {
        let one = vec![name.to_owned()];
        for intent in [
            Intent::Restart { services: one.clone() },
            Intent::Stop { service: name.to_owned() },
            Intent::Release { what: Held::Services(one.clone()) },
            Intent::Health { services: one.clone() },
            Intent::Why { service: name.to_owned() },
        ] {
            let text = intent.to_string();
            assert_eq!(parse(&text, &vocabulary, now()), Understood::Intent(intent), "{text}");
        }
    }
}

#[test]
fn a_hundred_kilobytes_are_read_in_no_time() {
    let vocabulary = vocabulary();
    let texts = [
        "restart redis ".repeat(7_200),
        "x".repeat(100_000),
        "\"".repeat(100_000),
        "a\"'`".repeat(25_000),
        "2026-11-21T10:00:00Z ERROR could not connect to redis\n".repeat(1_900),
        format!("set LOG_LEVEL to {}", "y".repeat(100_000)),
        "ä,".repeat(33_000),
        "between ".repeat(12_500),
        format!("is {} running?", "reddiss".repeat(14_000)),
    ];
    for text in texts {
        let started = Instant::now();
        let _ = parse(&text, &vocabulary, now());
        // A hundred times what it takes without optimisation on a busy machine: what is not linear takes far longer.
        assert!(started.elapsed().as_secs() < 20, "{:?} for {}…", started.elapsed(), &text[..8]);
    }
}

fn service() -> impl Strategy<Value = String> {
    prop::sample::select(vocabulary().services().to_vec())
}

fn services() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(service(), 1..4).prop_map(objects::once)
}

fn moment(past: bool) -> impl Strategy<Value = Timestamp> {
    let seconds = if past { -4_000_000..0_i64 } else { 1..4_000_000_i64 };
    seconds.prop_map(|seconds| now() + jiff::SignedDuration::from_secs(seconds))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,30}", "\\PC{1,20}", "[a-z ]{1,30}\n[\"'`\\\\.!]{0,6}"]
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![Just(Held::All), services().prop_map(Held::Services)]
}

fn end() -> impl Strategy<Value = End> {
    let duration = (1..1_000_000_u64).prop_map(|seconds| End::For(Duration::seconds(seconds)));
    prop_oneof![duration, moment(false).prop_map(End::Until)]
}

fn audit() -> impl Strategy<Value = Intent> {
    let word = |words: &'static [&'static str]| prop::option::of(prop::sample::select(words).prop_map(str::to_owned));
    let span = (prop::option::of(moment(true)), prop::option::of(moment(true)));
    let who = (word(&["reconciler", "cli:root", "session 5", "api"]), word(&["RestartContainer", "WriteSecrets"]));
    let what = (prop::option::of(service()), word(&["done", "failed", "already-so", "open"]), prop::option::of(1..5000_u32));
    (span, who, what).prop_map(|((since, until), (actor, operation), (target, outcome, limit))| {
        Intent::Audit(AuditOf { since, until, actor, operation, target, outcome, limit })
    })
}

fn reading() -> impl Strategy<Value = Intent> {
    let gauge = prop::sample::select(&[Gauge::All, Gauge::Cpu, Gauge::Memory, Gauge::Disk]);
    let some = || prop::option::of(service());
    let logs = (service(), 1..=MAX_LINES, prop::option::of(text()), prop::option::of(moment(true)));
    let events = (some(), prop::option::of(moment(true)), prop::option::of(moment(true)), prop::option::of(1..5000_u32));
    prop_oneof![
        prop::sample::select(vec![
            Intent::Help,
            Intent::Cancel,
            Intent::Confirm,
            Intent::Status,
            Intent::Services,
            Intent::Secrets,
            Intent::Model,
            Intent::Routes
        ]),
        services().prop_map(|services| Intent::Health { services }),
        (gauge, some()).prop_map(|(which, service)| Intent::Metrics { which, service }),
        logs.prop_map(|(service, lines, contains, since)| Intent::Logs { service, lines, contains, since }),
        audit(),
        events.prop_map(|(service, since, until, limit)| Intent::Events { service, since, until, limit }),
        service().prop_map(|service| Intent::Why { service }),
        some().prop_map(|service| Intent::Plan { service }),
        "[A-Z][A-Z0-9_]{0,12}".prop_map(|key| Intent::EnvShow { key }),
        text()
            .prop_filter_map("empty", |text| Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
            .prop_map(|question| Intent::Database { question }),
    ]
}

fn acting() -> impl Strategy<Value = Intent> {
    let file = prop::option::of(prop::sample::select(&[".env.local", ".env", "prod.env", "my file"][..]).prop_map(str::to_owned));
    let key = || "[A-Za-z_][A-Za-z0-9_]{0,12}";
    prop_oneof![
        services().prop_map(|services| Intent::Restart { services }),
        services().prop_map(|services| Intent::Start { services }),
        service().prop_map(|service| Intent::Stop { service }),
        (held(), end(), prop::option::of(text())).prop_map(|(what, end, reason)| Intent::Hold { what, end, reason }),
        held().prop_map(|what| Intent::Release { what }),
        (key(), text(), file).prop_map(|(key, value, file)| Intent::EnvSet { key, value: Value::new(value), file }),
        key().prop_map(|key| Intent::EnvUnset { key }),
        text()
            .prop_filter_map("empty", |text| Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
            .prop_map(|request| Intent::DatabaseChange { request }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_question_prints_as_a_sentence_that_means_it(intent in reading()) {
        prop_assert_eq!(understood(&intent.to_string()), Understood::Intent(intent.clone()), "{}", intent);
    }

    #[test]
    fn every_command_prints_as_a_sentence_that_means_it(intent in acting()) {
        prop_assert_eq!(understood(&intent.to_string()), Understood::Intent(intent.clone()), "{}", intent);
    }

    #[test]
    fn any_text_at_all_is_understood_the_same_way_twice(text in prop_oneof!["\\PC{0,80}", "[\\PC\n\t]{0,40}"]) {
        prop_assert_eq!(understood(&text), understood(&text));
    }

    #[test]
    fn what_is_understood_is_understood_again_from_its_own_sentence(said in said()) {
        if let Understood::Intent(intent) = understood(&said) {
            prop_assert_eq!(understood(&intent.to_string()), Understood::Intent(intent.clone()), "{} => {}", said, intent);
        }
    }

    #[test]
    fn nothing_acts_without_a_word_that_acts(words in prop::collection::vec(prop::sample::select(read_words()), 0..12)) {
        let text = words.join(" ");
        let intents = match understood(&text) {
            Understood::Intent(intent) => vec![intent],
            Understood::Ambiguous { candidates, .. } => candidates,
            Understood::UnknownService { .. } | Understood::Unknown => Vec::new(),
        };
        prop_assert!(intents.iter().all(|intent| intent.tier() == Tier::Read), "{} => {:?}", text, intents);
    }

    #[test]
    fn nothing_that_was_added_to_a_command_is_passed_over(word in "[a-z]{3,9}", at in 0..3_usize) {
        let mut words = vec!["restart", "redis"];
        words.insert(at.min(2), &word);
        if let Understood::Intent(intent @ Intent::Restart { .. }) = understood(&words.join(" ")) {
            let mut said = words::sentences(&word).unwrap().remove(0);
            lexicon::mend(&mut said, &vocabulary());
            let harmless = phrases::stripped(&said).is_empty()
                || lexicon::is_generic(&said[0].low) || ["the", "our", "your", "both", "this", "that", "shop", "hard", "power"].contains(&word.as_str());
            prop_assert!(harmless, "{} => {}", words.join(" "), intent);
        }
    }
}

/// Words of the list in any order, with signs between them.
fn said() -> impl Strategy<Value = String> {
    let words: Vec<String> =
        questions().into_iter().flat_map(|(said, _)| said.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let word = prop_oneof![9 => prop::sample::select(words), 1 => "\\PC{0,6}"];
    prop::collection::vec(word, 0..10).prop_map(|words| words.join(" "))
}

/// What may be added to a sentence without saying anything.
const POLITE: [&str; 4] = ["please", "thanks", "now", "kindly"];

#[test]
fn no_word_is_passed_over_wherever_it_stands() {
    let strange = ["zorgle", "without", "Qwx-7", "\"zorgle\"", "before"];
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (said, _) in questions() {
        let meant = understood(&said);
        let Understood::Intent(intent) = &meant else { continue };
        // There the words are what is passed on.
        if matches!(intent, Intent::Database { .. } | Intent::DatabaseChange { .. } | Intent::EnvSet { .. }) {
            continue;
        }
        let words: Vec<&str> = said.split(' ').collect();
        for (word, at) in strange.iter().flat_map(|word| (0..=words.len()).map(move |at| (*word, at))) {
            let more = [&words[..at], &[word], &words[at..]].concat().join(" ");
            tried += 1;
            if understood(&more) == meant {
                wrong.push(format!("{more} => {meant}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 3_000, "only {tried}");
    for word in POLITE {
        assert_eq!(understood(&format!("{word} restart redis")), understood("restart redis"));
    }
}
