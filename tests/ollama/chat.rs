//! The conversation's questions to a real ollama. What its small model says is of no interest; that the server takes our question
//! with its schema, and that we read whatever it says, is.

use mooring::{
    admin::{
        intent::{Service, Vocabulary},
        model::{Error, Models, background::Known, proposal},
    },
    manifest::model_provider::Provider,
    operator::Operator as _,
};

use crate::stack::{start, with_own_server};

#[test]
fn a_real_server_is_found_in_its_container_and_takes_our_question_and_our_schema() {
    let host = start(&[with_own_server("")], "", "30m");
    host.converges();
    let answering = host.context().model().unwrap();
    let address = host.inspect("ollama", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}").unwrap();
    let url = answering.url.as_ref().unwrap().expose().to_owned();
    assert_eq!((answering.provider, answering.model.as_str()), (Provider::Ollama, "gemma3:4b"));
    assert_eq!(url, format!("http://{address}:11434"));
    assert_eq!((answering.key.as_ref(), answering.reason.as_str()), (None, "no key is set"));

    let vocabulary = Vocabulary::new([Service { name: "redis".to_owned(), ..Service::default() }], [], []);
    let now = "2026-11-21T14:30:00Z".parse().unwrap();
    let mut request = proposal::request("how is the cache today", &Known::default(), &vocabulary, now);
    // It has nothing to say, so that it need not say much of it.
    request.max_tokens = 48;
    match host.wait_for(Models::default().ask("session:test", &answering, &request)) {
        Ok(reply) => {
            assert!(reply.tokens.input > 500 && reply.tokens.output > 0, "{reply:?}");
            // Whatever it says: nothing of it is taken for more than it is.
            let _ = proposal::read(&reply.text, &vocabulary, now);
        }
        Err(error) => assert_eq!(error, Error::CutOff),
    }
    let missing = mooring::view::Answering { model: "nobody:1b".to_owned(), ..answering };
    let error = host.wait_for(Models::default().ask("session:test", &missing, &request)).unwrap_err();
    assert!(matches!(&error, Error::Refused { status: 404, message } if message.contains("nobody:1b")), "{error:?}");
}
