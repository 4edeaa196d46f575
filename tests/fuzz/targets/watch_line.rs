//! A line of a watch: the object of an event is the one that serde_json reads, and no error has a part of a value. Time is linear, and memory is bounded
//! by the line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::base::name::ObjectRef;
use notariat::kube::watch_event::WatchEvent;
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::text;
use notariat_fuzz::planted;
use serde_json::Value;

/// A tree may take 4 MiB and twice its text; the error of a watch is read from a second text of it.
const COST: Bound = Bound { steps_per_octet: 600, steps: 50_000, octets_per_octet: 64, octets: 5 * 1024 * 1024 };

fuzz_target!(|data: &[u8]| {
    let raw = text(data);
    if planted::is_hinted(&raw) {
        return;
    }
    let line = planted::filled(&raw);
    let read = linear(line.len(), COST, || WatchEvent::read(line.as_bytes()));
    let known = serde_json::from_str::<Value>(&line);
    let (event, version) = match read {
        Ok(read) => read,
        Err(e) => return planted::assert_absent(&e),
    };
    let known = known.expect("what is read is JSON");
    let field = |name: &str| known["object"]["metadata"].get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = known["type"].as_str().expect("an event has a type");
    if kind != "ERROR" {
        assert_eq!(version, field("resourceVersion"));
    }
    match event {
        WatchEvent::Object(object) => {
            assert!(matches!(kind, "ADDED" | "MODIFIED"));
            assert_eq!(object, known["object"]);
        }
        WatchEvent::Gone(at) => {
            assert_eq!(
                (kind, at),
                ("DELETED", ObjectRef::new(&field("namespace").unwrap_or_default(), &field("name").expect("a name")))
            );
        }
        WatchEvent::Failed(_) => assert_eq!((kind, version), ("ERROR", None)),
        WatchEvent::Bookmark => assert!(!matches!(kind, "ADDED" | "MODIFIED" | "DELETED" | "ERROR")),
    }
});
