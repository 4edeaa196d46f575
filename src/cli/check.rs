//! The flags of `check`.

use std::path::PathBuf;

use super::Flags;

/// What `check` is to look at, and how it answers.
#[derive(Debug)]
pub struct CheckOptions {
    /// `-f`: the manifest, `-` for standard input; else what the daemon would read is looked at, and everything around it.
    pub file: Option<PathBuf>,
    /// `-role`: a manifest with Roles.
    pub role: Option<PathBuf>,
    /// `-o json`
    pub as_json: bool,
}

impl Flags {
    /// What `check` is to look at.
    pub(super) fn check(&mut self) -> Result<CheckOptions, String> {
        let json = |word: &str| if word == "json" { Ok(()) } else { Err("is not json".to_owned()) };
        let check = CheckOptions {
            file: self.value("f", |v| Ok(PathBuf::from(v)))?,
            role: self.value("role", |v| Ok(PathBuf::from(v)))?,
            as_json: self.value("o", json)?.is_some(),
        };
        match (&check.file, &check.role) {
            (None, Some(_)) => Err("-role goes with -f; without it the API server is asked what is allowed".to_owned()),
            _ => Ok(check),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use crate::cli::{Command, parse};

    #[test]
    fn a_check_is_of_a_file() {
        let check = |line: &str| match parse(line.split_whitespace().map(OsString::from).collect()) {
            Ok(Command::Check(asked, arguments)) => {
                let role = asked.role.map(|role| role.display().to_string()).unwrap_or_default();
                let namespace = arguments.namespace.unwrap_or_default();
                Ok(format!("{} {role} {} {namespace}", asked.file.unwrap_or_default().display(), asked.as_json))
            }
            Ok(other) => panic!("{line}: {other:?}"),
            Err(e) => Err(e),
        };
        for (line, expected) in [
            ("check -f a.yaml", "a.yaml  false "),
            ("check -f - -role=r.yaml -o json --namespace team", "- r.yaml true team"),
        ] {
            assert_eq!(check(line).as_deref(), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("check", "-config is missing"),
            ("check -config a -f b", "exclude each other"),
            ("check -f b -o yaml", "-o \"yaml\" is not json"),
            ("check -f b -role", "-role lacks its value"),
            ("role -f b -role c", "-role is not a flag"),
            ("-config a -o json", "-o is not a flag"),
        ] {
            let error = check(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
