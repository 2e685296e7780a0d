//! A short soak: every fault there is, once, and not one promise broken. `./tests/soak` runs longer.

use std::time::Duration;

use cache_tests::soak::{Fault, Plan};

fn plan() -> Plan {
    let beat = Duration::from_millis(300);
    Plan::new(env!("CARGO_BIN_EXE_soak"), 7).heartbeat(beat, beat)
}

#[test]
fn every_fault_once_and_no_promise_is_broken() {
    let summary = plan().pace(300..600, 100..300).run();
    println!("{}\n{}", summary.headline(), summary.page("the test"));
    assert!(summary.wrongs().is_empty(), "{:#?}", summary.wrongs());
    assert!(summary.applied() > 100, "{}", summary.applied());
    let local = summary.healthy_local_hits();
    assert!(local > 50.0, "{local} % local hits in times of health");
}

#[test]
fn a_promise_that_is_broken_is_noticed() {
    // While the network swallows what Redis says, a node may be behind for as long as the real bound.
    let faults = [Fault::SwallowedForOne; 6];
    let summary = plan()
        .faults(&faults)
        .pace(300..600, 100..300)
        .claimed(Duration::from_millis(50))
        .run();
    println!("{}", summary.headline());
    assert!(summary.stale_reads() > 0);
    assert_eq!(summary.failed_calls(), 0);
}
