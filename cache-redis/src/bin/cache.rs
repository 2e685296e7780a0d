//! `cache`: looks after the caches that share a Redis, from a terminal.

use std::process::ExitCode;

fn main() -> ExitCode {
    cache_redis::cli::run()
}
