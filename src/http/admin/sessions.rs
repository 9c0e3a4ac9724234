//! Sessions in the backend manager's database, for the library that manages their cookies.

use async_trait::async_trait;
use axum::{
    extract::Request,
    http::{HeaderValue, header},
};
use tower_sessions::{
    SessionStore,
    cookie::time::OffsetDateTime,
    session::{Id, Record},
    session_store::{Error, Result},
};

use super::COOKIE;
use crate::admin::store::{self, Store};

/// Leaves of all cookies our own, and that only with an id in it: the library warns of each other one, so that a stranger could
/// fill the log with them.
pub(super) async fn only_ids(mut request: Request) -> Request {
    let headers = request.headers_mut();
    let given: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    let pairs = given.iter().filter_map(|cookies| cookies.to_str().ok()).flat_map(|cookies| cookies.split(';'));
    let mut ids = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| *name == COOKIE).map(|(_, id)| id);
    if let Some(id) = ids.rfind(|id| id.parse::<Id>().is_ok())
        && let Ok(cookie) = HeaderValue::from_str(&format!("{COOKIE}={id}"))
    {
        headers.insert(header::COOKIE, cookie);
    }
    request
}

/// The store.
#[derive(Clone, Debug)]
pub(super) struct Sessions(Store);

impl Sessions {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    async fn keep(&self, record: &Record, is_new: bool) -> Result<bool> {
        let data = serde_json::to_string(record).map_err(|error| Error::Encode(error.to_string()))?;
        let kept = self.0.keep_session(&record.id.to_string(), &data, record.expiry_date.unix_timestamp(), is_new).await;
        kept.map_err(backend)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
fn backend(error: store::Error) -> Error {
    Error::Backend(crate::error_chain(&error))
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        // An id is 128 bits from the system's generator: a second try is one too many already.
        while !self.keep(record, true).await? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.keep(record, false).await.map(drop)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let data = self.0.session(&id.to_string(), now).await.map_err(backend)?;
        data.map(|data| serde_json::from_str(&data).map_err(|error| Error::Decode(error.to_string()))).transpose()
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.end_session(&id.to_string()).await.map_err(backend)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn of_the_cookies_that_come_only_an_id_of_ours_goes_further() {
        let id = Id::default().to_string();
        let (other, ours) = (Id::default().to_string(), format!("{COOKIE}={id}"));
        let only_ours = [ours.clone()];
        let left = async |given: &[&str]| {
            let request = given.iter().fold(Request::builder(), |request, cookies| request.header(header::COOKIE, *cookies));
            let request = only_ids(request.body(Body::empty()).unwrap()).await;
            let cookies: Vec<String> =
                request.headers().get_all(header::COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
            cookies
        };
        for strange in
            ["", "=", ";;", "mooring-session", "mooring-session=", "mooring-session=../../etc", "mooring%2Dsession=x", "a=b"]
        {
            assert!(left(&[strange]).await.is_empty(), "{strange}");
        }
        assert!(left(&[&format!("{COOKIE}={id}x")]).await.is_empty(), "longer than an id");
        assert_eq!(left(&[&ours]).await, only_ours);
        assert_eq!(left(&[&format!("theme=dark; {ours};{COOKIE}=x")]).await, only_ours);
        assert_eq!(left(&[&format!("{COOKIE}={other}"), &ours]).await, only_ours, "of several the last one counts");
    }
}
