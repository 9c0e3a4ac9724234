//! What is kept is checked, bounded, and its owner's; playbooks propose.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    budget::{self, Budget, Price, Spent},
    playbooks::{self, NewPlaybook, Pattern, Playbook, Step, fits},
    runner,
    shelf::Shelf,
    talk::Claw,
    threads, tokens, *,
};
use crate::{
    admin::{
        chat::{Chat, Part},
        desk::{Desk, Speaker},
        store::Store,
    },
    http::fake::{Fake, event},
    operator::Operator,
    view::EventView,
};

/// Something that keeps what is said, and the operator that it asks.
struct World {
    _state: tempfile::TempDir,
    operator: Arc<Fake>,
    store: Store,
    claw: Claw,
}

impl World {
    async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).await.unwrap();
        let operator = Arc::new(Fake::default());
        let known: Arc<dyn Operator> = Arc::clone(&operator) as _;
        let desk = Desk::new(Arc::clone(&known), None);
        let chat = Chat::new(Arc::clone(&known), desk.clone());
        Self { _state: state, operator, claw: Claw::new(Shelf::from(&store), known, desk, chat), store }
    }

    async fn playbook(&self, steps: &[&str], requires_confirmation: bool) -> Playbook {
        let new = NewPlaybook {
            name: "mend".to_owned(),
            pattern: Pattern { reason: Some("OutOfMemory".to_owned()), ..Pattern::default() },
            steps: steps.iter().map(|step| Step::Sentence((*step).to_owned())).collect(),
            requires_confirmation,
            enabled: true,
        };
        playbooks::add(&self.claw.shelf, &self.claw.chat, &new, Some("Container/web"), now()).await.unwrap()
    }

    /// What stands in the threads of playbooks, newest first.
    async fn written(&self) -> Vec<threads::Message> {
        let store = &self.claw.shelf;
        let all = threads::list(store, runner::OWNER, &Span::default()).await.unwrap().items;
        let Some(thread) = all.first() else { return Vec::new() };
        threads::read(store, runner::OWNER, &thread.id, &Span::default()).await.unwrap().messages.items
    }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn out_of_memory() -> EventView {
    event("OutOfMemory", 1)
}

#[test]
fn a_pattern_fits_what_a_shell_would_take() {
    for (pattern, text) in
        [("*", ""), ("a*c", "abbc"), ("A?C", "abc"), ("*-api", "shop-api"), ("a**b", "ab"), ("*a*a", "aaa"), ("", "")]
    {
        assert!(fits(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a*c", "ab"), ("a?c", "ac"), ("", "a"), ("*b", "ba"), ("?", "")] {
        assert!(!fits(pattern, text), "{pattern} {text}");
    }
    // One that makes a careless matcher take for ever.
    assert!(!fits(&"*a".repeat(60), &"a".repeat(59)));
}

#[tokio::test]
async fn a_token_is_known_by_nothing_but_itself_and_until_it_expires() {
    let world = World::new().await;
    let store = &world.store;
    let end = "2026-02-02T00:00:00Z".parse().unwrap();
    let token = tokens::create(store, "ci", now(), Some(end)).await.unwrap();
    assert_eq!(tokens::owner(store, token.expose(), now()).await.unwrap().as_deref(), Some("ci"));
    assert_eq!(tokens::owner(store, token.expose(), end).await.unwrap(), None);
    let longer = format!("{}0", token.expose());
    for wrong in ["", "mct_", &longer, &token.expose()[..60], &token.expose().to_uppercase()] {
        assert_eq!(tokens::owner(store, wrong, now()).await.unwrap(), None, "{wrong}");
    }
    for wrong in ["", "A", "a b", "ü", "session:x", &"a".repeat(64)] {
        assert!(matches!(tokens::create(store, wrong, now(), None).await, Err(Error::Invalid(_))), "{wrong}");
    }
    assert!(matches!(tokens::create(store, "ci", now(), None).await, Err(Error::Conflict(_))));
    assert!(matches!(tokens::create(store, "late", now(), Some(now())).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn of_threads_those_that_were_silent_the_longest_go() {
    let world = World::new().await;
    let store = &world.claw.shelf;
    let first = threads::begin(store, "token:ci", "first", now()).await.unwrap();
    let second = threads::begin(store, "token:ci", "second", now()).await.unwrap();
    threads::add(store, &first.id, "again", &[], now()).await.unwrap();
    for number in 0..99 {
        threads::begin(store, "token:ci", &format!("thread {number}"), now()).await.unwrap();
    }
    assert!(threads::one(store, "token:ci", &first.id).await.is_ok(), "something was said in it");
    assert!(matches!(threads::one(store, "token:ci", &second.id).await, Err(Error::NoSuch("thread"))));
    let long = "x".repeat(300_000);
    threads::add(store, &first.id, "long", &[Part::Text { text: long }], now()).await.unwrap();
    let page = threads::read(store, "token:ci", &first.id, &Span::default()).await.unwrap();
    assert_eq!(page.messages.items[0].parts, [Part::Text { text: "The answer was too long to be kept.".to_owned() }]);
    threads::delete(store, "token:ci", &first.id).await.unwrap();
    assert!(matches!(threads::add(store, &first.id, "late", &[], now()).await, Err(Error::NoSuch("thread"))));
}

#[tokio::test]
async fn a_model_is_asked_until_the_money_or_the_tokens_of_the_day_or_the_month_are_used_up() {
    let world = World::new().await;
    let store = &world.claw.shelf;
    let price = |model: &str, input, output| Price {
        provider: "openai".to_owned(),
        model: model.to_owned(),
        input_micros_per_million: input,
        output_micros_per_million: output,
    };
    let budget = Budget {
        daily_micros: Some(100),
        monthly_micros: Some(150),
        prices: vec![price("small-*", 1_000_000, 2_000_000), price("*", 0, 0)],
        ..Budget::default()
    };
    budget::set(store, &budget).await.unwrap();
    let may = async |provider: &str, model: &str, now: &str| {
        budget::may_spend(store, provider, model, now.parse().unwrap()).await.map_err(|error| error.to_string())
    };
    let (today, tomorrow, next_month) = ("2026-01-02T23:59:59Z", "2026-01-03T00:00:00Z", "2026-02-01T00:00:00Z");
    assert_eq!(may("openai", "small-1", today).await, Ok(()));
    assert!(may("anthropic", "any", today).await.unwrap_err().contains("has no price"));
    assert_eq!(may("ollama", "any", today).await, Ok(()), "what runs here costs nothing");
    budget::spent(store, ("openai", "small-1"), (50, 25), today.parse().unwrap()).await.unwrap();
    assert!(may("openai", "small-1", today).await.unwrap_err().contains("money for today"));
    assert_eq!(may("openai", "small-1", tomorrow).await, Ok(()));
    budget::spent(store, ("openai", "small-1"), (50, 0), tomorrow.parse().unwrap()).await.unwrap();
    assert!(may("openai", "small-1", tomorrow).await.unwrap_err().contains("money for this month"));
    assert_eq!(may("openai", "small-1", next_month).await, Ok(()));
    let usage = budget::usage(store, tomorrow.parse().unwrap(), 31).await.unwrap();
    assert_eq!(usage.month, Spent { requests: 2, input_tokens: 100, output_tokens: 25, micros: 150 });
    assert_eq!(usage.days.iter().map(|line| line.day.as_str()).collect::<Vec<_>>(), ["2026-01-03", "2026-01-02"]);

    budget::set(store, &Budget { daily_tokens: Some(10), ..Budget::default() }).await.unwrap();
    budget::spent(store, ("ollama", "any"), (9, 1), today.parse().unwrap()).await.unwrap();
    assert!(may("ollama", "any", today).await.unwrap_err().contains("tokens for today"));
}

#[tokio::test]
async fn part_of_a_micro_dollar_is_a_whole_one() {
    let world = World::new().await;
    let store = &world.claw.shelf;
    let price =
        Price { provider: "*".to_owned(), model: "*".to_owned(), input_micros_per_million: 1, output_micros_per_million: 1 };
    budget::set(store, &Budget { prices: vec![price], ..Budget::default() }).await.unwrap();
    budget::spent(store, ("openai", "m"), (1, 0), now()).await.unwrap();
    assert_eq!(budget::usage(store, now(), 1).await.unwrap().today.micros, 1);
}

#[tokio::test]
async fn a_playbook_reads_at_once_and_only_offers_what_would_change_something() {
    let world = World::new().await;
    let playbook = world.playbook(&["is {service} running?", "restart {service}", "stop {service}"], true).await;
    runner::run(&world.claw, &playbook, &out_of_memory()).await.unwrap();
    let written = world.written().await;
    let [stop, restart, read] = written.as_slice() else { panic!("{written:?}") };
    assert!(format!("{:?}", read.parts).contains("it exited with 137"), "{read:?}");
    let offers = |message: &threads::Message, sentence: &str| {
        message.parts.iter().any(|part| *part == Part::Instead { sentences: vec![sentence.to_owned()] })
    };
    assert!(offers(restart, "restart web") && offers(stop, "stop web"), "{written:?}");
    assert!(world.operator.restarted.lock().unwrap().is_empty());
    let noted = world.operator.noted.lock().unwrap().clone();
    assert!(noted[0].0 == "playbook:mend" && noted[0].1.contains("because of OutOfMemory on Container/web"), "{noted:?}");
}

#[tokio::test]
async fn one_that_needs_no_confirmation_acts_three_times_an_hour_at_most_in_its_own_name() {
    let world = World::new().await;
    let playbook = world.playbook(&["restart {service}"], false).await;
    for _ in 0..5 {
        runner::run(&world.claw, &playbook, &out_of_memory()).await.unwrap();
    }
    let restarted = world.operator.restarted.lock().unwrap().clone();
    assert!(restarted.len() == 3 && restarted.iter().all(|(_, actor)| actor == "playbook:mend"), "{restarted:?}");
    let written = world.written().await;
    assert!(format!("{:?}", written[0].parts).contains("three times within an hour"), "{written:?}");
    assert!(format!("{:?}", written[4].parts).contains("Done by the playbook"), "{written:?}");
    let later = now() + jiff::SignedDuration::from_hours(1);
    assert!(playbooks::count(&world.claw.shelf, &playbook.id, "act", 3, later).await.unwrap(), "another hour");
}

#[tokio::test]
async fn what_may_lose_something_is_never_done_by_itself_even_where_the_database_says_so() {
    let world = World::new().await;
    let stored = world.playbook(&["stop {service}"], true).await;
    let forced = Playbook { requires_confirmation: false, ..stored };
    runner::run(&world.claw, &forced, &out_of_memory()).await.unwrap();
    assert!(format!("{:?}", world.written().await[0].parts).contains("waits for a person"));
}

#[tokio::test]
async fn an_event_about_something_else_or_with_a_strange_name_gives_no_command() {
    let world = World::new().await;
    let playbook = world.playbook(&["restart {service}"], false).await;
    for object in ["Host", "Environment/shop", "Container/web and api", "Container/web; stop api", "Container/nobody"] {
        let event = EventView { object: object.to_owned(), ..out_of_memory() };
        runner::run(&world.claw, &playbook, &event).await.unwrap();
    }
    assert!(world.operator.restarted.lock().unwrap().is_empty());
    let written = world.written().await;
    assert!(written.iter().all(|message| format!("{:?}", message.parts).contains("Not done")), "{written:?}");
}

#[tokio::test]
async fn an_event_runs_the_playbooks_that_it_fits_and_no_others() {
    let world = World::new().await;
    let steps = vec![Step::Sentence("plan".to_owned())];
    for (name, reason, enabled) in [("fits", "Started", true), ("other", "Removed", true), ("off", "Started", false)] {
        let pattern = Pattern { reason: Some(reason.to_owned()), ..Pattern::default() };
        let new = NewPlaybook { name: name.to_owned(), pattern, steps: steps.clone(), requires_confirmation: true, enabled };
        playbooks::add(&world.claw.shelf, &world.claw.chat, &new, None, now()).await.unwrap();
    }
    let shutdown = tokio_util::sync::CancellationToken::new();
    let watch = tokio::spawn(runner::watch(world.claw.clone(), shutdown.clone()));
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while world.written().await.is_empty() {
        assert!(tokio::time::Instant::now() < patience, "nothing was written");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    shutdown.cancel();
    watch.await.unwrap();
    let all = threads::list(&world.claw.shelf, runner::OWNER, &Span::default()).await.unwrap().items;
    let titles: Vec<&str> = all.iter().map(|thread| thread.title.as_str()).collect();
    assert_eq!(titles, ["playbook: fits"]);
}

#[tokio::test]
async fn a_secret_that_was_typed_stands_in_no_thread_and_in_no_note() {
    let world = World::new().await;
    let ada = Speaker { session: "ada".to_owned(), actor: "session:ada".to_owned() };
    for (said, kept) in [
        ("set NEW_TOKEN hunter2", "set the variable NEW_TOKEN to \"(not shown)\""),
        ("NEW_TOKEN=hunter2", "set the variable NEW_TOKEN to \"(not shown)\""),
        ("export API_KEY=\"hunter2\"", "set the variable API_KEY to \"(not shown)\""),
        ("please use hunter2 as OPENAI_API_KEY", "set the variable OPENAI_API_KEY to \"(not shown)\""),
        ("change the password of db to hunter2", "change the password of db to ***"),
        ("friends, the token is hunter2", "friends, the token is ***"),
    ] {
        let line = talk::Line { thread: None, persona: None, text: said };
        let talking = world.claw.say_anyway(&ada, line).await.unwrap();
        assert_eq!(talking.said, kept, "{said}");
        let thread = talking.thread.clone().unwrap();
        talking.kept.await.unwrap().unwrap();
        let (thread, page) = world.claw.messages(&ada, &thread.id, &Span::default()).await.unwrap();
        let written = format!("{thread:?} {:?}", page.items);
        assert!(written.contains(&kept.replace('"', "\\\"")) && !written.contains("hunter2"), "{written}");
    }
    let noted = format!("{:?}", world.operator.noted.lock().unwrap());
    assert!(noted.contains("say: ") && !noted.contains("hunter2"), "{noted}");
}
