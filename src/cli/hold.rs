//! `mooring hold`: asks that objects be left alone for a while.
//!
//! A hold is a file like everything else that is wanted; `apply` writes it.
//! Each target gets one of its own, so that each can be released by itself.

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{Error, Exit, apply, backend::Backend, output::Format};
use crate::{
    manifest::{
        Key,
        hold::{Target, moment},
        quantity::Duration,
    },
    settings::Settings,
    source::desired::holds,
};

/// Leave objects alone until a moment, for a reason that everybody can read
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring hold container/web --for 2h --reason 'a new disk'
  mooring hold all --until 2026-11-21T14:00:00Z --reason 'the provider moves the host'
  mooring hold container env/shop --for 30m --reason 'the schema is being changed' --dry-run
  mooring get holds",
    long_about = "Leave objects alone until a moment, for a reason that everybody can read.\n\nWhat Mooring would have done to them meanwhile is listed in `mooring diff` and done afterwards, as far as it is still needed. A hold is a file in the desired-state directory; holding again replaces it. `mooring release` ends it before its time."
)]
pub(super) struct HoldArgs {
    /// KIND/NAME, KIND for all of a kind, or all
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// For how long, as in 90s, 30m or 1h30m
    #[arg(long = "for", value_name = "DURATION", required_unless_present = "until", conflicts_with = "until")]
    duration: Option<Duration>,
    /// Until when, with a time zone, as in 2026-11-21T14:00:00Z
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asks for it; whoever is logged in, unless given
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Shows what would be written, and writes nothing
    #[arg(long)]
    dry_run: bool,
    /// How to write what changed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: HoldArgs) -> Result<Exit, Error> {
    let until = until(args.duration, args.until.as_deref(), Timestamp::now())?;
    if args.reason.trim().is_empty() {
        return Err(usage("`--reason` is empty", "say why, for whoever wonders: `--reason 'a new disk'`"));
    }
    let targets = args.targets.iter().map(|text| target(text)).collect::<Result<Vec<_>, _>>()?;
    refuse_unknown(settings, &targets).await?;
    let by = args.by.or_else(somebody);
    let document = |target: &Target| holds::file(target, until, &args.reason, by.as_deref());
    apply::texts(settings, targets.iter().map(document).collect(), args.dry_run, args.output).await
}

/// The end, to the second: nobody means more, and everybody has to read it.
fn until(duration: Option<Duration>, until: Option<&str>, now: Timestamp) -> Result<Timestamp, Error> {
    let end = match (duration, until) {
        (Some(Duration(duration)), _) => {
            SignedDuration::try_from(duration).ok().and_then(|duration| now.checked_add(duration).ok())
        }
        (None, Some(text)) => Some(moment(text).map_err(|error| usage(error.to_string(), "or say how long: `--for 2h`"))?),
        (None, None) => None,
    };
    let end = end.and_then(|end| Timestamp::from_second(end.as_second()).ok());
    match end {
        Some(end) if end > now => Ok(end),
        Some(end) => {
            Err(usage(format!("{end} is past: a hold that is over holds nothing"), "say how long from now on: `--for 2h`"))
        }
        None => Err(usage("that is further away than there are dates", "say something like `--for 2h`")),
    }
}

fn target(text: &str) -> Result<Target, Error> {
    text.parse::<Target>().map_err(|error| usage(error.to_string(), "as in `container/web`, `container` or `all`"))
}

fn usage(message: impl Into<String>, help: &str) -> Error {
    Error::Usage { message: message.into(), help: help.to_owned() }
}

/// A slip of the finger is answered with the right name, where somebody knows the names.
async fn refuse_unknown(settings: &Settings, targets: &[Target]) -> Result<(), Error> {
    let named: Vec<&Key> = targets
        .iter()
        .filter_map(|target| match target {
            Target::Object(key) => Some(key),
            Target::Kind(_) | Target::All => None,
        })
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    // Where the manifests are broken, a hold may be just what is needed to mend them.
    let backend = match Backend::running(settings).await {
        Ok(backend) => Ok(backend),
        Err(_) => Backend::local(settings).await,
    };
    let Ok(backend) = backend else { return Ok(()) };
    let Ok(objects) = backend.objects(None).await else { return Ok(()) };
    match named.into_iter().find(|key| objects.iter().all(|object| object.key != **key)) {
        Some(missing) => Err(Error::no_object(missing, objects.iter().map(|object| &object.key))),
        None => Ok(()),
    }
}

/// Whoever is logged in, also behind `sudo`.
fn somebody() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00.5Z".parse().unwrap()
    }

    fn end(duration: Option<&str>, moment: Option<&str>) -> Result<String, String> {
        let duration = duration.map(|text| text.parse().unwrap());
        until(duration, moment, now()).map(|end| end.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_end_is_said_by_a_duration_or_a_moment() {
        assert_eq!(end(Some("2h"), None), Ok("2026-11-21T14:00:00Z".to_owned()));
        assert_eq!(end(None, Some("2026-11-21T16:00:00+02:00")), Ok("2026-11-21T14:00:00Z".to_owned()));
    }

    #[test]
    fn an_end_that_is_past_or_without_a_zone_is_refused() {
        expect![[r#"
            2026-11-21T11:00:00Z is past: a hold that is over holds nothing
            2026-11-21T12:00:00Z is past: a hold that is over holds nothing
            `2026-11-21T14:00` has no time zone; add `Z` for UTC, or an offset such as `+02:00`
            `soon` is not a moment such as 2026-11-21T14:00:00Z
            that is further away than there are dates"#]]
        .assert_eq(
            &[
                end(None, Some("2026-11-21T12:00:00+01:00")),
                end(Some("0s"), None),
                end(None, Some("2026-11-21T14:00")),
                end(None, Some("soon")),
                end(Some("99999999h"), None),
            ]
            .map(Result::unwrap_err)
            .join("\n"),
        );
    }
}
