//! `mooring claw token`: who besides people may ask the backend manager.

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    super::{
        Error, Exit,
        age::age,
        output::{self, Format, PLAIN, WARN},
        table::Table,
    },
    note, open,
};
use crate::{
    admin::claw::{
        self,
        tokens::{self, TokenView},
    },
    manifest::quantity::Duration,
    settings::Settings,
};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Makes a token for a machine; it is shown once
    #[command(after_help = "\
Examples:
  mooring claw token create ci --expires 90d
  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:3710/claw/admin/services")]
    Create {
        /// The machine's name, as it will stand in the audit log
        name: String,
        /// How long it is good, as in 90d or 12h; for ever, without
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        expires: Option<SignedDuration>,
        /// How to write it
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Shows which tokens there are, and when each was used last
    List {
        /// How to write it
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Ends a token, at once
    Revoke {
        /// The machine's name
        name: String,
    },
}

pub(super) async fn run(settings: &Settings, command: TokenCommand) -> Result<Exit, Error> {
    match command {
        TokenCommand::Create { name, expires, output } => create(settings, &name, expires, output).await,
        TokenCommand::List { output } => list(settings, output).await,
        TokenCommand::Revoke { name } => revoke(settings, &name).await,
    }
}

/// Days besides what durations have elsewhere: a token is good for days.
fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
    let other = || {
        let Duration(duration) = text.parse().map_err(|_| format!("`{text}` is not a duration such as 90d or 12h"))?;
        SignedDuration::try_from(duration).map_err(|error| error.to_string())
    };
    let lifetime = days.map_or_else(other, |days| Ok(SignedDuration::from_hours(i64::from(days) * 24)))?;
    if lifetime.is_zero() { Err("a token that expires at once opens nothing".to_owned()) } else { Ok(lifetime) }
}

async fn create(settings: &Settings, name: &str, expires: Option<SignedDuration>, format: Format) -> Result<Exit, Error> {
    let store = open(settings).await?;
    let now = Timestamp::now();
    let expires = expires
        .map(|lifetime| {
            let message = "that is further away than there are dates".to_owned();
            now.checked_add(lifetime).map_err(|_| Error::Usage { message, help: "say something like `--expires 90d`".to_owned() })
        })
        .transpose()?;
    let token = tokens::create(&store, name, now, expires).await.map_err(refused)?;
    note(settings, "CreateToken", &format!("make a token for {name}")).await?;
    let until = expires.map(|expires| format!("{expires:.0}"));
    match format {
        Format::Json => output::json(&json!({"name": name, "token": token.expose(), "expiresAt": until}))?,
        Format::Text => {
            output::note(&format!(
                "the token of {name}, good {}, is not shown again",
                until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"))
            ));
            output::line(token.expose())?;
        }
    }
    Ok(Exit::Good)
}

async fn list(settings: &Settings, format: Format) -> Result<Exit, Error> {
    let tokens = tokens::list(&open(settings).await?).await.map_err(refused)?;
    match format {
        Format::Json => output::json(&json!({"items": tokens}))?,
        Format::Text if tokens.is_empty() => output::note("there are no tokens"),
        Format::Text => output::print(&rendered(&tokens, Timestamp::now()))?,
    }
    Ok(Exit::Good)
}

fn rendered(tokens: &[TokenView], now: Timestamp) -> String {
    let mut table = Table::new(&["NAME", "AGE", "EXPIRES", "LAST USED"]);
    for TokenView { name, created_at, expires_at, last_used_at } in tokens {
        let end = expires_at.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
        let is_over = end.is_some_and(|end| end <= now);
        let expires = match (end, is_over) {
            (Some(_), true) => "expired".to_owned(),
            (Some(end), false) => format!("{end:.0}"),
            (None, _) => "never".to_owned(),
        };
        let used = last_used_at.as_ref().map_or_else(|| "never".to_owned(), |at| format!("{} ago", age(at, now)));
        table.row([name.clone(), age(created_at, now), expires, used], if is_over { WARN } else { PLAIN });
    }
    table.render()
}

async fn revoke(settings: &Settings, name: &str) -> Result<Exit, Error> {
    let store = open(settings).await?;
    if !tokens::revoke(&store, name).await.map_err(refused)? {
        let message = format!("there is no token `{name}`");
        return Err(Error::Usage { message, help: "`mooring claw token list` shows those that there are".to_owned() });
    }
    note(settings, "RevokeToken", &format!("revoke the token of {name}")).await?;
    output::line(&format!("The token of {name} opens nothing any more."))?;
    Ok(Exit::Good)
}

fn refused(error: claw::Error) -> Error {
    match error {
        claw::Error::Store(error) => Error::Operator(crate::error_chain(&error)),
        other => Error::Usage { message: other.to_string(), help: "see `mooring claw token --help`".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_lifetime_is_in_days_or_as_elsewhere_and_never_nothing() {
        assert_eq!(lifetime("90d"), Ok(SignedDuration::from_hours(90 * 24)));
        assert_eq!(lifetime("1h30m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["", "d", "0d", "-1d", "1w", "99999999d"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_list_says_which_are_over_and_which_nobody_uses() {
        let token = |name: &str, expires: Option<&str>, used: Option<&str>| TokenView {
            name: name.to_owned(),
            created_at: "2026-01-01T03:04:05Z".to_owned(),
            expires_at: expires.map(str::to_owned),
            last_used_at: used.map(str::to_owned),
        };
        let tokens = [
            token("ci", Some("2026-04-01T00:00:00Z"), Some("2026-01-02T03:03:05Z")),
            token("old", Some("2026-01-02T00:00:00Z"), None),
            token("web", None, None),
        ];
        expect![[r#"
            NAME   AGE   EXPIRES                LAST USED
            ci     24h   2026-04-01T00:00:00Z   60s ago
            old    24h   expired                never
            web    24h   never                  never
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&rendered(&tokens, "2026-01-02T03:04:05Z".parse().unwrap())).to_string());
    }
}
