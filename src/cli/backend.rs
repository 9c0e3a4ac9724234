//! Whom a command asks: the running operator, or one in this process that only looks.

use std::{path::Path, sync::Arc};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    Error,
    client::{self, Client},
    engine, output,
};
use crate::{
    controller::preview::{self, Preview},
    manifest::{Key, Kind},
    operator::Operator,
    settings::Settings,
    source::parse::parse_file,
    view::{AlertView, AuditQuery, AuditView, EventView, ObjectView, PlanView, SentView, WhyView},
};

/// As many problems of files are told beside an answer that is about something else.
const SHOWN: usize = 5;

/// Who answers.
pub enum Backend {
    /// The operator that runs.
    Socket(Client),
    /// One in this process, because none runs.
    Local(Arc<dyn Operator>),
}

impl Backend {
    /// The operator that runs.
    pub async fn running(settings: &Settings) -> Result<Self, Error> {
        let client = Client::new(&settings.socket());
        client.knock().await?;
        Ok(Self::Socket(client))
    }

    /// The operator that runs, or else one in this process, which looks by itself and changes nothing.
    pub async fn any(settings: &Settings) -> Result<Self, Error> {
        match Self::running(settings).await {
            Err(Error::Client(client::Error::NoOperator { .. })) => {
                output::note("no mooring runs here; this is what a look by ourselves shows");
                Self::local(settings).await
            }
            answered => answered,
        }
    }

    /// One in this process, for questions that are not asked aloud.
    pub async fn local(settings: &Settings) -> Result<Self, Error> {
        let (engines, _) = engine::engines(settings)?;
        match Preview::open(settings.clone(), engines).await {
            Ok(preview) => Ok(Self::Local(Arc::new(preview))),
            Err(preview::Error::Refused(problems)) => Err(Error::Refused(problems)),
            Err(error) => Err(error.into()),
        }
    }

    /// All objects, or those of one kind, sorted by key.
    pub async fn objects(&self, kind: Option<Kind>) -> Result<Vec<ObjectView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.objects(kind).await?),
            Self::Local(operator) => Ok(operator.objects(kind)),
        }
    }

    /// Says beside the answer why it may be out of date or incomplete.
    pub async fn warn(&self) {
        let Self::Socket(client) = self else { return };
        // The answer itself will tell what is wrong with asking.
        let Ok(health) = client.health().await else { return };
        for reason in &health.not_ready {
            output::warning(reason);
        }
        for problem in health.refused.iter().take(SHOWN) {
            output::warning(problem);
        }
        if health.refused.len() > SHOWN {
            output::warning(&format!("and {} more; `mooring validate` lists them all", health.refused.len() - SHOWN));
        }
        if let Some(since) = &health.engine_lost_since {
            output::note(&format!("what is shown of containers is as it was at {since}"));
        }
        if !health.alive {
            output::warning("mooring has not looked at anything for a while; its log may say why");
        }
    }

    /// One object, if there is one.
    pub async fn find(&self, key: &Key) -> Result<Option<ObjectView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.object(key).await?),
            Self::Local(operator) => Ok(operator.object(key)),
        }
    }

    /// One object.
    pub async fn object(&self, key: &Key) -> Result<ObjectView, Error> {
        match self.find(key).await? {
            Some(object) => Ok(object),
            None => Err(Error::no_object(key, self.objects(None).await?.iter().map(|object| &object.key))),
        }
    }

    /// What would be done now, for one object or for all.
    pub async fn plans(&self, object: Option<&Key>) -> Result<Vec<PlanView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.plans(object).await?),
            Self::Local(operator) => operator.plans(object).await.map_err(Error::Operator),
        }
    }

    /// What would be done if these manifests, as YAML, were declared.
    pub async fn plans_if(&self, manifests: Vec<u8>) -> Result<Vec<PlanView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.plans_if(manifests).await?),
            Self::Local(operator) => {
                let manifests = parse_file(Path::new("manifests"), &manifests).map_err(Error::Refused)?;
                operator.plans_if(manifests).await.map_err(Error::Operator)
            }
        }
    }

    /// Why something was done for an object; none if nothing was.
    pub async fn why(&self, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.why(key, act).await?),
            Self::Local(operator) => operator.why(key, act).await.map_err(Error::Operator),
        }
    }

    /// The last events, oldest first.
    pub async fn events(&self, object: Option<&Key>, limit: usize) -> Result<Vec<EventView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.events(object, limit).await?),
            Self::Local(operator) => operator.events(object, limit).await.map_err(Error::Operator),
        }
    }

    /// The last entries of the audit log, newest last.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.audit(query).await?),
            Self::Local(operator) => operator.audit(query, None).await.map_err(Error::Operator),
        }
    }

    /// The last entries of the audit log, and then each act when it has ended.
    pub async fn follow_audit(&self, query: &AuditQuery) -> Result<BoxStream<'static, Result<AuditView, Error>>, Error> {
        match self {
            Self::Socket(client) => Ok(client.follow_audit(query).await?.map(|entry| entry.map_err(Error::from)).boxed()),
            Self::Local(operator) => Ok(operator.follow_audit(query).map(Ok).boxed()),
        }
    }

    /// Objects as they are and then each again whenever it changes.
    pub async fn follow_objects(&self, kind: Option<Kind>) -> Result<BoxStream<'static, Result<ObjectView, Error>>, Error> {
        match self {
            Self::Socket(client) => {
                let objects = client.follow_objects(kind).await?;
                Ok(objects.map(|object| object.map_err(Error::from)).boxed())
            }
            Self::Local(operator) => {
                let changes = operator.follow_objects();
                let now = stream::iter(operator.objects(kind));
                let changes = changes.filter(move |object| std::future::ready(kind.is_none_or(|kind| object.key.kind == kind)));
                Ok(now.chain(changes).map(Ok).boxed())
            }
        }
    }

    /// The last events and then every new one.
    pub async fn follow_events(
        &self,
        object: Option<&Key>,
        limit: usize,
    ) -> Result<BoxStream<'static, Result<EventView, Error>>, Error> {
        match self {
            Self::Socket(client) => {
                let events = client.follow_events(object, limit).await?;
                Ok(events.map(|event| event.map_err(Error::from)).boxed())
            }
            Self::Local(operator) => {
                let news = operator.follow_events();
                let past = operator.events(object, limit).await.map_err(Error::Operator)?;
                let object = object.map(ToString::to_string);
                let news =
                    news.filter(move |event| std::future::ready(object.as_ref().is_none_or(|object| event.object == *object)));
                Ok(stream::iter(past).chain(news).map(Ok).boxed())
            }
        }
    }

    /// What is wrong, and who was told.
    pub async fn alerts(&self) -> Result<Vec<AlertView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.alerts().await?),
            Self::Local(operator) => Ok(operator.alerts()),
        }
    }

    /// Sends a test to this receiver, or to all.
    pub async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, Error> {
        match self {
            Self::Socket(client) => Ok(client.test_alerts(receiver).await?),
            Self::Local(operator) => operator.test_alerts(receiver).await.map_err(Error::Operator),
        }
    }

    /// Lets Mooring try again with an object. `actor` is who asks, where the operator cannot know.
    pub async fn release(&self, key: &Key, actor: &str) -> Result<(), Error> {
        match self {
            Self::Socket(client) => Ok(client.release(key).await?),
            Self::Local(operator) => operator.release(key, actor).await.map_err(Error::Operator),
        }
    }
}
