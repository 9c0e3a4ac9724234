//! Where receivers are: URLs, mail servers and mailboxes.

use std::str::FromStr;

use hyper::Uri;

use crate::manifest::alerts::Tls;

/// Where a server listens that is told over HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAddress {
    /// Whether the connection is secret.
    pub is_tls: bool,
    /// The name, or the address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What goes into the header `Host`.
    pub authority: String,
    /// What is asked for there, never empty.
    pub path: String,
}

/// Text that is no address of a receiver. It does not say which: a token is often part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is no URL that we can ask.
    #[error("expected a URL as http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")]
    Url,
    /// There is a name or a password in it.
    #[error("a URL with a name or a password in it is not taken; use `authorizationFrom`")]
    Account,
    /// It is no mail server.
    #[error("expected a mail server as HOST or HOST:PORT")]
    MailServer,
}

impl FromStr for HttpAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let uri: Uri = text.parse().map_err(|_| InvalidAddress::Url)?;
        let (is_tls, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some(_) | None => return Err(InvalidAddress::Url),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(InvalidAddress::Url)?;
        if authority.as_str().contains('@') {
            return Err(InvalidAddress::Account);
        }
        Ok(Self {
            is_tls,
            // An address of IPv6 stands in brackets, which are no part of it.
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(port),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str).to_owned(),
        })
    }
}

/// Where a mail server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// The name, or the address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl MailServer {
    /// Reads `HOST[:PORT]`; the usual port depends on how the connection is kept from being read.
    pub fn parse(text: &str, tls: Tls) -> Result<Self, InvalidAddress> {
        let usual = match tls {
            Tls::StartTls => 587,
            Tls::Tls => 465,
            Tls::None => 25,
        };
        let (host, port) = match text.rsplit_once(':') {
            // An address of IPv6 without a port ends in a bracket.
            Some((host, port)) if !text.ends_with(']') => {
                (host, port.parse().ok().filter(|port| *port > 0).ok_or(InvalidAddress::MailServer)?)
            }
            Some(_) | None => (text, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        if is_host { Ok(Self { host: host.to_owned(), port }) } else { Err(InvalidAddress::MailServer) }
    }
}

/// Whether text is a mailbox: `ops@example.test` or `Operations <ops@example.test>`.
#[must_use]
pub fn is_mailbox(text: &str) -> bool {
    if text.contains(|c: char| c.is_control()) {
        return false;
    }
    let address = match text.trim().strip_suffix('>') {
        Some(named) => match named.rsplit_once('<') {
            Some((_, address)) => address,
            None => return false,
        },
        None => text.trim(),
    };
    let is_part = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "<>@,;:\"".contains(c));
    address.split_once('@').is_some_and(|(user, domain)| is_part(user) && is_part(domain))
}

/// Whether text can be the name of a header.
#[must_use]
pub fn is_header(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// Whether text can be the value of a header.
#[must_use]
pub fn is_header_value(value: &str) -> bool {
    !value.contains(|c: char| c != '\t' && c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let parts = |text: &str| {
            let HttpAddress { is_tls, host, port, authority, path } = text.parse().unwrap();
            format!("{is_tls} {host} {port} {authority} {path}")
        };
        assert_eq!(parts("https://hooks.example.test/a/b?c=d"), "true hooks.example.test 443 hooks.example.test /a/b?c=d");
        assert_eq!(parts("http://[::1]:9093"), "false ::1 9093 [::1]:9093 /");
        for text in ["", "hooks.example.test", "ftp://a/b", "https://", "/a", "http:// a"] {
            assert_eq!(text.parse::<HttpAddress>().err(), Some(InvalidAddress::Url), "{text}");
        }
        assert_eq!("https://me:secret@a/".parse::<HttpAddress>().err(), Some(InvalidAddress::Account));
    }

    #[test]
    fn a_mail_server_has_the_usual_port_unless_it_says_another() {
        let server = |text: &str, tls| MailServer::parse(text, tls).map(|server| (server.host, server.port));
        assert_eq!(server("mail.test", Tls::StartTls), Ok(("mail.test".to_owned(), 587)));
        assert_eq!(server("mail.test", Tls::Tls), Ok(("mail.test".to_owned(), 465)));
        assert_eq!(server("[::1]", Tls::None), Ok(("::1".to_owned(), 25)));
        assert_eq!(server("[::1]:2525", Tls::None), Ok(("::1".to_owned(), 2525)));
        for text in ["", ":25", "mail.test:x", "mail.test:0", "smtp://mail.test", "mail test"] {
            assert_eq!(server(text, Tls::None), Err(InvalidAddress::MailServer), "{text}");
        }
    }

    #[test]
    fn a_mailbox_has_one_at_sign_between_two_parts() {
        for text in ["ops@example.test", "Operations <ops@example.test>", "\"Ops, night\" <ops@example.test>"] {
            assert!(is_mailbox(text), "{text}");
        }
        for text in ["", "ops", "@example.test", "ops@", "a@b@c", "Ops ops@example.test>", "a@b\r\nBcc: c@d", "a b@c"] {
            assert!(!is_mailbox(text), "{text}");
        }
    }
}
