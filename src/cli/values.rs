//! The values of flags, from the command line and the environment, in Go's style: `-word value`, `--word value`, `-word=value`.
//!
//! Arguments are normalised before pico-args sees them, which knows `--word value` only for long names (pico-args panics on `-word`
//! in debug builds and misses it in release builds). A flag that is not given is looked up in the environment, so that a Deployment
//! sets it once for the controller and for every command that runs in its pod.

use std::ffi::OsString;

use super::flags::{Command, FLAGS, Flag, Takes, commands};
use crate::base::sanitize::{CREDENTIALS, has_credentials};

/// Flags whose presence on the command line switches the variable of another one off: both name one thing.
const REPLACES: [(&str, &str); 4] =
    [("f", "config"), ("kubeconfig", "local"), ("local", "kubeconfig"), ("gateway", "ingress-class")];

/// Flags that may be given several times: their values are one list.
const REPEATED: [&str; 1] = ["target"];

/// The request of a command line.
#[derive(Debug)]
pub enum CommandLine {
    /// The usage.
    Help,
    /// The version.
    Version,
    /// The controller or a command.
    Run(&'static Command, Values),
}

/// The values that were given to a command.
#[derive(Debug, Default)]
pub struct Values {
    given: Vec<Given>,
    /// The argument without a flag, of the commands that take one: the name of a Secret, or a domain name.
    pub operand: Option<String>,
    /// One of the words of the command.
    pub word: Option<&'static str>,
    /// The names of the Secrets that `status -wait` waits for.
    pub secrets: Vec<String>,
}

#[derive(Debug)]
struct Given {
    flag: &'static Flag,
    text: String,
    variable: Option<String>,
}

/// Reads the command line, without the program's name, and what `environment` holds besides.
///
/// # Errors
/// One sentence that names the flag, and the variable where the value came from one.
pub fn read(arguments: Vec<OsString>, environment: impl Fn(&str) -> Option<OsString>) -> Result<CommandLine, String> {
    let mut normal = Vec::new();
    for argument in arguments {
        let text = argument.into_string().map_err(|raw| format!("the argument {raw:?} is not UTF-8"))?;
        normal.extend(normalised(&text));
    }
    let asks = |words: &[&str]| normal.iter().any(|a| words.contains(&a.as_str()));
    if asks(&["-h", "--help"]) {
        return Ok(CommandLine::Help);
    }
    if asks(&["--version"]) {
        return Ok(CommandLine::Version);
    }
    let mut rest = pico_args::Arguments::from_vec(normal.into_iter().map(OsString::from).collect());
    let command = command(&mut rest)?;
    let mut values = Values::default();
    for flag in FLAGS.iter().filter(|flag| flag.belongs_to(command)) {
        let lacking = |_| format!("-{} lacks its value", flag.name());
        let text = match flag.value {
            "" => rest.contains(flag.dashed).then(String::new),
            _ if REPEATED.contains(&flag.name()) => {
                let all: Vec<String> = rest.values_from_str(flag.dashed).map_err(lacking)?;
                (!all.is_empty()).then(|| all.join(","))
            }
            _ => rest.opt_value_from_str(flag.dashed).map_err(lacking)?,
        };
        values.given.extend(text.map(|text| Given { flag, text, variable: None }));
    }
    for flag in FLAGS.iter().filter(|flag| flag.belongs_to(command)) {
        let is_replaced = REPLACES.iter().any(|(by, name)| *name == flag.name() && values.has(by));
        let Some(variable) = flag.variable().filter(|_| !is_replaced && !values.has(flag.name())) else { continue };
        let Some(text) = environment(&variable).filter(|text| !text.is_empty()) else { continue };
        let text = text.into_string().map_err(|_| format!("the value of {variable} is not UTF-8"))?;
        values.given.push(Given { flag, text, variable: Some(variable) });
    }
    match command.takes {
        Takes::Secret | Takes::Domain => values.operand = rest.opt_free_from_str().map_err(|e| e.to_string())?,
        Takes::Word(words) => {
            let given: Option<String> = rest.opt_free_from_str().map_err(|e| e.to_string())?;
            let known = |text: String| match words.iter().find(|word| **word == text) {
                Some(word) => Ok(*word),
                None => Err(format!("{} knows {} (-h shows all commands)", command.name, words.join(", "))),
            };
            values.word = given.map(known).transpose()?;
        }
        Takes::ConfigMap | Takes::Flags | Takes::Nothing => {}
    }
    if values.has("wait") {
        while let Some(name) = rest.opt_free_from_str::<String>().map_err(|e| e.to_string())? {
            if name.starts_with('-') {
                return Err(left_over(&name, command));
            }
            values.secrets.push(name);
        }
    }
    values.given.iter().try_for_each(Given::check)?;
    match rest.finish().first() {
        None => Ok(CommandLine::Run(command, values)),
        Some(left) => Err(left_over(&left.to_string_lossy(), command)),
    }
}

/// The command that the first words name.
fn command(rest: &mut pico_args::Arguments) -> Result<&'static Command, String> {
    let Some(word) = rest.subcommand().map_err(|e| e.to_string())? else { return Ok(&commands()[0]) };
    let first = |command: &&Command| command.name.split(' ').next() == Some(&*word);
    let Some(command) = commands().iter().find(first) else {
        return Err(match has_credentials(&word) {
            true => "an address is neither a command nor a flag (-h shows all)".to_owned(),
            false if cfg!(feature = "tools") => format!("{word:?} is neither a command nor a flag (-h shows all)"),
            false => format!("this build has no tools: {word:?} needs one that was made with the feature `tools`"),
        });
    };
    let Some((first, second)) = command.name.split_once(' ') else { return Ok(command) };
    match rest.subcommand() {
        Ok(Some(what)) if what == second => Ok(command),
        Ok(_) | Err(_) => Err(format!("{first} knows one command, {second} (-h shows all)")),
    }
}

/// Why an argument can not be used that no flag took.
fn left_over(argument: &str, command: &Command) -> String {
    let name = argument.trim_start_matches('-');
    let is_known = FLAGS.iter().any(|flag| flag.name() == name && flag.belongs_to(command));
    match (argument.starts_with('-'), is_known) {
        (true, true) => format!("-{name} is given twice"),
        (true, false) => format!("-{name} is not a flag (-h shows all flags)"),
        (false, _) if has_credentials(argument) => {
            "an address is not a flag; values stand behind theirs (-h shows all flags)".to_owned()
        }
        (false, _) => format!("{argument:?} is not a flag; values stand behind theirs (-h shows all flags)"),
    }
}

/// `-word` becomes `--word`, and `-word=value` two arguments. `-h` and `-` stay.
fn normalised(argument: &str) -> Vec<String> {
    let Some(word) =
        argument.strip_prefix('-').filter(|word| !word.is_empty()).map(|w| w.strip_prefix('-').unwrap_or(w))
    else {
        return vec![argument.to_owned()];
    };
    let dashed = |word: &str| {
        if word.len() == 1 { format!("-{word}") } else { format!("--{word}") }
    };
    match word.split_once('=') {
        Some((word, value)) => vec![dashed(word), value.to_owned()],
        None => vec![dashed(word)],
    }
}

impl Given {
    /// Refuses a value that is another flag, and an address with a password before anything repeats it.
    fn check(&self) -> Result<(), String> {
        let (Given { flag, text, .. }, name) = (self, self.flag.name());
        if flag.value.is_empty() {
            return Ok(());
        }
        if text.is_empty() || (text.starts_with('-') && text.len() > 1) {
            return Err(self.error(format!("-{name} lacks its value")));
        }
        if flag.is_address() && has_credentials(text) {
            return Err(self.error(format!("-{name} {CREDENTIALS}")));
        }
        Ok(())
    }

    fn error(&self, sentence: String) -> String {
        match &self.variable {
            Some(variable) => format!("{sentence} (from {variable})"),
            None => sentence,
        }
    }
}

impl Values {
    /// Tells whether the flag is given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.flag.name() == name)
    }

    /// The value of a flag, read by `parse`; none where the flag is not given.
    ///
    /// # Errors
    /// The sentence of `parse`, behind the flag and its value.
    pub fn value<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        let Some(given) = self.given.iter().find(|given| given.flag.name() == name) else { return Ok(None) };
        parse(&given.text).map(Some).map_err(|e| given.error(format!("-{name} {:?} {e}", given.text)))
    }

    /// The value of a flag as it stands.
    pub fn text<T: for<'t> From<&'t str>>(&self, name: &str) -> Option<T> {
        self.given.iter().find(|given| given.flag.name() == name).map(|given| T::from(given.text.as_str()))
    }

    /// The value that stands for one of the words of a choice.
    ///
    /// # Errors
    /// When the value is none of the words.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, String> {
        self.value(name, |text| {
            let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| match words {
                [(only, _)] => format!("is not {only}"),
                [(one, _), (other, _)] => format!("is neither {one} nor {other}"),
                more => format!("is none of {}", more.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")),
            })
        })
    }
}

/// A whole number from 1 to `most`.
pub(super) fn number(text: &str, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("is not a number from 1 to {most}"))
}
