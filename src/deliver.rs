//! Messages → the servers that take them. One try each; who fails says whether another one may help.
//!
//! Secrets go in and never come out: no error has a URL, a header or a password in it.

pub(crate) mod http;
mod mail;

use std::{fmt, time::Duration};

use jiff::Timestamp;

use crate::{
    alerts::{
        address::{HttpAddress, InvalidAddress, MailServer},
        policy::Way,
        words::Letter,
    },
    manifest::alerts::{Email, Endpoint, Variable},
    secret::Secret,
};

/// A server that is there accepts at once, whatever else it does.
const CONNECT: Duration = Duration::from_secs(5);
/// What takes longer than this is not done at all.
const WHOLE: Duration = Duration::from_secs(20);
/// Where an Alertmanager takes alerts.
const ALERTMANAGER: &str = "/api/v2/alerts";

/// A message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is needed to reach the server is not known.
    #[error("{reason}")]
    Unready {
        /// What is missing.
        reason: String,
    },
    /// The address is none.
    #[error("the address cannot be used")]
    Address {
        /// Why.
        #[from]
        source: InvalidAddress,
    },
    /// There is no answer, or the conversation broke off.
    #[error("{reason}")]
    Silent {
        /// What went wrong.
        reason: String,
    },
    /// It took too long.
    #[error("no answer within {} s", WHOLE.as_secs())]
    Late,
    /// The server said no.
    #[error("it was refused: {message}")]
    Refused {
        /// The server's words.
        message: String,
        /// Whether it would refuse the same again.
        is_final: bool,
    },
}

impl Error {
    /// Whether trying the same again is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { is_final, .. } => *is_final,
            Self::Unready { .. } | Self::Address { .. } | Self::Silent { .. } | Self::Late => false,
        }
    }
}

/// Finds the value of a variable, or says why there is none.
pub type Values<'a> = dyn Fn(&Variable) -> Result<Secret, String> + Send + Sync + 'a;

/// The way to one receiver, with everything that is needed to go it.
pub struct Channel(Kind);

enum Kind {
    Webhook(http::Target),
    Slack(http::Target),
    Alertmanager(http::Target),
    Email(Box<mail::Target>),
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There are secrets in it.
        f.write_str("Channel(…)")
    }
}

impl Channel {
    /// Finds the secrets that the way needs.
    pub fn open(way: &Way, values: &Values<'_>) -> Result<Self, Error> {
        Ok(Self(match way {
            Way::Webhook(endpoint) => Kind::Webhook(target(endpoint, values)?),
            Way::Slack(endpoint) => Kind::Slack(target(endpoint, values)?),
            Way::Alertmanager(endpoint) => {
                let mut target = target(endpoint, values)?;
                let base = target.address.path.trim_end_matches('/');
                if !base.ends_with(ALERTMANAGER) {
                    target.address.path = format!("{base}{ALERTMANAGER}");
                }
                Kind::Alertmanager(target)
            }
            Way::Email(email) => Kind::Email(Box::new(mailbox(email, values)?)),
        }))
    }

    /// Tries once to deliver a message.
    pub async fn send(&self, letter: &Letter<'_>, now: Timestamp) -> Result<(), Error> {
        let sending = async {
            match &self.0 {
                Kind::Webhook(target) => http::post(target, &letter.webhook()).await,
                Kind::Slack(target) => http::post(target, &letter.slack()).await,
                Kind::Alertmanager(target) => http::post(target, &letter.alertmanager(now)).await,
                Kind::Email(target) => mail::send(target, letter).await,
            }
        };
        tokio::time::timeout(WHOLE, sending).await.unwrap_or(Err(Error::Late))
    }
}

fn target(endpoint: &Endpoint, values: &Values<'_>) -> Result<http::Target, Error> {
    let Endpoint { url, url_from, headers, authorization_from } = endpoint;
    let value = |variable: &Variable| values(variable).map_err(|reason| Error::Unready { reason });
    let address: HttpAddress = match (url, url_from) {
        (Some(url), _) => url.parse()?,
        (None, Some(variable)) => value(variable)?.expose().trim().parse()?,
        (None, None) => return Err(Error::Unready { reason: "there is no URL".to_owned() }),
    };
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect();
    if let Some(variable) = authorization_from {
        headers.push(("authorization".to_owned(), Secret::new(value(variable)?.expose().trim().to_owned())));
    }
    Ok(http::Target { address, headers })
}

fn mailbox(email: &Email, values: &Values<'_>) -> Result<mail::Target, Error> {
    let Email { smtp, tls, from, to, username, password_from } = email;
    let account = match (username, password_from) {
        (Some(username), Some(variable)) => {
            Some((username.clone(), values(variable).map_err(|reason| Error::Unready { reason })?))
        }
        _ => None,
    };
    Ok(mail::Target { server: MailServer::parse(smtp, *tls)?, tls: *tls, from: from.clone(), to: to.clone(), account })
}
