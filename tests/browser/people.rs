//! Getting in, not getting in, and getting out.

use crate::{
    driver::{ENTER, TAB},
    world::{PASSWORD, World, login},
};

#[test]
fn whoever_has_the_password_gets_in_and_after_the_logout_the_way_back_shows_nothing() {
    let world = World::new();
    let browser = world.browser();
    browser.go("/admin/chat");
    assert_eq!(browser.path(), "/admin/login", "the door is before everything");
    assert_eq!(browser.js("return document.cookie"), "", "no script reads the cookie");
    browser.keys(&format!("{PASSWORD}{ENTER}"));
    browser.until("the door opens", |browser| browser.path() == "/admin");
    browser.sees("redis");
    assert_eq!(browser.js("return document.cookie"), "");
    browser.go("/admin/secrets");
    browser.sees("PLUGIN_INTERNAL_SECRET");

    browser.click("header form button");
    browser.until("the door closes", |browser| browser.path() == "/admin/login");
    browser.back();
    browser.until("the door is still closed", |browser| browser.path() == "/admin/login");
    assert!(!browser.text().contains("PLUGIN_INTERNAL_SECRET") && !browser.text().contains("Container"), "{}", browser.text());
    for path in ["/admin", "/admin/metrics", "/admin/objects/Container/web"] {
        browser.go(path);
        assert_eq!(browser.path(), "/admin/login");
    }
}

#[test]
fn a_wrong_password_is_told_and_after_too_many_the_right_one_has_to_wait_too() {
    let world = World::new();
    let browser = world.browser();
    for _ in 0..5 {
        login(&browser, "not the password");
        browser.sees_in(".refusal", "that is not the password");
        assert_eq!(browser.js("return document.querySelector('#password').value"), "", "a guess does not come back");
    }
    login(&browser, PASSWORD);
    browser.sees_in(".refusal", "try again in");
    browser.go("/admin");
    assert_eq!(browser.path(), "/admin/login");
}

#[test]
fn somebody_without_a_mouse_gets_in_asks_and_confirms() {
    let world = World::new();
    let browser = world.browser();
    browser.go("/admin/login");
    // The cursor is in the only field.
    browser.keys(PASSWORD);
    browser.keys(TAB);
    browser.keys(ENTER);
    browser.until("the door opens", |browser| browser.path() == "/admin");
    browser.keys(TAB);
    browser.sees_in(":focus", "Skip to content");
    let tab_to = |what: &str| {
        for _ in 0..40 {
            browser.keys(TAB);
            if browser.text_of(":focus") == what {
                return;
            }
        }
        panic!("nobody gets to {what} by the tabulator");
    };
    tab_to("Chat");
    let outline = browser.js("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "the focus can be seen");
    browser.keys(ENTER);
    browser.until("the chat is there", |browser| browser.path() == "/admin/chat");
    assert_eq!(browser.js("return document.activeElement.id"), "text");
    browser.keys("restart redis");
    browser.keys(ENTER);
    browser.sees_in("#last .theirs", "Restart redis?");
    browser.until("it can go on", |browser| browser.js("return document.activeElement.id") == "text");
    let before = world.host.started("redis");
    browser.keys("yes");
    browser.keys(ENTER);
    browser.sees_in("#last .theirs", "Confirmed: restart of redis");
    world.host.eventually("it was restarted", |host| host.started("redis") != before);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
