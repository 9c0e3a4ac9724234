//! What can go wrong with a request, and what may be said about it.

use std::{error, time::Duration};

use bollard::errors::Error as ClientError;

use crate::observe::engine::Error;

/// As much of the engine's words as helps a person; what sits in front of an engine may answer with a page.
const MESSAGE_KEPT: usize = 1000;

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No socket, refused, broken off.
    Unreachable { address: String, source: Box<dyn error::Error + Send + Sync> },
    /// There was no answer, or not all of it, in time.
    TimedOut { address: String, limit: Duration },
    /// The answer is an error. The status is 200 when it came in the middle of a good answer.
    Refused { operation: String, status: u16, message: String },
    /// The answer makes no sense.
    Unreadable { operation: String, source: Nonsense },
}

/// What is wrong with an answer, without anything of what stood in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Nonsense(String);

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
struct NoAnswer(Duration);

impl Failure {
    /// The client's error in our words. `call` is the request's word, as in `list-containers`.
    pub(super) fn new(call: &str, address: &str, error: ClientError) -> Self {
        let operation = call.replace('-', " ");
        let unreachable = |source| Self::Unreachable { address: address.to_owned(), source };
        match error {
            ClientError::DockerResponseServerError { status_code, message } => {
                Self::Refused { operation, status: status_code, message: shortened(message) }
            }
            ClientError::DockerStreamError { error } => Self::Refused { operation, status: 200, message: shortened(error) },
            // Says what its source says once more.
            ClientError::HyperLegacyError { err } => unreachable(err.into()),
            lost @ (ClientError::IOError { .. }
            | ClientError::HyperResponseError { .. }
            | ClientError::RequestTimeoutError
            | ClientError::SocketNotFoundError(_)) => unreachable(lost.into()),
            other => Self::Unreadable { operation, source: Nonsense(without_quoted(&other.to_string())) },
        }
    }

    /// An answer that ends in good order, and before its end.
    pub(super) fn not_whole(call: &str) -> Self {
        Self::Unreadable { operation: call.replace('-', " "), source: Nonsense("it is not whole".to_owned()) }
    }

    /// A name that cannot be sent.
    fn not_a_name(operation: &str, name: &str) -> Self {
        let message = format!("`{name}` cannot be the name of anything on the engine");
        Self::Refused { operation: operation.to_owned(), status: 400, message }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable { address, source } => Self::Unreachable { address, source },
            Failure::TimedOut { address, limit } => Self::Unreachable { address, source: NoAnswer(limit).into() },
            Failure::Refused { operation, status, message } => Self::Refused { operation, status, message },
            Failure::Unreadable { operation, source } => Self::Unreadable { operation, source: source.into() },
        }
    }
}

/// What was asked about, if it is there.
pub(crate) fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Refused { status: 404, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A name that may stand in a request's path.
///
/// The client puts it there as it is: a network called `../containers/prune?`
/// would make attaching to it a request to remove every stopped container.
pub(crate) fn in_path<'a>(operation: &str, name: &'a str) -> Result<&'a str, Failure> {
    let is_safe =
        !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '?', '#', '%']) && !name.contains(char::is_control);
    if is_safe { Ok(name) } else { Err(Failure::not_a_name(operation, name)) }
}

/// An image's reference, which may have slashes, in a request's path.
pub(crate) fn image_in_path<'a>(operation: &str, reference: &'a str) -> Result<&'a str, Failure> {
    let mut parts = reference.split('/');
    match parts.find(|part| in_path(operation, part).is_err()) {
        None => Ok(reference),
        Some(_) => Err(Failure::not_a_name(operation, reference)),
    }
}

fn shortened(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_KEPT));
    message.truncate(message.trim_end().len());
    message
}

/// A parser's complaint quotes the text that it stumbled over, and a container's variables stand in answers.
fn without_quoted(complaint: &str) -> String {
    match (complaint.find('"'), complaint.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}\"…\"{}", &complaint[..first], &complaint[last + 1..]),
        _ => complaint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_change_the_request_is_refused() {
        for name in ["web", "my net", "a.b-c_d", "3f2a"] {
            assert!(in_path("test", name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "../containers/prune?", "a/b", "a?b", "a#b", "%2e%2e", "a\\b", "a\nb"] {
            assert!(in_path("test", name).is_err(), "{name}");
        }
        for reference in ["redis:7", "registry.test:5000/team/app@sha256:aa"] {
            assert!(image_in_path("test", reference).is_ok(), "{reference}");
        }
        for reference in ["", "../containers/x", "a//b", "a/../b", "a?b"] {
            assert!(image_in_path("test", reference).is_err(), "{reference}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let error = serde_json::from_str::<Vec<String>>(r#""PASSWORD=hunter2""#).unwrap_err();
        let error = ClientError::JsonDataError { message: error.to_string(), column: 3 };
        let failure = Failure::new("inspect-container", "unix:///x", error);
        let text = crate::error_chain(&Error::from(failure));
        assert!(text.starts_with("the engine's answer to inspect container cannot be read: "), "{text}");
        assert!(text.contains("expected a sequence") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_page_of_html_is_cut() {
        let error = ClientError::DockerResponseServerError { status_code: 502, message: "é".repeat(5000) };
        let Failure::Refused { message, .. } = Failure::new("list-containers", "unix:///x", error) else {
            panic!("it was refused");
        };
        assert_eq!(message.len(), MESSAGE_KEPT);
    }
}
