//! `notariat-lab up`: the servers of the tests, for a person (or a script) to try notariat with.

mod report;
mod up;

use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use up::{Order, Part};

const HELP: &str = "\
notariat-lab up [--dir DIR] [--with PART,PART...] [--hours N]

Starts real servers on this machine's loopback, writes DIR/env with their addresses and keys when all are ready, and
waits. Ctrl-C or SIGTERM ends the servers and removes DIR.

--dir DIR    a directory that is absent, empty or of an earlier run (default: a temporary one)
--with ...   of bind, knot, powerdns, resolver, pebble, kubernetes (default: all)
--hours N    ends by itself after N hours (default: 8)

Missing programs: tests/lab/install
";

fn main() -> ExitCode {
    // The library panics, as tests want it to, with a sentence that says what to do; a person needs that sentence only.
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        eprintln!("notariat-lab: {}", text.unwrap_or("it failed without saying why"));
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() || arguments.iter().any(|argument| ["help", "-h", "--help"].contains(&argument.as_str())) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match order(&arguments).and_then(|order| up::run(&order)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("notariat-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command line as an order.
fn order(arguments: &[String]) -> Result<Order, String> {
    let mut order = Order { directory: None, parts: Part::ALL.to_vec(), end: Duration::from_secs(8 * 3600) };
    let (command, options) = arguments.split_first().ok_or("say `up`")?;
    if command != "up" {
        return Err(format!("`{command}` is not a command: say `up`, or `help`"));
    }
    let mut words = options.iter().flat_map(|word| word.splitn(if word.starts_with("--") { 2 } else { 1 }, '='));
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value: see `help`"))?;
        match option {
            "--dir" => order.directory = Some(PathBuf::from(value)),
            "--with" => order.parts = value.split(',').map(Part::named).collect::<Result<_, _>>()?,
            "--hours" => order.end = hours(value)?,
            other => return Err(format!("`{other}` is not an option: see `help`")),
        }
    }
    Ok(order)
}

fn hours(text: &str) -> Result<Duration, String> {
    let hours = text.parse().ok().filter(|hours| (1..=24 * 365).contains(hours));
    hours
        .map(|hours: u64| Duration::from_secs(hours * 3600))
        .ok_or_else(|| format!("`{text}` is not a number of hours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Order, String> {
        order(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_options_all_parts_run_for_eight_hours() {
        let order = read("up").unwrap();
        assert_eq!((order.directory, order.parts, order.end.as_secs()), (None, Part::ALL.to_vec(), 28_800));
    }

    #[test]
    fn options_are_written_with_a_blank_or_an_equals_sign() {
        let order = read("up --dir=/srv/lab --with knot,pebble --hours 2").unwrap();
        assert_eq!(order.directory, Some(PathBuf::from("/srv/lab")));
        assert_eq!((order.parts, order.end.as_secs()), (vec![Part::Knot, Part::Pebble], 7200));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, error) in [
            ("down", "`down` is not a command"),
            ("up --port 53", "`--port` is not an option"),
            ("up --dir", "--dir needs a value"),
            ("up --hours 0", "`0` is not a number of hours"),
            ("up --with nsd", "`nsd` is none of bind, knot, powerdns, resolver, pebble, kubernetes"),
        ] {
            assert!(read(line).unwrap_err().starts_with(error), "{line}");
        }
    }
}
