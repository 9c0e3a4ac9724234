//! `mooring completions`: what the shell suggests.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Error, Exit, output};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring completions bash > /etc/bash_completion.d/mooring
  mooring completions zsh > ~/.zfunc/_mooring")]
pub(super) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run<C: CommandFactory>(args: &CompletionsArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "mooring", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Good)
}
