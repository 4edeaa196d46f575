//! The solvers there are. A further solver is one file beside this one, a kind of [`Presented`], and its lines here.

use super::challenge::Solver;
use super::dns01::Dns01;
use super::dns01::update::withdraw;
use super::http01::{self, Http01};
use super::mixed::Mixed;
use crate::base::challenge_type::ChallengeType;
use crate::base::log::event;
use crate::base::name::Domain;
use crate::base::time::Time;
use crate::issuance::context::Context;
use crate::issuance::error::AttemptError;
use crate::record::{LeftBehind, Presented, PresentedTxt};
use crate::sources::CertificateSpec;

/// The solver for a certificate. Nothing is changed.
///
/// # Errors
/// Why the challenges of a name cannot be answered now.
pub fn find<'c>(
    context: &'c Context,
    wanted: &'c CertificateSpec,
    names: &[Domain],
) -> Result<Box<dyn Solver + 'c>, AttemptError> {
    let by = |way| -> Vec<Domain> { names.iter().filter(|name| wanted.challenge_of(name) == way).cloned().collect() };
    let (by_dns, by_http) = (by(ChallengeType::Dns01), by(ChallengeType::Http01));
    if by_http.is_empty() {
        return Ok(Box::new(Dns01::find(context, wanted, names)?));
    }
    let http = Box::new(Http01::find(context, wanted)?);
    if by_dns.is_empty() {
        return Ok(http);
    }
    Ok(Box::new(Mixed { wanted, dns: Box::new(Dns01::find(context, wanted, &by_dns)?), http }))
}

/// Removes a value that the record names, by the solver that presented it.
///
/// # Errors
/// One sentence about what is left.
pub fn remove(context: &Context, presented: &Presented) -> Result<(), String> {
    match presented {
        Presented::Dns01(txt) => withdraw(context, txt),
        Presented::Http01(_) => http01::remove(context, presented),
    }
}

/// Removes values by `remove`, the last presented first. Returns those that could not be removed.
pub fn clean_up_each(
    remove: &mut dyn FnMut(&Presented) -> Result<(), String>,
    presented: Vec<Presented>,
    since: Time,
) -> Vec<LeftBehind> {
    let mut left = Vec::new();
    for published in presented.into_iter().rev() {
        if let Err(error) = remove(&published) {
            event!(warn, "left-behind", zone = published.place(), error = error);
            left.push(LeftBehind { since, published });
        }
    }
    left
}

/// Logs values that are given up, with the commands that remove them.
pub fn give_up(presented: &Presented) {
    match presented {
        Presented::Dns01(txt) => {
            let owners: Vec<&str> = txt.values.iter().map(|v| v.owner.as_str()).collect();
            event!(error, "left-for-good", zone = txt.zone, names = owners.join(","), hint = nsupdate(txt));
        }
        Presented::Http01(file) => {
            event!(error, "left-for-good", name = file.name, hint = removal(presented));
        }
    }
}

/// The commands that remove values by hand.
pub fn removal(presented: &Presented) -> String {
    match presented {
        Presented::Dns01(txt) => nsupdate(txt),
        Presented::Http01(file) => {
            format!("rm {}{}{}", file.webroot.as_deref().unwrap_or_default(), http01::CHALLENGE_PATH, file.token)
        }
    }
}

/// The `nsupdate` commands that remove TXT values.
fn nsupdate(published: &PresentedTxt) -> String {
    let deletes: Vec<String> =
        published.values.iter().map(|v| format!("update delete {}. TXT \"{}\"", v.owner, v.value)).collect();
    format!(
        "nsupdate -k KEYFILE: server {} {}; zone {}; {}; send",
        published.address.ip(),
        published.address.port(),
        published.zone,
        deletes.join("; ")
    )
}
