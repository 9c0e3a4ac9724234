//! Which secrets there are, which model answers, and where routes lead.

use super::Talk;
use crate::{
    admin::figures::{bytes, since},
    observe::gauges::ring::wide,
};

impl Talk<'_> {
    /// Names, never values.
    pub(super) async fn secrets(&self) {
        let (secrets, now) = (self.operator.secrets().await, self.operator.now());
        self.operator.note(&self.speaker.actor, "ListSecrets", "list the names of secrets", None).await;
        let rows = secrets.into_iter().map(|secret| {
            let users: Vec<String> = secret.users.iter().map(|user| user.name.clone()).collect();
            let age = secret.written.as_ref().and_then(|written| Some(since(written.at.parse().ok()?, now)));
            let origin = secret.written.map_or_else(|| "not on record".to_owned(), |written| written.how);
            vec![
                secret.name,
                secret.environment,
                secret.file.unwrap_or_else(|| "no value".to_owned()),
                secret.fingerprint.unwrap_or_default(),
                origin,
                age.unwrap_or_default(),
                users.join(", "),
            ]
        });
        let head = ["Name", "Environment", "In", "Fingerprint", "Origin", "Age", "Given to"];
        self.answer.table("No Environment has any.", &head, rows.collect());
    }

    pub(super) async fn model(&self) {
        let models = self.operator.models().await;
        if models.is_empty() {
            self.answer.text("No ModelProvider is declared.");
        }
        for model in models {
            self.answer.text(match model.choice {
                Ok(choice) => format!("{choice} is the choice, because {} ({}).", model.reason, model.key),
                Err(error) => format!("Which model answers is not known: {error} ({}).", model.key),
            });
            if let Some(pull) = model.pull {
                self.answer.text(format!("{} is being pulled: {}.", pull.model, pull.words));
            }
            if let (Some(server), Some(says)) = (model.server, model.says) {
                self.answer.text(format!("The server at {server}: {says}."));
            }
            if !model.models.is_empty() {
                let rows = model.models.into_iter().map(|(name, size)| vec![name, bytes(wide(size))]).collect();
                self.answer.table("", &["Model on the server", "Size"], rows);
            }
        }
    }

    pub(super) async fn routes(&self) {
        let mut rows = Vec::new();
        for proxy in self.operator.proxies().await {
            let state = if proxy.is_proven { "proven" } else { "not proven" };
            self.answer.text(format!("{}: {}; what it has loaded is {state}.", proxy.key, proxy.nginx));
            if let Some(rejected) = proxy.rejected {
                self.answer.text(format!("A configuration was {rejected}."));
            }
            rows.extend(proxy.routes.into_iter().map(|route| {
                let addresses = if route.addresses.is_empty() { "nowhere".to_owned() } else { route.addresses.join(", ") };
                vec![route.host, route.path, route.to, addresses, route.backend.to_owned(), proxy.key.to_string()]
            }));
        }
        self.answer.table("No Proxy declares any.", &["Host", "Path", "To", "Leads now to", "Backend", "By"], rows);
    }
}
