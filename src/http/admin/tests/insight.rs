//! Pages of what happens inside: metrics, logs, corrections, secrets, models, routes.

use super::*;

/// The pages, and something that each shows.
const SHOWN: [(&str, &str); 9] = [
    ("/admin/metrics", "CPU over the last hour: now 55 %, lowest 10 %, highest 55 %"),
    ("/admin/parts/metrics", "Memory of web over the last hour: now 32.0 MiB"),
    ("/admin/parts/strip", "Network"),
    ("/admin/timeline", "corrected in 1.2 s"),
    ("/admin/parts/timeline", "One correction since Mooring was started: it took <strong>1.2 s"),
    ("/admin/secrets", "sha256:0123456789ab"),
    ("/admin/model", "37 % of 3.3 GB"),
    ("/admin/routes", "172.18.0.2"),
    ("/admin/parts/routes", "nginx runs, and answers at 172.18.0.9"),
];

#[tokio::test]
async fn every_page_shows_what_the_operator_knows_to_whoever_has_a_session_and_to_nobody_else() {
    let place = Place::new().await;
    let session = place.login().await;
    for (path, expected) in SHOWN {
        let page = place.get(path, &session).await;
        assert_eq!(status(&page), "200 OK", "{path}");
        assert!(page.contains(expected), "{path}: {page}");
        for inline in ["<script>", " style=", " onclick=", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
        let refused = if path.contains("/parts/") { "401 Unauthorized" } else { "303 See Other" };
        assert_eq!(status(&place.get(path, "X-A: b").await), refused, "{path}");
    }
    assert_eq!(status(&place.get("/admin/live/logs/Container/web", "X-A: b").await), "401 Unauthorized");
}

#[tokio::test]
async fn containers_stand_by_what_they_use_and_colours_are_words_as_well() {
    let place = Place::new().await;
    let session = place.login().await;
    let page = place.get("/admin/metrics", &session).await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is on the page: {page}"));
    assert!(at("db&#60;b&#62;") < at(">web</a>") && at(">web</a>") < at(">idle</th>"), "{page}");
    assert!(page.contains("gauge full") && page.contains("nearly all"), "the disk has 95 %");
    assert!(page.contains("gauge much") && page.contains(">much</span>"), "the memory has 75 %");
    assert!(!page.contains("db<b>"), "a container's name is text");
    assert!(page.contains("data-every=\"10\""));
}

#[tokio::test]
async fn the_last_lines_of_a_log_are_on_the_page_of_its_container_and_can_be_searched() {
    let place = Place::new().await;
    let session = place.login().await;
    let page = place.get("/admin/objects/Container/web", &session).await;
    assert!(page.contains("ERROR it broke") && page.contains("The last 3 lines."), "{page}");
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;") && !page.contains("<script>alert"), "{page}");
    let found = place.get("/admin/objects/Container/web?log=error", &session).await;
    assert!(found.contains("ERROR it broke") && found.contains("1 of the last 200 lines have it"), "{found}");
    assert!(!found.contains("> started"), "{found}");
    let evil = place.get("/admin/objects/Container/web?log=%22%3E%3Cscript%3Ealert(2)%3C/script%3E", &session).await;
    assert!(!evil.contains("<script>alert"), "{evil}");
    assert!(!place.get("/admin/objects/Environment/shop", &session).await.contains("id=\"log\""));
    let noted = place.operator.noted.lock().unwrap().clone();
    assert!(noted.iter().any(|(actor, words, _)| actor.starts_with("session:") && words == "read the log of Container/web"));
}

#[tokio::test]
async fn new_lines_of_a_log_are_told_as_they_come() {
    let place = Place::new().await;
    let session = place.login().await;
    let told = async |path: &str, until: &str| {
        let mut io = TcpStream::connect(place.address).await.unwrap();
        io.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{session}\r\n\r\n").as_bytes()).await.unwrap();
        let mut told = String::new();
        while !told.contains(until) {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(5), io.read(&mut bytes)).await.expect("it is told").unwrap();
            assert!(read > 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        told
    };
    let base = "/admin/live/logs/Container/web";
    let all = told(&format!("{base}?since=2026-01-02T03:04:04Z"), "it broke").await;
    assert!(all.contains("event: lines") && all.contains("started"), "{all}");
    let some = told(&format!("{base}?since=2026-01-02T03:04:04Z&log=BROKE"), "it broke").await;
    assert!(!some.contains("started"), "{some}");
    // What is known already does not come twice: nothing comes then.
    let later = format!("{base}?since=2026-01-02T03:04:05Z");
    let known = tokio::time::timeout(Duration::from_secs(1), told(&later, "it broke")).await;
    assert!(known.is_err(), "nothing of it is new");
    assert_eq!(status(&place.get("/admin/live/logs/Container/nobody", &session).await), "404 Not Found");
}

#[tokio::test]
async fn the_audit_log_is_verified_at_the_push_of_a_button_and_that_is_on_record() {
    for (fault, expected) in [(None, "The audit log is good"), (Some("row 7 was changed".to_owned()), "row 7 was changed")] {
        let place = Place::with(Fake { password: Some(PASSWORD.to_owned()), fault: fault.clone(), ..Fake::default() }).await;
        let session = place.login().await;
        let page = place.get("/admin/audit", &session).await;
        assert!(page.contains("/admin/audit/verify") && page.contains("data-busy="), "{page}");
        let forged = place.ask("POST", "/admin/audit/verify", &[&session], "token=x").await;
        assert_eq!(status(&forged), "403 Forbidden");
        let body = format!("token={}", token(&page));
        let answer = place.ask("POST", "/admin/audit/verify", &[&session], &body).await;
        assert!(status(&answer) == "200 OK" && answer.contains(expected), "{answer}");
        let noted = place.operator.noted.lock().unwrap().clone();
        assert!(noted.iter().any(|(_, words, error)| words == "verify the audit log" && *error == fault), "{noted:?}");
    }
}

#[tokio::test]
async fn the_overview_shows_how_containers_fare_and_what_is_held_back() {
    let place = Place::new().await;
    let session = place.login().await;
    let page = place.get("/admin", &session).await;
    for expected in ["healthy", "2 h 1 min", "data-label=\"Restarts\" class=\"number\">4<", "start web", "held", "gauges strip"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
}

#[tokio::test]
async fn the_chat_answers_from_the_same_numbers() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin/chat", &session).await);
    let say = async |text: &str| {
        let text = text.replace(' ', "+").replace('?', "%3F");
        place.ask("POST", "/admin/chat", &[&session], &format!("token={token}&text={text}")).await;
        place.get("/admin/chat", &session).await.rsplit("id=\"last\"").next().unwrap().to_owned()
    };
    let health = say("is web running?").await;
    for expected in ["Container/web: Unknown.", "healthy", "2 h 1 min", ">4</td>", "32.0 MiB", "12 %"] {
        assert!(health.contains(expected), "{expected}: {health}");
    }
    let memory = say("how much memory is used?").await;
    assert!(memory.contains("75 %") && memory.contains("3.0 GiB of 4.0 GiB") && !memory.contains("Disk"), "{memory}");
    assert!(say("cpu usage").await.contains("2 processors"));
    assert!(say("disk usage").await.contains("/var/lib/docker"));
    let log = say("show me the logs of web").await;
    assert!(log.contains("code log") && log.contains("ERROR it broke") && !log.contains("<script>alert"), "{log}");
    let secrets = say("list the secrets").await;
    assert!(secrets.contains("POSTGRES_PASSWORD") && secrets.contains("made by Mooring") && secrets.contains("no value"));
    let model = say("which model is used?").await;
    assert!(
        model.contains("ollama/llama3.2 is the choice, because no key is set") && model.contains("37 % of 3.3 GB"),
        "{model}"
    );
    let routes = say("routes").await;
    assert!(routes.contains("shop.example.test") && routes.contains("172.18.0.2"), "{routes}");
}
