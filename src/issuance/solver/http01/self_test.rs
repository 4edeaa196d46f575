//! Asks the web server of a name as a CA would, at each of the name's addresses, and follows redirects by the rules of [`super::verdict`].

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::verdict::{Step, Unanswered, Verdict, WebUrl, judge};
use crate::base::address::{ServerAddress, shown};
use crate::base::limits::{REACH_ADDRESSES_MAX, REACH_AT_ONCE, REACH_WITHIN};
use crate::base::name::DnsName;
use crate::base::time::Deadline;
use crate::dns::client::DnsClient;
use crate::dns::resolver::Resolver;
use crate::http::web_check;
use crate::issuance::context::Context;
use crate::sources::CertificateSpec;

/// Where names are looked up and asked for.
#[derive(Debug)]
pub struct Tester<'t> {
    /// The resolver of names.
    pub resolver: &'t Resolver,
    /// The client for DNS.
    pub dns: &'t DnsClient,
    /// The server that is asked first, instead of the name's addresses.
    pub via: Option<&'t ServerAddress>,
    /// True if the CA asks from the internet.
    pub public: bool,
}

impl<'t> Tester<'t> {
    /// For the names of a certificate.
    pub fn new(context: &'t Context, wanted: &'t CertificateSpec) -> Tester<'t> {
        let public = wanted.issuer.as_ref().is_none_or(|issuer| issuer.ca_secret.is_none() && issuer.ca.is_none())
            && !context.clients.has_own_roots();
        let via = wanted.entry.http.as_deref().and_then(|settings| settings.via.as_ref());
        Tester { resolver: &context.resolver, dns: &context.dns, via, public }
    }

    fn addresses(&self, host: &DnsName, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, Verdict> {
        let found = self.resolver.addresses(self.dns, host, port, deadline).map_err(|e| {
            // "has no address" is a CA's answer as well; a resolver that fails is not.
            if e.contains("has no address") { Verdict::Wrong(e) } else { Verdict::Unknown(e) }
        })?;
        let is_refused = |ip: IpAddr| if self.public { !is_public(ip) } else { is_of_the_link(ip) };
        match found.iter().find(|address| is_refused(address.ip())) {
            Some(private) if !self.public => {
                Err(Verdict::Wrong(format!("{host} has the address {}, which is never asked", private.ip())))
            }
            Some(private) => {
                Err(Verdict::Wrong(format!("{host} has the address {}, which no public CA asks", private.ip())))
            }
            None => Ok(found.into_iter().take(REACH_ADDRESSES_MAX).collect()),
        }
    }
}

/// Asks for the challenge of `name` at each address. All must be right; the first that is wrong decides, then the first that is unknown.
pub fn test_name(tester: &Tester<'_>, name: &DnsName, token: &str, answer: &str) -> Verdict {
    let start = WebUrl::challenge(name, token);
    let deadline = Deadline::after(REACH_WITHIN);
    let addresses = match tester.via {
        Some(via) => match tester.resolver.resolve(tester.dns, via, deadline) {
            Ok(found) => found,
            Err(error) => return Verdict::Unknown(format!("http.via: {error}")),
        },
        None => match tester.addresses(name, start.port(), deadline) {
            Ok(found) => found,
            Err(verdict) => return verdict,
        },
    };
    let several = addresses.len() > 1;
    let mut unknown = None;
    let mut right = 0;
    for address in &addresses {
        let at = |why: String| {
            let ipv6 = address.is_ipv6() && addresses.iter().any(SocketAddr::is_ipv4);
            let hint = if ipv6 { "; CAs ask IPv6 first" } else { "" };
            if several || tester.via.is_some() { format!("at {}: {why}{hint}", shown(*address)) } else { why }
        };
        match walk(tester, &start, *address, answer) {
            Verdict::Right => right += 1,
            Verdict::Wrong(why) => return Verdict::Wrong(at(why)),
            Verdict::Unknown(why) => {
                unknown.get_or_insert_with(|| at(why));
            }
        }
    }
    match unknown {
        // One of several addresses that answers is no proof of the others.
        Some(why) => Verdict::Unknown(why),
        None if right > 0 => Verdict::Right,
        None => Verdict::Wrong(format!("{name} has no address")),
    }
}

/// One address, and where its redirects lead.
fn walk(tester: &Tester<'_>, start: &WebUrl, first: SocketAddr, answer: &str) -> Verdict {
    let (mut way, mut address) = (vec![start.clone()], first);
    let mut answered = Vec::new();
    let deadline = Deadline::after(2 * REACH_WITHIN);
    loop {
        let Some((url, within)) = way.last().zip(deadline.at_most(REACH_WITHIN)) else {
            return Verdict::Unknown("it takes longer than a CA waits".to_owned());
        };
        let found = web_check::ask(&url.text(), address, within);
        let found = found.map_err(|none| match none.is_refused && answered.contains(&address.ip()) {
            true => Unanswered::DeadEnd(none.why),
            false => Unanswered::NoConnection(none.why),
        });
        answered.push(address.ip());
        match judge(found, answer, &way) {
            Step::End(verdict) => return verdict,
            Step::Follow(next) => {
                let is_start = next.host == start.host;
                address = match tester.addresses(&next.host, next.port(), deadline) {
                    // The same host is asked where it was asked before, also on the way back from another.
                    Ok(_) if is_start && tester.via.is_none() => SocketAddr::new(first.ip(), next.port()),
                    Ok(found) => match found.first() {
                        Some(found) if is_start || may_be_led_to(found.ip()) => *found,
                        Some(found) => return Verdict::Unknown(elsewhere_inside(&next.host, found.ip())),
                        None => return Verdict::Wrong(format!("{} has no address", next.host)),
                    },
                    Err(verdict) => return verdict,
                };
                way.push(next);
            }
        }
    }
}

/// Does `work` for each item, a few at a time.
pub fn each_at_once<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..items.len().min(REACH_AT_ONCE) {
            // Without a further thread the others take longer.
            drop(std::thread::Builder::new().spawn_scoped(scope, run));
        }
        run();
    });
}

/// Says whether a redirect may lead to another host at this address. Whoever has a name may redirect it, and the machines of the inside are not theirs
/// to ask: a CA of the inside follows such a redirect, this program does not.
fn may_be_led_to(ip: IpAddr) -> bool {
    is_public(ip)
}

fn elsewhere_inside(host: &DnsName, ip: IpAddr) -> String {
    format!(
        "it is redirected to {host} at {ip}, an address of the inside, which is not asked for another name; the CA is asked"
    )
}

/// An address of the link: clouds answer there for the machine that asks, with its credentials.
fn is_of_the_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(ip.segments()[0] & 0xffc0 == 0xfe80, |ip| ip.is_link_local()),
    }
}

/// Tells whether a CA in the internet can ask this address (IANA's special-purpose registries, RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || shared
                || ip.octets()[..3] == [192, 0, 0]
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            // Only 2000::/3 is given out. 2001::/23 is for protocols such as Teredo, 2001:db8::/32 for documents; 2002::/16 leads to an IPv4 address.
            let is_special = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8));
            (0x2000..0x4000).contains(&first) && !is_special
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_worked_on_once_and_few_at_a_time() {
        let items: Vec<usize> = (1..=100).collect();
        let (now, most, sum) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        each_at_once(&items, |item| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            sum.fetch_add(*item, Ordering::SeqCst);
            now.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(sum.into_inner(), 5_050);
        assert!(most.into_inner() <= REACH_AT_ONCE);
        each_at_once::<usize>(&[], |_| unreachable!("there is none"));
    }

    #[test]
    fn special_addresses_are_asked_by_no_public_ca() {
        for (address, expected) in [
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("192.0.2.1", false),
            ("192.0.0.8", false),
            ("192.0.1.1", true),
            ("2002:a00:1::", false),
            ("2001::1", false),
            ("2001:4860:4860::8888", true),
            ("255.255.255.255", false),
            ("8.8.8.8", true),
            ("::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2001:db8::1", false),
            ("::ffff:10.0.0.1", false),
            ("2606:4700::1111", true),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
    #[test]
    fn the_machine_s_own_link_is_never_asked() {
        for (address, expected) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_of_the_link(address.parse().unwrap()), expected, "{address}");
        }
    }
}
