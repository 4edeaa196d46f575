//! The cost of a run in counts, so that no busy machine makes a finding: edges of the control flow for time, and octets of the allocator for
//! memory. Both must be linear in the input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

unsafe extern "C" {
    safe fn notariat_fuzz_steps() -> u64;
}

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// All octets that were ever taken. Copying is done by the C library, which has no counter, and most copies go to new memory.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Octets that are taken for the time of a step.
const OCTETS_PER_STEP: u64 = 16;

/// The allocator of the system, which counts.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn took(octets: usize) {
    TAKEN.fetch_add(octets, Relaxed);
    PEAK.fetch_max(HELD.fetch_add(octets, Relaxed) + octets, Relaxed);
}

// Safety: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// The bound of a function's cost: so much for each octet of its input, and so much for any input.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub steps_per_octet: u64,
    pub steps: u64,
    pub octets_per_octet: u64,
    pub octets: u64,
}

/// Runs `f` on an input of `length` octets.
///
/// # Panics
/// When it costs more than the bound.
#[track_caller]
pub fn linear<T>(length: usize, bound: Bound, f: impl FnOnce() -> T) -> T {
    let (held, taken, before) = (HELD.load(Relaxed), TAKEN.load(Relaxed), notariat_fuzz_steps());
    PEAK.store(held, Relaxed);
    let value = f();
    let taken = (TAKEN.load(Relaxed) - taken) as u64;
    let steps = notariat_fuzz_steps() - before + taken / OCTETS_PER_STEP;
    let octets = PEAK.load(Relaxed).saturating_sub(held) as u64;
    let length = length as u64;
    shown(length, steps, octets);
    let most = bound.steps + bound.steps_per_octet * length;
    assert!(steps <= most, "{steps} steps for {length} octets; {most} are possible");
    let most = bound.octets + bound.octets_per_octet * length;
    assert!(octets <= most, "{octets} octets of memory for an input of {length}; {most} are possible");
    value
}

/// With `FUZZ_COST` in the environment: prints the most expensive inputs so far, from which the bounds of a target are set.
fn shown(length: u64, steps: u64, octets: u64) {
    static MOST: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    static IS_SHOWN: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| std::env::var_os("FUZZ_COST").is_some());
    if !*IS_SHOWN {
        return;
    }
    for (most, cost, what) in [(&MOST[0], steps, "steps"), (&MOST[1], octets, "octets of memory")] {
        let each = cost as usize / (length as usize).max(64);
        if most.fetch_max(each, Relaxed) < each {
            eprintln!("cost: {each} {what} for each octet: {cost} for {length}");
        }
    }
}
