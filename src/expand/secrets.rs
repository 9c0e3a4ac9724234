//! The secrets that a plugin needs, in the `Environment` that has them made.

use super::{Expander, Finding, Plugin};
use crate::manifest::{
    Key, Kind, Manifest,
    environment::{GeneratedSecret, SecretFormat, Secrets, secrets_file},
};

/// The secret by which plugins know each other. Every one of them exits without it.
const INTERNAL: &str = "PLUGIN_INTERNAL_SECRET";
/// The secret of claw's web side, which claw's own manifest does not name.
const CLAW_WEB: &str = "CLAW_WEB_SECRET";

/// How the names of secrets end that are nobody's but the stack's own.
///
/// Any random value will do for them. A key for somebody else's service, `STRIPE_WEBHOOK_SECRET` among them, comes from
/// there, and a made one would only hide that it is missing.
const OWN: [&str; 8] = [
    "INTERNAL_SECRET",
    "INTERNAL_TOKEN",
    "SHARED_SECRET",
    "WEB_SECRET",
    "SESSION_SECRET",
    "COOKIE_SECRET",
    "HMAC_SECRET",
    "ENCRYPTION_KEY",
];

/// The secrets that have to be there before the plugin's first start.
pub(super) fn needed(plugin: &Plugin<'_>) -> Vec<String> {
    let manifest = &plugin.reading.manifest;
    let mut names = Vec::new();
    if plugin.is_service() {
        names.push(INTERNAL.to_owned());
    }
    if matches!(manifest.name.as_str(), "claw" | "claw-web") {
        names.push(CLAW_WEB.to_owned());
    }
    let variables = manifest.variables.iter().filter(|variable| {
        let is_needed = variable.is_required && variable.default.is_none() && is_own(&variable.name);
        variable.is_generated || is_needed
    });
    names.extend(variables.map(|variable| variable.name.clone()));
    let services = plugin.reading.fragment.iter().flat_map(|fragment| &fragment.services);
    let unset = services.flat_map(|service| &service.variables).filter(|(_, value)| {
        // `NAME:` and `NAME: ${NAME}` are filled in by whoever runs Compose.
        value.as_ref().is_none_or(|value| value.is_empty() || value.contains("${") || value.starts_with('$'))
    });
    names.extend(unset.filter(|(name, _)| is_own(name)).map(|(name, _)| name.clone()));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| is_name(name) && seen.insert(name.clone()) && !plugin.spec.variables.contains_key(name));
    names
}

/// Whether a variable of this name can be declared. A Compose file may have others; nobody makes a secret for those.
fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|end| name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('_')))
}

impl Expander {
    /// Adds what is missing to the list of the plugin's `Environment`.
    pub(super) fn secrets(&mut self, plugin: &Plugin<'_>) {
        let key = Key::new(Kind::Environment, &plugin.spec.environment);
        let Some(Manifest::Environment(environment)) = self.out.manifests.get_mut(&key) else { return };
        let spec = &mut environment.spec;
        let computed = spec.computed.iter().flat_map(|computed| computed.values.keys());
        let known = spec.secrets.iter().flat_map(|secrets| secrets.generate.iter().map(|secret| &secret.name));
        let known: Vec<String> = known.chain(computed).cloned().collect();
        let missing: Vec<String> = needed(plugin).into_iter().filter(|name| !known.contains(name)).collect();
        if missing.is_empty() {
            return;
        }
        let secret = |name: String| GeneratedSecret { name, format: SecretFormat::Hex, length: None };
        let secrets = match (&mut spec.secrets, file_for_secrets(&spec.files)) {
            (Some(secrets), _) => secrets,
            (none, Some(file)) => none.insert(Secrets { file, generate: Vec::new() }),
            (None, None) => {
                self.finding(plugin, Finding::NoSecretsFile { environment: key });
                return;
            }
        };
        secrets.generate.extend(missing.into_iter().map(secret));
        self.extended(plugin, &key);
    }
}

/// The file of a cascade that is meant for secrets.
fn file_for_secrets(files: &[String]) -> Option<String> {
    let usual = files.iter().find(|file| **file == secrets_file());
    usual.or_else(|| files.iter().rev().find(|file| file.contains("secret"))).cloned()
}
