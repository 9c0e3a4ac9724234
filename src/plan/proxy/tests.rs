mod repair;
mod world;

use expect_test::{Expect, expect};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{
    manifest::Kind,
    plan::fight::{self, Contest},
};
use world::World;

/// A world in which everything is as declared.
fn settled() -> World {
    let mut world = World::new();
    world.settle();
    world
}

fn plans(world: &World, expected: &Expect) {
    expected.assert_eq(&plan(&world.desired, &world.observed()).to_string());
}

#[test]
fn the_first_files_are_tested_before_they_are_put_in_force() {
    plans(
        &World::new(),
        &expect![[r#"
        have nginx test the new files, because the files are not what the manifest gives
        write api.test.conf, because the files are not what the manifest gives
        reload nginx, because the files are not what the manifest gives
        ask nginx for 1 route, because the files are not what the manifest gives
    "#]],
    );
}

#[test]
fn what_is_as_declared_is_left_alone() {
    plans(&settled(), &expect![[""]]);
}

#[test]
fn a_moved_backend_is_followed_without_a_test_of_its_own() {
    let mut world = settled();
    world.place("api", &["10.0.0.9"]);
    plans(
        &world,
        &expect![[r#"
        write api.test.conf, because api has moved from 10.0.0.2 to 10.0.0.9
        reload nginx, because api has moved from 10.0.0.2 to 10.0.0.9
        ask nginx for 1 route, because api has moved from 10.0.0.2 to 10.0.0.9
    "#]],
    );
}

#[test]
fn a_backend_that_is_down_keeps_its_route_and_is_not_asked_for() {
    let mut world = settled();
    world.place("api", &[]);
    plans(
        &world,
        &expect![[r#"
        write api.test.conf, because api is down
        reload nginx, because api is down
        ask nginx whether it has the new files, because api is down
    "#]],
    );
}

#[test]
fn a_second_reload_within_half_a_second_waits() {
    let mut world = settled();
    world.place("api", &["10.0.0.9"]);
    world.pass();
    world.place("api", &["10.0.0.8"]);
    plans(
        &world,
        &expect![[r#"
        wait: nginx was reloaded a moment ago; what has changed since is collected
    "#]],
    );
}

#[test]
fn a_storm_is_spaced_out_further() {
    let mut world = settled();
    for at in 1..12 {
        world.place("api", &[&format!("10.0.1.{at}")]);
        world.advance(1500);
        world.pass();
    }
    world.place("api", &["10.0.0.8"]);
    world.advance(600);
    plans(
        &world,
        &expect![[r#"
        wait: nginx was reloaded a moment ago; what has changed since is collected
    "#]],
    );
}

#[test]
fn a_hand_edit_is_undone() {
    let mut world = settled();
    world.edit("api.test.conf");
    plans(
        &world,
        &expect![[r#"
        have nginx test the new files, because somebody has edited api.test.conf
        write api.test.conf, because somebody has edited api.test.conf
        reload nginx, because somebody has edited api.test.conf
        ask nginx for 1 route, because somebody has edited api.test.conf
    "#]],
    );
}

#[test]
fn a_hand_edit_that_is_to_stay_is_told() {
    let mut world = settled();
    world.desired.on_hand_edit = OnHandEdit::Keep;
    world.edit("api.test.conf");
    plans(
        &world,
        &expect![[r#"
        note: api.test.conf has been edited by hand and is kept so; it is followed no more
    "#]],
    );
}

#[test]
fn a_file_that_somebody_edits_again_and_again_is_let_be_while_backends_are_followed() {
    let mut world = World::new();
    world.add_route("web.test", "web", 80);
    world.place("web", &["10.0.0.3"]);
    world.settle();
    world.edit("api.test.conf");
    let contest = Contest { what: fight::site("api.test.conf"), times: 3 };
    world.contests = Contests { contested: vec![contest], window: SignedDuration::from_mins(5), hints: Vec::new() };
    plans(
        &world,
        &expect![[r#"
        wait: somebody else undoes this: file api.test.conf was corrected 3 times in 5m and differs again; end that, then release it
    "#]],
    );
    world.place("web", &["10.0.0.99"]);
    plans(
        &world,
        &expect![[r#"
        write web.test.conf, because web has moved from 10.0.0.3 to 10.0.0.99
        reload nginx, because web has moved from 10.0.0.3 to 10.0.0.99
        ask nginx for 1 route, because web has moved from 10.0.0.3 to 10.0.0.99
        wait: somebody else undoes this: file api.test.conf was corrected 3 times in 5m and differs again; end that, then release it
    "#]],
    );
}

#[test]
fn a_removed_file_comes_back_and_a_stale_one_goes() {
    let mut world = settled();
    world.files.remove("api.test.conf");
    plans(
        &world,
        &expect![[r#"
        have nginx test the new files, because the file is gone
        write api.test.conf, because the file is gone
        reload nginx, because the file is gone
        ask nginx for 1 route, because the file is gone
    "#]],
    );
    let mut world = settled();
    world.desired.config.hosts.remove("api.test");
    plans(
        &world,
        &expect![[r#"
        have nginx test the new files, because the files are not what the manifest gives
        remove api.test.conf, because the files are not what the manifest gives
        reload nginx, because the files are not what the manifest gives
        ask nginx whether it has the new files, because the files are not what the manifest gives
    "#]],
    );
}

#[test]
fn a_file_of_somebody_else_stops_everything() {
    let mut world = settled();
    world.files.insert("api.test.conf".to_owned(), "server {}\n".to_owned());
    plans(
        &world,
        &expect![[r#"
        wait: /srv/sites/api.test.conf exists and was not generated for it; move it away, or remove the route
    "#]],
    );
}

#[test]
fn a_refused_change_leaves_what_worked_and_is_tried_again_later() {
    let mut world = settled();
    world.add_route("broken.test", "api", world::REFUSED);
    world.pass();
    plans(
        &world,
        &expect![[r#"
        wait: the change was refused, and what worked before stays: nginx says no
    "#]],
    );
    world.advance(2000);
    plans(
        &world,
        &expect![[r#"
            have nginx test the new files, because a change did not work: nginx says no
            write broken.test.conf, because a change did not work: nginx says no
            reload nginx, because a change did not work: nginx says no
            ask nginx for 1 route, because a change did not work: nginx says no
            wait: the change was refused, and what worked before stays: nginx says no
        "#]],
    );
}

/// Nine refusals of the engine's, none of them nginx's, once had a moved backend wait for over four minutes.
#[test]
fn an_nginx_that_could_not_be_asked_has_refused_nothing_and_is_asked_again_at_the_next_look() {
    let mut world = settled();
    world.place("api", &["10.0.0.9"]);
    world.is_out_of_reach = true;
    for _ in 0..9 {
        world.pass();
        world.advance(2000);
    }
    plans(
        &world,
        &expect![[r#"
            reload nginx, because it is not known to have read its files
            ask nginx for 1 route, because it is not known to have read its files
        "#]],
    );
}

/// Neither the pause after a reload nor the moment for another try comes before that.
#[test]
fn a_route_that_does_not_work_is_taken_back_whenever_we_come_to_it() {
    for later in [0, 600, 5000] {
        let mut world = settled();
        world.add_route("dead.test", "api", world::DEAD);
        world.pass();
        world.advance(later);
        plans(
            &world,
            &expect![[r#"
            have nginx test the new files, because a change did not work: dead.test does not work
            remove dead.test.conf, because a change did not work: dead.test does not work
            reload nginx, because a change did not work: dead.test does not work
            ask nginx whether it has the new files, because a change did not work: dead.test does not work
            wait: dead.test does not work
        "#]],
        );
    }
}

#[test]
fn a_dead_nginx_gets_back_only_what_is_known_to_work() {
    let mut world = settled();
    world.edit("api.test.conf");
    world.running = false;
    plans(
        &world,
        &expect![[r#"
        write api.test.conf, because somebody has edited api.test.conf
        wait: Container/nginx is not running
    "#]],
    );
    world.add_route("new.test", "api", 80);
    plans(
        &world,
        &expect![[r#"
        wait: Container/nginx is not running
    "#]],
    );
}

/// A file was gone that another one needs, and the engine came back with other addresses: nginx and its file waited for each other.
#[test]
fn a_dead_nginx_gets_back_what_is_known_to_work_with_other_addresses_in_it() {
    let mut world = settled();
    world.edit("api.test.conf");
    world.place("api", &["172.20.0.9"]);
    world.running = false;
    plans(
        &world,
        &expect![[r#"
            write api.test.conf, because somebody has edited api.test.conf
            wait: Container/nginx is not running
        "#]],
    );
}

/// It was started three times with files that it died of, and given up before they were right.
#[test]
fn an_nginx_that_was_down_while_its_files_were_put_right_gets_its_tries_back() {
    let mut world = settled();
    world.edit("api.test.conf");
    let told = plan(&world.desired, &world.observed());
    world.running = false;
    let not_told = plan(&world.desired, &world.observed());
    let put_right = |plan: &Plan| put_right(&world.desired, &plan.steps.iter().collect::<Vec<_>>()).cloned();
    assert_eq!(put_right(&not_told), Some(Key::new(Kind::Container, "nginx")));
    assert_eq!(put_right(&told), None, "it runs, and was told");
}

#[test]
fn a_restarted_nginx_is_told_to_read_its_files() {
    let mut world = settled();
    world.restart();
    plans(
        &world,
        &expect![[r#"
        reload nginx, because it has been restarted
        ask nginx for 1 route, because it has been restarted
    "#]],
    );
}

#[test]
fn what_nginx_cannot_see_is_told() {
    let mut world = settled();
    world.desired.directory = "/elsewhere".into();
    plans(
        &world,
        &expect![[r#"
        wait: nginx does not see /elsewhere: mount it into the container, or say under `mounts` where it is inside
    "#]],
    );
}

#[test]
fn an_nginx_that_is_not_there_is_told_from_one_that_does_not_run() {
    let mut world = settled();
    world.running = false;
    plans(
        &world,
        &expect![[r#"
        wait: Container/nginx is not running
    "#]],
    );
    world.is_absent = true;
    plans(
        &world,
        &expect![[r#"
        wait: there is no container of Container/nginx
    "#]],
    );
}

/// The world, and the answer of the network's DNS for its backend.
fn answered(answer: dns::Answer) -> World {
    let mut world = settled();
    world.desired.config.names.insert("api".to_owned(), "shop-api".to_owned());
    world.settle();
    world.dns.insert("shop-api".to_owned(), answer);
    world
}

fn at(addresses: &[&str]) -> dns::Answer {
    dns::Answer::At(addresses.iter().map(|address| (*address).to_owned()).collect())
}

#[test]
fn a_name_that_nginx_cannot_resolve_is_told() {
    plans(
        &answered(dns::Answer::Nowhere("Non-Existent Domain".to_owned())),
        &expect![[r#"
        note: api.test: nginx does not find api by its name: asked for shop-api, 127.0.0.11:53 says Non-Existent Domain; it runs at 10.0.0.2
    "#]],
    );
}

#[test]
fn a_name_that_leads_to_somebody_else_is_told_with_the_addresses_that_are_not_the_backends() {
    plans(
        &answered(at(&["10.0.0.2", "10.0.0.77"])),
        &expect![[r#"
        note: api.test: nginx finds somebody else by the name of api: asked for shop-api, 127.0.0.11:53 says 10.0.0.77; it runs at 10.0.0.2
    "#]],
    );
}

#[test]
fn a_name_that_leads_to_its_backend_is_no_news_nor_is_one_of_a_backend_that_is_down() {
    let mut world = answered(at(&["10.0.0.2"]));
    plans(&world, &expect![[""]]);
    world.place("api", &[]);
    world.dns.insert("shop-api".to_owned(), dns::Answer::Nowhere("Non-Existent Domain".to_owned()));
    world.settle();
    plans(&world, &expect![[""]]);
}

#[test]
fn what_dns_says_is_of_no_account_for_an_nginx_that_has_addresses() {
    let mut world = answered(at(&["10.0.0.77"]));
    world.desired.config.upstreams = crate::manifest::proxy::Upstreams::Address;
    world.settle();
    plans(&world, &expect![[""]]);
}

#[test]
fn the_files_and_the_question_go_by_the_name_that_the_network_really_has() {
    let mut world = answered(at(&["10.0.0.2"]));
    world.names.insert("api".to_owned(), "somebodys-api".to_owned());
    plans(
        &world,
        &expect![[r#"
        have nginx test the new files, because the files are not what the manifest gives
        write api.test.conf, because the files are not what the manifest gives
        reload nginx, because the files are not what the manifest gives
        ask nginx for 1 route, because the files are not what the manifest gives
    "#]],
    );
    world.settle();
    assert!(world.files["api.test.conf"].contains("set $upstream http://somebodys-api:80;"), "{}", world.files["api.test.conf"]);
    world.dns.insert("somebodys-api".to_owned(), dns::Answer::Nowhere("Server Failure".to_owned()));
    plans(
        &world,
        &expect![[r#"
        note: api.test: nginx does not find api by its name: asked for somebodys-api, 127.0.0.11:53 says Server Failure; it runs at 10.0.0.2
    "#]],
    );
}

/// A world that serves `api` over TLS, until its certificate goes away.
fn without_its_certificate() -> World {
    let mut world = World::new();
    world.certify();
    world.settle();
    world.lose_certificate();
    world
}

#[test]
fn a_certificate_that_is_away_takes_nothing_from_those_who_come_over_tls() {
    let mut world = without_its_certificate();
    plans(
        &world,
        &expect![[r#"
        note: nginx serves api.test with the certificate that it has loaded, and could not load it again: api.key is not there
    "#]],
    );
    world.certificates.insert("api.test".to_owned(), CertificateState::Present { digest: "c1".to_owned() });
    plans(&world, &expect![[""]]);
}

#[test]
fn a_certificate_that_is_away_does_not_keep_nginx_from_another_change() {
    let mut world = without_its_certificate();
    world.place("api", &["10.0.0.9"]);
    plans(
        &world,
        &expect![[r#"
        have nginx test the new files, because the files are not what the manifest gives
        write api.test.conf, because the files are not what the manifest gives
        reload nginx, because the files are not what the manifest gives
        ask nginx for 1 route, because the files are not what the manifest gives
        note: api.test is served without TLS: api.key is not there
    "#]],
    );
}

#[test]
fn an_nginx_that_died_of_a_lost_certificate_is_given_files_without_it() {
    let mut world = without_its_certificate();
    world.running = false;
    plans(
        &world,
        &expect![[r#"
        write api.test.conf, because the files are not what the manifest gives
        wait: Container/nginx is not running
        note: api.test is served without TLS: api.key is not there
    "#]],
    );
}

#[test]
fn a_route_that_can_only_be_asked_for_over_tls_is_looked_at_from_behind() {
    let mut world = World::new();
    world.certify();
    let plan = plan(&world.desired, &world.observed());
    let Some(crate::plan::Action::Proxy(ProxyAction::ProveRoutes { proof, .. })) = plan.steps.last().map(|step| &step.action)
    else {
        panic!("{plan}")
    };
    assert_eq!(proof.routes, []);
    let behind = proof.behind.iter().map(|route| (route.host.as_str(), route.places.join(" "))).collect::<Vec<_>>();
    assert_eq!(behind, [("api.test", "10.0.0.2:80".to_owned())]);
}

/// What can happen to a world.
#[derive(Clone, Debug)]
enum Happening {
    Move(u8),
    Down,
    Edit,
    Remove,
    Restart,
    AddGood,
    AddBad(bool),
    Mend,
    Generate,
    /// The process dies after so many steps of a pass, before it has remembered the last one.
    Die(usize),
    Pass,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (1..6_u8).prop_map(Happening::Move),
        Just(Happening::Down),
        Just(Happening::Edit),
        Just(Happening::Remove),
        Just(Happening::Restart),
        Just(Happening::AddGood),
        any::<bool>().prop_map(Happening::AddBad),
        Just(Happening::Mend),
        Just(Happening::Generate),
        (0..4_usize).prop_map(Happening::Die),
        Just(Happening::Pass),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_nginx_ends_up_serving_what_it_can(happenings in prop::collection::vec(happening(), 0..14), by_address in any::<bool>()) {
        let mut world = World::new();
        if by_address {
            world.desired.config.upstreams = crate::manifest::proxy::Upstreams::Address;
        }
        world.settle();
        for happening in happenings {
            match happening {
                Happening::Move(at) => world.place("api", &[&format!("10.0.0.{at}")]),
                Happening::Down => world.place("api", &[]),
                Happening::Edit => world.edit("api.test.conf"),
                Happening::Remove => drop(world.files.remove("api.test.conf")),
                Happening::Restart => world.restart(),
                Happening::AddGood => world.add_route("good.test", "api", 80),
                Happening::AddBad(is_refused) => world.add_route("bad.test", "api", if is_refused { world::REFUSED } else { world::DEAD }),
                Happening::Generate => world.generate(""),
                Happening::Mend => world.remove_host("bad.test"),
                Happening::Die(steps) => world.die_after(steps),
                Happening::Pass => world.pass(),
            }
            world.advance(100);
        }
        world.settle();
        world.serves_what_it_can();
    }
}
