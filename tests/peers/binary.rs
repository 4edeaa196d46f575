//! The program that is shipped, for what measures and tests it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use notariat_lab::tools::output;

/// Builds the static binary, with or without the feature `tools`. Returns a copy under a name of its own: cargo keeps one binary only,
/// whatever its features are.
pub(crate) fn static_binary(with_tools: bool) -> PathBuf {
    let (name, features): (_, &[&str]) = match with_tools {
        true => ("notariat", &[]),
        false => ("notariat-without-tools", &["--no-default-features"]),
    };
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().expect("no build panics");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A folder of its own: other flags than those of the tests, so neither build throws away the other's work.
    let (target, folder) = ("x86_64-unknown-linux-gnu", root.join("target/static"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--quiet", "--release", "--locked", "--package", "notariat"]);
    output(
        cargo
            .args(["--target", target])
            .args(features)
            .env("RUSTFLAGS", "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs")
            .env("CARGO_TARGET_DIR", &folder),
    );
    let (made, copy, new) =
        (folder.join(target).join("release/notariat"), folder.join(name), folder.join(format!(".{name}")));
    // Renamed, so that a copy that runs is not written to.
    std::fs::copy(made, &new)
        .and_then(|_| std::fs::rename(&new, &copy))
        .expect("the folder of the build can be written");
    copy
}
