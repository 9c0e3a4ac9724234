//! Making networks, volumes, markers and containers.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    Docker as Client,
    models::{NetworkCreateRequest, Volume, VolumeCreateRequest},
    query_parameters::{CreateContainerOptions, InspectNetworkOptions, ListNetworksOptions},
};

use super::{Docker, body, done, done_unless};
use crate::{
    execute::engine::{Effect, Error},
    observe::{
        docker::failure::{Failure, found, in_path},
        engine::{MARKER_LABEL, OBJECT_LABEL, OWNER_LABEL, SHAPE_LABEL},
    },
    plan::{action::NewContainer, shape::Shape},
    secret::Secret,
};

impl Docker {
    pub(super) async fn create_network(&self, name: &str) -> Result<Effect, Error> {
        let _making = self.making_network.lock().await;
        let question = async |client: Client| client.list_networks(None::<ListNetworksOptions>).await;
        let networks = self.connection.ask("list-networks", question).await?;
        if networks.iter().any(|network| network.name.as_deref() == Some(name)) {
            return Ok(Effect::AlreadySo);
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(self.owner_label()),
            ..NetworkCreateRequest::default()
        };
        // Somebody else may have made it meanwhile. Engines that keep names unique say so.
        let made = self.act("create-network", async |client| client.create_network(request).await).await;
        done_unless(made, |status, _| status == 409)
    }

    pub(super) async fn has_network(&self, id: &str) -> Result<bool, Error> {
        const CALL: &str = "inspect-network";
        let id = in_path(CALL, id)?;
        let question = async |client: Client| client.inspect_network(id, None::<InspectNetworkOptions>).await;
        Ok(found(self.connection.ask(CALL, question).await)?.is_some())
    }

    /// The engine refuses as long as anybody is on it.
    pub(super) async fn remove_network(&self, id: &str) -> Result<Effect, Error> {
        const CALL: &str = "remove-network";
        let id = in_path(CALL, id)?;
        let removed = self.act(CALL, async |client| client.remove_network(id).await).await;
        done_unless(removed, |status, _| status == 404)
    }

    pub(super) async fn create_volume(&self, name: &str) -> Result<Effect, Error> {
        const CALL: &str = "inspect-volume";
        let path = in_path(CALL, name)?;
        // Making one that exists gives it back as it is, and does not say so.
        if found(self.connection.ask(CALL, async |client| client.inspect_volume(path).await).await)?.is_some() {
            return Ok(Effect::AlreadySo);
        }
        done(self.make_volume(name, self.owner_label()).await)
    }

    /// Gives the text of the marker that is there, which is this one only if there was none.
    pub(super) async fn make_marker(&self, name: &str, text: &str) -> Result<String, Error> {
        const CALL: &str = "inspect-volume";
        let path = in_path(CALL, name)?;
        let mut labels = self.owner_label();
        labels.insert(MARKER_LABEL.to_owned(), text.to_owned());
        // Making a volume that exists changes nothing. The answer may lack the labels of the one that is there: an engine
        // that has been started anew does not know them before it is asked for the volume itself.
        self.make_volume(name, labels).await?;
        let mut volume = self.connection.ask(CALL, async |client| client.inspect_volume(path).await).await?;
        Ok(volume.labels.remove(MARKER_LABEL).unwrap_or_default())
    }

    async fn make_volume(&self, name: &str, labels: HashMap<String, String>) -> Result<Volume, Failure> {
        let request = VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels), ..VolumeCreateRequest::default() };
        self.act("create-volume", async |client| client.create_volume(request).await).await
    }

    pub(super) async fn create(&self, new: &NewContainer, variables: &BTreeMap<String, Secret>) -> Result<Effect, Error> {
        let body = body::container(new, variables, &self.owner);
        let options = CreateContainerOptions { name: Some(new.name.clone()), ..CreateContainerOptions::default() };
        let created = self.act("create-container", async |client| client.create_container(Some(options), body).await).await;
        match created {
            Ok(created) => {
                for warning in created.warnings {
                    tracing::warn!(container = new.name, warning, "the engine has a reservation");
                }
                Ok(Effect::Done)
            }
            Err(Failure::Refused { status: 409, .. }) if self.has_made(new).await? => Ok(Effect::AlreadySo),
            Err(failure) => Err(without_values(failure, variables).into()),
        }
    }

    /// Whether the container that has the name is the very one that was to be made: nobody may have heard the answer to an earlier call.
    async fn has_made(&self, new: &NewContainer) -> Result<bool, Error> {
        let labels = self.inspect(&new.name).await?.and_then(|found| found.config?.labels).unwrap_or_default();
        let is = |label: &str, value: &str| labels.get(label).is_some_and(|known| known == value);
        let shape = labels.get(SHAPE_LABEL).and_then(|shape| serde_json::from_str::<Shape>(shape).ok());
        Ok(is(OWNER_LABEL, &self.owner) && is(OBJECT_LABEL, &new.object.to_string()) && shape.as_ref() == Some(&new.shape))
    }

    fn owner_label(&self) -> HashMap<String, String> {
        HashMap::from([(OWNER_LABEL.to_owned(), self.owner.to_string())])
    }
}

/// The engine repeats a variable that it does not like, value and all.
fn without_values(failure: Failure, variables: &BTreeMap<String, Secret>) -> Failure {
    let Failure::Refused { operation, status, message } = failure else {
        return failure;
    };
    let hide =
        |message: String, (name, value): (&String, &Secret)| message.replace(&body::variable(name, value), &format!("{name}=…"));
    Failure::Refused { operation, status, message: variables.iter().fold(message, hide) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_does_not_repeat_the_value_of_a_variable() {
        let variables = BTreeMap::from([("=PASSWORD".to_owned(), Secret::new("hunter2".to_owned()))]);
        let message = "invalid environment variable: =PASSWORD=hunter2".to_owned();
        let failure = Failure::Refused { operation: "create container".to_owned(), status: 400, message };
        let Failure::Refused { message, .. } = without_values(failure, &variables) else { panic!("it was refused") };
        assert_eq!(message, "invalid environment variable: =PASSWORD=…");
    }
}
