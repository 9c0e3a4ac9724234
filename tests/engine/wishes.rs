//! What people ask for from the dashboard and the chat: done in their name, once, and only as it was shown.

use jiff::SignedDuration;
use mooring::{
    manifest::Key,
    operator::{HoldEnd, Operator, Proposed, Wish},
    secret::Secret,
};

use crate::host::{Host, container, environment};

const WHO: &str = "session:0a1b";

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn propose(host: &Host, wish: &Wish) -> Result<Proposed, String> {
    let operator: &dyn Operator = &**host.context();
    host.wait_for(operator.propose(wish))
}

fn fulfil(host: &Host, wish: &Wish, shown: &Proposed) -> Result<String, String> {
    let operator: &dyn Operator = &**host.context();
    host.wait_for(operator.fulfil(wish, shown, WHO))
}

/// Shown and confirmed at once.
fn ask(host: &Host, wish: &Wish) -> Proposed {
    let shown = propose(host, wish).unwrap();
    assert_eq!(fulfil(host, wish, &shown).as_deref(), Ok("done"), "{wish:?}");
    shown
}

fn variable(name: &str, value: Option<&str>) -> Wish {
    Wish::Variable { name: name.to_owned(), value: value.map(|value| Secret::new(value.to_owned())), file: None }
}

#[test]
fn what_was_stopped_on_request_stays_stopped_until_somebody_starts_it() {
    let mut host = Host::start(&[container("web", "image: web:1\nonManualStop: heal")]);
    let web = key("Container/web");
    ask(&host, &Wish::Stop(web.clone()));
    host.eventually("it says so", |host| host.holds("Container/web").contains("Held: StoppedByHand"));
    host.stays(3, "although other stops by hand are healed", |host| host.state("web").starts_with("exited"));
    host.stop();
    host.run();
    host.stays(3, "also after a restart of ours", |host| host.state("web").starts_with("exited"));
    assert!(propose(&host, &Wish::Restart(web.clone())).unwrap_err().contains("exited with"), "nothing to restart");

    ask(&host, &Wish::Start(web.clone()));
    host.converges();
    assert_eq!(host.state("web"), "running healthy");
    let acts: Vec<_> = host.audit().into_iter().filter(|entry| entry.actor == WHO).map(|entry| entry.operation).collect();
    assert_eq!(acts, ["StopContainer", "StartContainer"]);

    host.docker("kill @web");
    host.eventually("who is not asked for stays healed", |host| host.state("web") == "running healthy");
}

#[test]
fn what_has_changed_since_it_was_shown_is_not_touched() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let wish = Wish::Stop(key("Container/web"));
    let shown = propose(&host, &wish).unwrap();
    let before = host.started("web");
    host.docker("restart @web");
    host.eventually("it was started anew", |host| host.started("web") != before);
    let refused = fulfil(&host, &wish, &shown).unwrap_err();
    assert!(refused.contains("not as it was shown"), "{refused}");
    host.stays(2, "it runs", |host| host.state("web").starts_with("running"));
    assert_eq!(host.count("Container/web", "StopContainer"), 0);
}

#[test]
fn a_variable_changes_in_its_line_alone_and_reaches_exactly_those_who_take_it() {
    let env = environment("shop", "directory: .\nfiles: [.env, .env.local]");
    let using =
        |name: &str, keys: &str| container(name, &format!("image: web:1\nenvFrom: [{{environment: shop, keys: [{keys}]}}]"));
    let mut host = Host::new(&[env, using("taker", "COLOUR"), using("other", "SIZE")]);
    let text = "# of the shop\nCOLOUR='blue' # or not\n\nSIZE=1\n";
    host.write(".env", text);
    host.run();
    host.converges();
    let (old, other) = (host.id("taker"), host.id("other"));

    let wish = variable("COLOUR", Some("dark green"));
    let shown = propose(&host, &wish).unwrap();
    assert_eq!(shown.diff.as_deref(), Some(".env\n-COLOUR=blue\n+COLOUR=dark green"));
    assert!(shown.details.iter().any(|line| line.ends_with("in order: Container/taker")), "{:?}", shown.details);
    assert_eq!(fulfil(&host, &wish, &shown).as_deref(), Ok("done"));
    assert_eq!(host.read(".env"), text.replace("blue", "dark green"));
    host.eventually("it has the new value", |host| host.variable("taker", "COLOUR").as_deref() == Some("dark green"));
    host.converges();
    assert!(host.id("taker") != old && host.id("other") == other, "nobody else is made anew");

    // However often a value changes: to follow it is no fight with whoever changes it.
    for colour in ["red", "white", "pink", "dark green"] {
        ask(&host, &variable("COLOUR", Some(colour)));
        host.eventually("it has the new value", |host| host.variable("taker", "COLOUR").as_deref() == Some(colour));
        host.converges();
    }
    let shown = propose(&host, &variable("COLOUR", Some("grey"))).unwrap();

    host.write(".env.local", "COLOUR=black\n");
    let refused = fulfil(&host, &variable("COLOUR", Some("grey")), &shown).unwrap_err();
    assert!(refused.contains("not as it was shown"), "{refused}");
    let shown = ask(&host, &variable("COLOUR", None));
    assert!(shown.details.contains(&".env has it too, and counts then".to_owned()), "{:?}", shown.details);
    assert_eq!(host.read(".env.local"), "");
    host.eventually("the other file counts", |host| host.variable("taker", "COLOUR").as_deref() == Some("dark green"));
}

#[test]
fn a_secret_that_is_set_is_in_its_file_and_nowhere_else() {
    let mut host = Host::new(&[environment("shop", "directory: .\nsecrets: {generate: [{name: API_TOKEN}]}")]);
    host.write(".env", "");
    host.run();
    host.converges();
    let secret = "s3cr3t-of-ada";
    let shown = propose(&host, &variable("API_TOKEN", Some(secret))).unwrap();
    assert!(!format!("{shown:?}").contains(secret), "{shown:?}");
    ask(&host, &variable("API_TOKEN", Some(secret)));
    host.converges();
    assert_eq!(host.value(".env.secrets", "API_TOKEN").as_deref(), Some(secret));
    assert!(!format!("{:?}", host.audit()).contains(secret));
    assert!(!format!("{:?}", host.events("Environment/shop")).contains(secret));
    let operator: &dyn Operator = &**host.context();
    let views = operator.variable_views("API_TOKEN");
    assert!(views.len() == 1 && views[0].shown.starts_with("(sha256:"), "{views:?}");
}

#[test]
fn a_hold_is_a_file_and_its_release_takes_that_away() {
    let host = Host::start(&[container("web", "image: web:1\nrestart: 'no'")]);
    let web = key("Container/web");
    let wish = Wish::Hold {
        targets: vec!["container/web".parse().unwrap()],
        end: HoldEnd::After(SignedDuration::from_mins(10)),
        reason: "a new disk".to_owned(),
    };
    let shown = propose(&host, &wish).unwrap();
    assert!(fulfil(&host, &wish, &shown).unwrap().starts_with("held until "));
    host.eventually("it is held", |host| host.holds("Container/web").contains("Held: Held"));
    assert!(propose(&host, &Wish::Restart(web.clone())).unwrap_err().contains("is left alone"), "it says why");
    host.docker("kill @web");
    host.stays(2, "it is left alone", |host| host.state("web").starts_with("exited"));

    let release = Wish::Release(web);
    let shown = propose(&host, &release).unwrap();
    assert!(shown.details.contains(&"Hold/container-web ends".to_owned()), "{:?}", shown.details);
    fulfil(&host, &release, &shown).unwrap();
    host.converges();
    assert_eq!(host.state("web"), "running healthy");
    let acts: Vec<_> = host.audit().into_iter().filter(|entry| entry.actor == WHO).map(|entry| entry.operation).collect();
    assert!(acts.contains(&"Hold".to_owned()) && acts.contains(&"Release".to_owned()), "{acts:?}");
}
