//! Runs a credential plugin and keeps its credential until that expires.
//!
//! The plugin is the operator's and runs with the rights of this program. A plugin can hang, print without end, or leave children behind that
//! hold its output open: none of that delays this program longer than [`EXEC_WITHIN`].

use std::io::{ErrorKind, PipeReader, Read as _, Write as _, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::config::{ClusterConfig, ExecConfig};
use super::credential::{self, Credential};
use crate::base::limits::{EXEC_OCTETS_MAX, EXEC_PAUSE, EXEC_WITHIN};
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::time::{Deadline, Stopwatch, Time, now};

/// The pause between two looks whether the plugin has ended.
const LOOK: Duration = Duration::from_millis(5);

/// The octet that ends a pipe for its reader although others may hold it open. JSON has no such octet.
const END: u8 = 0;

/// The end of the sentence about a plugin that failed.
const BY_HAND: &str = "run it by hand; what it prints is not shown here, because secrets may be in it";

/// The last answer of a plugin.
#[derive(Debug, Default)]
pub struct ExecCache {
    last: Option<Result<Credential, String>>,
    ran: Option<Stopwatch>,
    ran_for_rejected: Option<Stopwatch>,
}

impl ExecCache {
    /// The credential, and whether the plugin was run for it. `rejected`: the credential so far was answered by a 401.
    ///
    /// # Errors
    /// One sentence that names the plugin, and nothing that it printed.
    pub fn get(
        &mut self,
        plugin: &ExecConfig,
        config: &ClusterConfig,
        authority: &[u8],
        rejected: bool,
    ) -> Result<(&Credential, bool), String> {
        let ago = |watch: &Option<Stopwatch>| watch.map(Stopwatch::elapsed);
        let due = needs_refresh(self.last.as_ref(), now(), rejected, ago(&self.ran), ago(&self.ran_for_rejected));
        if due {
            let answer = run(plugin, &credential::info(plugin, config, authority));
            let answer = answer.and_then(|printed| credential::read(printed.expose(), &plugin.version));
            self.last = Some(answer.map_err(|e| format!("the exec plugin {} {e}", plugin.command.display())));
            self.ran = Some(Stopwatch::start());
            if rejected {
                self.ran_for_rejected = self.ran;
            }
        }
        match &self.last {
            Some(Ok(credential)) => Ok((credential, due)),
            Some(Err(e)) => Err(e.clone()),
            None => Err(format!("the exec plugin {} was not run", plugin.command.display())),
        }
    }
}

/// Tells whether to run the plugin. A plugin that fails, or whose credentials are expired or rejected, is not run for each request.
fn needs_refresh(
    last: Option<&Result<Credential, String>>,
    now: Time,
    rejected: bool,
    ran: Option<Duration>,
    ran_for_rejected: Option<Duration>,
) -> bool {
    let long_ago = |ago: Option<Duration>| ago.is_none_or(|ago| ago >= EXEC_PAUSE);
    match last {
        None => true,
        Some(Err(_)) => long_ago(ran),
        Some(Ok(_)) if rejected => long_ago(ran_for_rejected),
        Some(Ok(credential)) => credential.expires.is_some_and(|at| at <= now) && long_ago(ran),
    }
}

/// Runs a plugin and returns its output.
fn run(plugin: &ExecConfig, info: &str) -> Result<Secret<Vec<u8>>, String> {
    let io = |e: std::io::Error| format!("could not be run: {e}");
    let (out, mut out_end) = pipe().map_err(io)?;
    let (err, mut err_end) = pipe().map_err(io)?;
    let mut command = Command::new(&plugin.command);
    command.args(&plugin.arguments).envs(plugin.environment.iter().map(|(name, value)| (name, value.expose())));
    command.env("KUBERNETES_EXEC_INFO", info).stdin(Stdio::null());
    command.stdout(out_end.try_clone().map_err(io)?).stderr(err_end.try_clone().map_err(io)?);
    let mut child = command.spawn().map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            let hint = plugin.hint.as_deref().map(crate::base::sanitize::one_line).filter(|h| !h.is_empty());
            hint.map_or_else(
                || "does not exist: install it (notariat's own image holds no other program)".to_owned(),
                |hint| format!("does not exist: {hint}"),
            )
        }
        _ => io(e),
    })?;
    let (ended, printed, said) = thread::scope(|scope| {
        let (out, err) = (scope.spawn(|| read(out)), scope.spawn(|| read(err)));
        let ended = wait(&mut child, || out.is_finished() || err.is_finished());
        // The reader has ended when there was too much output, and reads a full pipe otherwise: this write neither fails nor hangs.
        for end in [&mut out_end, &mut err_end] {
            let _gone = end.write_all(&[END]);
        }
        (ended, out.join().unwrap_or(None), err.join().unwrap_or(None))
    });
    // Standard error is read, so that the plugin does not hang, and never shown: a script with `set -x` prints every secret.
    let (Some(printed), Some(_)) = (printed, said) else {
        return Err(format!("printed more than {EXEC_OCTETS_MAX} octets: expected is one ExecCredential"));
    };
    match ended.map_err(io)? {
        ProcessEnd::Unread => Err("printed something that is not an ExecCredential in JSON (it is no text)".to_owned()),
        ProcessEnd::TooLate => Err(format!("did not end within {} s and was killed: {BY_HAND}", EXEC_WITHIN.as_secs())),
        ProcessEnd::Itself(status) if !status.success() => Err(format!("failed ({status}): {BY_HAND}")),
        ProcessEnd::Itself(_) => Ok(printed),
    }
}

/// How a plugin ended.
enum ProcessEnd {
    Itself(ExitStatus),
    TooLate,
    /// The reader ended before the plugin did.
    Unread,
}

/// Waits until the plugin ends by itself. Kills it when it takes too long or when `broken` says that its reader has ended.
fn wait(child: &mut Child, broken: impl Fn() -> bool) -> std::io::Result<ProcessEnd> {
    let (deadline, pause) = (Deadline::after(EXEC_WITHIN), Shutdown::new());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(ProcessEnd::Itself(status));
        }
        let (late, unread) = (deadline.left().is_none(), broken());
        if late || unread {
            child.kill()?;
            child.wait()?;
            return Ok(if unread { ProcessEnd::Unread } else { ProcessEnd::TooLate });
        }
        pause.wait(LOOK);
    }
}

/// Reads up to [`END`]. `None` when there is too much.
fn read(mut from: PipeReader) -> Option<Secret<Vec<u8>>> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = match from.read(&mut part) {
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let read = part.get(..count).unwrap_or_default();
        let end = read.contains(&END);
        all.extend(read.iter().take_while(|octet| **octet != END));
        if all.len() > EXEC_OCTETS_MAX {
            return None;
        }
        if count == 0 || end {
            return Some(Secret::new(all));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_run_when_there_is_nothing_or_it_expired_or_was_rejected_and_never_for_each_request() {
        let at = |seconds| Time::from_unix(seconds);
        let kept = |expires: Option<i64>| Some(Ok(Credential { expires: expires.map(at), ..Credential::default() }));
        let (long, short) = (Some(EXEC_PAUSE), Some(EXEC_PAUSE / 2));
        for (last, rejected, ran, for_rejected, expected) in [
            (None, false, None, None, true),
            (kept(None), false, long, None, false),
            (kept(Some(101)), false, long, None, false),
            (kept(Some(100)), false, long, None, true),
            (kept(Some(100)), false, short, None, false),
            (kept(None), true, short, None, true),
            (kept(None), true, short, short, false),
            (kept(None), true, long, long, true),
            (Some(Err(String::new())), false, short, None, false),
            (Some(Err(String::new())), true, short, None, false),
            (Some(Err(String::new())), false, long, None, true),
        ] {
            assert_eq!(
                needs_refresh(last.as_ref(), at(100), rejected, ran, for_rejected),
                expected,
                "{last:?} {rejected} {ran:?} {for_rejected:?}"
            );
        }
    }
}
