//! nginx and backends that move: with Mooring, by hand, and with nobody.

use std::{fmt::Write as _, fs, net::Ipv4Addr, path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Options, Result,
    backends::{BACKEND, Backends, NETWORK, PORT, RIGHT, WRONG},
    engine::Engine,
    http::{Load, Tally},
    nginx::{self, Nginx},
    report::{Row, Unit, millis},
    stage::{HEALING, Stage},
};

/// Each move costs two reloads, and Mooring spaces them out after ten in a minute: then it is asked to forget.
const MOVES_AT_A_TIME: usize = 4;
/// The same for edits, which cost one each.
const EDITS_AT_A_TIME: usize = 8;
/// Between two faults.
const REST: Duration = Duration::from_millis(1200);
/// What takes longer is lost.
const LOST: Duration = Duration::from_secs(30);
/// Routes of one host.
const ROUTES_OF_A_HOST: usize = 10;
/// How long nginx alone is given: its resolver keeps an answer for 30 s.
const ALONE: Duration = Duration::from_secs(40);

/// Moves in both modes and three sizes, and what nginx does without anybody.
pub(crate) async fn moved(engine: &Engine, options: &Options) -> Result<Vec<Row>> {
    let (moves, mut rows, mut tally) = (if options.quick { 4 } else { 20 }, Vec::new(), Tally::default());
    for mode in ["resolver", "address"] {
        for routes in [10, 100, 1000] {
            eprintln!("moving a backend of {routes} routes {moves} times, {mode} mode ...");
            let what = format!("backend moved → right answer, {mode} mode, {routes} routes");
            let mut row = Row::new(&what, Unit::Millis, "p50 ≤ 100, p99 ≤ 300");
            for _ in 0..moves / MOVES_AT_A_TIME {
                tally += some_moves(engine, (mode, routes), &mut row).await?;
            }
            rows.push(row);
        }
    }
    let what = format!("… answers by whoever took its address, of {}", tally.asked);
    rows.push(Row::single(what, Unit::Count, count(tally.wrong), "0"));
    rows.extend(alone(engine, if options.quick { 1 } else { 3 }).await?);
    Ok(rows)
}

async fn some_moves(engine: &Engine, (mode, routes): (&str, usize), row: &mut Row) -> Result<Tally> {
    engine.clean().await?;
    let mut backends = Backends::start(engine).await?;
    let stage = Stage::open_on(&manifests(mode, routes, 0)).await?;
    let by_hand = Nginx::start(engine, "bench-nginx-by-hand").await?;
    let front = nginx::question(nginx::address(engine, NGINX).await?);
    let mut tally = Tally::default();
    for _ in 0..MOVES_AT_A_TIME {
        sleep(REST).await;
        let load = Load::begin(&front, 1, WRONG);
        let listens = backends.change_places().await?;
        row.measured.push(millis(front.until(LOST, |answer| answer.body == RIGHT).await? - listens));
        tally += load.end().await;

        let began = Instant::now();
        by_hand.serve(&fixed(routes, backends.address()))?;
        by_hand.test_and_reload().await?;
        row.floor.push(millis(by_hand.question().until(LOST, |answer| answer.body == RIGHT).await? - began));
    }
    stage.close(engine).await?;
    Ok(tally)
}

/// A resolver that believes answers for 30 s, and an address that was looked up once.
async fn alone(engine: &Engine, moves: usize) -> Result<[Row; 2]> {
    eprintln!("moving a backend {moves} times with nobody to tell nginx ...");
    engine.clean().await?;
    let mut backends = Backends::start(engine).await?;
    let (resolving, fixed) =
        (Nginx::start(engine, "bench-nginx-resolver").await?, Nginx::start(engine, "bench-nginx-fixed").await?);
    resolving.serve(&server(
        "resolver 127.0.0.11 valid=30s;",
        &location("/p0/", &format!("set $upstream http://{BACKEND}:{PORT};"), "proxy_pass $upstream;"),
    ))?;
    fixed.serve(&server("", &location("/p0/", "", &format!("proxy_pass http://{BACKEND}:{PORT};"))))?;
    for nginx in [&resolving, &fixed] {
        nginx.test_and_reload().await?;
        nginx.question().until(LOST, |answer| answer.body == RIGHT).await?;
    }
    let mut row = Row::new("… with `resolver valid=30s` alone", Unit::Millis, "");
    let mut followed = 0;
    for _ in 0..moves {
        let listens = backends.change_places().await?;
        row.measured.push(millis(resolving.question().until(ALONE, |answer| answer.body == RIGHT).await? - listens));
        followed += u64::from(fixed.question().ask().await.is_ok_and(|answer| answer.body == RIGHT));
    }
    engine.clean().await?;
    let what = format!("… times that `proxy_pass http://name` had followed by then, of {moves}");
    Ok([row, Row::single(what, Unit::Count, count(followed), "")])
}

/// A generated file edited by hand → as it was, and serving.
pub(crate) async fn edited(engine: &Engine, faults: usize) -> Result<Row> {
    eprintln!("editing a generated file {faults} times ...");
    let mut row = Row::new("generated nginx file edited → restored", Unit::Millis, "p99 ≤ 250");
    for begun in (0..faults).step_by(EDITS_AT_A_TIME) {
        engine.clean().await?;
        let backends = Backends::start(engine).await?;
        let stage = Stage::open_on(&manifests("resolver", 10, 0)).await?;
        let by_hand = Nginx::start(engine, "bench-nginx-by-hand").await?;
        let file = stage.desired().join("sites/h0.test.conf");
        let good = fs::read_to_string(&file)?;
        for _ in begun..faults.min(begun + EDITS_AT_A_TIME) {
            sleep(REST).await;
            let asked = Instant::now();
            fs::write(&file, good.replace(":8080", ":9999"))?;
            row.measured.push(millis(is_back(&file, &good).await? - asked));

            let asked = Instant::now();
            by_hand.serve(&fixed(10, backends.address()))?;
            by_hand.test_and_reload().await?;
            row.floor.push(millis(asked.elapsed()));
        }
        stage.close(engine).await?;
    }
    Ok(row)
}

async fn is_back(file: &Path, good: &str) -> Result<Instant> {
    let begun = Instant::now();
    while fs::read_to_string(file).ok().as_deref() != Some(good) {
        if begun.elapsed() > LOST {
            return Err(format!("{} was not restored", file.display()).into());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(Instant::now())
}

/// A hundred moves as fast as the engine makes them.
pub(crate) async fn storm(engine: &Engine, options: &Options) -> Result<[Row; 2]> {
    let moves = if options.quick { 20 } else { 100 };
    eprintln!("moving a backend {moves} times without a pause ...");
    engine.clean().await?;
    let mut backends = Backends::start(engine).await?;
    let stage = Stage::open_on(&manifests("address", 10, 0)).await?;
    let front = nginx::question(nginx::address(engine, NGINX).await?);
    let before = nginx::reloads(engine, NGINX).await?;
    for _ in 0..moves {
        backends.reconnect().await?;
    }
    let over = Instant::now();
    let right = front.until(LOST, |answer| answer.body == RIGHT).await?;
    let reloads = nginx::reloads(engine, NGINX).await? - before;
    stage.close(engine).await?;
    Ok([
        Row::single(format!("storm of {moves} moves: reloads"), Unit::Count, count(reloads), ""),
        Row::single("… last move → right answer".to_owned(), Unit::Millis, millis(right - over), "≤ 2000"),
    ])
}

/// Reloads by Mooring, one after the other, while somebody asks all the time.
pub(crate) async fn reloads(engine: &Engine, options: &Options) -> Result<Row> {
    let changes = if options.quick { 10 } else { 100 };
    eprintln!("changing a header {changes} times under load, a second and a half apart ...");
    engine.clean().await?;
    let _backends = Backends::start(engine).await?;
    let stage = Stage::open_on(&manifests("resolver", 10, 0)).await?;
    let front = nginx::question(nginx::address(engine, NGINX).await?);
    let before = nginx::reloads(engine, NGINX).await?;
    let load = Load::begin(&front, 2, WRONG);
    for change in 1..=changes {
        fs::write(stage.desired().join("all.yaml"), manifests("resolver", 10, change))?;
        let header = format!("X-Change: {change}\r\n");
        front.until(LOST, |answer| format!("{}\r\n", answer.head).contains(&header)).await?;
    }
    let tally = load.end().await;
    let reloads = nginx::reloads(engine, NGINX).await? - before;
    stage.close(engine).await?;
    let what = format!("requests that failed during {reloads} reloads, of {}", tally.asked);
    Ok(Row::single(what, Unit::Count, count(tally.failed + tally.wrong), "0"))
}

/// Mooring's nginx.
const NGINX: &str = "bench-nginx";

fn manifests(mode: &str, routes: usize, change: usize) -> String {
    let mut text = format!(
        "\
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {{name: nginx}}
spec:
  containerName: {NGINX}
  image: mooring-demo/nginx:1
  command: {command}
  networks: [{NETWORK}]
  volumes: ['./sites:/etc/nginx/sites:ro']
  {HEALING}
---
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {{name: backend}}
spec: {{management: heal, selector: {{name: {BACKEND}}}}}
---
apiVersion: mooring.dev/v1alpha1
kind: Proxy
metadata: {{name: bench}}
spec:
  container: nginx
  directory: ./sites
  upstreams: {mode}
  routes:
",
        command = nginx::COMMAND,
    );
    for route in 0..routes {
        let (host, path) = (route / ROUTES_OF_A_HOST, route % ROUTES_OF_A_HOST);
        let header = format!("responseHeaders: {{X-Change: '{change}'}}");
        writeln!(
            text,
            "    - {{host: h{host}.test, path: /p{path}/, stripPath: true, to: {{container: backend, port: {PORT}}}, {header}}}"
        )
        .expect("text can be appended to");
    }
    text
}

/// The same routes as somebody would write them who knows the address.
fn fixed(routes: usize, backend: Ipv4Addr) -> String {
    let mut text = String::new();
    for host in 0..routes.div_ceil(ROUTES_OF_A_HOST) {
        let locations: String = (0..ROUTES_OF_A_HOST)
            .map(|path| location(&format!("/p{path}/"), "", &format!("proxy_pass http://{backend}:{PORT};")))
            .collect();
        text += &server(&format!("server_name h{host}.test;"), &locations);
    }
    text
}

fn server(settings: &str, locations: &str) -> String {
    format!("server {{\n    listen 80;\n    {settings}\n{locations}}}\n")
}

/// What sets variables has to stand before the rewrite, which ends all that is like it.
fn location(path: &str, before: &str, content: &str) -> String {
    format!("    location {path} {{ {before} rewrite ^{path}(.*)$ /$1 break; {content} }}\n")
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
