//! What Redis tells by itself, as bytes of its protocol and as values.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cache_redis::__fuzz::push(bytes));
