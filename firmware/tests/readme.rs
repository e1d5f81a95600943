//! The Rust in the project's README is the program that compiles and runs.

#[test]
fn the_readmes_program_is_the_example() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{folder}/../README.md")).expect("the README is there");
    let example = std::fs::read_to_string(format!("{folder}/model/score.rs")).expect("the example is there");
    let blocks: Vec<&str> = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "the README shows a program");
    for block in blocks {
        assert!(example.contains(block), "not in firmware/model/score.rs:\n{block}");
    }
}
