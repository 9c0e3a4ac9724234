//! `mooring claw`: the backend manager, on and off.

use std::io::{self, IsTerminal, Read};

use clap::{Args, Subcommand};

use super::{Error, Exit, audit, output, user};
use crate::{
    admin::{access, store::Store},
    record::{
        self, Record,
        events::Subject,
        journal::{Actor, Command, Outcome},
    },
    secret::Secret,
    settings::Settings,
};

/// Turn the backend manager on and off
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring claw admin enable
  pass show claw | mooring claw admin set-password
  mooring claw admin log --limit 20
  mooring claw admin disable")]
pub(super) struct ClawArgs {
    #[command(subcommand)]
    command: ClawCommand,
}

#[derive(Debug, Subcommand)]
enum ClawCommand {
    /// The dashboard at /admin
    #[command(subcommand)]
    Admin(AdminCommand),
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
    let ClawCommand::Admin(command) = args.command;
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
    output::line("The backend manager is on: a running Mooring answers at http://127.0.0.1:3710/admin within a few seconds.")?;
    if std::env::var(access::PASSWORD_VARIABLE).is_ok_and(|given| !given.is_empty()) {
        output::warning(&format!("{} is set here; a Mooring that runs with it goes by that password", access::PASSWORD_VARIABLE));
    }
    Ok(Exit::Good)
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
