//! What conversations keep: the same in a file and in a real PostgreSQL, and whatever becomes of that meanwhile.

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mooring::{
    admin::{
        chat::{self, Chat, Part},
        claw::{
            Error, Page, Span,
            budget::{self, Budget, Price},
            memories::{self, NewMemory},
            personas::{self, NewPersona},
            playbooks::{self, NewPlaybook, Patch, Pattern, Step},
            runner,
            shelf::Shelf,
            talk::{Claw, Line},
            threads,
        },
        desk::{Desk, Speaker},
        store::Store,
    },
    operator::Operator,
    record::ship::Target,
};
use tokio_util::sync::CancellationToken;

use crate::host::{Host, container};

/// A PostgreSQL, and a role of ours that may make a schema in it and nothing else.
struct Place {
    host: Host,
    target: Target,
}

impl Place {
    fn open() -> Self {
        let host = Host::new(&[container("web", "image: web:1\nstopGracePeriod: 1s")]);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        host.docker(&format!(
            "run --detach --name @pg --publish 127.0.0.1:{port}:5432 --env POSTGRES_USER=app --env POSTGRES_PASSWORD=s3cret \
             --env POSTGRES_DB=app --pull never mooring-demo/postgres:15"
        ));
        let target = format!("postgresql://claw:s3cret@127.0.0.1:{port}/app").parse().unwrap();
        let place = Self { host, target };
        place.host.eventually("it answers", |_| place.psql("SELECT 1").is_ok());
        place.psql("CREATE ROLE claw LOGIN PASSWORD 's3cret'; CREATE TABLE public.thread (somebody text)").unwrap();
        place
    }

    fn granted() -> Self {
        let place = Self::open();
        place.psql("GRANT CREATE ON DATABASE app TO claw").unwrap();
        place
    }

    /// What the owner of the database is told.
    fn psql(&self, statement: &str) -> Result<String, String> {
        let name = format!("{}-pg", self.host.name);
        let arguments = ["exec", "--env", "PGPASSWORD=s3cret", &name, "psql", "-h", "127.0.0.1", "-U", "app", "-d", "app"];
        let output = std::process::Command::new("docker").args(arguments).args(["-qAtc", statement]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.host.wait_for(future)
    }

    /// A shelf there, which somebody looks for.
    fn shelf(&self, shutdown: &CancellationToken) -> Shelf {
        self.wait(async {
            let kept = Shelf::in_postgres(&self.target);
            drop(tokio::spawn(kept.clone().tend(shutdown.clone())));
            kept
        })
    }

    fn claw(&self, kept: Shelf) -> Claw {
        let operator: Arc<dyn Operator> = Arc::clone(self.host.context()) as _;
        let desk = Desk::new(Arc::clone(&operator), None);
        let chat = Chat::new(Arc::clone(&operator), desk.clone());
        Claw::new(kept, operator, desk, chat)
    }
}

fn at(second: i64) -> Timestamp {
    "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(second)
}

fn said(text: &str) -> Vec<Part> {
    vec![Part::Text { text: text.to_owned() }]
}

/// All pages of a list, three items at a time.
async fn all<T>(page: impl AsyncFn(Span) -> Result<Page<T>, Error>) -> Vec<T> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let next = page(Span { limit: Some(3), cursor }).await.unwrap();
        items.extend(next.items);
        cursor = next.next_cursor;
        if cursor.is_none() {
            return items;
        }
    }
}

/// What becomes of threads, line by line, without what is another one each time.
async fn story_of_threads(shelf: &Shelf) -> Vec<String> {
    const OWNER: &str = "token:ci";
    let mut story = Vec::new();
    let first = threads::begin(shelf, OWNER, " how\n is  it? ", at(0)).await.unwrap();
    let second = threads::begin(shelf, OWNER, &"ü".repeat(200), at(1)).await.unwrap();
    threads::begin(shelf, "token:cd", "somebody else's", at(2)).await.unwrap();
    // A log may have anything in it, also what PostgreSQL does not keep as it is.
    for (number, text) in ["a\u{0}b", "it's; -- \\ %_", "\u{1f980}\u{7}"].into_iter().enumerate() {
        threads::add(shelf, &first.id, text.trim_matches('\u{7}').split('\0').next().unwrap(), &said(text), at(3)).await.unwrap();
        let page = threads::read(shelf, OWNER, &first.id, &Span::default()).await.unwrap();
        assert_eq!(page.messages.items[0].parts, said(text), "{number}");
    }
    for number in 0..9 {
        threads::add(shelf, &first.id, &format!("again {number}"), &[], at(4)).await.unwrap();
    }
    let messages = all(async |span| Ok(threads::read(shelf, OWNER, &first.id, &span).await?.messages)).await;
    story.extend(messages.into_iter().map(|message| format!("{} {}", message.text, message.created_at)));
    let titles = async || {
        let threads = all(async |span| threads::list(shelf, OWNER, &span).await).await;
        threads.into_iter().map(|thread| format!("{} {}", thread.title, thread.updated_at)).collect::<Vec<_>>()
    };
    story.extend(titles().await);
    for owner in [OWNER, "token:cd"] {
        story.push(format!("{:?}", threads::delete(shelf, owner, &second.id).await));
    }
    story.push(format!("{:?}", threads::add(shelf, &second.id, "late", &[], at(5)).await));
    story.push(format!("{:?}", threads::one(shelf, "token:cd", &first.id).await));
    // Beyond a hundred of one owner, the one that was silent for the longest goes.
    for number in 0..100 {
        threads::begin(shelf, OWNER, &format!("thread {number}"), at(6)).await.unwrap();
        if number == 50 {
            threads::add(shelf, &first.id, "still here", &[], at(7)).await.unwrap();
        }
    }
    let titles = titles().await;
    story.push(format!("{} {} {}", titles.len(), titles[0], titles[99]));
    story
}

async fn story_of_memories(shelf: &Shelf) -> Vec<String> {
    let new = |content: &str, tags: &[&str]| NewMemory {
        content: content.to_owned(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
    };
    let mut story = Vec::new();
    let mut add = async |fact: NewMemory| story.push(format!("{:?}", memories::add(shelf, &fact, "a", at(0)).await.map(drop)));
    add(new("The disk is slow", &["disk", "I/O"])).await;
    add(new("The disk is slow", &[])).await;
    add(new("100 % of it's `used_here`; -- \\ \"x\"", &["a\"b"])).await;
    // More than an index takes, and nothing that can be packed.
    let long: String = (0..4000_u32).filter_map(|number| char::from_u32(0x4e00 + number * 7919 % 20000)).collect();
    add(new(&long, &[])).await;
    add(new(&long, &[])).await;
    let import = [new("one", &[]), new("The disk is slow", &[]), new("two", &["x"]), new("one", &[])];
    story.push(format!("{:?}", memories::import(shelf, &import, "b", at(1)).await));
    let half = [new("three", &[]), new(" ", &[])];
    story.push(format!("{:?}", memories::import(shelf, &half, "b", at(1)).await));
    for words in ["", "DISK slow", "i/o", "100 %", "used_here", "%", "a\\\"b", "\\", "'", "none of it", "x two"] {
        let found = all(async |span| memories::list(shelf, words, &span).await).await;
        let found: Vec<String> = found.iter().map(|memory| memory.content.chars().take(20).collect()).collect();
        story.push(format!("{words}: {found:?}"));
    }
    story.push(memories::told(shelf, 40).await.unwrap().join("|"));
    let ids: Vec<String> = memories::all(shelf).await.unwrap().into_iter().map(|memory| memory.id).collect();
    story.push(format!("{:?} {:?}", memories::delete(shelf, &ids[0]).await, memories::delete(shelf, &ids[0]).await));
    story.push(format!("{:?}", memories::delete_all(shelf, &[&ids[..2], &["it's".to_owned()]].concat()).await));
    story.extend(memories::all(shelf).await.unwrap().into_iter().map(|memory| format!("{} {:?}", memory.author, memory.tags)));
    story
}

async fn story_of_personas(shelf: &Shelf) -> Vec<String> {
    let new = |name: &str, is_default| NewPersona { name: name.to_owned(), prompt: format!("Be {name}."), is_default };
    let mut story = Vec::new();
    let chosen = async |id: Option<&str>| {
        let chosen = personas::chosen(shelf, id).await;
        format!("{:?}", chosen.map(|persona| persona.map(|persona| persona.prompt)))
    };
    story.push(chosen(None).await);
    let short = personas::add(shelf, &new("short", true), at(0)).await.unwrap();
    let long = personas::add(shelf, &new("long", true), at(1)).await.unwrap();
    story.push(chosen(None).await);
    story.push(format!("{:?}", personas::add(shelf, &new("short", true), at(2)).await.map(drop)));
    story.push(format!("{:?}", personas::replace(shelf, &short.id, &new("long", true), at(2)).await.map(drop)));
    // What failed has changed nothing.
    story.push(chosen(None).await);
    let replaced = personas::replace(shelf, &short.id, &new("shorter", true), at(3)).await.unwrap();
    story.push(format!("{} {} {}", replaced.name, replaced.created_at, replaced.updated_at));
    story.push(chosen(None).await);
    story.push(chosen(Some(&long.id)).await);
    story.push(chosen(Some("none")).await);
    story.push(format!("{:?}", personas::replace(shelf, "none", &new("x", false), at(4)).await.map(drop)));
    let all = all(async |span| personas::list(shelf, &span).await).await;
    story.extend(all.into_iter().map(|persona| format!("{} {}", persona.name, persona.is_default)));
    story.push(format!("{:?} {:?}", personas::delete(shelf, &long.id).await, personas::delete(shelf, &long.id).await));
    story
}

async fn story_of_money(shelf: &Shelf) -> Vec<String> {
    let mut story = vec![format!("{:?}", budget::read(shelf).await.unwrap())];
    let price = Price {
        provider: "openai".to_owned(),
        model: "*".to_owned(),
        input_micros_per_million: 1_000_000,
        output_micros_per_million: 3,
    };
    let budget = Budget { daily_micros: Some(100), prices: vec![price], ..Budget::default() };
    for _ in 0..2 {
        budget::set(shelf, &budget).await.unwrap();
    }
    assert_eq!(budget::read(shelf).await.unwrap(), budget);
    for (model, day) in [("small", 0), ("Large", 0), ("small", 0), ("small", 86_400)] {
        story.push(format!("{:?}", budget::may_spend(shelf, "openai", model, at(day)).await));
        budget::spent(shelf, ("openai", model), (60, 1), at(day)).await.unwrap();
    }
    story.push(format!("{:?}", budget::may_spend(shelf, "openai", "small", at(0)).await.map_err(|error| error.to_string())));
    story.push(format!("{:?}", budget::usage(shelf, at(86_400), 31).await.unwrap()));
    story.push(format!("{:?}", budget::usage(shelf, at(86_400 * 40), 1).await.unwrap()));
    story
}

#[test]
fn a_file_and_a_database_keep_the_same() {
    let place = Place::granted();
    let directory = tempfile::tempdir().unwrap();
    let file = Shelf::from(&place.wait(Store::open(directory.path())).unwrap());
    let shelf = place.shelf(&CancellationToken::new());
    place.host.eventually("it is there", |host| host.wait_for(memories::all(&shelf)).is_ok());
    place.wait(async {
        for (what, told, expected) in [
            ("threads", story_of_threads(&shelf).await, story_of_threads(&file).await),
            ("memories", story_of_memories(&shelf).await, story_of_memories(&file).await),
            ("personas", story_of_personas(&shelf).await, story_of_personas(&file).await),
            ("money", story_of_money(&shelf).await, story_of_money(&file).await),
        ] {
            assert!(expected.len() > 5);
            assert_eq!(told.join("\n"), expected.join("\n"), "{what}");
        }
        let odd = threads::one(&shelf, "token:ci", "a\0b").await;
        assert!(matches!(odd, Err(Error::Invalid(_))), "it is no id, and no trouble of the database: {odd:?}");
    });
    assert_eq!(place.psql("SELECT count(*) FROM public.thread").as_deref(), Ok("0"), "somebody else's is left alone");
    let schemas = "SELECT string_agg(DISTINCT schemaname, ' ') FROM pg_tables WHERE tableowner = 'claw'";
    assert_eq!(place.psql(schemas).as_deref(), Ok("np_claw"), "everything of ours is in one schema");
}

#[test]
fn of_many_who_begin_a_thread_at_the_same_time_none_is_passed_over() {
    let place = Place::granted();
    let shelf = place.shelf(&CancellationToken::new());
    place.host.eventually("it is there", |host| host.wait_for(memories::all(&shelf)).is_ok());
    place.wait(async {
        let titles: Vec<String> = (0..24).map(|number| format!("thread {number:02}")).collect();
        let begun = titles.iter().map(|title| threads::begin(&shelf, "token:ci", title, at(0)));
        assert!(futures::future::join_all(begun).await.iter().all(Result::is_ok));
        let listed = all(async |span| threads::list(&shelf, "token:ci", &span).await).await;
        let mut listed: Vec<String> = listed.into_iter().map(|thread| thread.title).collect();
        listed.sort();
        assert_eq!(listed, titles);
    });
}

#[test]
fn a_database_that_is_away_keeps_nobody_waiting_and_comes_back_by_itself() {
    let mut place = Place::granted();
    place.host.run();
    place.host.converges();
    let shutdown = CancellationToken::new();
    let claw = place.claw(place.shelf(&shutdown));
    let ada = Speaker { session: "ada".to_owned(), actor: "session:ada".to_owned() };
    let is_there = |host: &Host| host.wait_for(threads::list(&claw.shelf, &ada.actor, &Span::default())).is_ok();
    place.host.eventually("it is there", is_there);
    let line = Line { thread: None, persona: None, text: "is web running?" };
    let thread = place.wait(async {
        let talking = claw.say(&ada, line).await.unwrap();
        let thread = talking.thread.clone().unwrap();
        talking.kept.await.unwrap().unwrap();
        thread
    });

    place.host.docker("stop --time 1 @pg");
    let begun = Instant::now();
    assert!(!is_there(&place.host));
    assert!(begun.elapsed() < Duration::from_secs(20), "the one who found out has waited {:?}", begun.elapsed());
    let line = Line { thread: Some(&thread.id), ..line };
    for _ in 0..20 {
        let begun = Instant::now();
        let (talking, refused) = place.wait(async { (claw.say_anyway(&ada, line).await.unwrap(), claw.say(&ada, line).await) });
        let parts = place.wait(chat::whole(talking.parts));
        assert!(talking.thread.is_none() && format!("{parts:?}").contains("web"), "{parts:?}");
        assert!(matches!(place.wait(talking.kept).unwrap(), Err(Error::Away)));
        assert!(matches!(refused, Err(Error::Away)), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "nobody else waits: {:?}", begun.elapsed());
    }
    // The operator is not concerned.
    place.host.docker("kill @web");
    place.host.eventually("it runs again", |host| host.state("web") == "running healthy");

    place.host.docker("start @pg");
    place.host.eventually("it is there again", is_there);
    let kept = place.wait(threads::read(&claw.shelf, &ada.actor, &thread.id, &Span::default())).unwrap();
    assert_eq!(kept.messages.items.len(), 1, "what was kept is there, and nothing else");

    // One that hangs, which no connection breaks for.
    place.host.pause("pg");
    let begun = Instant::now();
    assert!(!is_there(&place.host));
    assert!(begun.elapsed() < Duration::from_secs(20), "the one who found out has waited {:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(!is_there(&place.host) && begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    place.host.docker("unpause @pg");
    place.host.eventually("it is there again", is_there);
    shutdown.cancel();
    place.host.stop();
}

#[test]
fn what_may_not_be_used_is_away_until_it_may() {
    let place = Place::open();
    let shelf = place.wait(async { Shelf::in_postgres(&place.target) });
    assert!(matches!(place.wait(memories::all(&shelf)), Err(Error::Away)), "nobody has looked");
    assert!(!place.wait(shelf.look()), "the role may not make a schema");
    place.psql("CREATE SCHEMA np_claw AUTHORIZATION claw").unwrap();
    assert!(place.wait(shelf.look()), "one that was made for it is enough");
    assert!(place.wait(shelf.look()) && place.wait(memories::all(&shelf)).is_ok(), "and looking again changes nothing");
    let newer = "INSERT INTO np_claw._sqlx_migrations SELECT 99, description, installed_on, success, checksum, execution_time \
                 FROM np_claw._sqlx_migrations LIMIT 1";
    place.psql(newer).unwrap();
    assert!(!place.wait(shelf.look()), "tables of a newer version are left alone");
    assert!(matches!(place.wait(memories::all(&shelf)), Err(Error::Away)));
    // It was, on a connection that went back into the pool, and who looked by another one waited for that lock in vain.
    let locks = place.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").unwrap();
    assert_eq!(locks.trim(), "0", "the lock of the migrations is not kept");
    place.psql("DELETE FROM np_claw._sqlx_migrations WHERE version = 99").unwrap();
    assert!(place.wait(shelf.look()));
    // Each connection that breaks is made anew.
    place.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'claw'").unwrap();
    place.host.eventually("it is there again", |host| {
        host.wait_for(async { shelf.look().await && memories::all(&shelf).await.is_ok() })
    });
}

#[test]
fn a_playbook_runs_and_is_counted_where_it_is_kept() {
    let mut place = Place::granted();
    place.host.run();
    place.host.converges();
    let shutdown = CancellationToken::new();
    let claw = place.claw(place.shelf(&shutdown));
    place.host.eventually("it is there", |host| host.wait_for(memories::all(&claw.shelf)).is_ok());
    let pattern = Pattern { object: Some("Container/web".to_owned()), ..Pattern::default() };
    let steps = vec![Step::Sentence("why was {service} restarted?".to_owned())];
    let new = NewPlaybook { name: "mend".to_owned(), pattern, steps, requires_confirmation: true, enabled: false };
    let playbook = place.wait(async {
        let playbook = playbooks::add(&claw.shelf, &claw.chat, &new, Some("Container/web"), at(0)).await.unwrap();
        let again = playbooks::add(&claw.shelf, &claw.chat, &new, Some("Container/web"), at(0)).await;
        assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
        let patch = Patch { enabled: Some(true), ..Patch::default() };
        let on = playbooks::patch(&claw.shelf, &claw.chat, &playbook.id, patch, (Some("Container/web"), at(1))).await.unwrap();
        assert_eq!(playbooks::one(&claw.shelf, &playbook.id).await.unwrap(), on);
        assert_eq!(playbooks::enabled(&claw.shelf).await.unwrap(), std::slice::from_ref(&on));
        on
    });
    let watch = runner::watch(claw.clone(), shutdown.clone());
    place.wait(async { drop(tokio::spawn(watch)) });
    place.host.docker("kill @web");
    place.host.eventually("the playbook has written something", |host| {
        host.wait_for(async {
            let threads = threads::list(&claw.shelf, runner::OWNER, &Span::default()).await.unwrap().items;
            threads.first().is_some_and(|thread| thread.title == "playbook: mend")
        })
    });
    let counted = format!("SELECT count(*) > 0 FROM np_claw.playbook_act WHERE playbook = '{}' AND kind = 'run'", playbook.id);
    assert_eq!(place.psql(&counted).as_deref(), Ok("t"));
    shutdown.cancel();
    place.host.stop();
}
