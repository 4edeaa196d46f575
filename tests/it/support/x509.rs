//! Judges certificates with openssl, which knows nothing of notariat; makes some with it, too.

use std::path::Path;
use std::process::Command;

use notariat_lab::Scratch;
use notariat_lab::tools::{output, tool};

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new(tool("openssl"));
    command.args(arguments);
    command
}

/// Asserts that `tls.crt` and `tls.key` in `folder` are a pair whose chain leads to `root`, for exactly these names.
#[track_caller]
pub fn assert_valid(folder: &Path, root: &str, names: &[&str]) {
    let scratch = Scratch::new("x509");
    let root = scratch.write("root.pem", root);
    let (chain, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    output(&mut openssl(&["verify", "-CAfile", root.to_str().unwrap(), "-untrusted", chain, chain]));
    assert_eq!(self::names(chain), sorted(names), "the names of {chain}");
    let of_leaf = output(&mut openssl(&["x509", "-in", chain, "-noout", "-pubkey"]));
    let of_key = output(&mut openssl(&["pkey", "-in", key, "-pubout"]));
    assert_eq!(of_leaf, of_key, "the key belongs to the certificate");
    let text = std::fs::read_to_string(key).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    names.sort();
    names
}

/// The DNS names of a certificate file.
pub fn names(file: &str) -> Vec<String> {
    let text = output(&mut openssl(&["x509", "-in", file, "-noout", "-ext", "subjectAltName"]));
    let names: Vec<&str> = text.split([',', '\n']).filter_map(|part| part.trim().strip_prefix("DNS:")).collect();
    sorted(&names)
}

/// The serial number of a certificate file.
pub fn serial(folder: &Path) -> String {
    output(&mut openssl(&["x509", "-in", folder.join("tls.crt").to_str().unwrap(), "-noout", "-serial"]))
}

/// The public key algorithm of a certificate file, as openssl names it.
pub fn key_text(folder: &Path) -> String {
    output(&mut openssl(&["x509", "-in", folder.join("tls.crt").to_str().unwrap(), "-noout", "-text"]))
}

/// A self-signed pair, valid from `from_days` to `to_days` from now. Returns certificate and key in PEM.
pub fn make(names: &[&str], issuer: &str, from_days: i64, to_days: i64) -> (String, String) {
    make_of(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"], names, issuer, (from_days, to_days))
}

/// The same with an RSA key.
pub fn make_rsa(names: &[&str], issuer: &str, from_days: i64, to_days: i64) -> (String, String) {
    make_of(&["genrsa"], names, issuer, (from_days, to_days))
}

fn make_of(new_key: &[&str], names: &[&str], issuer: &str, (from_days, to_days): (i64, i64)) -> (String, String) {
    let scratch = Scratch::new("made");
    let (key, csr, crt) = (scratch.join("k"), scratch.join("r"), scratch.join("c"));
    let path = |p: &Path| p.to_str().unwrap().to_owned();
    let names: Vec<String> = names.iter().map(|n| format!("DNS:{n}")).collect();
    output(&mut openssl(&[new_key, &["-out", &path(&key)]].concat()));
    let subject = format!("/CN={issuer}");
    output(&mut openssl(&["req", "-new", "-key", &path(&key), "-subj", &subject, "-out", &path(&csr)]));
    let ext = scratch.write("ext", &format!("subjectAltName={}\n", names.join(",")));
    // Debian 12's openssl dates certificates by `ca` only; it wants a database.
    let config = format!(
        "[ca]\ndefault_ca=d\n[d]\ndatabase={0}/db\nserial={0}/serial\nnew_certs_dir={0}\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n",
        scratch.path().display()
    );
    scratch.write("db", "");
    let config = scratch.write("ca.conf", &config);
    let date = |days: i64| {
        output(Command::new("date").args(["-u", "-d", &format!("{days} days"), "+%y%m%d%H%M%SZ"])).trim().to_owned()
    };
    let pkcs8 = scratch.join("p8");
    output(&mut openssl(&[
        "ca",
        "-batch",
        "-notext",
        "-selfsign",
        "-config",
        &path(&config),
        "-keyfile",
        &path(&key),
        "-in",
        &path(&csr),
        "-out",
        &path(&crt),
        "-extfile",
        &path(&ext),
        "-startdate",
        &date(from_days),
        "-enddate",
        &date(to_days),
    ]));
    output(&mut openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &path(&key), "-out", &path(&pkcs8)]));
    (std::fs::read_to_string(crt).unwrap(), std::fs::read_to_string(pkcs8).unwrap())
}
