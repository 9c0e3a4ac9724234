//! What people do on purpose.

use crate::host::{Host, container};

#[test]
fn a_stop_by_hand_is_respected_and_remembered_until_somebody_starts_it() {
    let mut host = Host::start(&[container("web", "image: web:1")]);
    let before = host.steps("Container/web");
    host.docker("stop @web");
    host.eventually("the stop is known to be meant", |host| host.holds("Container/web").contains("Held: StoppedByHand"));
    assert!(host.state("web").starts_with("exited"));
    host.stop();
    host.run();
    host.stays(5, "web stays stopped", |host| host.state("web").starts_with("exited"));
    assert!(host.holds("Container/web").contains("Held: StoppedByHand"));
    assert_eq!(host.steps("Container/web"), before);

    host.docker("start @web");
    host.converges();
    assert_eq!(host.steps("Container/web"), before, "a person started it, not we");
    host.docker("kill @web");
    host.eventually("it is kept alive again", |host| host.state("web") == "running healthy");
}

#[test]
fn a_released_container_is_started_although_it_was_stopped_by_hand() {
    let host = Host::start(&[container("web", "image: web:1")]);
    host.docker("stop @web");
    host.eventually("the stop is known to be meant", |host| host.holds("Container/web").contains("Held: StoppedByHand"));
    host.release("Container/web");
    host.eventually("web runs", |host| host.state("web") == "running healthy");
}

#[test]
fn a_stop_by_hand_is_undone_where_the_manifest_says_so() {
    let host = Host::start(&[container("web", "image: web:1\nonManualStop: heal")]);
    host.docker("stop @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    assert_eq!(host.count("Container/web", "StartContainer @web: it exited with"), 1);
}
