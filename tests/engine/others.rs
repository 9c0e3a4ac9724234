//! What is not ours, and what is not wanted any more.

use crate::host::{Host, container};

#[test]
fn somebody_elses_container_is_kept_alive_and_never_made_or_removed() {
    let healed = container("app", "management: heal\nselector: {labels: {app: '@app'}}");
    let mut host = Host::new(std::slice::from_ref(&healed));
    host.docker("run --detach --name @app --label app=@app --pull never mooring-demo/web:1");
    host.run();
    host.converges();
    let id = host.id("app");
    host.docker("kill @app");
    host.eventually("it runs again", |host| host.state("app") == "running healthy");
    assert_eq!(host.id("app"), id);
    let started = host.started("app");
    host.docker("exec @app touch /tmp/sick");
    host.eventually("it was restarted", |host| host.started("app") != started && host.state("app") == "running healthy");
    assert_eq!(host.id("app"), id);

    host.docker("rm --force @app");
    host.eventually("it is missed", |host| host.holds("Container/app").contains("NotFound"));
    host.stays(3, "it is not made", |host| host.state("app") == "absent");

    host.docker("run --detach --name @app --label app=@app --pull never mooring-demo/web:1");
    host.converges();
    host.write("empty.yaml", "# nothing\n");
    host.delete(&healed.0);
    host.eventually("its object is gone", |host| host.context().world.reader.objects().is_empty());
    host.stays(3, "it is left alone", |host| host.state("app").starts_with("running"));
}

#[test]
fn a_container_whose_manifest_is_gone_is_removed_and_its_volume_stays() {
    let host = Host::start(&[
        container("web", "image: web:1"),
        container("db", "image: web:1\nvolumes: ['@data:/data']\nallowRemove: true"),
        container("other", "image: web:1"),
    ]);
    host.delete("web.yaml");
    host.delete("db.yaml");
    host.eventually("both are gone", |host| host.names() == ["@other"]);
    assert_eq!(host.docker("volume inspect --format {{.Name}} @data"), format!("{}-data", host.name));
    host.eventually("their objects are gone", |host| host.context().world.reader.objects().len() == 1);
    assert_eq!(host.count("Container/web", "RemoveContainer @web: its manifest is gone [done]"), 1);
}

#[test]
fn a_container_with_data_is_kept_when_its_manifest_goes_without_permission() {
    let host = Host::start(&[container("db", "image: web:1\nvolumes: ['@data:/data']"), container("other", "image: web:1")]);
    let id = host.id("db");
    host.delete("db.yaml");
    host.eventually("it is said", |host| host.holds("Container/db").contains("Degraded: RemoveForbidden"));
    host.stays(3, "it is kept", |host| host.id("db") == id && host.state("db") == "running healthy");
    host.put(container("db", "image: web:1\nvolumes: ['@data:/data']"));
    host.converges();
    assert_eq!(host.id("db"), id);
}

#[test]
fn a_trigger_for_what_nobody_has_declared_does_not_keep_it_from_being_looked_at_when_somebody_does() {
    let host = Host::start(&[container("other", "image: web:1")]);
    host.context().triggers.trigger(&"Container/late".parse().unwrap());
    host.eventually("nothing waits", |host| host.context().triggers.depth() == 0);
    host.put(container("late", "image: web:1"));
    host.eventually("it runs", |host| host.state("late") == "running healthy");
}

#[test]
fn a_container_that_was_removed_with_its_manifest_comes_back_with_it_however_often() {
    let host = Host::start(&[container("other", "image: web:1"), container("web", "image: web:1")]);
    for _ in 0..3 {
        host.delete("web.yaml");
        host.eventually("its object is gone", |host| host.context().world.reader.objects().len() == 1);
        host.put(container("web", "image: web:1"));
        host.eventually("it runs", |host| host.state("web") == "running healthy");
    }
}

#[test]
fn a_name_that_somebody_else_has_is_not_taken_from_them() {
    let mut host = Host::new(&[container("web", "image: web:1")]);
    host.docker("run --detach --name @web --pull never mooring-demo/web:2");
    let id = host.id("web");
    host.run();
    host.eventually("it is said", |host| host.holds("Container/web").contains("Degraded: NameTaken"));
    host.stays(2, "it is left alone", |host| host.id("web") == id);
    host.docker("rm --force @web");
    host.converges();
    assert_eq!(host.image("web"), "web:1");
}
