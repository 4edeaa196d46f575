//! The version, and what else tells one build from another.

/// The commit that the build was made of. The build has no git and no script that asks it: who builds says it, as deploy/release and
/// the Dockerfile do, and the same commit gives the same binary from a tarball.
const COMMIT: Option<&str> = option_env!("NOTARIAT_COMMIT");

/// Version, commit, features and target in one line.
pub fn line() -> String {
    // An empty variable is one that a script forgot.
    let commit = COMMIT.filter(|commit| !commit.is_empty()).unwrap_or("unknown");
    let features = match (cfg!(feature = "tools"), cfg!(feature = "rsa")) {
        (true, true) => "tools+rsa",
        (true, false) => "tools",
        (false, true) => "rsa",
        (false, false) => "none",
    };
    format!("notariat {} (commit {commit}, features {features}, target {})", env!("CARGO_PKG_VERSION"), target())
}

/// The triple of the target.
fn target() -> String {
    let library = match () {
        () if cfg!(target_env = "gnu") => "-gnu",
        () if cfg!(target_env = "musl") => "-musl",
        () => "",
    };
    format!("{}-unknown-{}{library}", std::env::consts::ARCH, std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_version_commit_features_and_target() {
        let line = line();
        let rest = line.strip_prefix(concat!("notariat ", env!("CARGO_PKG_VERSION"), " (commit ")).unwrap();
        let (commit, rest) = rest.split_once(", features ").unwrap();
        assert!(!commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{line}");
        let (features, target) = rest.strip_suffix(')').unwrap().split_once(", target ").unwrap();
        for (feature, is_on) in [("tools", cfg!(feature = "tools")), ("rsa", cfg!(feature = "rsa"))] {
            assert_eq!(features.split('+').any(|name| name == feature), is_on, "{line}");
        }
        assert_eq!(target.split('-').count(), 4, "{line}");
        assert!(target.starts_with(std::env::consts::ARCH), "{line}");
    }
}
