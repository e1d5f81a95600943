//! The Rust in the project's README is of programs that compile and run.

#[test]
fn the_readmes_programs_are_the_examples() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{folder}/../README.md")).expect("the README is there");
    let examples = ["score", "watch"]
        .map(|name| std::fs::read_to_string(format!("{folder}/model/{name}.rs")).expect("the example is there"));
    let blocks: Vec<&str> = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "the README shows a program");
    for block in blocks {
        assert!(examples.iter().any(|example| example.contains(block)), "in no example of firmware/model:\n{block}");
    }
}
