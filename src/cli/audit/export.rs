//! `mooring audit export`: the rows as they are, for other programs.

use std::{io, path::PathBuf, pin::pin};

use clap::Args;
use futures::TryStreamExt as _;

use super::log_in;
use crate::{
    cli::{Error, Exit, output},
    record::audit::{AuditLog, ReadError, write_row},
    settings::Settings,
};

/// Write all rows of the audit log as JSON lines, oldest first, with their digests
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring audit export > audit.jsonl
  mooring audit export --after 532 --to audit-533.jsonl",
    long_about = "Write all rows of the audit log as JSON lines, oldest first, with their digests.\n\nThe file in the state directory is read, whether Mooring runs or not. `docs/audit.md` says how anybody can verify what is written."
)]
pub(super) struct ExportArgs {
    /// Only rows after the one of this number
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    /// Into a new file instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(super) async fn run(settings: &Settings, args: ExportArgs) -> Result<Exit, Error> {
    let log = log_in(settings)?;
    match &args.to {
        None => export(&log, args.after, &mut io::BufWriter::new(io::stdout().lock()), Error::Output).await?,
        Some(path) => {
            let failed = |source| Error::file("write", path, source);
            let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
            let mut writer = io::BufWriter::new(file);
            let rows = output::patiently("exporting", export(&log, args.after, &mut writer, failed)).await?;
            writer.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
            output::line(&format!("{rows} rows written to {}", path.display()))?;
            rows
        }
    };
    Ok(Exit::Good)
}

async fn export(
    log: &AuditLog,
    after: i64,
    writer: &mut impl io::Write,
    failed: impl Fn(io::Error) -> Error,
) -> Result<usize, Error> {
    let (mut pages, mut written) = (pin!(log.pages(after)), 0);
    while let Some(rows) = pages.try_next().await.map_err(ReadError::from)? {
        for row in &rows {
            write_row(writer, row).map_err(&failed)?;
        }
        written += rows.len();
    }
    writer.flush().map_err(failed)?;
    Ok(written)
}
