//! Every wrong program of `cases/` is refused, in the words pinned beside it, and the right one compiles.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p flowlet-compile-fail`, and read the difference.

#[test]
fn wrong_programs_are_refused() {
    let cases = trybuild::TestCases::new();
    // Also makes trybuild build and not only check: const assertions fire when code is generated.
    cases.pass("cases/right.rs");
    cases.compile_fail("cases/wrong_*.rs");
}
