//! Texts that are, or are taken for, the URL of a Redis.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| cache_redis::__fuzz::url(text));
