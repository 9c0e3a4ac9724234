//! Parts of pages look the same to everybody, so one rendering does for all who ask at about the same time.
//!
//! Two hundred viewers of three hundred objects ask for the same part at the same moment: whenever something has
//! changed. Rendered for each of them, that would take the processor from the loop that heals.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, response::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::Mutex, time::Instant};

/// Between the beginnings of two renderings of the same part. Nobody sees the difference.
const PAUSE: Duration = Duration::from_millis(300);
/// Parts that are kept in mind; there is one for each object, of which few are looked at.
const KEPT: usize = 64;
/// A part is some hundred kilobytes with hundreds of objects.
const LONGEST: usize = 16 * 1024 * 1024;

/// What was rendered last, by path and query.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<std::sync::Mutex<HashMap<String, Arc<Slot>>>>);

type Slot = Mutex<Option<Made>>;

struct Made {
    begun: Instant,
    head: Parts,
    body: Bytes,
}

impl Made {
    fn answer(&self) -> Response {
        Response::from_parts(self.head.clone(), Body::from(self.body.clone()))
    }
}

impl Shared {
    fn slot(&self, what: &str) -> Arc<Slot> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT && !all.contains_key(what) {
            // Those that somebody is waiting for stay.
            all.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(all.entry(what.to_owned()).or_default())
    }
}

/// Answers with what was rendered after the question came, or renders.
pub(super) async fn once(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let asked = Instant::now();
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let what = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let slot = shared.slot(&what);
    // Whoever waits here gets what the one before has made, if that was begun after he asked.
    let mut made = slot.lock().await;
    if let Some(made) = made.as_ref() {
        if made.begun >= asked {
            return made.answer();
        }
        tokio::time::sleep_until(made.begun + PAUSE).await;
    }
    let begun = Instant::now();
    let (head, body) = next.run(request).await.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "this part of the page is too long\n").into_response();
    };
    made.insert(Made { begun, head, body }).answer()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::{Router, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_at_the_same_time_gets_the_same_rendering_and_who_asks_later_a_new_one() {
        static RENDERED: AtomicU32 = AtomicU32::new(0);
        let render = async || {
            tokio::time::sleep(Duration::from_millis(20)).await;
            format!("{}", RENDERED.fetch_add(1, Ordering::SeqCst))
        };
        let router = Router::new()
            .route("/part", get(render))
            .route("/other", get(render))
            .layer(middleware::from_fn_with_state(Shared::default(), once));
        let ask = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            String::from_utf8(to_bytes(answer.into_body(), LONGEST).await.unwrap().to_vec()).unwrap()
        };
        let answers = futures::future::join_all((0..200).map(|_| ask("/part"))).await;
        assert!(answers.iter().all(|answer| answer == "0"), "{answers:?}");
        // Who asks while it is rendered may have seen something newer: those share the next rendering, which waits a little.
        let first = Instant::now();
        let late = |millis: u64| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            ask("/part").await
        };
        let answers = futures::future::join_all([0, 1, 300, 301].map(late)).await;
        assert_eq!(answers, ["1", "1", "2", "2"]);
        assert!(first.elapsed() >= PAUSE, "{:?}", first.elapsed());
        assert_eq!(ask("/other").await, "3", "another part is another one");
        assert_eq!(ask("/part").await, "4", "what is asked for later is as it is then");
    }
}
