//! The snapshot of the RustSec database in vendor-notes/advisories, and Cargo.lock beside it.
//!
//! vendor-notes/advisories/check asks cargo-deny the same, and more; it takes minutes where cargo-deny is missing. This takes none, so
//! no change of Cargo.lock passes that takes in a version with an advisory, or a package that nobody looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::Scratch;
use notariat_lab::tools::output;

/// The facts of one advisory.
struct Advisory {
    id: String,
    package: String,
    /// Ranges of versions that are mended or were never affected; with none, every version is affected.
    unaffected: Vec<String>,
    withdrawn: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of the snapshot, relative to its folder.
fn files() -> Vec<PathBuf> {
    let top = root().join("vendor-notes/advisories");
    let mut files = Vec::new();
    for package in std::fs::read_dir(top.join("crates")).unwrap() {
        let package = package.unwrap().path();
        files.extend(
            std::fs::read_dir(package).unwrap().map(|f| f.unwrap().path().strip_prefix(&top).unwrap().to_owned()),
        );
    }
    files.sort();
    files
}

fn snapshot() -> Vec<Advisory> {
    let parsed = files().into_iter().map(|file| {
        let text = read(&format!("vendor-notes/advisories/{}", file.display()));
        parse(&file, &text).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
    });
    parsed.collect()
}

/// The text between quotation marks.
fn quoted(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Reads a file as cargo-deny wants it: facts in TOML, a title, and one sentence.
fn parse(file: &Path, text: &str) -> Result<Advisory, String> {
    let (facts, words) = text
        .strip_prefix("```toml\n[advisory]\n")
        .and_then(|rest| rest.split_once("\n```\n\n"))
        .ok_or("does not begin with a block of TOML with [advisory]")?;
    let mut values = BTreeMap::new();
    for line in facts.lines().filter(|line| !line.is_empty() && *line != "[versions]") {
        let (key, value) = line.split_once(" = ").ok_or_else(|| format!("no value: {line}"))?;
        let whole = match value.as_bytes() {
            [b'"', .., b'"'] => quoted(value).len() == 1,
            [b'[', .., b']'] => {
                let ranges = quoted(value);
                let again = ranges.iter().map(|range| format!("\"{range}\"")).collect::<Vec<_>>().join(", ");
                format!("[{again}]") == value && ranges.iter().all(|range| bounds(range).is_ok())
            }
            _ => false,
        };
        if !whole || values.insert(key, quoted(value)).is_some() {
            return Err(format!("not a text, not a list of ranges, or twice: {line}"));
        }
    }
    let one = |key: &str| values.get(key).and_then(|v| v.first()).cloned().ok_or_else(|| format!("{key} is missing"));
    let is_day = |day: &str| day.len() == 10 && day.split('-').all(|part| part.parse::<u16>().is_ok());
    let known = ["id", "package", "date", "url", "informational", "withdrawn", "patched", "unaffected"];
    if let Some(key) = values.keys().find(|key| !known.contains(key)) {
        return Err(format!("the key {key} is none that the snapshot has"));
    }
    let (id, package) = (one("id")?, one("package")?);
    if file != Path::new("crates").join(&package).join(format!("{id}.md")) {
        return Err(format!("is of {package} and {id}"));
    }
    if !is_day(&one("date")?) || values.get("withdrawn").is_some_and(|day| !is_day(&day.concat())) {
        return Err("a day is not YYYY-MM-DD".to_owned());
    }
    if !one("url")?.starts_with("https://") {
        return Err("the address is not https".to_owned());
    }
    let words: Vec<_> = words.trim_end().split("\n\n").collect();
    match words[..] {
        [title, sentence] if title.len() > 2 && title.starts_with("# ") && sentence.ends_with('.') => {}
        _ => return Err("needs a title and one sentence, in our own words".to_owned()),
    }
    let unaffected =
        ["patched", "unaffected"].into_iter().filter_map(|key| values.get(key)).flatten().cloned().collect();
    Ok(Advisory { id, package, unaffected, withdrawn: values.contains_key("withdrawn") })
}

type Version = (u64, u64, u64);

/// One bound of a range: an operator, the numbers that are given, and whether a pre-release is named.
type Bound = (String, Vec<u64>, bool);

/// The bounds of a range as Cargo writes them: `>= 1.2.3, < 2`, `^0.3.4`, `=1.2`.
fn bounds(range: &str) -> Result<Vec<Bound>, String> {
    let one = |bound: &str| {
        let bound = bound.trim();
        let at = bound.find(|c: char| c.is_ascii_digit()).ok_or_else(|| format!("no number in '{bound}'"))?;
        let operator = match bound[..at].trim() {
            "" => "^",
            known @ ("<" | "<=" | ">" | ">=" | "=" | "^") => known,
            other => return Err(format!("the operator '{other}' is not known")),
        };
        let (core, pre) = bound[at..].split_once('-').map_or((&bound[at..], false), |(core, _)| (core, true));
        let numbers: Result<Vec<u64>, _> = core.split('.').map(str::parse).collect();
        match numbers {
            Ok(numbers) if numbers.len() <= 3 => Ok((operator.to_owned(), numbers, pre)),
            _ => Err(format!("'{core}' is no version")),
        }
    };
    range.split(',').map(one).collect()
}

/// Tells whether a released version is in a range. Parts that are not given stand for all their values.
fn is_in(version: Version, range: &str) -> bool {
    let holds = |(operator, numbers, pre): Bound| {
        let part = |at: usize| numbers.get(at).copied().unwrap_or(0);
        let low = (part(0), part(1), part(2));
        // The first version above all that the numbers stand for.
        let above = match numbers.len() {
            1 => (low.0 + 1, 0, 0),
            2 => (low.0, low.1 + 1, 0),
            _ => (low.0, low.1, low.2 + 1),
        };
        // The first version that is not compatible: the leftmost number that is not zero counts up.
        let incompatible = match (low, numbers.len()) {
            ((0, 0, _), 3) => (0, 0, low.2 + 1),
            ((0, _, _), 2 | 3) => (0, low.1 + 1, 0),
            _ => (low.0 + 1, 0, 0),
        };
        // A release comes after every pre-release of its own numbers.
        match operator.as_str() {
            ">=" => version >= low,
            ">" if pre => version >= low,
            ">" => version >= above,
            "<" => version < low,
            "<=" if pre => version < low,
            "<=" => version < above,
            "=" => !pre && (low..above).contains(&version),
            _ => (low..incompatible).contains(&version),
        }
    };
    bounds(range).unwrap().into_iter().all(holds)
}

/// The packages of a lock file that come from a registry, with their versions.
fn locked(lock: &str) -> Vec<(String, Version)> {
    let registry = lock.split("[[package]]").skip(1).filter(|package| package.contains("\nsource = "));
    let packages = registry.map(|package| {
        let value = |key: &str| quoted(package.lines().find(|line| line.starts_with(key)).unwrap()).concat();
        let version = value("version = ");
        let numbers = version.split('+').next().unwrap().split('.').map(|part| part.parse::<u64>());
        let numbers: Vec<_> =
            numbers.collect::<Result<_, _>>().unwrap_or_else(|_| panic!("a pre-release is locked: {version}"));
        (value("name = "), (numbers[0], numbers[1], numbers[2]))
    });
    packages.collect()
}

/// The ids of advisories that are not withdrawn, for versions in the lock file.
fn affecting(lock: &str, advisories: &[Advisory]) -> BTreeSet<String> {
    let packages = locked(lock);
    let affects = |advisory: &&Advisory| {
        !advisory.withdrawn
            && packages.iter().any(|(name, version)| {
                *name == advisory.package && !advisory.unaffected.iter().any(|range| is_in(*version, range))
            })
    };
    advisories.iter().filter(affects).map(|advisory| advisory.id.clone()).collect()
}

/// The entries of `ignore` in deny.toml: id and reason.
fn ignored() -> BTreeMap<String, String> {
    let text = read("vendor-notes/deny.toml");
    let entries = text.lines().filter(|line| line.trim_start().starts_with("{ id = "));
    let pairs = entries.map(|line| match &quoted(line)[..] {
        [id, reason] => (id.clone(), reason.clone()),
        _ => panic!("not an id and a reason: {line}"),
    });
    pairs.collect()
}

#[test]
fn no_locked_version_has_an_advisory_that_is_not_answered() {
    let advisories = snapshot();
    assert!(advisories.len() >= 46, "{}", advisories.len());
    let (found, ignored) = (affecting(&read("Cargo.lock"), &advisories), ignored());
    for id in &found {
        let reason = ignored.get(id).unwrap_or_else(|| {
            panic!("{id} names a version of Cargo.lock: update the package, or say in vendor-notes/deny.toml why it can not be reached")
        });
        assert!(
            reason.len() > 40 && reason.contains("look again by 20"),
            "{id} is ignored without a reason and a day: {reason}"
        );
    }
    let unused: Vec<_> = ignored.keys().filter(|id| !found.contains(*id)).collect();
    assert!(unused.is_empty(), "ignored in vendor-notes/deny.toml, but nothing that is locked is affected: {unused:?}");
}

#[test]
fn a_version_with_an_advisory_is_found() {
    let lock = |name: &str, version: &str, source: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}")
    };
    let registry = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    let advisories = snapshot();
    for (name, version, source, expected) in [
        ("rustls", "0.23.44", registry, Some("RUSTSEC-2026-0285")),
        ("rustls", "0.23.45", registry, None),
        ("rustls", "0.23.44", "", None),
        ("bytes", "1.2.0", registry, None),
        ("bytes", "1.11.0", registry, Some("RUSTSEC-2026-0007")),
        ("hickory-proto", "0.25.2", registry, Some("RUSTSEC-2026-0118")),
        ("ring", "0.16.20", registry, Some("RUSTSEC-2025-0010")),
        ("serde_yaml", "0.8.3+old", registry, Some("RUSTSEC-2018-0005")),
    ] {
        let found = affecting(&lock(name, version, source), &advisories);
        assert_eq!(found.is_empty(), expected.is_none(), "{name} {version}: {found:?}");
        assert!(expected.is_none_or(|id| found.contains(id)), "{name} {version}: {found:?}");
        assert!(!found.contains("RUSTSEC-2025-0007"), "withdrawn");
    }
}

#[test]
fn ranges_are_read_as_cargo_reads_them() {
    for (range, inside, outside) in [
        (">= 0.23.45", [(0, 23, 45), (1, 0, 0)], [(0, 23, 44), (0, 22, 99)]),
        (">= 0.23, < 0.23.13", [(0, 23, 0), (0, 23, 12)], [(0, 22, 9), (0, 23, 13)]),
        ("<= 0.22", [(0, 22, 0), (0, 22, 7)], [(0, 23, 0), (1, 0, 0)]),
        ("> 0.22", [(0, 23, 0), (1, 0, 0)], [(0, 22, 0), (0, 22, 7)]),
        ("^ 0.24.3", [(0, 24, 3), (0, 24, 9)], [(0, 24, 2), (0, 25, 0)]),
        ("^0.0.4", [(0, 0, 4), (0, 0, 4)], [(0, 0, 5), (0, 0, 3)]),
        ("1.2", [(1, 2, 0), (1, 9, 0)], [(1, 1, 9), (2, 0, 0)]),
        ("^0", [(0, 0, 1), (0, 9, 0)], [(1, 0, 0), (2, 0, 0)]),
        ("=0.2.6", [(0, 2, 6), (0, 2, 6)], [(0, 2, 5), (0, 2, 7)]),
        ("=0.2", [(0, 2, 0), (0, 2, 6)], [(0, 1, 9), (0, 3, 0)]),
        (">= 0.25.0-alpha.5", [(0, 25, 0), (0, 26, 0)], [(0, 24, 9), (0, 24, 0)]),
        ("< 0.25.0-alpha.3", [(0, 24, 9), (0, 1, 0)], [(0, 25, 0), (0, 26, 0)]),
    ] {
        for version in inside {
            assert!(is_in(version, range), "{version:?} is in {range}");
        }
        for version in outside {
            assert!(!is_in(version, range), "{version:?} is not in {range}");
        }
    }
    for wrong in ["", "~1.2", ">= x", "1.2.3.4", ">= 1.*", "!= 1"] {
        assert!(bounds(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let file = Path::new("crates/rustls/RUSTSEC-2026-0285.md");
    let good = read("vendor-notes/advisories/crates/rustls/RUSTSEC-2026-0285.md");
    assert!(parse(file, &good).is_ok());
    for (from, to, why) in [
        ("id = \"RUSTSEC-2026-0285\"", "id = \"RUSTSEC-2026-0286\"", "is of rustls and RUSTSEC-2026-0286"),
        ("date = \"2026-09-14\"\n", "", "date is missing"),
        ("2026-09-14", "14.9.2026", "a day is not"),
        ("https:", "http:", "not https"),
        ("[\">= 0.23.45\"]", "[\"from 0.23.45\"]", "not a list of ranges"),
        ("[\">= 0.23.45\"]", "\">= 0.23.45", "not a text"),
        ("[\">= 0.23.45\"]", "[0.23.45]", "not a list of ranges"),
        ("patched =", "fixed =", "the key fixed"),
        ("```\n\n#", "#", "does not begin"),
        ("# Handshake", "Handshake", "needs a title"),
    ] {
        assert!(good.contains(from), "{from}");
        let said = parse(file, &good.replacen(from, to, 1)).err().unwrap_or_default();
        assert!(said.contains(why), "{to}: {said}");
    }
}

/// A package that came into Cargo.lock since must be looked up; what the snapshot says of itself is what it holds.
#[test]
fn each_package_was_looked_up_and_the_state_is_told() {
    let names: BTreeSet<_> = locked(&read("Cargo.lock")).into_iter().map(|(name, _)| name).collect();
    let packages = read("vendor-notes/advisories/packages");
    let looked_up: BTreeSet<_> = packages.lines().map(str::to_owned).collect();
    assert_eq!(
        names, looked_up,
        "Cargo.lock and vendor-notes/advisories/packages differ: vendor-notes/README.md says how to look up"
    );
    let advisories = snapshot();
    for advisory in &advisories {
        let (id, package) = (&advisory.id, &advisory.package);
        assert!(names.contains(package), "{id} is of {package}, which is not in Cargo.lock");
    }
    let (state, notes) = (read("vendor-notes/advisories/state"), read("vendor-notes/README.md"));
    let of: BTreeSet<_> = advisories.iter().map(|advisory| &advisory.package).collect();
    let counts = format!("{} advisories of {} packages", advisories.len(), of.len());
    for told in [format!("the {} packages of `Cargo.lock`", names.len()), counts] {
        assert!(notes.contains(&told), "vendor-notes/README.md does not say: {told}");
    }
    for key in ["commit", "newest", "reaches", "looked-up"] {
        let value = state.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap();
        let told = if key == "commit" { &value[..12] } else { value };
        assert!(notes.contains(told), "vendor-notes/README.md does not say the state: {key} = {told}");
    }
}

/// A clone of the database with one advisory more, one changed and one less.
#[test]
fn refreshing_keeps_our_words_and_leaves_a_new_advisory_without() {
    let (work, clone) = (Scratch::new("snapshot"), Scratch::new("clone"));
    let ours = work.join("vendor-notes/advisories");
    std::fs::create_dir_all(work.join("vendor-notes")).unwrap();
    output(Command::new("cp").arg("-r").arg(root().join("vendor-notes/advisories")).arg(&ours));
    std::fs::copy(root().join("Cargo.lock"), work.join("Cargo.lock")).unwrap();
    output(Command::new("cp").arg("-r").arg(ours.join("crates")).arg(clone.path()));
    let theirs = |file: &str| clone.join("crates").join(file);
    std::fs::create_dir_all(theirs("elsewhere")).unwrap();
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-2027-0001\"\npackage = \"url\"\ndate = \"2027-01-02\"\n\n[versions]\npatched = [\n  \">= 9\",\n]\n```\n\n# Theirs\n\nTheir words.\n";
    std::fs::create_dir_all(theirs("url")).unwrap();
    std::fs::write(theirs("url/RUSTSEC-2027-0001.md"), text).unwrap();
    std::fs::write(theirs("elsewhere/RUSTSEC-2027-0002.md"), text.replace("0001", "0002").replace("url", "elsewhere"))
        .unwrap();
    let changed =
        std::fs::read_to_string(theirs("bytes/RUSTSEC-2026-0007.md")).unwrap().replace(">= 1.11.1", ">= 1.11.2");
    std::fs::write(theirs("bytes/RUSTSEC-2026-0007.md"), changed.replace("# A sum", "# Their sum")).unwrap();
    std::fs::remove_dir_all(theirs("untrusted")).unwrap();
    let git = |arguments: &[&str]| output(Command::new("git").arg("-C").arg(clone.path()).args(arguments));
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&[
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.com",
        "commit",
        "-q",
        "-m",
        "all",
        "--date",
        "2027-01-03T00:00:00Z",
    ]);

    let said = output(Command::new(ours.join("refresh")).arg(clone.path()));
    for line in [
        "changed: vendor-notes/advisories/crates/bytes/RUSTSEC-2026-0007.md\n",
        "new, without a title: vendor-notes/advisories/crates/url/RUSTSEC-2027-0001.md\n",
        "gone: vendor-notes/advisories/crates/untrusted/RUSTSEC-2018-0001.md\n",
        "(RUSTSEC-2027-0002)\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");
    let now = std::fs::read_to_string(ours.join("crates/bytes/RUSTSEC-2026-0007.md")).unwrap();
    assert!(now.contains(">= 1.11.2") && now.contains("# A sum") && !now.contains("Their"), "{now}");
    let new = std::fs::read_to_string(ours.join("crates/url/RUSTSEC-2027-0001.md")).unwrap();
    assert!(new.contains("patched = [\">= 9\"]") && !new.contains("heir"), "{new}");
    let why = parse(Path::new("crates/url/RUSTSEC-2027-0001.md"), &new).err().unwrap();
    assert!(why.contains("in our own words"), "{why}");
    assert!(!ours.join("crates/untrusted").exists() && !ours.join("crates/elsewhere").exists());
}
