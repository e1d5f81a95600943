//! Every implementation gives the bits of the golden files.

use std::fs;

use flowlet_tests::vectors::{Conditioned, Line, Quantized, Unquantized, directory, read};
use flowlet_trainer::model::{Metadata, Training};

macro_rules! vectors {
    ($($test:ident: $type:ty;)*) => {
        $(#[test]
        fn $test() {
            static MODEL: $type = <$type>::from_file(include_bytes!(concat!("../vectors/", stringify!($test), ".flow")));
            let name = stringify!($test);
            let (host, vectors) = read(name);
            assert_eq!(host.architecture().describe(), vectors.architecture, "{name}");
            assert_eq!(format!("0x{:016x}", <$type>::ARCHITECTURE.fingerprint()), vectors.fingerprint, "{name}");
            vectors.check(&host.scorer());
            vectors.check(&MODEL);
        })*
    };
}

vectors! {
    line: Line;
    quantized: Quantized;
    unquantized: Unquantized;
    conditioned: Conditioned;
}

/// The bytes of `line.flow`, as `core/FORMAT.md` explains them.
#[test]
fn the_smallest_file_is_as_the_format_document_shows_it() {
    let file = fs::read(directory().join("line.flow")).expect("a committed file");
    let document = fs::read_to_string(directory().join("../../core/FORMAT.md")).expect("FORMAT.md");
    // A line of the dump: `0020: 00 11 22 ...   what it is`.
    let dumped: Vec<u8> = document
        .lines()
        .filter_map(|line| {
            line.split_once(": ").filter(|(offset, _)| offset.len() == 4 && usize::from_str_radix(offset, 16).is_ok())
        })
        .flat_map(|(_, rest)| rest.split("  ").next().unwrap_or_default().split(' ').collect::<Vec<_>>())
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"))
        .collect();
    assert_eq!(dumped, file);
}

/// What JSON cannot say in the vectors is in the files: names, for host tools.
#[test]
fn metadata_are_read_back() {
    let (model, _) = read("line");
    let Metadata { features, training, .. } = model.metadata();
    assert_eq!(features.len(), 1);
    assert_eq!(*training, Training::default());
}
