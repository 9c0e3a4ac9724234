//! The desired state itself in trouble, and two Moorings at once.

use crate::host::{Host, container};

#[test]
fn an_emptied_directory_removes_nothing_and_is_reported() {
    let (one, two) = (container("one", "image: web:1"), container("two", "image: web:1"));
    let mut host = Host::start(&[one.clone(), two.clone()]);
    let ids = [host.id("one"), host.id("two")];
    // While nobody watches: one after the other, the first would be a deletion like any.
    host.stop();
    host.delete("one.yaml");
    host.delete("two.yaml");
    host.run();
    host.eventually("it is reported", |host| host.context().health().not_ready.iter().any(|trouble| trouble.contains("empty")));
    host.stays(4, "nothing is removed", |host| host.names() == ["@one", "@two"]);
    host.docker("kill @one");
    host.eventually("what was wanted is kept alive", |host| host.state("one") == "running healthy");
    host.put(one);
    host.put(two);
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
    host.converges();
    assert_eq!([host.id("one"), host.id("two")], ids);
}

#[test]
fn a_directory_that_goes_and_comes_back_under_a_running_mooring_removes_nothing() {
    let host = Host::start(&[container("one", "image: web:1"), container("two", "image: web:1")]);
    let ids = [host.id("one"), host.id("two")];
    let away = host.path("").with_file_name("away");
    std::fs::rename(host.path(""), &away).unwrap();
    std::fs::create_dir(host.path("")).unwrap();
    host.eventually("it is reported", |host| !host.context().health().not_ready.is_empty());
    host.stays(4, "nothing is removed", |host| host.names() == ["@one", "@two"]);
    std::fs::remove_dir(host.path("")).unwrap();
    std::fs::rename(&away, host.path("")).unwrap();
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
    host.put(container("one", "image: web:2"));
    host.eventually("changes are seen again", |host| host.image("one") == "web:2");
    assert_eq!(host.id("two"), ids[1]);
}

#[test]
fn a_broken_file_leaves_the_last_good_version_in_force() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let id = host.id("web");
    host.write("web.yaml", "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web}\nspec:\n\timage: [\n");
    host.eventually("it is said", |host| host.holds("Container/web").contains("Degraded: InvalidManifest"));
    host.docker("kill @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    assert_eq!(host.id("web"), id);
    host.put(container("web", "image: web:2"));
    host.eventually("the mended file counts", |host| host.image("web") == "web:2" && host.names() == ["@web"]);
    host.eventually("nothing is wrong any more", |host| !host.holds("Container/web").contains("InvalidManifest"));
}

#[test]
fn a_second_mooring_on_the_same_state_is_refused_and_told_who_holds_it() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let refusal = host.open().err().unwrap().to_string();
    assert!(refusal.contains("another mooring holds"), "{refusal}");
    assert!(refusal.contains(&format!("pid {}", std::process::id())), "{refusal}");
}
