//! The operator's process, from outside.

use std::{path::Path, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child as Process, ChildStdout, Command},
    time::{Instant, timeout},
};

use super::{Result, operator::READY};

/// Three hundred containers take minutes to make.
const READY_WITHIN: Duration = Duration::from_mins(15);
/// The current step is finished first.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// A running operator. Dropping it kills it.
pub(crate) struct Child {
    process: Process,
    started: Instant,
    output: Lines<BufReader<ChildStdout>>,
}

/// What a process has used.
pub(crate) struct Usage {
    pub(crate) processor: Duration,
    pub(crate) resident_mib: f64,
    /// The part of it that is not mapped from files, such as the program's own.
    pub(crate) anonymous_mib: f64,
    /// Times that any thread of it went to sleep.
    pub(crate) sleeps: u64,
}

impl Child {
    pub(crate) fn spawn(directory: &Path, socket: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--operate").arg(directory).arg("--socket").arg(socket);
        let started = Instant::now();
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = process.stdout.take().ok_or("the operator has no output")?;
        Ok(Self { process, started, output: BufReader::new(output).lines() })
    }

    /// Waits until everything is as declared: how long that took from the start of the process.
    pub(crate) async fn ready(&mut self) -> Result<Duration> {
        match timeout(READY_WITHIN, self.output.next_line()).await?? {
            Some(line) if line == READY => Ok(self.started.elapsed()),
            other => Err(format!("the operator ended before everything was ready: {other:?}").into()),
        }
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        kill(self.pid()?, Signal::SIGTERM)?;
        timeout(STOPS_WITHIN, self.process.wait()).await??;
        Ok(())
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let process = format!("/proc/{}", self.pid()?);
        let stat = std::fs::read_to_string(format!("{process}/stat"))?;
        // The name, which may hold spaces, ends with the last parenthesis; user and system time are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("no stat")?.1.split(' ').collect();
        let ticks = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock tick")?;
        let mebibytes =
            |name| -> Result<f64> { Ok(f64::from(u32::try_from(line_of(&format!("{process}/status"), name)?)?) / 1024.0) };
        let mut sleeps = 0;
        for thread in std::fs::read_dir(format!("{process}/task"))? {
            let status = thread?.path().join("status");
            // A thread may end while it is looked at.
            sleeps += line_of(&status.to_string_lossy(), "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(Usage {
            processor: Duration::from_secs_f64(f64::from(ticks) / f64::from(u32::try_from(ticks_per_second)?)),
            resident_mib: mebibytes("VmRSS:")?,
            anonymous_mib: mebibytes("RssAnon:")?,
            sleeps,
        })
    }

    fn pid(&self) -> Result<Pid> {
        let pid = self.process.id().ok_or("the operator has ended")?;
        Ok(Pid::from_raw(pid.cast_signed()))
    }
}

fn line_of(file: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("{file} has no {name}"))?;
    Ok(value.split_whitespace().next().ok_or("no value")?.parse()?)
}
