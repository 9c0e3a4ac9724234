//! The backend manager beside the operator: on while there is a password, off otherwise.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{
        access::{Gate, Password},
        chat::Chat,
        claw::{model::Kept, runner, shelf::Shelf, talk::Claw},
        desk::Desk,
        model::Models,
        serves::{Serves, Source},
        store::Store,
    },
    http::admin::{self, Admin},
    observe::gauges::EVERY,
    operator::Operator,
    record::ship::Target,
    secret::Secret,
    settings::Settings,
};

/// How often it is seen whether there is a password.
const LOOK: Duration = Duration::from_secs(2);

/// Where, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The address.
    pub(super) address: SocketAddr,
    /// Names under which a browser may ask.
    pub(super) hosts: Vec<String>,
    /// Whether what may lose something can be done from there.
    pub(super) allow_destructive: Option<bool>,
    /// The password that the process was given.
    pub(super) password: Option<Secret>,
    /// Where conversations are kept, unless in the state directory.
    pub(super) database: Option<Target>,
}

/// Measures what is used of the host for as long as somebody may look.
async fn measure(operator: Arc<dyn Operator>, over: CancellationToken) {
    let mut rounds = tokio::time::interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => operator.measure().await,
            () = over.cancelled() => break,
        }
    }
}

/// Which password is in force, and where; told to the command line whenever that changes.
async fn tell(store: &Store, password: Option<&Password>, place: &Place, told: &mut Option<Serves>) {
    let by = match (&place.password, password) {
        (Some(_), _) => Source::Process,
        // What is not kept as a hash can only come from there.
        (None, Some(Password::Plain(_))) => Source::Files,
        (None, _) => Source::Stored,
    };
    let serves = Serves { address: place.address, by };
    if *told == Some(serves) {
        return;
    }
    match serves.tell(store).await {
        Ok(()) => *told = Some(serves),
        Err(error) => {
            tracing::debug!(error = crate::error_chain(&error), "where the backend manager answers could not be written down");
        }
    }
}

/// Serves it whenever it is on, until the shutdown. Whatever happens to it, the operator goes on.
pub(super) async fn keep(settings: Settings, operator: Arc<dyn Operator>, place: Place, shutdown: CancellationToken) {
    let store = match Store::open(&settings.state).await {
        Ok(store) => store,
        Err(error) => {
            tracing::error!(error = crate::error_chain(&error), "the backend manager stays off");
            return;
        }
    };
    let gate = Arc::new(Gate::new(store.clone()));
    let desk = Desk::new(Arc::clone(&operator), place.allow_destructive);
    let shelf = place.database.as_ref().map_or_else(|| Shelf::from(&store), Shelf::in_postgres);
    let tended = tokio::spawn(shelf.clone().tend(shutdown.clone()));
    let kept = Arc::new(Kept::new(shelf.clone(), Arc::clone(&operator)));
    let models = Models::new(Arc::clone(&kept) as _);
    let chat = Chat::new(Arc::clone(&operator), desk.clone()).with_models(models).with_background(kept);
    let claw = Claw::new(shelf, Arc::clone(&operator), desk.clone(), chat);
    let admin = |shutdown| Admin {
        operator: Arc::clone(&operator),
        store: store.clone(),
        gate: Arc::clone(&gate),
        desk: desk.clone(),
        claw: claw.clone(),
        hosts: place.hosts.clone().into(),
        given: place.password.clone(),
        shutdown,
    };
    let mut serving: Option<(CancellationToken, tokio::task::JoinHandle<()>)> = None;
    let mut told = None;
    let mut serves = None;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = shutdown.cancelled() => break,
        }
        let password = admin(shutdown.clone()).password().await;
        tell(&store, password.as_ref(), &place, &mut serves).await;
        match (password.is_some(), serving.take()) {
            (true, None) => match TcpListener::bind(place.address).await {
                Ok(listener) => {
                    tracing::info!(address = %place.address, "the backend manager is on");
                    let token = shutdown.child_token();
                    tokio::spawn(measure(Arc::clone(&operator), token.clone()));
                    let (playbooks, pages) =
                        (runner::watch(claw.clone(), token.clone()), admin::serve(listener, admin(token.clone())));
                    serving = Some((token, tokio::spawn(futures::future::join(playbooks, pages).map(|((), ())| ()))));
                    told = None;
                }
                Err(error) => {
                    let trouble = format!("the backend manager cannot listen on {}: {error}", place.address);
                    if told.as_ref() != Some(&trouble) {
                        tracing::error!("{trouble}; choose another port with CLAW_PORT or --claw-port");
                        told = Some(trouble);
                    }
                }
            },
            (false, Some((token, _))) => {
                tracing::info!("the backend manager is off");
                token.cancel();
            }
            (_, serves) => serving = serves,
        }
    }
    if let Some((_, serving)) = serving {
        // A panic there has been logged; everything is ending.
        let _ = serving.await;
    }
    let _ = tended.await;
    claw.shelf.close().await;
}
