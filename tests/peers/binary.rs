//! The program that is shipped, for what measures and tests it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use notariat_lab::tools::output;

/// Builds the static binary, with or without the feature `tools`. Returns a copy under a name of its own: cargo keeps one binary only,
/// whatever its features are.
pub(crate) fn static_binary(with_tools: bool) -> PathBuf {
    match with_tools {
        true => build("notariat", "x86_64-unknown-linux-gnu", &[]),
        false => build("notariat-without-tools", "x86_64-unknown-linux-gnu", &["--no-default-features"]),
    }
}

/// The static binary for aarch64. Needs Debian's gcc-aarch64-linux-gnu and rustup's library of the target: tests/lab/install arm64.
#[allow(dead_code, reason = "the measurements are of this machine")]
pub(crate) fn static_binary_for_arm() -> PathBuf {
    build("notariat-aarch64", "aarch64-unknown-linux-gnu", &[])
}

fn build(name: &str, target: &str, features: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().expect("no build panics");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A folder of its own: other flags than those of the tests, so neither build throws away the other's work.
    let folder = root.join("target/static");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--quiet", "--release", "--locked", "--package", "notariat"]);
    output(
        cargo
            .args(["--target", target])
            .args(features)
            .env("RUSTFLAGS", "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs")
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
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
