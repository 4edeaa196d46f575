//! `deploy/release` with a binary that is there: what it puts into the folder is whole and fits together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use notariat_lab::{Scratch, tools};
use serde_json::Value;

use crate::docs::read;
use crate::support::Run;
use crate::support::run::notariat;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the script. Its standard output, or the end of its message.
fn release(scratch: &Scratch, version: &str) -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/release");
    let mut command = Command::new(script);
    command.arg("-prebuilt").arg(scratch.join("prebuilt")).arg("-out").arg(scratch.join("out"));
    tools::try_output(command.arg(version).env("NOTARIAT_COMMIT", "0123abc"), "")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_release_is_whole() {
    let scratch = Scratch::new("release");
    std::fs::create_dir(scratch.join("prebuilt")).unwrap();
    let binary = format!("notariat-{VERSION}-linux-x86_64");
    for name in [binary.clone(), format!("{binary}-controller")] {
        std::fs::copy(env!("CARGO_BIN_EXE_notariat"), scratch.join("prebuilt").join(name)).unwrap();
    }
    assert!(
        release(&scratch, "99.0.0").unwrap_err().contains(&format!("Cargo.toml has version {VERSION}, not 99.0.0"))
    );
    let said = release(&scratch, VERSION).unwrap();
    assert!(said.contains("aarch64: left out: "), "{said}");
    let out = scratch.join("out");

    // The sums are those of all files.
    let sums = tools::output(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&out));
    let image = format!("notariat-{VERSION}-oci.tar");
    let mut names: BTreeSet<String> =
        std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.remove("SHA256SUMS");
    assert_eq!(sums.lines().map(|l| l.strip_suffix(": OK").unwrap().to_owned()).collect::<BTreeSet<_>>(), names);
    assert!(names.contains(&image) && names.len() == 11, "{names:?}");

    the_layout_is_valid(&scratch, &out.join(&image), &out.join(&binary));
    the_packages_are_those_of_the_tree(&out);

    let printed = |arguments: &[&str]| Run::of(notariat().args(arguments)).ends(0).stdout;
    for (file, arguments) in [
        ("notariat.1", &["man"][..]),
        ("notariat.schema.json", &["schema"]),
        ("notariat.bash", &["completion", "bash"]),
        ("_notariat", &["completion", "zsh"]),
        ("notariat.fish", &["completion", "fish"]),
    ] {
        assert_eq!(std::fs::read_to_string(out.join(file)).unwrap(), printed(arguments), "{file}");
    }
    let manifest = std::fs::read_to_string(out.join("notariat.yaml")).unwrap();
    let expected = match Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/notariat.yaml").exists() {
        true => read("deploy/notariat.yaml"),
        false => tools::output(Command::new(tools::tool("kubectl")).args(["kustomize", "deploy/"])),
    };
    assert_eq!(manifest, expected);

    // Made again, it is the same to the octet.
    let first = std::fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    release(&scratch, VERSION).unwrap();
    assert_eq!(std::fs::read_to_string(out.join("SHA256SUMS")).unwrap(), first);
}

/// Every blob has the digest and the size that lead to it, and the layer is the binary alone.
fn the_layout_is_valid(scratch: &Scratch, image: &Path, binary: &Path) {
    let layout = scratch.join("layout");
    std::fs::create_dir(&layout).unwrap();
    tools::output(Command::new("tar").arg("-xf").arg(image).arg("-C").arg(&layout));
    assert_eq!(json(&layout.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let blobs = layout.join("blobs/sha256");
    let mut seen = BTreeSet::new();
    let mut blob = |descriptor: &Value, kind: &str| {
        assert_eq!(descriptor["mediaType"], format!("application/vnd.oci.image.{kind}"));
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        let path = blobs.join(&digest);
        let sum = tools::output(Command::new("sha256sum").arg(&path));
        assert!(sum.starts_with(&digest), "{sum}");
        assert_eq!(descriptor["size"], std::fs::metadata(&path).unwrap().len());
        seen.insert(digest);
        path
    };
    let whole = &json(&layout.join("index.json"))["manifests"][0];
    assert_eq!(whole["annotations"]["org.opencontainers.image.ref.name"], VERSION);
    let index = json(&blob(whole, "index.v1+json"));
    let [descriptor] = &index["manifests"].as_array().unwrap()[..] else { panic!("{index}") };
    assert_eq!(descriptor["platform"], serde_json::json!({"architecture": "amd64", "os": "linux"}));
    let manifest = json(&blob(descriptor, "manifest.v1+json"));
    let config = json(&blob(&manifest["config"], "config.v1+json"));
    let layer = blob(&manifest["layers"][0], "layer.v1.tar");
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    assert_eq!(std::fs::read_dir(&blobs).unwrap().count(), seen.len(), "no blob is left over");

    // The settings of the Dockerfile's last stage.
    let dockerfile = read("Dockerfile");
    let stage = dockerfile.split("\nFROM scratch\n").nth(1).unwrap();
    let line = |word: &str| stage.lines().find_map(|line| line.strip_prefix(word)).unwrap().trim();
    assert_eq!(config["config"]["User"], line("USER"));
    assert_eq!(config["config"]["Env"], serde_json::json!([line("ENV")]));
    assert_eq!(config["config"]["Entrypoint"].to_string(), line("ENTRYPOINT"));
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], "0123abc");

    let listed = tools::output(Command::new("tar").arg("--numeric-owner").arg("-tvf").arg(&layer));
    assert!(listed.starts_with("-rwxr-xr-x 0/0 ") && listed.trim().ends_with(" notariat"), "{listed}");
    assert_eq!(listed.lines().count(), 1, "{listed}");
    tools::output(Command::new("tar").arg("-xf").arg(&layer).arg("-C").arg(&layout));
    tools::output(Command::new("cmp").arg(layout.join("notariat")).arg(binary));
}

fn the_packages_are_those_of_the_tree(out: &Path) {
    let tree = read("vendor-notes/tree.txt");
    let packages: BTreeMap<String, bool> = tree
        .lines()
        .map(|line| {
            let [name, version, kind] = line.split(' ').take(3).collect::<Vec<_>>()[..] else { panic!("{line}") };
            (format!("{name} {version}"), kind == "binary")
        })
        .collect();
    let sbom = json(&out.join("notariat.cdx.json"));
    assert_eq!((sbom["bomFormat"].as_str(), sbom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    let components = sbom["components"].as_array().unwrap();
    let found: BTreeMap<String, bool> = components
        .iter()
        .filter(|component| component["purl"].is_string())
        .map(|component| {
            let text = |field: &str| component[field].as_str().unwrap();
            assert_eq!(component["hashes"][0]["content"].as_str().unwrap().len(), 64, "{component}");
            (format!("{} {}", text("name"), text("version")), text("scope") == "required")
        })
        .collect();
    assert_eq!(found, packages);
    let linked: Vec<_> =
        components.iter().filter(|c| c["purl"].is_null()).map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(linked, ["rust-std", "glibc", "libgcc"]);
    let references: BTreeSet<&str> = components.iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
    for edge in sbom["dependencies"].as_array().unwrap() {
        let needs = edge["dependsOn"].as_array().unwrap();
        assert!(needs.iter().all(|need| references.contains(need.as_str().unwrap())), "{edge}");
    }
    let texts = std::fs::read_to_string(out.join("LICENSES.txt")).unwrap();
    for package in packages.keys().map(String::as_str).chain(["notariat ", "glibc ", "libgcc ", "rust-std "]) {
        assert!(texts.contains(package), "no licence text of {package}");
    }
}
