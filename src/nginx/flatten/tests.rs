use expect_test::expect;

use super::*;

const DUMP: &str = r#"# configuration file /etc/nginx/nginx.conf:
user www-data;
events { worker_connections 64; }
http {
    include mime.types; # the usual
    ssl_certificate certs/a.pem;
    ssl_dhparam /etc/dh.pem;
    map $uri $x { "~;{" 1; default ${uri}; }
    include conf.d/*.conf;
    # include sites/*.conf;
}

# configuration file /etc/nginx/mime.types:
types { text/html html; }

# configuration file /etc/nginx/conf.d/all.conf:
include "sites/*.conf";

# configuration file /etc/nginx/sites/a.conf:
server { server_name live; }

"#;

#[test]
fn the_sites_are_replaced_wherever_they_are_included_and_everything_else_is_put_in_place() {
    let sites = ["/etc/nginx/sites/.mooring/edge/a.conf".to_owned(), "/etc/nginx/sites/by hand.conf".to_owned()];
    let flat = Dump::parse(DUMP).unwrap().with_sites("/etc/nginx/sites/", &sites).unwrap();
    expect![[r#"
        user www-data;
        events { worker_connections 64; }
        http {
            types { text/html html; }


         # the usual
            ssl_certificate "/etc/nginx/certs/a.pem";
            ssl_dhparam /etc/dh.pem;
            map $uri $x { "~;{" 1; default ${uri}; }
            include "/etc/nginx/sites/.mooring/edge/a.conf";
        include "/etc/nginx/sites/by hand.conf";




            # include sites/*.conf;
        }

    "#]]
    .assert_eq(&flat);
}

#[test]
fn sites_that_nobody_includes_are_refused() {
    let dump = Dump::parse(DUMP).unwrap();
    let refused = dump.with_sites("/etc/nginx/other", &[]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "nginx does not include /etc/nginx/other/*.conf anywhere in /etc/nginx/nginx.conf, so what is written there would never be served"
    );
    assert_eq!(Dump::parse("nginx: [emerg] unknown directive"), Err(Error::Unreadable));
}

#[test]
fn patterns_match_as_those_of_glob_do() {
    for (pattern, name) in [
        ("*", "a.conf"),
        ("*.conf", "a.conf"),
        ("a.conf", "a.conf"),
        ("?.c*f", "a.conf"),
        ("[a-c].conf", "b.conf"),
        ("[!x]*", "a.conf"),
    ] {
        assert!(include::name_matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("*", ".mooring"), ("*.conf", "a.conf.bak"), ("b.conf", "a.conf"), ("[!a]*", "a.conf"), ("[a", "a")] {
        assert!(!include::name_matches(pattern, name), "{pattern} {name}");
    }
}
