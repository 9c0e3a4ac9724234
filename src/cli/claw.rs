//! `mooring claw`: the backend manager, on and off, and who besides may ask it.

mod token;

use std::{
    io::{self, IsTerminal, Read},
    net::IpAddr,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::{
    Error, Exit, audit,
    backend::Backend,
    client::Client,
    output,
    run::{PORT, PORT_VARIABLE},
    user,
};
use crate::{
    admin::{
        access,
        serves::{Serves, Source},
        sql::role,
        store::Store,
    },
    record::{
        self, Record,
        events::Subject,
        journal::{Actor, Command, Outcome},
    },
    secret::Secret,
    settings::Settings,
};

/// A look at the files of variables takes less, and nobody waits longer for a hint.
const LOOK: Duration = Duration::from_secs(10);

/// Turn the backend manager on and off
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring claw admin enable
  pass show claw | mooring claw admin set-password
  mooring claw admin log --limit 20
  mooring claw admin disable
  mooring claw token create ci --expires 90d
  mooring claw db-role --schema shop
  mooring claw db-role --schema shop --apply --database-url postgresql://postgres@127.0.0.1/shop")]
pub(super) struct ClawArgs {
    #[command(subcommand)]
    command: ClawCommand,
}

#[derive(Debug, Subcommand)]
enum ClawCommand {
    /// The dashboard at /admin
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Tokens of machines, for the API
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Prints what makes a role of PostgreSQL that may only read, for questions; with --apply, makes it
    DbRole(RoleArgs),
}

#[derive(Debug, Args)]
struct RoleArgs {
    /// A schema whose tables it may read; may be given several times
    #[arg(long, value_name = "NAME", default_value = "public")]
    schema: Vec<String>,
    /// The role
    #[arg(long, value_name = "NAME", default_value = role::NAME)]
    role: String,
    /// Makes it there, or brings its rights up to date
    #[arg(long, requires = "database_url")]
    apply: bool,
    /// The database, as a role that may make roles and give these rights away
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Turns it on with a password, which is asked for, or read from standard input
    Enable {
        /// The password; other users of this host can see it here
        #[arg(long, value_name = "PASSWORD", hide_possible_values = true)]
        password: Option<String>,
    },
    /// Turns it off and ends all sessions
    Disable,
    /// Sets another password and ends all sessions
    SetPassword {
        /// The password; other users of this host can see it here
        #[arg(value_name = "PASSWORD")]
        password: Option<String>,
    },
    /// Shows what was done, as `mooring audit log` does
    Log(Box<audit::log::LogArgs>),
}

pub(super) async fn run(settings: &Settings, args: ClawArgs) -> Result<Exit, Error> {
    let command = match args.command {
        ClawCommand::Admin(command) => command,
        ClawCommand::DbRole(args) => return db_role(args).await,
        ClawCommand::Token(command) => return token::run(settings, command).await,
    };
    match command {
        AdminCommand::Enable { password } => enable(settings, password, "EnableAdmin").await,
        AdminCommand::SetPassword { password } => enable(settings, password, "SetAdminPassword").await,
        AdminCommand::Disable => disable(settings).await,
        AdminCommand::Log(args) => audit::log::run(settings, *args).await,
    }
}

async fn enable(settings: &Settings, password: Option<String>, operation: &str) -> Result<Exit, Error> {
    let password = match password {
        Some(password) => {
            output::warning(
                "the password can be read in the list of processes and in the shell's history; leave it out to be asked for it",
            );
            Secret::new(password)
        }
        None => ask()?,
    };
    if password.expose().chars().count() < access::SHORTEST {
        let message = format!("the password is shorter than {} characters", access::SHORTEST);
        return Err(Error::Usage { message, help: "whoever knows it can do a lot; take a longer one".to_owned() });
    }
    let store = open(settings).await?;
    access::set_password(&store, &password).await.map_err(failed)?;
    note(settings, operation, "set the password of the backend manager").await?;
    let (line, warning) = whereabouts(settings, &store).await?;
    output::line(&line)?;
    if let Some(warning) = warning {
        output::warning(&warning);
    }
    Ok(Exit::Good)
}

/// Where it answers, and what to know about the password: as the Mooring that runs has told, or else as one would that is started here.
async fn whereabouts(settings: &Settings, store: &Store) -> Result<(String, Option<String>), Error> {
    let runs = Client::new(&settings.socket()).knock().await.is_ok();
    let told = if runs { Serves::told(store).await.map_err(failed)? } else { None };
    if let Some(serves) = told {
        return Ok(running(serves));
    }
    let set = |name: &str| std::env::var(name).ok().filter(|given| !given.is_empty());
    let by = match set(access::PASSWORD_VARIABLE) {
        Some(_) => Source::Process,
        None if is_in_files(settings).await => Source::Files,
        None => Source::Stored,
    };
    Ok(to_be_run(set(PORT_VARIABLE).and_then(|port| port.parse().ok()).unwrap_or(PORT), by))
}

/// Whether the variable files of an `Environment` have a password. Without an engine nobody can say in time, and then it is said nowhere.
async fn is_in_files(settings: &Settings) -> bool {
    let looked = tokio::time::timeout(LOOK, Backend::local(settings)).await;
    matches!(looked, Ok(Ok(Backend::Local(operator))) if operator.variable(access::PASSWORD_VARIABLE).is_some())
}

fn running(Serves { address, by }: Serves) -> (String, Option<String>) {
    let host = match address.ip() {
        // Everywhere is here as well.
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    let line = format!(
        "The backend manager is on: the Mooring that runs answers at http://{host}:{}/admin within a few seconds.",
        address.port()
    );
    (line, counts_before(by, "the Mooring that runs"))
}

fn to_be_run(port: u16, by: Source) -> (String, Option<String>) {
    let line = format!(
        "The backend manager is on: no Mooring runs with this state directory; one that does answers at http://127.0.0.1:{port}/admin, \
         or on the port that its {PORT_VARIABLE} or --claw-port says."
    );
    (line, counts_before(by, "a Mooring that is started from here"))
}

/// What counts before the password that was just set, and what to do about it.
fn counts_before(by: Source, who: &str) -> Option<String> {
    let variable = access::PASSWORD_VARIABLE;
    let (place, away) = match by {
        Source::Stored => return None,
        Source::Process => {
            ("in the environment of ", "take it out of there (its unit, compose file or shell) and start Mooring again")
        }
        Source::Files => ("in the variable files of an Environment of ", "take it out of those files, or set it there"),
    };
    Some(format!(
        "{variable} is set {place}{who}: it counts before the password that was set just now, which opens nothing as long as it is; {away}"
    ))
}

async fn disable(settings: &Settings) -> Result<Exit, Error> {
    let store = open(settings).await?;
    let was_on = access::disable(&store).await.map_err(failed)?;
    note(settings, "DisableAdmin", "turn the backend manager off").await?;
    let variable = access::PASSWORD_VARIABLE;
    output::line(if was_on {
        "The backend manager is off, and all its sessions are ended."
    } else {
        "It was not on by a password of ours."
    })?;
    output::line(&format!(
        "Where {variable} is set, in the environment of Mooring or in an Environment, it stays on until that is taken away."
    ))?;
    Ok(Exit::Good)
}

/// Nothing of it is Mooring's to record: it is somebody's own hand on his own database, as with `psql`.
async fn db_role(args: RoleArgs) -> Result<Exit, Error> {
    let RoleArgs { schema, role, apply, database_url } = args;
    let Some(url) = database_url.filter(|_| apply) else {
        output::print(&role::script(&role, &schema))?;
        return Ok(Exit::Good);
    };
    let password: [u8; 24] = rand::random();
    let password = Secret::new(hex::encode(password));
    let applied = role::apply(&url, &role, &schema, password.expose()).await;
    match applied.map_err(|error| Error::Operator(crate::error_chain(&error)))? {
        role::Applied::Made => {
            output::note(&format!("the role {role} is made; this is its password, which is not shown again"));
            output::line(password.expose())?;
        }
        role::Applied::WasThere => {
            output::note(&format!("the role {role} was there; its rights are up to date, its password is as it was"));
        }
    }
    for note in role::NOTES {
        output::note(note);
    }
    Ok(Exit::Good)
}

/// Asks twice at a terminal; reads a line of standard input otherwise.
fn ask() -> Result<Secret, Error> {
    let failed = |source| Error::io("could not read the password", source);
    if !io::stdin().is_terminal() {
        let mut text = String::new();
        io::stdin().take(4096).read_to_string(&mut text).map_err(failed)?;
        return Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()));
    }
    let first = rpassword::prompt_password("Password: ").map_err(failed)?;
    let second = rpassword::prompt_password("Once more: ").map_err(failed)?;
    if first != second {
        return Err(Error::Usage { message: "the two are not the same".to_owned(), help: "try again".to_owned() });
    }
    Ok(Secret::new(first))
}

async fn open(settings: &Settings) -> Result<Store, Error> {
    if !settings.state.is_dir() {
        let message = format!("there is no state directory {}", settings.state.display());
        return Err(Error::Usage {
            message,
            help: "name that of the Mooring that runs, as in --state /var/lib/mooring".to_owned(),
        });
    }
    Store::open(&settings.state).await.map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
fn failed(error: crate::admin::store::Error) -> Error {
    Error::Operator(crate::error_chain(&error))
}

/// No record, no act: but whoever sets the password has the state directory in his hands anyway, so it is done first.
async fn note(settings: &Settings, operation: &str, words: &str) -> Result<(), Error> {
    let record = Record::join(&settings.state, record::Settings::default()).await;
    let record = record.map_err(|error| Error::Operator(crate::error_chain(&error)))?;
    let command = Command {
        actor: &Actor::Cli(user()),
        operation,
        object: &Subject::Host,
        target: "admin",
        why: "somebody asked for it",
        details: &serde_json::json!({"words": words}),
        outcome: &Outcome::Done,
    };
    let noted = record.journal.note(&command).await;
    record.shutdown().await;
    noted.map(drop).map_err(|error| Error::Operator(crate::error_chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_answers_is_what_the_running_mooring_has_told() {
        let shown = |address: &str| running(Serves { address: address.parse().unwrap(), by: Source::Stored });
        let (line, warning) = shown("127.0.0.1:4711");
        assert!(line.contains(" http://127.0.0.1:4711/admin ") && warning.is_none(), "{line}");
        assert!(shown("0.0.0.0:80").0.contains(" http://127.0.0.1:80/admin "));
        assert!(shown("[::1]:80").0.contains(" http://[::1]:80/admin "));
    }

    #[test]
    fn a_password_that_counts_before_the_one_that_was_set_is_told_with_what_to_do() {
        let warning = |by| running(Serves { address: ([127, 0, 0, 1], 1).into(), by }).1.unwrap();
        let process = warning(Source::Process);
        assert!(
            process.starts_with("CLAW_WEB_PASSWORD is set in the environment of the Mooring that runs: it counts before"),
            "{process}"
        );
        assert!(process.ends_with("and start Mooring again"), "{process}");
        assert!(warning(Source::Files).contains("in the variable files of an Environment"));
    }
}
