//! The reader of CSV files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flowlet_tests::fuzz::table(bytes));
