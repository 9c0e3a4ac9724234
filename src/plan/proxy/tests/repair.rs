//! Sites of another tool.

use expect_test::expect;

use super::*;

#[test]
fn a_site_of_another_tool_is_repaired_and_one_by_hand_is_told() {
    let mut world = settled();
    world.generate("");
    plans(
        &world,
        &expect![[r#"
            repair /srv/sites/tool.conf, because nginx would never look up again the backends that it names
            note: /srv/sites/hand.conf:4: other:80 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address; before line 2, write `resolver 127.0.0.11 valid=30s;`; before line 2, write `resolver_timeout 5s;`; before line 2, write `set $mooring_upstream_1 http://other:80;`; before line 4, write `proxy_redirect http://other:80/ /;`; in line 4, write `proxy_pass $mooring_upstream_1;` for `proxy_pass http://other:80;`
        "#]],
    );
    world.pass();
    let told = plan(&world.desired, &world.observed());
    assert_eq!(told.steps, [], "a second plan has nothing to do");
    expect![[r#"
        note: /srv/sites/hand.conf:4: other:80 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address; before line 2, write `resolver 127.0.0.11 valid=30s;`; before line 2, write `resolver_timeout 5s;`; before line 2, write `set $mooring_upstream_1 http://other:80;`; before line 4, write `proxy_redirect http://other:80/ /;`; in line 4, write `proxy_pass $mooring_upstream_1;` for `proxy_pass http://other:80;`
    "#]].assert_eq(&told.to_string());
    world.generate("");
    let again = plan(&world.desired, &world.observed());
    assert!(again.steps.is_empty(), "a reload has just been");
    world.advance(600);
    world.pass();
    world.serves_what_it_can();
}

#[test]
fn without_repair_in_the_manifest_the_sites_of_others_are_not_looked_at() {
    let mut world = settled();
    world.generate("");
    world.desired.repair = None;
    plans(&world, &expect![[""]]);
}

#[test]
fn a_repair_that_is_refused_is_tried_again_later_and_at_once_when_the_site_is_another() {
    let mut world = settled();
    world.generate("set $x $refused; ");
    world.pass();
    world.advance(600);
    assert_eq!(plan(&world.desired, &world.observed()).steps, []);
    world.advance(1400);
    plans(
        &world,
        &expect![[r#"
            repair /srv/sites/tool.conf, because nginx would never look up again the backends that it names
            wait: the change was refused, and what worked before stays: nginx says no
            note: /srv/sites/hand.conf:4: other:80 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address; before line 2, write `resolver 127.0.0.11 valid=30s;`; before line 2, write `resolver_timeout 5s;`; before line 2, write `set $mooring_upstream_1 http://other:80;`; before line 4, write `proxy_redirect http://other:80/ /;`; in line 4, write `proxy_pass $mooring_upstream_1;` for `proxy_pass http://other:80;`
        "#]],
    );
    world.pass();
    world.generate("");
    world.advance(600);
    world.pass();
    world.serves_what_it_can();
}

#[test]
fn our_own_files_come_before_those_of_others() {
    let mut world = settled();
    world.generate("");
    world.edit("api.test.conf");
    let first = plan(&world.desired, &world.observed());
    assert!(!first.to_string().contains("repair /srv"), "{first}");
    world.settle();
    world.serves_what_it_can();
}

/// Whether nginx serves well by it, nobody has heard.
#[test]
fn a_repair_that_was_broken_off_by_our_death_is_taken_back_and_made_anew() {
    let mut world = settled();
    world.generate("");
    let written = world.files["tool.conf"].clone();
    world.die_in_the_repair();
    let repaired = world.files["tool.conf"].clone();
    plans(
        &world,
        &expect![[r#"
        take back the repair of /srv/sites/tool.conf, because whoever repaired it ended before that was proven
    "#]],
    );
    world.pass();
    assert_eq!(world.files["tool.conf"], written);
    plans(
        &world,
        &expect![[r#"
        reload nginx, because it is not known to have read its files
        ask nginx for 1 route, because it is not known to have read its files
        note: /srv/sites/hand.conf:4: other:80 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address; before line 2, write `resolver 127.0.0.11 valid=30s;`; before line 2, write `resolver_timeout 5s;`; before line 2, write `set $mooring_upstream_1 http://other:80;`; before line 4, write `proxy_redirect http://other:80/ /;`; in line 4, write `proxy_pass $mooring_upstream_1;` for `proxy_pass http://other:80;`
    "#]],
    );
    world.settle();
    assert_eq!(world.files["tool.conf"], repaired, "it is made anew, and proven");
    world.serves_what_it_can();
}

#[test]
fn what_a_tool_has_written_since_a_repair_was_broken_off_is_not_taken_back() {
    let mut world = settled();
    world.generate("");
    world.die_in_the_repair();
    world.edit("tool.conf");
    let first = plan(&world.desired, &world.observed());
    assert!(!first.to_string().contains("take back"), "{first}");
    world.settle();
    assert!(world.files["tool.conf"].ends_with("# by hand\n"));
}

#[test]
fn a_repair_asks_every_place_that_leads_to_a_backend_and_can_be_asked_without_tls() {
    let mut world = settled();
    world.generate("");
    let text = "# Generated by tool\nserver { listen 8080; server_name a.test *.a.test; location /x { proxy_pass http://db:80; } location ~ ^/y { proxy_pass http://db:80; } location /z { return 204; } }\nserver { listen 443 ssl; location / { proxy_pass http://db:80; } }\nserver { server_name _; location = /w { proxy_pass http://db:80; } }\n";
    world.files.insert("tool.conf".to_owned(), text.to_owned());
    let plan = plan(&world.desired, &world.observed());
    let crate::plan::Action::Proxy(ProxyAction::RepairSites { mending, .. }) = &plan.steps[0].action else { panic!("{plan}") };
    let probes: Vec<String> = mending.probes.iter().map(|probe| format!("{probe} at {}", probe.to)).collect();
    assert_eq!(probes, ["http://a.test/x at 10.0.0.1:8080", "http://10.0.0.1/w at 10.0.0.1:80"]);
}
