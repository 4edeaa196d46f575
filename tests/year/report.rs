//! The results of a year, as rows of a table.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use notariat::base::time::Time;

use crate::ca::{DAY, Status};
use crate::controller::Simulation;
use crate::population::{START, Start, YEAR, least};
use crate::state::Certificate;

/// One population over one year.
pub struct Row {
    pub start: Start,
    pub life: Duration,
    pub certificates: usize,
    pub orders: usize,
    pub least: f64,
    /// The most orders of a day, as a multiple of the mean.
    pub busiest: f64,
    pub hits: u32,
    pub expired: u64,
    /// The share of orders inside the window of what they replaced.
    pub exempt: f64,
}

pub const HEAD: &str =
    "start   lifetime  certificates   orders    least   ratio  busiest day/mean  in window  limit hits  expired";

impl Row {
    pub fn of(simulation: &Simulation, start: Start, life: Duration) -> Row {
        let mut days = vec![0usize; 366];
        for at in &simulation.ca.made_at {
            days[(at.since(START).as_secs() / DAY.as_secs()) as usize] += 1;
        }
        let (certificates, orders) = (simulation.certificates.len(), simulation.ca.made_at.len());
        let mean = orders as f64 / (YEAR.as_secs() / DAY.as_secs()) as f64;
        Row {
            start,
            life,
            certificates,
            orders,
            least: least(life) * certificates as f64,
            busiest: *days.iter().max().unwrap() as f64 / mean,
            hits: simulation.ca.hits.values().sum(),
            expired: simulation.tally.expired,
            exempt: simulation.ca.exempt as f64 / orders as f64,
        }
    }

    pub fn ratio(&self) -> f64 {
        self.orders as f64 / self.least
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { certificates, orders, least, busiest, hits, expired, .. } = self;
        let (start, hours, ratio, exempt) =
            (format!("{:?}", self.start), self.life.as_secs() / 3600, self.ratio(), self.exempt * 100.0);
        let life = if hours % 24 == 0 { format!("{} d", hours / 24) } else { format!("{hours} h") };
        write!(
            f,
            "{start:<6} {life:>9} {certificates:>13} {orders:>8} {least:>8.0} {ratio:>7.3} {busiest:>17.2} {exempt:>8.1} % {hits:>11} {expired:>8}"
        )
    }
}

/// Prints past the test harness, which captures output: the table is for the reader of the run.
pub fn say(line: impl fmt::Display) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

/// The time at which every certificate of a population had been issued once.
pub fn all_issued(simulation: &Simulation) -> Option<Duration> {
    let first = simulation.ca.sets.iter().map(|set| set.finalized.first().map(|f| f.at.since(START)));
    first.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The faults that a year of trouble may show.
pub struct Faults {
    pub expired: u64,
    pub hits: u32,
    /// The most counted orders of one exact set within seven days, by the client's count and as the CA saw them.
    pub counted: (usize, usize),
    /// Certificates that were issued, are not being fetched, and never came into the Secret.
    pub never_stored: usize,
    /// Good orders that were given up, beyond those whose URL was lost before it could be written.
    pub given_up: u64,
}

impl Faults {
    pub fn of(simulation: &Simulation) -> Faults {
        let sets = || simulation.ca.sets.iter();
        let most = |at: fn(&crate::ca::Finalized) -> Option<Time>| {
            sets().map(|set| most_within_a_week(set.finalized.iter().filter_map(at).collect())).max().unwrap_or(0)
        };
        let in_flight = |status: &[Status]| {
            let flights =
                simulation.certificates.iter().filter_map(|c| c.record.body.in_flight.as_ref()?.order.as_deref());
            let orders = flights.filter_map(|url| simulation.ca.orders.get(&url.rsplit('/').next()?.parse().ok()?));
            orders.filter(|order| status.contains(&order.status)).count()
        };
        let unstored = sets().flat_map(|set| &set.finalized).filter(|f| !simulation.stored.contains(&f.serial)).count();
        let open = [Status::Pending, Status::Ready];
        let left = simulation.ca.orders.values().filter(|order| open.contains(&order.status)).count();
        let without_url = |c: &&Certificate| c.record.body.in_flight.as_ref().is_some_and(|f| f.order.is_none());
        let asking_again = simulation.certificates.iter().filter(without_url).count() as u64;
        let given_up = (left - in_flight(&open)) as u64;
        Faults {
            expired: simulation.tally.expired,
            hits: simulation.ca.hits.values().sum(),
            counted: (most(|f| f.counted), most(|f| f.counted.map(|_| f.at))),
            never_stored: unstored - in_flight(&[Status::Valid]),
            // A CA that hands pending orders back gives them to a client that lost their URL and asks again.
            given_up: given_up.saturating_sub(if simulation.ca.hands_back {
                asking_again
            } else {
                simulation.tally.lost
            }),
        }
    }
}

fn most_within_a_week(times: Vec<Time>) -> usize {
    let week = |from: &Time| times.iter().filter(|at| *at >= from && at.since(*from) < DAY * 7).count();
    times.iter().map(week).max().unwrap_or(0)
}
