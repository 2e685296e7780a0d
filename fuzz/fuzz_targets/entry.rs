//! Entries as Redis may hand them out: a header, tags, a payload, or anything else.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cache_core::__fuzz::entry(bytes));
