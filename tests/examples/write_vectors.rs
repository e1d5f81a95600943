//! Writes `tests/vectors` anew, for a new version of the model file's format:
//! `cargo run -p flowlet-tests --example write_vectors`. Not for a test that fails.

fn main() {
    flowlet_tests::vectors::write();
}
