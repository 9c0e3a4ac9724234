//! Sessions in the backend manager's database, for the library that manages their cookies.

use async_trait::async_trait;
use tower_sessions::{
    SessionStore,
    cookie::time::OffsetDateTime,
    session::{Id, Record},
    session_store::{Error, Result},
};

use crate::admin::store::{self, Store};

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
