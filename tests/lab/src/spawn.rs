//! Starts processes that end with this one.
//!
//! `setpriv --pdeathsig KILL` asks the kernel to kill a process when its parent ends. "Parent" is the *thread* that
//! started it, and a test's thread ends with the test while a shared server goes on. Therefore one thread that lives as
//! long as the process starts them all.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::tools::tool;

/// A command that can be started any number of times; its output goes to the end of a log.
#[derive(Debug)]
pub(crate) struct Launch {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    log: PathBuf,
}

impl Launch {
    /// The program, arguments, environment and directory of a command.
    pub(crate) fn new(command: &Command, log: &Path) -> Launch {
        let mut words: Vec<OsString> = vec!["--pdeathsig".into(), "KILL".into(), "--".into()];
        words.push(command.get_program().into());
        words.extend(command.get_args().map(OsString::from));
        let given = |(name, value): (_, Option<_>)| Some((OsString::from(name), OsString::from(value?)));
        Launch {
            words,
            environment: command.get_envs().filter_map(given).collect(),
            directory: command.get_current_dir().map(PathBuf::from),
            log: log.into(),
        }
    }

    /// Starts it: the process, and how long the log was before.
    pub(crate) fn start(&self) -> io::Result<(Child, u64)> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let length = log.metadata()?.len();
        let mut command = Command::new(tool("setpriv"));
        command.args(&self.words).envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Ctrl-C at a terminal is for us alone; the servers end with us.
        command.process_group(0);
        Ok((spawn(command)?, length))
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }
}

/// Starts a child of the one thread that never ends.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever asked waits for the answer, below.
                answer.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    spawner.send((command, answer)).expect("the spawning thread lives as long as its sender, a static");
    child.recv().expect("the spawning thread answers each order")
}
