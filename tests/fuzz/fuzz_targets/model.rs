//! The model loaders.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flowlet_tests::fuzz::model(bytes));
