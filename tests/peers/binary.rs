//! The program that is shipped, for what measures and tests it.

use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::tools::output;

/// The binary that is shipped: static.
pub(crate) fn static_binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A folder of its own: other flags than those of the tests, so neither build throws away the other's work.
    let (target, folder) = ("x86_64-unknown-linux-gnu", root.join("target/static"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "notariat",
        "--target",
        target,
    ]);
    output(
        cargo
            .env("RUSTFLAGS", "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs")
            .env("CARGO_TARGET_DIR", &folder),
    );
    folder.join(target).join("release/notariat")
}
