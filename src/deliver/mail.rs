//! One mail, handed to an SMTP server.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls as Encryption, TlsParameters},
        extension::ClientId,
    },
};

use super::{CONNECT, Error};
use crate::{
    alerts::{Notification, address::MailServer, words::Letter},
    manifest::alerts::Tls,
    secret::Secret,
};

/// A mailbox and the server that takes mail for it.
pub(super) struct Target {
    pub(super) server: MailServer,
    pub(super) tls: Tls,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// The name under which the server knows us, and the password.
    pub(super) account: Option<(String, Secret)>,
}

/// Hands a mail over.
pub(super) async fn send(target: &Target, letter: &Letter<'_>) -> Result<(), Error> {
    let message = message(target, letter)?;
    let MailServer { host, port } = &target.server;
    let secret = || TlsParameters::new(host.clone()).map_err(|error| failed(&error));
    let encryption = match target.tls {
        Tls::StartTls => Encryption::Required(secret()?),
        Tls::Tls => Encryption::Wrapper(secret()?),
        Tls::None => Encryption::None,
    };
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(*port)
        .tls(encryption)
        .hello_name(ClientId::Domain(domain(letter.host)))
        .timeout(Some(CONNECT));
    if let Some((name, password)) = &target.account {
        server = server.credentials(Credentials::new(name.clone(), password.expose().to_owned()));
    }
    server.build().send(message).await.map(drop).map_err(|error| failed(&error))
}

fn failed(error: &lettre::transport::smtp::Error) -> Error {
    // What a server answers to a password does not have it in it, but a name may be there: only its code is told.
    if let Some(code) = error.status() {
        return Error::Refused { message: format!("code {code}"), is_final: error.is_permanent() };
    }
    // Each of its errors repeats the one below it.
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    Error::Silent { reason: causes.last().map(ToString::to_string).unwrap_or_default() }
}

fn message(target: &Target, letter: &Letter<'_>) -> Result<Message, Error> {
    let unready = |reason: String| Error::Unready { reason };
    let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|error| unready(format!("`{text}` is not a mailbox: {error}")));
    let Notification { id, earlier, .. } = letter.notification;
    let name = |id: &String| format!("<{id}@{}>", domain(letter.host));
    let mut message = Message::builder().from(mailbox(&target.from)?).subject(letter.subject()).message_id(Some(name(id)));
    for to in &target.to {
        message = message.to(mailbox(to)?);
    }
    // Whatever tells the end, or the same again, stands below its beginning.
    let thread: Vec<String> = earlier.iter().map(name).collect();
    if let Some(first) = thread.first() {
        message = message.in_reply_to(first.clone()).references(thread.join(" "));
    }
    message
        // Nobody's holiday notice shall answer this.
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text())
        .map_err(|error| unready(format!("the mail cannot be written: {}", crate::error_chain(&error))))
}

/// The host's name as it may stand in a Message-ID and in a greeting.
fn domain(host: &str) -> String {
    let domain: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let domain = domain.trim_matches(['-', '.']);
    if domain.is_empty() { "mooring.invalid".to_owned() } else { domain.to_owned() }
}

/// Says that a program has written this.
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_becomes_one_that_a_mail_can_have() {
        assert_eq!(domain("shop-1.example.test"), "shop-1.example.test");
        assert_eq!(domain("my shop>\r\n"), "my-shop");
        assert_eq!(domain("…"), "mooring.invalid");
    }
}
