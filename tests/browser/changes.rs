//! Asking, and what is done then: never before it was shown, and as often confirmed as it can lose something.

use std::fs;

use crate::{driver::Browser, world::World};

/// Says a line in the chat, and waits for the whole answer.
fn say(browser: &Browser, text: &str) -> String {
    let count = || browser.js("return document.querySelectorAll('#chat > li').length");
    let before = count();
    browser.enter("#text", text);
    browser.click(".say button");
    browser.until("it is answered", |browser| {
        count() != before && browser.js("return document.querySelectorAll('[aria-busy]').length") == 0
    });
    browser.text_of("#last .theirs")
}

/// Presses a button of the last answer, and waits for what comes of it.
fn press(browser: &Browser, css: &str) -> String {
    let count = || browser.js("return document.querySelectorAll('#chat > li').length");
    let before = count();
    browser.click(&format!("#last {css}"));
    browser.until("it is answered", |browser| {
        count() != before && browser.js("return document.querySelectorAll('[aria-busy]').length") == 0
    });
    browser.text_of("#last .theirs")
}

const YES: &str = ".question form:first-child button";
const CANCEL: &str = ".question form:last-child button";

#[test]
fn the_database_is_asked_and_changed_only_when_that_is_permitted_and_confirmed_twice() {
    let world = World::with_database();
    let browser = world.inside();
    browser.go("/admin/chat");
    let tables = say(&browser, "what tables are in my database?");
    assert!(tables.contains("users") && tables.contains("orders"), "{tables}");
    let rows = say(&browser, "SELECT id, email FROM users WHERE id IN (2, 13) ORDER BY id");
    assert!(rows.contains("user2@example.com") && rows.contains("<b onclick="), "{rows}");
    assert_eq!(browser.js("return document.querySelectorAll('#last td b').length"), 0, "a row is text");
    let cells = browser.js("return [...document.querySelectorAll('#last table tr')].map(row => row.children.length)");
    assert_eq!(cells, serde_json::json!([2, 2, 2]));
    let refused = say(&browser, "SELECT pg_sleep(1)");
    assert!(refused.contains("Not asked"), "{refused}");

    let change = "UPDATE orders SET cents = 0 WHERE user_id = 3";
    let off = say(&browser, change);
    assert!(off.contains("CLAW_ADMIN_ALLOW_DESTRUCTIVE=true"), "{off}");
    let variables = world.host.read(".env");
    fs::write(world.host.path(".env"), format!("{variables}CLAW_ADMIN_ALLOW_DESTRUCTIVE=true\n")).unwrap();
    browser.until("it is permitted", |browser| say(browser, change).contains("rows of orders?"));
    assert!(browser.text_of("#last .theirs").contains(change), "in full");
    let unpaid = || say(&browser, "SELECT count(*) AS unpaid FROM orders WHERE cents = 0").lines().any(|line| line.trim() == "0");
    assert!(unpaid(), "tried and taken back");
    say(&browser, change);
    let again = press(&browser, YES);
    assert!(again.contains("orders"), "{again}");
    let wrong = {
        browser.enter("#last .question input[name=text]:not([type=hidden])", "order");
        press(&browser, YES)
    };
    assert!(wrong.contains("Not done yet"), "{wrong}");
    assert!(say(&browser, "cancel").contains("Cancelled"));
    assert!(unpaid(), "nothing was changed");
    say(&browser, change);
    press(&browser, YES);
    browser.enter("#last .question input[name=text]:not([type=hidden])", "orders");
    let done = press(&browser, YES);
    assert!(done.contains("Confirmed") && done.contains("rows changed"), "{done}");
    assert!(!unpaid());
    browser.go("/admin/audit?operation=ChangeDatabase");
    browser.sees(change);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_restart_is_done_after_a_yes_and_neither_after_a_cancel_nor_when_something_else_was_asked() {
    let world = World::new();
    let browser = world.inside();
    browser.go("/admin/chat");
    let before = world.host.started("redis");
    assert!(say(&browser, "restart redis").contains("Restart redis?"));
    assert!(press(&browser, CANCEL).contains("Cancelled"));
    assert!(say(&browser, "yes").contains("Nothing waits"));

    // The page of somebody who has two of them open: the question of one is void when the other asks.
    browser.go("/admin/objects/Container/redis");
    browser.click("form[action$='/restart'] button");
    browser.sees("Restart redis?");
    let stale = browser.js("return document.querySelector('form.answer input[name=id]').value");
    browser.go("/admin/objects/Container/web");
    browser.click("form[action$='/restart'] button");
    browser.sees("Restart web?");
    browser.js(&format!("document.querySelector('form.answer input[name=id]').value = {stale}"));
    browser.click("form.answer button");
    browser.sees_in(".refusal", "does not stand any more");
    assert_eq!(world.host.started("redis"), before, "nobody has said yes to what stands");
    // That page was answered with 409, which the console tells.
    browser.complaints();

    browser.go("/admin/objects/Container/redis");
    browser.click("form[action$='/restart'] button");
    browser.click("form.answer button");
    browser.until("it is done", |browser| browser.path() == "/admin/objects/Container/redis");
    world.host.eventually("it was restarted", |host| host.started("redis") != before);
    browser.go("/admin/audit?operation=RestartContainer");
    browser.sees("session:");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn to_stop_a_service_is_off_and_then_takes_a_yes_and_its_name() {
    let world = World::new();
    let browser = world.inside();
    let stop = || {
        browser.go("/admin/objects/Container/redis");
        browser.click("form[action$='/stop'] button");
    };
    stop();
    browser.sees_in(".refusal", "CLAW_ADMIN_ALLOW_DESTRUCTIVE=true");
    browser.complaints();
    let variables = world.host.read(".env");
    fs::write(world.host.path(".env"), format!("{variables}CLAW_ADMIN_ALLOW_DESTRUCTIVE=true\n")).unwrap();
    browser.until("it is permitted", |browser| {
        stop();
        browser.until("an answer", |browser| !browser.text_of("h1").is_empty());
        browser.text_of("h1") == "Stop redis?"
    });
    browser.complaints();
    browser.click("form.answer button");
    browser.sees("Type redis to confirm it a second time");
    assert!(world.host.state("redis").starts_with("running"));
    browser.click("form.answer button");
    assert!(world.host.state("redis").starts_with("running"), "the name is missing");
    browser.enter("#name", "redis");
    browser.click("form.answer button");
    world.host.eventually("it is stopped", |host| host.state("redis").starts_with("exited"));
    browser.go("/admin/objects/Container/redis");
    browser.click("form[action$='/start'] button");
    browser.sees("Start redis?");
    browser.click("form.answer button");
    world.host.eventually("it runs again", |host| host.state("redis").starts_with("running"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_variable_is_shown_as_it_was_and_as_it_will_be_and_a_secret_by_its_fingerprint() {
    let world = World::new();
    let browser = world.inside();
    browser.go("/admin/chat");
    let before = world.host.id("web");
    let shown = say(&browser, "set LOG_LEVEL to debug");
    assert!(shown.contains("-LOG_LEVEL=info") && shown.contains("+LOG_LEVEL=debug") && shown.contains("web"), "{shown}");
    assert_eq!(world.host.value(".env", "LOG_LEVEL").as_deref(), Some("info"), "nobody has said yes");
    assert!(press(&browser, YES).contains("Confirmed"));
    assert_eq!(world.host.value(".env", "LOG_LEVEL").as_deref(), Some("debug"));
    assert!(world.host.read(".env").starts_with("# What the services share.\n"), "all else stays");
    world.host.eventually("its user is made anew", |host| host.id("web") != before && host.state("web").starts_with("running"));
    assert_eq!(world.host.variable("web", "LOG_LEVEL").as_deref(), Some("debug"));

    let secret = say(&browser, "set PAYMENT_API_KEY to another-key-0815");
    assert!(secret.contains("+PAYMENT_API_KEY=(sha256:") && !secret.contains("another-key-0815"), "{secret}");
    press(&browser, CANCEL);
    browser.go("/admin/chat");
    browser.sees("PAYMENT_API_KEY");
    assert!(!browser.text().contains("another-key-0815"), "nor is it kept");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_secret_that_is_typed_is_gone_from_the_page_at_once() {
    let world = World::new();
    let browser = world.inside();
    browser.go("/admin/chat");
    let mine = || browser.text_of("#last .mine");
    say(&browser, "set PAYMENT_API_KEY another-key-0815");
    assert_eq!(mine(), "set the variable PAYMENT_API_KEY to \"(not shown)\"");
    press(&browser, CANCEL);
    say(&browser, "dear friend, the password of the shop is another-key-0815");
    assert_eq!(mine(), "dear friend, the password of the shop is ***");
    say(&browser, "is <b>sk-another-key-0815</b> \u{202e}odd?");
    assert!(mine().starts_with("is <b>***</b>"), "{}", mine());
    assert_eq!(browser.js("return document.querySelectorAll('#chat b').length"), 0, "what was said is text");
    assert_eq!(say(&browser, "is redis running?").lines().next(), browser.text_of("#last .theirs").lines().next());
    assert_eq!(mine(), "is redis running?", "all else stands there as it was said");
    let whole = browser.js("return document.documentElement.outerHTML");
    assert!(!whole.to_string().contains("0815"), "nowhere on the page");
    browser.go("/admin/chat");
    browser.sees("the password of the shop is ***");
    assert!(!browser.text().contains("0815"), "nor is it kept");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_is_held_is_left_alone_until_it_is_released() {
    let world = World::new();
    let browser = world.inside();
    let press = |verb: &str, question: &str| {
        browser.go("/admin/objects/Container/redis");
        browser.click(&format!("form[action$='/{verb}'] button"));
        browser.sees_in("h1", question);
        browser.click("form.answer button");
        browser.until("it is done", |browser| browser.path() == "/admin/objects/Container/redis");
    };
    press("hold", "Hold");
    browser.sees_in("[data-part] .state.held", "eld");
    world.host.docker("kill @redis");
    browser.sees_in("[data-part]", "held back");
    world.host.stays(4, "it is left alone", |host| host.state("redis").starts_with("exited"));
    press("release", "Release");
    world.host.eventually("it is healed", |host| host.state("redis").starts_with("running"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
