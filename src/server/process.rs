//! The figures of this process, from /proc.

use std::fs;

use super::metrics::Process;
use crate::base::time::Time;

/// Reads the figures; unreadable ones are `None`.
pub fn read(started: Time) -> Process {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; behind it utime and stime are the 12th and 13th field (proc(5)), in hundredths of
    // a second: that is what Linux gives, whatever its own clock does.
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
    let ticks = fields.map(|fields| fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum());
    Process { resident: kib.map(|kib| kib * 1024), processor_ticks: ticks, started: Some(started) }
}
