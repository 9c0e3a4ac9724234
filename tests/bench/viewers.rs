//! Two hundred people look at the dashboard of three hundred containers: what that costs, and whether healing notices.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::{interval, sleep},
};

use super::{
    Options, Result,
    engine::Engine,
    operator::{PASSWORD, PORT_FILE},
    report::{Row, Unit, millis},
    stage::{Stage, name, sleepers},
};

const CONTAINERS: usize = 300;
const VIEWERS: usize = 200;
/// Faults in a row before the viewers leave or come back.
const IN_A_ROW: usize = 5;
/// What follows from a fault is over by then, on two hundred pages as well.
const REST: Duration = Duration::from_millis(1500);
/// How often a page asks for its gauges.
const GAUGES: Duration = Duration::from_secs(10);
const SETTLED: Duration = Duration::from_secs(25);

/// Figures with and without viewers, in turns.
pub(crate) async fn viewers(engine: &Engine, options: &Options) -> Result<Vec<Row>> {
    eprintln!("making {CONTAINERS} containers ...");
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let stage =
        Stage::open_with(engine, &sleepers(CONTAINERS), |directory| fs::write(directory.join(PORT_FILE), port.to_string()))
            .await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let cookie = login(address).await?;
    let window = Duration::from_secs(if options.quick { 20 } else { 60 });

    sleep(SETTLED).await;
    let alone = used(&stage, window).await?;
    eprintln!("{VIEWERS} viewers look for {} s ...", window.as_secs());
    let crowd = Crowd::open(address, &cookie).await?;
    sleep(SETTLED).await;
    let watched = used(&stage, window).await?;
    crowd.leave();

    let mut share = Row::new("die event → our start request, 200 viewers look (floor: nobody does)", Unit::Millis, "1.2 × floor");
    let mut pages = 0;
    for round in 0..options.faults() / IN_A_ROW {
        for is_watched in [round % 2 == 0, round % 2 != 0] {
            let crowd = if is_watched { Some(Crowd::open(address, &cookie).await?) } else { None };
            for fault in 0..IN_A_ROW {
                sleep(REST).await;
                let took = kill(engine, &stage, &name((round * IN_A_ROW + fault) % CONTAINERS)).await?;
                if is_watched { share.measured.push(took) } else { share.floor.push(took) }
            }
            if let Some(crowd) = crowd {
                sleep(REST).await;
                pages += crowd.pages();
                crowd.leave();
            }
        }
    }
    let of = |what: &str, who: &str| format!("{what}, {CONTAINERS} containers, {who}");
    let pages = f64::from(u32::try_from(pages)?);
    stage.close(engine).await?;
    Ok(vec![
        Row::single(of("% of a core", "backend manager on, nobody looks"), Unit::Percent, alone.0, ""),
        Row::single(of("% of a core", "200 viewers"), Unit::Percent, watched.0, ""),
        Row::single(of("resident memory", "backend manager on, nobody looks"), Unit::Mebibytes, alone.1, ""),
        Row::single(of("resident memory", "200 viewers"), Unit::Mebibytes, watched.1, ""),
        share,
        Row::single("parts of pages that were asked for after these faults".to_owned(), Unit::Count, pages, ""),
    ])
}

/// Share of a core in percent, and memory in MiB.
async fn used(stage: &Stage, window: Duration) -> Result<(f64, f64)> {
    let before = stage.child.usage()?;
    sleep(window).await;
    let after = stage.child.usage()?;
    let processor = after.processor.saturating_sub(before.processor).as_secs_f64();
    Ok((processor / window.as_secs_f64() * 100.0, after.resident_mib))
}

/// From the word of a container's death to our order to start it.
async fn kill(engine: &Engine, stage: &Stage, victim: &str) -> Result<f64> {
    stage.proxy.take();
    let mut ears = engine.listen();
    let watch = async {
        let died = ears.hear(|heard| heard.is("die", victim)).await?;
        ears.hear(|heard| heard.is("start", victim)).await?;
        Ok(died)
    };
    let ((), died) = tokio::try_join!(engine.kill(victim), watch)?;
    let requests = stage.proxy.take();
    let start = requests.iter().find(|request| request.line.starts_with("POST") && request.line.contains("/start"));
    Ok(millis(start.ok_or("nobody asked for a start")?.at - died.at))
}

/// The cookie of a session.
async fn login(address: SocketAddr) -> Result<String> {
    let body = format!("password={PASSWORD}");
    let request = format!(
        "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).and_then(|cookie| cookie.split(';').next());
    cookie.map(str::to_owned).ok_or_else(|| format!("no session: {answer}").into())
}

/// People with the overview open. When this is dropped they have left.
struct Crowd {
    _viewers: JoinSet<()>,
    pages: Arc<AtomicU64>,
}

impl Crowd {
    async fn open(address: SocketAddr, cookie: &str) -> Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let mut viewers = JoinSet::new();
        for number in 0..VIEWERS {
            let mut changes = BufReader::new(begin(address, cookie, "/admin/live").await?);
            let (pages, cookie) = (Arc::clone(&pages), cookie.to_owned());
            viewers.spawn(async move {
                let mut gauges = interval(GAUGES);
                let mut line = String::new();
                // Nobody opens the page at the same moment.
                sleep(Duration::from_millis(50) * u32::try_from(number).unwrap_or_default()).await;
                loop {
                    tokio::select! {
                        read = changes.read_line(&mut line) => match read {
                            Ok(1..) => {
                                if line.starts_with("data: [\"") && ask(address, &cookie, "/admin/parts/overview").await.is_ok() {
                                    pages.fetch_add(1, Ordering::Relaxed);
                                }
                                line.clear();
                            }
                            _ => return,
                        },
                        // One that is not answered is missed by nobody.
                        _ = gauges.tick() => { let _ = ask(address, &cookie, "/admin/parts/strip").await; }
                    }
                }
            });
        }
        Ok(Self { _viewers: viewers, pages })
    }

    fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    fn leave(self) {
        drop(self);
    }
}

async fn begin(address: SocketAddr, cookie: &str, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn ask(address: SocketAddr, cookie: &str, path: &str) -> Result<()> {
    let mut answer = Vec::new();
    begin(address, cookie, path).await?.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err("it was not answered".into()) }
}
