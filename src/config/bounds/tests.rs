use super::*;
use crate::base::time::Stopwatch;
use crate::config::node::YamlNode;
use serde::Deserialize as _;
use std::time::Duration;

const WIDE: Bounds = Bounds { depth: 60, nodes: usize::MAX };

fn nodes(text: &str) -> usize {
    within(text, WIDE).unwrap()
}

/// Events that the parser makes of a tree without aliases.
fn events(node: &YamlNode) -> usize {
    match node {
        YamlNode::List(items) => 2 + items.iter().map(events).sum::<usize>(),
        YamlNode::Map(pairs) => 2 + pairs.iter().map(|(key, value)| events(key) + events(value)).sum::<usize>(),
        _ => 1,
    }
}

fn depth(node: &YamlNode) -> usize {
    match node {
        YamlNode::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        YamlNode::Map(pairs) => {
            1 + pairs.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or_default()
        }
        _ => 0,
    }
}

fn parsed(text: &str) -> Option<YamlNode> {
    YamlNode::deserialize(serde_yaml::Deserializer::from_str(text)).ok()
}

/// The deepest nesting that the scan sees. An indentless list in a mapping and a pair in a `[` are one more for the parser.
fn scanned_depth(text: &str) -> usize {
    let (mut scanner, mut most) = (Scanner::new(text), 0);
    while scanner.step() {
        most = most.max(scanner.depth());
    }
    most
}

#[test]
fn usual_configurations_have_the_counts_that_they_seem_to_have() {
    for (text, depth, most) in [
        ("- {secret: a, domains: [a.test]}\n", 3, 12),
        ("- secret: a\n  domains:\n    - a.test\n    - \"*.a.test\" # [[[[\n", 3, 14),
        ("a: |\n  [[[[[[\n  - - - - -\nb: >-\n  {{{{\nc: x\n", 1, 12),
        ("a: 'it''s [[['\nb: \"\\\"[[[\"\nc: see [1] and {2}\nd: x\n  [[[\n", 1, 14),
        ("- &x [a]\n- *x\n- !!str b\n", 2, 12),
        ("a:\n- b\n- c: 1\n", 2, 12),
    ] {
        assert_eq!(scanned_depth(text), depth, "{text}");
        let tree = parsed(text).unwrap_or_else(|| panic!("{text}"));
        assert!(nodes(text) <= most && nodes(text) + 1 >= events(&tree), "{text}: {}", nodes(text));
    }
}

#[test]
fn of_what_the_parser_reads_the_scan_sees_every_node_and_every_level() {
    let parts = [
        "[", "]", "{", "}", ",", ":", ": ", "- ", "-", "? ", "?", "\n", "\n  ", "\n    ", " ", "a", "b: ", "\"", "'",
        "#", " # ", "|\n", ">-\n", "|2\n", "&a ", "*a ", "!t ", "!!str ", "\\", "é", "\u{2028}", "---\n", "\u{feff}",
        "%", "\"\": ", "'x'", "\t", "\r\n", "...\n", "!<t> ", "[a, ", "]\n", "{a: ", "}\n", "- a\n", "b: c\n",
        "  - d\n",
    ];
    let (mut seed, mut read) = (0x2545_f491_4f6c_dd1d_u64, 0);
    for round in 0..60_000 {
        let mut text = String::new();
        for _ in 0..3 + round % 12 {
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push_str(parts[usize::try_from(seed % parts.len() as u64).unwrap()]);
        }
        let Some(tree) = parsed(&text).filter(|_| !text.contains('*')) else { continue };
        read += usize::from(tree != YamlNode::Null && depth(&tree) > 0);
        assert!(nodes(&text) + 1 >= events(&tree), "{text:?}: {tree:?} {}", nodes(&text));
        assert!(2 * scanned_depth(&text) >= depth(&tree), "{text:?}: {tree:?} {}", scanned_depth(&text));
    }
    assert!(read > 300, "{read}");
}

#[test]
fn deep_long_and_strange_texts_are_told_from_configurations_at_once() {
    let watch = Stopwatch::start();
    for (text, part) in [
        (format!("a: {}", "[".repeat(900_000)), "line 1 is nested deeper than 32 levels"),
        (format!("a: {}", "[ # ]\n".repeat(100_000)), "line 32 is nested deeper"),
        (format!("a: {}", "[ ']'\n".repeat(100_000)), "nested deeper"),
        ("- ".repeat(400_000), "nested deeper"),
        ("? ".repeat(400_000), "nested deeper"),
        (format!("a: [{}]", "b,".repeat(500_000)), "line 1 is behind 240000 values"),
        (format!("a: {{{}}}", "b,".repeat(500_000)), "line 1 is behind 240000 values"),
        ("-\n".repeat(500_000), "is behind 240000 values"),
        (format!("a: [{}]", "?,".repeat(500_000)), "is behind 240000 values"),
        ("%TAG !a! b\n".repeat(90_000), "line 5 is one of more than 4 lines that begin with `%`"),
    ] {
        let error = check_document(&text).expect_err(part);
        assert!(error.contains(part), "{error}");
    }
    let data = [("certificates".to_owned(), "-\n".repeat(90_000)), ("certificates-b".to_owned(), "-\n".repeat(90_000))];
    let more = [("a".to_owned(), "[".repeat(1000)), ("certificates-c".to_owned(), "-\n".repeat(90_000))];
    let data: BTreeMap<String, String> = data.into_iter().chain(more).collect();
    let error = check(texts(&data, |key| key.starts_with("cert"))).unwrap_err();
    assert!(error.starts_with("key `certificates-c`: with line 59998 there are 240000"), "{error}");
    let large = BTreeMap::from([("a".to_owned(), "x".repeat(600_000)), ("b".to_owned(), "x".repeat(600_000))]);
    let error = check(texts(&large, |_| true)).unwrap_err();
    assert!(error.starts_with("key `b`: with it there are 1200000 octets"), "{error}");
    assert!(watch.elapsed() < Duration::from_secs(20), "{:?}", watch.elapsed());
}

#[test]
fn a_full_configmap_is_within_the_bounds() {
    let text: String = (0..20_000).map(|i| format!("- {{secret: s{i}, domains: [a{i}.b.example.com]}}\n")).collect();
    assert!(text.len() < CONFIG_MAP_OCTETS_MAX && check_document(&text).is_ok(), "{}", nodes(&text));
    let block: String = (0..20_000).map(|i| format!("- secret: s{i}\n  domains:\n    - a{i}.example.com\n")).collect();
    assert!(block.len() < CONFIG_MAP_OCTETS_MAX && check_document(&block).is_ok(), "{}", nodes(&block));
}
