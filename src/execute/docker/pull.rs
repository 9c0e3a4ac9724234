//! Pulling an image.

use std::{collections::BTreeMap, time::Duration};

use bollard::{models::CreateImageInfo, query_parameters::CreateImageOptions};
use futures::TryStreamExt;

use super::Docker;
use crate::{
    execute::engine::{Effect, Error},
    observe::docker::failure::Failure,
};

/// Large images over slow lines do take this long.
const PULL: Duration = Duration::from_hours(1);

impl Docker {
    pub(super) async fn pull(&self, image: &str) -> Result<Effect, Error> {
        let options = CreateImageOptions { from_image: Some(with_tag(image)), ..CreateImageOptions::default() };
        tracing::info!(image, "pulling");
        let pulled = self.connection.ask_within(PULL, "pull-image", async |client| {
            let mut progress = Progress::default();
            let mut stream = client.create_image(Some(options), None, None);
            // What goes wrong on the way comes inside the stream, under a status of 200; the client makes it an error.
            while let Some(line) = stream.try_next().await? {
                progress.tell(image, line);
            }
            Ok(())
        });
        match pulled.await {
            Ok(()) => {
                tracing::info!(image, "pulled");
                Ok(Effect::Done)
            }
            Err(Failure::Refused { message, .. }) => Err(Error::Pull { image: image.to_owned(), message }),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// Without a tag the engine would pull all of them.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

/// What was last told of each layer: the engine says it many times a second.
#[derive(Default)]
struct Progress {
    told: BTreeMap<String, String>,
}

impl Progress {
    fn tell(&mut self, image: &str, line: CreateImageInfo) {
        let (layer, status) = (line.id.unwrap_or_default(), line.status.unwrap_or_default());
        if self.told.get(&layer) != Some(&status) {
            tracing::debug!(image, layer, status, "pulling");
            self.told.insert(layer, status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        for (image, reference) in [
            ("redis", "redis:latest"),
            ("redis:7", "redis:7"),
            ("registry.test:5000/redis", "registry.test:5000/redis:latest"),
            ("registry.test:5000/redis:7", "registry.test:5000/redis:7"),
            ("redis@sha256:aa", "redis@sha256:aa"),
        ] {
            assert_eq!(with_tag(image), reference);
        }
    }
}
