//! Builds the counter of steps, and has every target's calls of libFuzzer's `trace-pc` go there.

fn main() {
    println!("cargo:rerun-if-changed=src/steps.c");
    cc::Build::new().file("src/steps.c").opt_level(2).compile("steps");
    println!("cargo:rustc-link-arg-bins=-Wl,--wrap=__sanitizer_cov_trace_pc");
}
