//! How every page looks: to eyes, on a telephone, in the dark, and to those who have it read to them.

use std::fs;

use serde_json::Value;

use crate::{
    driver::Browser,
    world::{World, target},
};

/// Every page that has an address, and a name for its picture.
const PAGES: [(&str, &str); 12] = [
    ("overview", "/admin"),
    ("object", "/admin/objects/Container/ticker"),
    ("environment", "/admin/objects/Environment/shop"),
    ("chat", "/admin/chat"),
    ("new-thread", "/admin/chat?thread=new"),
    ("metrics", "/admin/metrics"),
    ("timeline", "/admin/timeline"),
    ("secrets", "/admin/secrets"),
    ("model", "/admin/model"),
    ("routes", "/admin/routes"),
    ("audit", "/admin/audit"),
    ("nowhere", "/admin/nowhere"),
];

/// Axe-core, as `manifests/dev/browser.sh` has fetched it.
fn axe() -> String {
    let path = target("tools/axe/axe.min.js");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("no {} ({error}): run manifests/dev/browser.sh", path.display()))
}

/// What somebody who cannot see or use the page well would stumble over.
fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.js(axe);
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then(
            (found) => done(found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(' | ')}`)),
            (error) => done([String(error)]));";
    let found = browser.js_later(script);
    let found = found.as_array().unwrap().iter();
    found.map(|violation| violation.as_str().unwrap_or_default().to_owned()).collect()
}

fn keep(browser: &Browser, name: &str) {
    let directory = target("screenshots");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{name}.png")), browser.picture()).unwrap();
}

/// The page in light, in dark and on a telephone. What is wrong with it is added to the list.
fn look(browser: &Browser, name: &str, axe: &str, wrong: &mut Vec<String>) {
    let allowed = |complaint: &String| name == "nowhere" && complaint.contains("404");
    wrong.extend(browser.complaints().into_iter().filter(|complaint| !allowed(complaint)).map(|said| format!("{name}: {said}")));
    for (suffix, is_dark, width, height) in
        [("", false, 1280, 900), ("-dark", true, 1280, 900), ("-phone", false, 360, 740), ("-phone-dark", true, 360, 740)]
    {
        browser.dark(is_dark);
        browser.size(width, height, width < 500);
        keep(browser, &format!("{name}{suffix}"));
        let found = violations(browser, axe);
        wrong.extend(found.into_iter().map(|violation| format!("{name}{suffix}: {violation}")));
        if sideways(browser, width) {
            wrong.push(format!("{name}{suffix}: it scrolls sideways: {}", widest(browser)));
        }
    }
    // Between a telephone and a wide screen tables are the least at home.
    for width in [660, 905, 1000, 1205] {
        browser.size(width, 900, false);
        if sideways(browser, width) {
            wrong.push(format!("{name} at {width}: it scrolls sideways: {}", widest(browser)));
        }
    }
    let grounds: Vec<Value> = [false, true]
        .map(|is_dark| {
            browser.dark(is_dark);
            browser.js("return getComputedStyle(document.body).backgroundColor")
        })
        .into();
    if grounds[0] == grounds[1] {
        wrong.push(format!("{name}: it is not dark where dark is preferred"));
    }
    browser.dark(false);
    browser.size(1280, 900, false);
    // Axe tries things that the policy forbids; they are no fault of the page's.
    browser.complaints();
}

/// Whether somebody has to scroll sideways, or sees it all smaller than it is meant.
fn sideways(browser: &Browser, width: u32) -> bool {
    let script = "const all = document.documentElement; return Math.max(all.scrollWidth - all.clientWidth, innerWidth - ";
    browser.js(&format!("{script}{width})")).as_f64().unwrap() > 0.0
}

/// What sticks out on the right.
fn widest(browser: &Browser) -> Value {
    let script = "const edge = document.documentElement.clientWidth;
        const out = [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > edge + 1);
        return out.slice(0, 3).map((one) => one.outerHTML.slice(0, 160)).join(' | ')";
    browser.js(script)
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let (world, axe) = (World::new(), axe());
    let browser = world.browser();
    browser.go("/admin/login");
    browser.js("document.querySelector('label').remove(); document.querySelector('button').style.color = '#2a7080'");
    browser.js("document.querySelector('h1').style.width = '900px'");
    let mut wrong = Vec::new();
    look(&browser, "spoilt", &axe, &mut wrong);
    let all = wrong.join("\n");
    for fault in ["spoilt: color-contrast", "spoilt-dark: label", "spoilt-phone: it scrolls sideways"] {
        assert!(all.contains(fault), "{fault} is not in {all}");
    }
    browser.js("const script = document.createElement('script'); script.textContent = '1'; document.body.append(script)");
    browser.until("the console says what is forbidden", |browser| {
        browser.complaints().iter().any(|said| said.contains("Content Security Policy"))
    });
}

#[test]
fn every_page_is_for_everybody_on_every_screen_and_without_a_complaint() {
    let axe = axe();
    let mut wrong = Vec::new();
    let world = World::with_everything();
    let browser = world.browser();
    browser.go("/admin/login");
    look(&browser, "login", &axe, &mut wrong);
    drop(browser);
    let browser = world.inside();

    // Something to look at: a fault that was healed, a question with rows, and one that waits.
    world.host.docker("kill @web");
    world.host.eventually("it is healed", |host| host.state("web").starts_with("running"));
    browser.go("/admin/chat");
    for (line, answer) in [
        ("what tables are in my database?", "users"),
        ("SELECT id, email FROM users ORDER BY id LIMIT 4", "user4"),
        ("set LOG_LEVEL to debug", "+LOG_LEVEL=debug"),
    ] {
        browser.enter("#text", line);
        browser.click(".say button");
        browser.sees_in("#last .theirs", answer);
        browser.until("it is over", |browser| browser.js("return document.querySelectorAll('[aria-busy]').length") == 0);
    }
    look(&browser, "chat-streamed", &axe, &mut wrong);
    for (name, path) in PAGES {
        browser.go(path);
        if name == "metrics" {
            // Two rounds, so that there is a line.
            browser
                .until("it is measured", |browser| browser.js("return document.querySelectorAll('polyline').length > 3") == true);
        }
        look(&browser, name, &axe, &mut wrong);
    }
    browser.go("/admin/objects/Container/web");
    browser.click("form[action$='/restart'] button");
    browser.sees("Restart web?");
    look(&browser, "confirm", &axe, &mut wrong);
    browser.go("/admin/audit");
    browser.click("form[action$='/verify'] button");
    browser.sees("The audit log is good");
    look(&browser, "verified", &axe, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
