//! A command inside a container, with everything that it prints.

use bollard::{
    Docker as Client,
    container::LogOutput,
    errors::Error as ClientError,
    exec::{StartExecOptions, StartExecResults},
    models::ExecConfig,
};
use futures::TryStreamExt;

use super::super::engine::Ran;

/// A configuration with a thousand routes prints about two megabytes.
const KEPT: usize = 32 << 20;

/// Runs it. When we stop waiting it goes on: the engine cannot be asked to end one.
pub(super) async fn run(client: &Client, id: &str, command: &[String]) -> Result<Ran, ClientError> {
    let config =
        ExecConfig { cmd: Some(command.to_vec()), attach_stdout: Some(true), attach_stderr: Some(true), ..ExecConfig::default() };
    let exec = client.create_exec(id, config).await?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let StartExecResults::Attached { mut output, .. } = client.start_exec(&exec.id, None::<StartExecOptions>).await? {
        while let Some(chunk) = output.try_next().await? {
            let kept = match &chunk {
                LogOutput::StdErr { .. } => &mut stderr,
                LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => &mut stdout,
            };
            let room = KEPT.saturating_sub(kept.len());
            kept.extend(chunk.as_ref().iter().take(room));
        }
    }
    let ended = client.inspect_exec(&exec.id).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { exit_code: ended.exit_code.unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) })
}
