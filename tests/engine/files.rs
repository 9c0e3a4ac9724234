//! Secrets and variables: what is lost comes back, what changes reaches those who use it and nobody else.

use std::{fs, path::PathBuf};

use crate::host::{Host, container, environment};

const SHOP: &str = "secrets: {generate: [{name: ONE}, {name: TWO, format: alphanumeric, length: 40}]}\n\
                    computed: {values: {URL: 'shop://${ONE:urlencode}@db'}}";
const SECRETS: &str = ".env.secrets";

/// Waits until the secrets file as it is now is the last good one.
fn is_kept(host: &Host) {
    host.eventually("the file is the last good one", |host| {
        fs::read_to_string(copies(host).join(SECRETS)).is_ok_and(|copy| copy == host.read(SECRETS))
    });
}

/// Where the last good files are kept.
fn copies(host: &Host) -> PathBuf {
    host.path("../state/environments/shop")
}

#[test]
fn a_deleted_secret_comes_back_with_its_value_and_nothing_else_changes() {
    let host = Host::start(&[environment("shop", SHOP)]);
    let one = host.value(SECRETS, "ONE").unwrap();
    let two = host.value(SECRETS, "TWO").unwrap();
    assert_eq!((one.len(), two.len()), (64, 40));
    let before = format!("# mine\r\n\r\nexport OTHER='a  b' # why\r\nTWO={two}\n");
    let after = "\n  LAST=\"x\\ty\"\n# the end";
    host.write(SECRETS, &format!("{before}ONE={one}\n{after}"));
    is_kept(&host);
    host.write(SECRETS, &format!("{before}{after}"));
    host.eventually("ONE is back", |host| host.value(SECRETS, "ONE").as_ref() == Some(&one));
    let text = host.read(SECRETS);
    let others: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.starts_with("ONE=")).collect();
    assert_eq!(others.concat().trim_end_matches('\n'), format!("{before}{after}"), "{text}");
    assert!(host.read(".env.computed").contains(&one));
}

#[test]
fn a_deleted_secrets_file_comes_back_byte_for_byte() {
    let host = Host::start(&[environment("shop", SHOP)]);
    let text = format!("# mine\r\n{}\n\n# no newline at the end", host.read(SECRETS).trim_end());
    host.write(SECRETS, &text);
    is_kept(&host);
    host.delete(SECRETS);
    host.eventually("the file is back", |host| host.path(SECRETS).exists());
    assert_eq!(host.read(SECRETS), text);
}

#[test]
fn a_secret_that_only_a_running_container_knows_is_taken_from_there() {
    let shop = environment("shop", "secrets: {generate: [{name: ONE}]}");
    let mut host = Host::start(&[shop, container("web", "image: web:1\nenvFrom: [{environment: shop}]")]);
    let (one, id) = (host.value(SECRETS, "ONE").unwrap(), host.id("web"));
    is_kept(&host);
    host.stop();
    fs::remove_dir_all(copies(&host)).unwrap();
    host.delete(SECRETS);
    host.run();
    host.eventually("ONE is back", |host| host.value(SECRETS, "ONE").is_some());
    assert_eq!(host.value(SECRETS, "ONE"), Some(one));
    host.converges();
    assert_eq!(host.id("web"), id, "its variables are what they were");
}

#[test]
fn a_changed_value_recreates_those_who_use_it_and_nobody_else() {
    let uses = |keys: &str| format!("image: web:1\nenvFrom: [{{environment: shop, keys: [{keys}]}}]");
    let mut host = Host::new(&[
        environment("shop", "files: [.env, .env.local]"),
        container("one", &uses("GREETING")),
        container("two", &uses("LOG_LEVEL, GREETING")),
        container("three", &uses("LOG_LEVEL")),
    ]);
    host.write(".env", "GREETING=hello\nLOG_LEVEL=info\n");
    host.run();
    host.converges();
    let ids = ["one", "two", "three"].map(|name| host.id(name));
    host.write(".env", "GREETING=\"good bye\"\nLOG_LEVEL=info\n");
    host.eventually("one and two have the new value", |host| {
        ["one", "two"].iter().all(|name| host.variable(name, "GREETING").as_deref() == Some("good bye"))
    });
    host.converges();
    host.eventually("the old ones are gone", |host| host.names() == ["@one", "@three", "@two"]);
    assert_ne!(host.id("one"), ids[0]);
    assert_ne!(host.id("two"), ids[1]);
    assert_eq!(host.id("three"), ids[2]);
    assert_eq!(host.steps("Container/three").len(), 2);
}

#[test]
fn a_changed_value_reaches_those_who_use_it_in_the_order_of_their_dependencies() {
    let uses = "image: web:1\nenvFrom: [{environment: shop}]\nhealthcheck: {test: 'sleep 1', interval: 500ms}";
    let then = |dependency: &str| format!("{uses}\ndependsOn: [{{container: {dependency}, condition: healthy}}]");
    let mut host = Host::new(&[
        environment("shop", "files: [.env]"),
        container("api", &then("auth")),
        container("auth", &then("db")),
        container("db", uses),
    ]);
    host.write(".env", "GREETING=hello\n");
    host.run();
    host.converges();
    let before = host.audit().len();
    host.write(".env", "GREETING=bye\n");
    host.eventually("all have the new value", |host| {
        ["api", "auth", "db"].iter().all(|name| host.variable(name, "GREETING").as_deref() == Some("bye"))
    });
    host.converges();
    assert_eq!(host.names(), ["@api", "@auth", "@db"]);
    let mut objects: Vec<String> = host.audit()[before..].iter().map(|entry| entry.object.clone()).collect();
    objects.dedup();
    assert_eq!(objects, ["Container/db", "Container/auth", "Container/api"], "{:#?}", &host.audit()[before..]);
}

#[test]
fn those_who_depend_on_a_container_that_may_not_be_replaced_do_not_wait_for_it() {
    let uses = "image: web:1\nenvFrom: [{environment: shop}]";
    let mut host = Host::new(&[
        environment("shop", "files: [.env]"),
        container("api", &format!("{uses}\ndependsOn: [{{container: db, condition: healthy}}]")),
        container("db", &format!("{uses}\nvolumes: ['@data:/data']")),
    ]);
    host.write(".env", "GREETING=hello\n");
    host.run();
    host.converges();
    let db = host.id("db");
    host.write(".env", "GREETING=bye\n");
    host.eventually("api has the new value", |host| host.variable("api", "GREETING").as_deref() == Some("bye"));
    host.eventually("it is said", |host| host.holds("Container/db").contains("Degraded: RecreateForbidden"));
    assert_eq!(host.id("db"), db);
}

#[test]
fn a_changed_and_a_removed_variable_recreate_their_container() {
    let host = Host::start(&[container("web", "image: web:1\nenvironment: {GREETING: hello, EXTRA: 1}")]);
    host.put(container("web", "image: web:1\nenvironment: {GREETING: good day, EXTRA: 1}"));
    host.eventually("GREETING is new", |host| host.variable("web", "GREETING").as_deref() == Some("good day"));
    host.eventually("the old one is gone", |host| host.names() == ["@web"]);
    host.put(container("web", "image: web:1\nenvironment: {GREETING: good day}"));
    host.eventually("EXTRA is gone", |host| !host.id("web").is_empty() && host.variable("web", "EXTRA").is_none());
    host.eventually("the old one is gone", |host| host.names() == ["@web"]);
    assert_eq!(host.variable("web", "VERSION").as_deref(), Some("1"), "the image's own variables are not ours");
    host.converges();
}

#[test]
fn a_container_that_gets_a_whole_environment_is_made_once_and_with_all_of_it() {
    let host = Host::start(&[environment("shop", SHOP), container("web", "image: web:1\nenvFrom: [{environment: shop}]")]);
    assert_eq!(host.variable("web", "ONE"), host.value(SECRETS, "ONE"));
    assert!(host.variable("web", "URL").unwrap().contains(&host.value(SECRETS, "ONE").unwrap()));
    assert_eq!(host.count("Container/web", "CreateContainer"), 1);
}

#[test]
fn a_lost_secret_is_no_reason_to_recreate_those_who_have_it() {
    let host = Host::start(&[environment("shop", SHOP), container("web", "image: web:1\nenvFrom: [{environment: shop}]")]);
    let (id, text) = (host.id("web"), host.read(SECRETS));
    is_kept(&host);
    for _ in 0..3 {
        let lost: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.starts_with("ONE=")).collect();
        host.write(SECRETS, &lost.concat());
        host.eventually("ONE is back", |host| host.value(SECRETS, "ONE").is_some());
    }
    host.converges();
    host.stays(2, "nobody is replaced", |host| host.names() == ["@web"] && host.id("web") == id);
    assert_eq!(host.steps("Container/web").len(), 2);
}
