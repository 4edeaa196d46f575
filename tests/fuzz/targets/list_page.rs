//! A page of a list: its objects are those that serde_json reads, however the body is cut into parts; a page that is cut off is an error and never a
//! shorter page; no error has a part of a value. Time is linear, and memory is bounded by one object.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use notariat::kube::list::{ListError, ListPage};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, text};
use notariat_fuzz::planted;
use serde_json::Value;

const COST: Bound = Bound { steps_per_octet: 600, steps: 50_000, octets_per_octet: 64, octets: 5 * 1024 * 1024 };

/// A body that comes in parts of a few octets.
struct Parts<'b>(&'b [u8], usize);

impl Read for Parts<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = out.len().min(self.1).min(self.0.len());
        let (now, later) = self.0.split_at(length);
        out[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

fn page(body: &[u8], part: usize) -> Result<(Vec<Value>, ListPage), ListError> {
    let mut items = Vec::new();
    ListPage::read(Parts(body, part), |item| {
        items.push(item);
        true
    })
    .map(|page| (items, page))
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (part, cut) = (1 + usize::from(input.octet()), input.number());
    let raw = text(input.rest());
    if planted::is_hinted(&raw) {
        return;
    }
    let body = planted::filled(&raw);
    let read = linear(body.len(), COST, || page(body.as_bytes(), 4096));
    let in_parts = page(body.as_bytes(), part);
    match (&read, &in_parts) {
        (Ok(whole), Ok(parts)) => assert_eq!(whole, parts),
        (Err(_), Err(_)) => {}
        (whole, parts) => panic!("{whole:?} as a whole, {parts:?} in parts"),
    }
    if let Err(e) = &read {
        planted::assert_absent(&format!("{e:?}"));
    }
    let Ok((items, page_read)) = read else { return };
    let known: Value = serde_json::from_str(&body).expect("what is read is JSON");
    // A field that stands twice is read twice, which no server sends.
    if body.matches("items").count() == 1 && !body.contains('\\') {
        assert_eq!(items, known["items"].as_array().cloned().unwrap_or_default());
        assert_eq!(Some(page_read.resource_version.as_str()), known["metadata"]["resourceVersion"].as_str());
    }
    assert!(items.iter().all(|item| item["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty())));
    let end = body.trim_end().len();
    let short = &body.as_bytes()[..usize::from(cut) % end.max(1)];
    assert!(page(short, part).is_err(), "a page that is cut off is read");
});
