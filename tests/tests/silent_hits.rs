//! A local hit makes no system call: a process under a filter that ends it at the first one does a
//! million of them. (That it asks Redis nothing either is counted in tracking.rs.)
#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use cache_tests::server::RedisServer;
use cache_tests::service::program;

const SIGSYS: i32 = 31;

fn run(words: &[&str]) -> Output {
    program(env!("CARGO_BIN_EXE_silent-hits"), None)
        .args(words)
        .output()
        .unwrap()
}

#[track_caller]
fn is_silent(words: &[&str]) {
    let output = run(words);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words:?}: {output:?}");
    assert_eq!(printed, "warm\nno system call in all of them\n");
}

#[track_caller]
fn is_ended(words: &[&str]) {
    let output = run(words);
    assert_eq!(
        output.status.signal(),
        Some(SIGSYS),
        "{words:?}: {output:?}"
    );
    assert_eq!(output.stdout, b"warm\n", "it got as far as the filter");
}

#[test]
fn a_hit_in_the_process_makes_no_system_call() {
    is_silent(&["embedded", "plain"]);
    is_silent(&["embedded", "async"]);
}

#[test]
fn a_hit_that_is_tracked_makes_no_system_call() {
    let server = RedisServer::start();
    is_silent(&["tracked", "plain", &server.url()]);
    is_silent(&["tracked", "async", &server.url()]);
}

#[test]
fn what_asks_redis_would_be_noticed() {
    let server = RedisServer::start();
    is_ended(&["tracked", "miss", &server.url()]);
    is_ended(&["checked", "plain", &server.url()]);
    is_ended(&["checked", "async", &server.url()]);
}
