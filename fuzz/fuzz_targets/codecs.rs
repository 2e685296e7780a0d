//! Payloads of values of several types, in every codec, with the memory that decoding them takes.

#![no_main]

fn peak(run: &mut dyn FnMut()) -> u64 {
    allocation_counter::measure(run).bytes_max
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cache_core::__fuzz::codec(bytes, peak));
