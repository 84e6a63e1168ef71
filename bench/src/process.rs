//! A child process: what it logs, what it uses, how it ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process},
};
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};

/// How long a process may take to start; a database may have to be migrated.
pub(crate) const START_TIME_MAX: Duration = Duration::from_mins(1);
/// Between two looks at one that starts: what a measured start may be too long by.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// How long an orderly end may take, which gives requests ten seconds.
const END_TIME_MAX: Duration = Duration::from_secs(15);
/// How much of the end of a log is shown where something fails.
const LOG_LINES_SHOWN: usize = 20;

/// A process that this one has started, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// In user mode and in the kernel.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) memory: u64,
}

impl Process {
    /// Starts `command`, with all it prints going to a file in `folder`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        command.stdout(file.try_clone()?).stderr(file);
        // Its end tells a ceiling that nobody measures it any more, whatever became of us.
        command.stdin(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Waits until `look` finds in the log what it looks for.
    ///
    /// # Errors
    /// Where the process ends, or does not print it in time: with the end of its log.
    pub(crate) async fn printed<T>(&mut self, look: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            if let Some(found) = look(&self.log()) {
                return Ok(found);
            }
            self.check()?;
            ensure!(Instant::now() < deadline, "{} does not start: {}", self.name, self.log_end());
            sleep(LOOK_PAUSE).await;
        }
    }

    /// That it is still running.
    ///
    /// # Errors
    /// Where it has ended: with the end of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended ({status}): {}", self.name, self.log_end());
        }
        Ok(())
    }

    /// What it has used; nothing where the system does not tell.
    pub(crate) fn usage(&self) -> Usage {
        self.child.id().map(|id| usage(&id.to_string())).unwrap_or_default()
    }

    /// Ends it as an operator does.
    ///
    /// # Errors
    /// Where it does not end in time, or not in good order.
    pub(crate) async fn stop(self) -> Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(id) = id {
            kill_process(id, Signal::TERM).with_context(|| format!("ending {}", self.name))?;
        }
        self.ended_well(END_TIME_MAX).await
    }

    /// What it reads.
    pub(crate) fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until it has done its work.
    ///
    /// # Errors
    /// Where it does not, or not in time.
    pub(crate) async fn succeeded(self) -> Result<()> {
        self.ended_well(START_TIME_MAX).await
    }

    async fn ended_well(mut self, time_max: Duration) -> Result<()> {
        let ended = timeout(time_max, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} does not end", self.name))??;
        ensure!(status.success(), "{} ended with {status}: {}", self.name, self.log_end());
        Ok(())
    }

    /// Empty where it cannot be read: what is looked for is then not found, and why is told.
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

/// What this process has used.
pub(crate) fn own_usage() -> Usage {
    usage("self")
}

/// Linux alone tells; elsewhere nothing is known, and the report says so.
fn usage(process: &str) -> Usage {
    let read = |file| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    Usage {
        cpu: cpu_ticks(&read("stat")).map(ticks).unwrap_or_default(),
        memory: resident_bytes(&read("status")).unwrap_or_default(),
    }
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs(ticks) / u32::try_from(clock_ticks_per_second()).unwrap_or(100)
}

/// `utime` and `stime` of proc_pid_stat(5); the name before them may hold anything but the last
/// parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// `VmRSS` of proc_pid_status(5), which is in KiB.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_process_has_used() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   1234 kB\nVmData: 1 kB"), Some(1234 * 1024));
        assert_eq!(cpu_ticks(""), None);
        assert_eq!(resident_bytes(""), None);
    }

    #[tokio::test]
    async fn one_that_ends_at_once_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such setting >&2; exit 3"]);
        let mut process = Process::start("brief", command, folder.path()).expect("it starts");
        let error = process.printed(|_| None::<()>).await.expect_err("it has ended");
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("no such setting"), "{text}");
    }
}
