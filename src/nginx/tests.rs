mod laws;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use expect_test::expect;
use proptest::prelude::*;

use super::{
    config::{Config, Directive, Token, TokenKind},
    findings::{self, Finding},
    include,
    repair::{self, Files, MARKER, Repair, Resolver},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nginx")
}

/// All files below a directory.
fn texts(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else {
            found.insert(path.clone(), fs::read_to_string(&path).unwrap());
        }
    }
    found
}

/// The fixture of a generated stack, at the paths that its nginx sees.
fn stack() -> BTreeMap<PathBuf, String> {
    let root = fixtures().join("generated");
    let moved = texts(&root).into_iter();
    moved.map(|(path, text)| (Path::new("/etc/nginx").join(path.strip_prefix(&root).unwrap()), text)).collect()
}

fn files<'a>(texts: &'a BTreeMap<PathBuf, String>, resolver: &'a Resolver) -> Files<'a> {
    let main = Path::new("/etc/nginx/nginx.conf");
    Files { texts, main: texts.contains_key(main).then_some(main), marker: MARKER, only: None, resolver }
}

fn find(texts: &BTreeMap<PathBuf, String>) -> Vec<Finding> {
    findings::find(files(texts, &Resolver::default()))
}

fn plan(texts: &BTreeMap<PathBuf, String>) -> Repair {
    repair::plan(files(texts, &Resolver::default()))
}

fn one(text: &str) -> BTreeMap<PathBuf, String> {
    BTreeMap::from([(PathBuf::from("/sites/a.conf"), text.to_owned())])
}

/// A generated server with these lines in it, repaired.
fn repaired(inside: &str) -> String {
    let text = format!("{MARKER}\nserver {{\n{inside}}}\n");
    let Repair { repaired, .. } = plan(&one(&text));
    repaired.first().map_or(text, |file| file.text.clone()).replace(&format!("{MARKER}\n"), "")
}

fn shown(findings: &[Finding]) -> String {
    let mut shown = String::new();
    for Finding { path, line, code, message, changes, repairable } in findings {
        let how = if *repairable { " (repairable)" } else { "" };
        writeln!(shown, "{}:{line} {code}{how}\n  {message}", path.display()).unwrap();
        for change in changes {
            writeln!(shown, "    {}", change.to_string().replace('\n', "\n    ")).unwrap();
        }
    }
    shown
}

#[test]
fn what_is_read_is_printed_as_it_was() {
    let all = texts(&fixtures());
    assert!(all.len() > 8, "the fixtures were not found");
    for (path, text) in all {
        let config = Config::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(config.print(), text, "{}", path.display());
        covers(&config);
    }
}

fn covers(config: &Config) {
    let mut end = 0;
    for token in config.tokens() {
        assert_eq!(token.range.start, end, "no byte is left out, none is in two tokens");
        end = token.range.end;
    }
    assert_eq!(end, config.text().len());
}

/// What nginx makes of a file, in a form of its own: a directive a line.
fn tree(directives: &[Directive], indent: usize) -> String {
    let mut shown = String::new();
    for directive in directives {
        write!(shown, "{:indent$}{}", "", directive.name.value).unwrap();
        for word in &directive.arguments {
            write!(shown, " {:?}", word.value).unwrap();
        }
        shown += "\n";
        shown += &tree(directive.children(), indent + 2);
    }
    shown
}

#[test]
fn words_end_where_nginx_ends_them() {
    let text = fs::read_to_string(fixtures().join("shapes/words.conf")).unwrap();
    let config = Config::parse(&text).unwrap();
    expect![[r#"
        events
        http
          map "$uri" "$where"
            ~^/a["']b "quote-in-a-word"
            ~^/[a-z]{2,4}$ "braces-in-quotes"
            default ""
          map "$http_cookie" "$lang"
            default "en"
            ~lang=(?<l>[a-z]{2}) "$l"
          geo "$inside"
            default "0"
            127.0.0.0/8 "1"
            ::1/128 "1"
          log_format "json" "escape=json" "{\"at\":\"$time_iso8601\"," "\"uri\":\"${uri}\",\"status\":$status}"
          server
            listen "127.0.0.1:8999"
            server_name "quoted.example.test" "single.example.test" "~^(?<sub>.+)\\.example\\.test$"
            location "~" "\\.(jpe?g|png)\\;x"
              return "200" "a \"quoted\" word; { and }\n"
            location "/it's"
              return "200" "${host}/x"
            location "/a\\ b"
              return "201"
            location "/brace}inside"
              return "202"
            if "($request_uri" "~*" "^/x" ")"
              return "403"
            if "($request_method" "=" "PUT" ")"
              return "405"
            add_header "X-Long" "one\ntwo lines"
            location "/c"
              return "204"
    "#]]
    .assert_eq(&tree(&config.directives, 0));
}

#[test]
fn lua_is_left_alone() {
    let text = fs::read_to_string(fixtures().join("shapes/lua.conf")).unwrap();
    let config = Config::parse(&text).unwrap();
    expect![[r#"
        events
        http
          server
            location "/lua"
              content_by_lua_block
            location "/"
              proxy_pass "http://somebody:1"
    "#]]
    .assert_eq(&tree(&config.directives, 0));
}

#[test]
fn what_nginx_could_not_read_is_refused_with_its_line() {
    let told = |text: &str| Config::parse(text).unwrap_err().to_string();
    let wrong = ["a {\n", "a;\n}", "a \"x\nb;", "a \"x\"y;", "a", ";", "{ }", "a {\n b }\n", "x_by_lua_block { \"}\" "];
    let all: Vec<String> = wrong.iter().map(|text| format!("{text:?}: {}", told(text))).collect();
    expect![[r#"
        "a {\n": line 1: this block is not closed
        "a;\n}": line 2: there is no block for this } to close
        "a \"x\nb;": line 1: this quote is not closed
        "a \"x\"y;": line 1: a blank or a semicolon is missing behind a quote
        "a": line 1: the file ends in the middle of a directive
        ";": line 1: there is no directive before this semicolon
        "{ }": line 1: there is no directive before this {
        "a {\n b }\n": line 2: the block ends before the ; of this directive
        "x_by_lua_block { \"}\" ": line 1: this block is not closed"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn nested_too_deep_is_refused_and_does_not_overflow_the_stack() {
    let text = "a { ".repeat(100_000);
    assert!(Config::parse(&text).is_err());
}

#[test]
fn a_pattern_stands_for_what_nginx_takes_it_for() {
    let matches = |pattern: &str, path: &str| include::matches(Path::new(pattern), Path::new(path));
    assert!(matches("/etc/nginx/sites/*.conf", "/etc/nginx/sites/a.conf"));
    assert!(!matches("/etc/nginx/sites/*.conf", "/etc/nginx/sites/a.conf.old"));
    assert!(!matches("/etc/nginx/sites/*", "/etc/nginx/sites/.hidden"));
    assert!(!matches("/etc/nginx/*", "/etc/nginx/sites/a.conf"));
    assert!(matches("/etc/*/si?es/[a-c]*.conf", "/etc/nginx/sites/beta.conf"));
    assert!(!matches("/etc/*/si?es/[!a-c]*.conf", "/etc/nginx/sites/beta.conf"));
    assert!(matches("/a/*b*c", "/a/xbybzc"));
    assert_eq!(include::absolute(Path::new("/etc/nginx"), "../x/./y.conf"), Path::new("/etc/x/y.conf"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one text, to be read as a whole")]
fn a_generated_stack_is_looked_through() {
    expect![[r#"
        /etc/nginx/conf.d/shop.conf:7 FixedBackend
          shop:3000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_1 http://shop:3000;
            7: + proxy_redirect http://shop:3000/ /;
            7: - proxy_pass http://shop:3000;   # not generated
            7: + proxy_pass $mooring_upstream_1;   # not generated
        /etc/nginx/conf.d/shop.conf:10 FixedBackend
          hasura:8080 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_2 http://hasura:8080;
            10: + proxy_redirect http://hasura:8080/v1/graphql /graphql;
            10: + rewrite "(?s)^/graphql(.*)$" /v1/graphql$1 break;
            10: - proxy_pass http://hasura:8080/v1/graphql;
            10: + proxy_pass $mooring_upstream_2;
        /etc/nginx/sites/auth.conf:9 FixedBackend (repairable)
          auth:4000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_1 http://auth:4000;
            9: + proxy_redirect http://auth:4000/healthz /healthz;
            9: + rewrite ^ /healthz break;
            9: - proxy_pass http://auth:4000/healthz;
            9: + proxy_pass $mooring_upstream_1;
        /etc/nginx/sites/auth.conf:12 FixedBackend (repairable)
          auth:4000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_1 http://auth:4000;
            12: - proxy_pass http://auth:4000;
            12: + proxy_pass $mooring_upstream_1;
            13: - proxy_redirect default;
            13: + proxy_redirect http://auth:4000/ /;
        /etc/nginx/sites/auth.conf:17 FixedBackend (repairable)
          auth:4000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_1 http://auth:4000;
            17: - proxy_pass http://auth:4000;
            17: + proxy_pass $mooring_upstream_1;
        /etc/nginx/sites/auth.conf:19 FixedBackend (repairable)
          auth:4000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_1 http://auth:4000;
            19: + proxy_redirect http://auth:4000/ /;
            19: - proxy_pass http://auth:4000;
            19: + proxy_pass $mooring_upstream_1;
        /etc/nginx/sites/hasura.conf:10 FixedBackend (repairable)
          hasura:8080 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            5: + resolver 127.0.0.11 valid=30s;
            5: + resolver_timeout 5s;
            5: + set $mooring_upstream_1 http://hasura:8080;
            10: + proxy_redirect http://hasura:8080/ /;
            10: - proxy_pass http://hasura:8080;
            10: + proxy_pass $mooring_upstream_1;
        /etc/nginx/sites/hasura.conf:18 FixedBackend (repairable)
          hasura:8080 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            5: + resolver 127.0.0.11 valid=30s;
            5: + resolver_timeout 5s;
            5: + set $mooring_upstream_1 http://hasura:8080;
            18: - location /console/ { proxy_pass http://hasura:8080/; }
            18: + location /console/ { proxy_redirect http://hasura:8080/ /console/; rewrite "(?s)^/console/(.*)$" /$1 break; proxy_pass $mooring_upstream_1; }
        /etc/nginx/sites/storage.conf:2 FixedBackend (repairable)
          minio:9000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            2: - server { listen 80; server_name storage.example.test; location / { proxy_pass http://minio:9000; } }
            2: + server { resolver 127.0.0.11 valid=30s; resolver_timeout 5s; set $mooring_upstream_1 http://minio:9000; listen 80; server_name storage.example.test; location / { proxy_redirect http://minio:9000/ /; proxy_pass $mooring_upstream_1; } }
        /etc/nginx/sites/storage.conf:6 LongMemory (repairable)
          this resolver believes an answer for as long as the DNS server says, with Docker's 600 seconds: a moved container is not found until then
            6: - resolver 127.0.0.11;
            6: + resolver 127.0.0.11 valid=30s;
        /etc/nginx/sites/storage.conf:13 FixedBackend
          minio:9000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address; it has to be changed by hand, because it has a path, and the location's rewrite would not go with a rewrite
    "#]].assert_eq(&shown(&find(&stack())));
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one text, to be read as a whole")]
fn a_generated_stack_is_repaired() {
    let Repair { repaired, findings } = plan(&stack());
    let mut text = String::new();
    for file in &repaired {
        writeln!(text, "## {}", file.path.display()).unwrap();
        for caveat in &file.caveats {
            writeln!(text, "## {caveat}").unwrap();
        }
        text += &file.text;
    }
    write!(text, "## left\n{}", shown(&findings)).unwrap();
    expect![[r###"
        ## /etc/nginx/sites/auth.conf
        # Generated by nself build
        server {
        	resolver 127.0.0.11 valid=30s;
        	resolver_timeout 5s;
        	set $mooring_upstream_1 http://auth:4000;
        	listen 80;
        	server_name auth.example.test;
        	limit_req zone=auth burst=5;

        	location = /healthz {
        		access_log off;
        		proxy_redirect http://auth:4000/healthz /healthz;
        		rewrite ^ /healthz break;
        		proxy_pass $mooring_upstream_1;
        	}
        	location ~ ^/(signin|signup)/[a-z]*$ {
        		proxy_pass $mooring_upstream_1;
        		proxy_redirect http://auth:4000/ /;
        	}
        	location / {
        		if ($request_method = POST) {
        			proxy_pass $mooring_upstream_1;
        		}
        		proxy_redirect http://auth:4000/ /;
        		proxy_pass $mooring_upstream_1;
        	}
        }
        ## /etc/nginx/sites/hasura.conf
        ## hasura:8080 is still fixed in /etc/nginx/conf.d/shop.conf:10, and as long as it is, nginx does not look it up anywhere
        # Generated by nself build
        # GraphQL API

        server {
            resolver 127.0.0.11 valid=30s;
            resolver_timeout 5s;
            set $mooring_upstream_1 http://hasura:8080;
            listen 80;
            server_name api.example.test;

            # Everybody has to use TLS in production.
            location / {
                proxy_redirect http://hasura:8080/ /;
                proxy_pass $mooring_upstream_1;
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $connection_upgrade;
                proxy_set_header Host $host;
                proxy_read_timeout 86400s;
            }

            location /console/ { proxy_redirect http://hasura:8080/ /console/; rewrite "(?s)^/console/(.*)$" /$1 break; proxy_pass $mooring_upstream_1; }
        }
        ## /etc/nginx/sites/storage.conf
        ## minio:9000 is still fixed in /etc/nginx/sites/storage.conf:13, and as long as it is, nginx does not look it up anywhere
        # Generated by nself build
        server { resolver 127.0.0.11 valid=30s; resolver_timeout 5s; set $mooring_upstream_1 http://minio:9000; listen 80; server_name storage.example.test; location / { proxy_redirect http://minio:9000/ /; proxy_pass $mooring_upstream_1; } }
        server {
            listen 80;
            server_name storage-console.example.test;
            resolver 127.0.0.11 valid=30s;
            set $upstream http://minio:9001;
            location / {
                proxy_pass $upstream;
            }
            location /files/ {
                rewrite ^/files/old/(.*)$ /files/new/$1;
                proxy_pass http://minio:9000/bucket/;
            }
            location /local/ { proxy_pass http://127.0.0.1:9100/; }
            location /host/ { proxy_pass http://host.docker.internal:3000; }
        }
        ## left
        /etc/nginx/conf.d/shop.conf:7 FixedBackend
          shop:3000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_1 http://shop:3000;
            7: + proxy_redirect http://shop:3000/ /;
            7: - proxy_pass http://shop:3000;   # not generated
            7: + proxy_pass $mooring_upstream_1;   # not generated
        /etc/nginx/conf.d/shop.conf:10 FixedBackend
          hasura:8080 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address
            3: + resolver 127.0.0.11 valid=30s;
            3: + resolver_timeout 5s;
            3: + set $mooring_upstream_2 http://hasura:8080;
            10: + proxy_redirect http://hasura:8080/v1/graphql /graphql;
            10: + rewrite "(?s)^/graphql(.*)$" /v1/graphql$1 break;
            10: - proxy_pass http://hasura:8080/v1/graphql;
            10: + proxy_pass $mooring_upstream_2;
        /etc/nginx/sites/hasura.conf:14 FollowedInVain
          hasura:8080 is not looked up here although it should be: /etc/nginx/conf.d/shop.conf:10 fixes the same name and port, and nginx finds that first; change that one
        /etc/nginx/sites/hasura.conf:22 FollowedInVain
          hasura:8080 is not looked up here although it should be: /etc/nginx/conf.d/shop.conf:10 fixes the same name and port, and nginx finds that first; change that one
        /etc/nginx/sites/storage.conf:2 FollowedInVain
          minio:9000 is not looked up here although it should be: /etc/nginx/sites/storage.conf:13 fixes the same name and port, and nginx finds that first; change that one
        /etc/nginx/sites/storage.conf:13 FixedBackend
          minio:9000 is looked up once, when nginx starts: it does not start without it, and does not find it again at another address; it has to be changed by hand, because it has a path, and the location's rewrite would not go with a rewrite
    "###]].assert_eq(&text);
}

#[test]
fn a_path_that_takes_the_place_of_the_locations_becomes_a_rewrite() {
    let text = repaired(
        "  location /api/v1.0/ {\n    proxy_pass http://api:80/;\n  }\n  location ^~ /x { proxy_pass https://api/y; }\n  location =/z { proxy_pass http://api:80/q; }\n",
    );
    expect![[r#"
        server {
          resolver 127.0.0.11 valid=30s;
          resolver_timeout 5s;
          set $mooring_upstream_1 http://api:80;
          set $mooring_upstream_2 https://api;
          location /api/v1.0/ {
            proxy_redirect http://api:80/ /api/v1.0/;
            rewrite "(?s)^/api/v1\.0/(.*)$" /$1 break;
            proxy_pass $mooring_upstream_1;
          }
          location ^~ /x { proxy_redirect https://api/y /x; rewrite "(?s)^/x(.*)$" /y$1 break; proxy_pass $mooring_upstream_2; }
          location =/z { proxy_redirect http://api:80/q /z; rewrite ^ /q break; proxy_pass $mooring_upstream_1; }
        }
    "#]]
    .assert_eq(&text);
}

#[test]
fn redirects_are_corrected_as_before() {
    let own = repaired("  location / {\n    proxy_pass http://api:80;\n    proxy_redirect http://a/ /b/;\n  }\n");
    assert!(!own.contains("http://api:80/ /"), "{own}");
    let inherited = repaired("  proxy_redirect off;\n  location / {\n    proxy_pass http://api:80;\n  }\n");
    assert_eq!(inherited.matches("proxy_redirect").count(), 1, "{inherited}");
    let usual = repaired("  location /a/ {\n    proxy_pass http://api:80/b/;\n    proxy_redirect default;\n  }\n");
    assert!(usual.contains("proxy_redirect http://api:80/b/ /a/;") && !usual.contains("default"), "{usual}");
    let nested =
        repaired("  location / {\n    proxy_pass http://a:80;\n    location /b/ {\n      proxy_pass http://b:80;\n    }\n  }\n");
    assert_eq!(nested.matches("proxy_redirect").count(), 1, "the inner one inherits it, as it did: {nested}");
    let condition = repaired("  location / {\n    if ($a) {\n      proxy_pass http://api:80;\n    }\n  }\n");
    assert!(condition.contains("    proxy_redirect http://api:80/ /;\n    if ($a) {"), "{condition}");
}

#[test]
fn what_cannot_be_shown_to_stay_the_same_is_left_to_a_person() {
    let locations = [
        "location /a/ { rewrite ^ /b; proxy_pass http://api:80/c/; }",
        "location /a/ { if ($x) { return 403; } proxy_pass http://api:80/c/; }",
        "location /a/ { try_files $uri @b; proxy_pass http://api:80/c/; }",
        "location /a/ { proxy_pass http://api:80/c/; set $x 1; }",
        "location /a/ { proxy_set_header X-Path $uri; proxy_pass http://api:80/c/; }",
        "location /a/ { proxy_pass http://api:80/c%20d/; }",
        "location /a/ { proxy_pass http://api:80/c?d=; }",
        "location \"/a b/\" { proxy_pass http://api:80/; }",
        "location /a/ { grpc_pass grpc://api:80; }",
        "location /a/ { fastcgi_pass php:9000; }",
    ];
    let mut all = String::new();
    for location in locations {
        let text = format!("{MARKER}\nserver {{\n  {location}\n}}\n");
        let Repair { repaired, findings } = plan(&one(&text));
        assert_eq!(repaired, [], "{location}");
        let [finding] = &findings[..] else { panic!("{location}: {findings:?}") };
        assert!(!finding.repairable && finding.changes.is_empty());
        let (_, reason) = finding.message.split_once("because ").unwrap();
        writeln!(all, "{location}\n  {reason}").unwrap();
    }
    expect![[r#"
        location /a/ { rewrite ^ /b; proxy_pass http://api:80/c/; }
          it has a path, and the location's rewrite would not go with a rewrite
        location /a/ { if ($x) { return 403; } proxy_pass http://api:80/c/; }
          it has a path, and the location's if would not go with a rewrite
        location /a/ { try_files $uri @b; proxy_pass http://api:80/c/; }
          it has a path, and the location's try_files would not go with a rewrite
        location /a/ { proxy_pass http://api:80/c/; set $x 1; }
          it has a path, and a rewrite would keep the location's later set from being done
        location /a/ { proxy_set_header X-Path $uri; proxy_pass http://api:80/c/; }
          it has a path, and proxy_set_header uses the path of the request
        location /a/ { proxy_pass http://api:80/c%20d/; }
          its path /c%20d/ has characters that a rewrite would read differently
        location /a/ { proxy_pass http://api:80/c?d=; }
          its path /c?d= has characters that a rewrite would read differently
        location "/a b/" { proxy_pass http://api:80/; }
          the location's path /a b/ has characters that a rewrite would read differently
        location /a/ { grpc_pass grpc://api:80; }
          it is not HTTP; only proxy_pass is rewritten
        location /a/ { fastcgi_pass php:9000; }
          it is not HTTP; only proxy_pass is rewritten
    "#]]
    .assert_eq(&all);
}

#[test]
fn what_does_not_move_is_left_as_it_is() {
    for to in ["127.0.0.1:80", "[::1]:80", "localhost:80", "host.docker.internal:80", "unix:/run/a.sock", "group"] {
        let text = format!(
            "{MARKER}\nupstream group {{ server 127.0.0.1:1; }}\nserver {{ location / {{ proxy_pass http://{to}; }} }}\n"
        );
        assert_eq!(plan(&one(&text)), Repair::default(), "{to}");
    }
}

#[test]
fn a_file_without_the_marker_is_never_changed() {
    let site = "server {\n  location / { proxy_pass http://api:80; }\n}\n";
    for first in ["", "# Mine\n", "\n# Generated by nself build\n", " # Generated by nself build\n"] {
        let Repair { repaired, findings } = plan(&one(&format!("{first}{site}")));
        assert_eq!(repaired, [], "{first:?}");
        assert!(!findings[0].changes.is_empty(), "the lines to change are told all the same");
    }
    let texts = one(&format!("{MARKER}\n{site}"));
    let resolver = Resolver::default();
    assert_eq!(repair::plan(Files { marker: "", ..files(&texts, &resolver) }).repaired, []);
}

#[test]
fn a_fixed_backend_elsewhere_defeats_the_followed_one() {
    let mut texts = one("server { resolver 127.0.0.11 valid=30s; set $up http://api:8080; location / { proxy_pass $up; } }");
    texts.insert("/sites/b.conf".into(), "server {\n listen 81;\n location /x/ { proxy_pass http://API:8080/y/; } }".to_owned());
    let found = find(&texts);
    let vain: Vec<&Finding> = found.iter().filter(|finding| finding.code == findings::Code::FollowedInVain).collect();
    expect![[r#"
        /sites/a.conf:1 FollowedInVain
          api:8080 is not looked up here although it should be: /sites/b.conf:3 fixes the same name and port, and nginx finds that first; change that one
    "#]].assert_eq(&shown(&vain.into_iter().cloned().collect::<Vec<_>>()));
    texts.insert("/sites/b.conf".into(), "server {\n listen 81;\n location /x/ { proxy_pass http://api:8081/y/; } }".to_owned());
    assert!(find(&texts).iter().all(|finding| finding.code != findings::Code::FollowedInVain), "another port is another backend");
}

#[test]
fn a_variable_is_followed_through_maps_and_sets() {
    let site = |pass: &str| {
        let maps = "map $host $name { default api; b.test other; }";
        let text = format!(
            "http {{ {maps} upstream group {{ server 127.0.0.1:1; }} server {{ set $port 8080; set $group group; location / {{ proxy_pass {pass}; }} }} server {{ listen 81; location / {{ proxy_pass http://other:8080; }} }} }}"
        );
        let codes: Vec<String> = find(&one(&text)).iter().map(|finding| finding.code.to_string()).collect();
        codes.join(" ")
    };
    expect!["FixedBackend FollowedInVain NoResolver"].assert_eq(&site("http://$name:$port"));
    expect!["FixedBackend NoResolver"].assert_eq(&site("http://${name}:9999/x$request_uri"));
    expect!["FixedBackend"].assert_eq(&site("http://$group"));
    expect!["FixedBackend NoResolver"].assert_eq(&site("http://$arg_name"));
    expect!["FixedBackend FollowedInVain NoResolver"].assert_eq(&site("http://other:8080$request_uri"));
}

#[test]
fn a_file_that_is_included_in_a_server_is_repaired_by_itself() {
    let texts = BTreeMap::from([
        (PathBuf::from("/etc/nginx/nginx.conf"), "http { server { include locations/*; } }".to_owned()),
        (PathBuf::from("/etc/nginx/locations/a"), format!("{MARKER}\nlocation /a/ {{\n    proxy_pass http://a:1/;\n}}\n")),
        (PathBuf::from("/etc/nginx/locations/b"), format!("{MARKER}\nproxy_pass http://b:1;\n")),
    ]);
    let Repair { repaired, .. } = plan(&texts);
    let text: String = repaired.into_iter().map(|file| file.text).collect();
    expect![[r##"
        # Generated by nself build
        location /a/ {
            resolver 127.0.0.11 valid=30s;
            resolver_timeout 5s;
            set $mooring_upstream_1 http://a:1;
            rewrite "(?s)^/a/(.*)$" /$1 break;
            proxy_pass $mooring_upstream_1;
        }
        # Generated by nself build
        resolver 127.0.0.11 valid=30s;
        resolver_timeout 5s;
        set $mooring_upstream_1 http://b:1;
        proxy_redirect http://b:1/ /;
        proxy_pass $mooring_upstream_1;
    "##]]
    .assert_eq(&text);
}

#[test]
fn two_servers_of_one_name_are_told() {
    let mut texts = one("server { listen 80; server_name a.test b.test; }");
    texts.insert(
        "/sites/b.conf".into(),
        "server { listen 0.0.0.0:80; server_name c.test B.test; }\nserver { listen 443; server_name a.test; }".to_owned(),
    );
    expect![[r#"
        /sites/b.conf:1 DuplicateServer
          a server b.test listens on *:80 in /sites/a.conf:1 already; nginx ignores this one there, with a warning
    "#]]
    .assert_eq(&shown(&find(&texts)));
}
