//! What changes while somebody looks.

use crate::world::World;

#[test]
fn what_is_done_to_a_container_outside_is_seen_without_a_click() {
    let world = World::new();
    let browser = world.inside();
    browser.sees_in("#live", "live");
    // Lost if the page were loaded again.
    browser.js("window.untouched = true");
    let row = "[data-part='/admin/parts/overview']";
    browser.until("all is well", |browser| !browser.text_of(row).contains("starting"));
    let before = world.host.started("redis");
    world.host.docker("kill @redis");
    browser.sees_in(row, "exited with 137");
    world.host.eventually("it is healed", |host| host.state("redis").starts_with("running") && host.started("redis") != before);
    browser.sees_in(row, "start");
    browser.go("/admin/timeline");
    browser.sees("corrected in");
    browser.go("/admin/objects/Container/redis");
    browser.sees("Why something was done last");
    browser.sees_in("[data-part]", "exited with 137");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_page_that_stays_open_says_when_nobody_tells_it_anything_any_more() {
    let mut world = World::new();
    let browser = world.inside();
    browser.sees_in("#live", "live");
    browser.js("window.untouched = true");
    world.stop();
    browser.sees_in("#live", "offline");
    world.start();
    browser.sees_in("#live", "live");
    assert_eq!(browser.js("return window.untouched"), true, "by itself, and in the same session");
    browser.go("/admin/audit");
    assert_eq!(browser.path(), "/admin/audit");
}

#[test]
fn a_log_is_searched_and_followed_and_is_text_without_secrets() {
    let world = World::new();
    let browser = world.inside();
    browser.go("/admin/objects/Container/ticker");
    browser.sees_in("pre.log", "<i>tick</i> 1 ***");
    let lines = || browser.text_of("pre.log").lines().filter(|line| line.contains("tick")).count();
    let before = lines();
    assert!(before < 100, "{before}");
    browser.click("[data-follow]");
    browser.sees_in("#log-said", "Following");
    browser.until("lines come", |_| lines() >= before + 3);
    let text = browser.text_of("pre.log");
    let numbers: Vec<usize> =
        text.lines().filter_map(|line| line.split("</i> ").nth(1)?.split(' ').next()?.parse().ok()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "each line once, in order: {numbers:?}");
    browser.click("[data-follow]");
    browser.sees_in("#log-said", "Paused");

    browser.enter("input[name=log]", "tick</i> 2");
    browser.click("#log .filter button[type=submit]");
    browser.sees_in("#log-said", "have it");
    let found = browser.text_of("pre.log");
    assert!(found.contains("tick</i> 2 ") && !found.contains("tick</i> 1 "), "{found}");
    assert_eq!(browser.js("return document.querySelectorAll('pre.log i').length"), 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
