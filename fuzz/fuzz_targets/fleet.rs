//! The figures of a fleet and its nodes, as somebody may have written them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cache_redis::__fuzz::fleet(bytes));
