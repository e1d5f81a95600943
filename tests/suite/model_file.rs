//! Every loader refuses every file that is not whole, not of its type, or not sound, and says why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flowlet::model_file::{self, LoadError, PREFIX, Prefix};
use flowlet::{AffineCoupling, Chain, Detector, Ensemble, Float, Flow, Permute, Standardize};
use flowlet_tests::models::{Aligned, Style, body, detectors, host_model, with_checksum};
use flowlet_tests::vectors::{Line, Quantized, Unquantized, directory};
use flowlet_trainer::model::{Model, ModelError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(directory().join(name)).expect("a committed file")
}

/// What the compiler's loader says: the function that it runs, run here.
fn from_file(file: &[u8]) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _ = Quantized::from_file(file);
    }));
    outcome.map_err(|panic| *panic.downcast::<String>().expect("a formatted message"))
}

/// What the typed loaders agree on.
fn load(file: &[u8]) -> Result<(), LoadError> {
    let file = Aligned::new(file);
    let in_place = Quantized::from_flash(file.bytes()).map(|_| ());
    assert_eq!(Quantized::from_postcard(file.bytes()).map(|_| ()), in_place);
    assert_eq!(from_file(file.bytes()), in_place.map_err(|error| format!("flowlet: {error}")));
    in_place
}

/// What the host says.
fn load_on_host(file: &[u8]) -> Result<(), ModelError> {
    Model::from_bytes(file).map(|_| ())
}

fn refused(file: &[u8], what: &str) {
    load(file).expect_err(what);
    load_on_host(file).expect_err(what);
}

#[test]
fn a_whole_file_is_accepted() {
    let file = golden("quantized.flow");
    load(&file).unwrap();
    load_on_host(&file).unwrap();
    assert_eq!(model_file::length(&file), Ok(file.len()));
}

#[test]
fn every_flipped_bit_is_refused() {
    let file = golden("quantized.flow");
    for bit in 0..8 * file.len() {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refused(&damaged, &format!("bit {bit}"));
    }
}

#[test]
fn every_missing_or_doubled_byte_is_refused() {
    let file = golden("quantized.flow");
    for at in 0..file.len() {
        let mut shorter = file.clone();
        shorter.remove(at);
        refused(&shorter, &format!("without byte {at}"));
        refused(&file[..at], &format!("cut to {at} bytes"));
        let mut longer = file.clone();
        longer.insert(at, file[at]);
        refused(&longer, &format!("byte {at} doubled"));
    }
    for appended in [&[0][..], &[0xFF; 4], &file] {
        refused(&[&file[..], appended].concat(), "with bytes appended");
    }
}

#[test]
fn damage_is_refused_in_every_kind_of_model() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, detector) in detectors() {
        let architecture = detector.architecture();
        let body = std::iter::repeat_with(|| body(architecture, Style::Fitted, &mut rng))
            .take(1000)
            .find(|body| architecture.check_body::<128>(body).is_ok())
            .expect("an acceptable body");
        let mut file = Aligned::new(&host_model(architecture, &body).to_bytes());
        detector.load_in_place(file.bytes()).expect(name);
        detector.load_by_postcard(file.bytes()).expect(name);
        Model::from_bytes(file.bytes()).expect(name);
        for _ in 0..60 {
            let bit = rng.random_range(0..8 * file.bytes().len());
            file.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
            detector.load_in_place(file.bytes()).expect_err(name);
            detector.load_by_postcard(file.bytes()).expect_err(name);
            Model::from_bytes(file.bytes()).expect_err(name);
            file.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// The file with other bytes at an offset, and the checksum that goes with them.
fn patched(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = golden("quantized.flow");
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    with_checksum(&mut file);
    file
}

/// All loaders refuse the file with this message.
fn says(file: &[u8], message: &str) {
    let error = load(file).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(load_on_host(file).unwrap_err().to_string(), message);
}

#[test]
fn each_fault_of_the_prefix_has_its_message() {
    let file = golden("quantized.flow");
    let (n, fingerprint) = (file.len(), Quantized::ARCHITECTURE.fingerprint());
    says(&file[..31], "the model file has 31 bytes, its prefix alone takes 32: it is cut off");
    says(
        &patched(0, b"\x7fELF"),
        "this is no model file: it starts with 0x7f454c46776c6574 instead of 0x93666c6f776c6574",
    );
    says(
        &patched(8, &[2]),
        "the model file has format version 2, this build reads version 1: fit the model again, or use the other version \
         of flowlet",
    );
    says(
        &file[..n - 1],
        &format!("the model file should have {n} bytes and has {}: it is cut off, or something was appended", n - 1),
    );
    says(
        &patched(16, &[!file[16]]),
        &format!(
            "the model file is of another type: fingerprint 0x{:016x}, the type in the program has 0x{fingerprint:016x}: \
             use the .rs file that was written with it",
            fingerprint ^ 0xFF
        ),
    );
    let (prefix, _) = Prefix::split_from(&file).unwrap();
    let body = u32::from_le_bytes(prefix.body_length) as usize;
    for wrong in [body - 4, 0] {
        let error = load(&patched(24, &(wrong as u32).to_le_bytes())).unwrap_err();
        assert_eq!(error, LoadError::BodyLength { expected: body, found: wrong });
        assert_eq!(error.to_string(), format!("the body of the model file should have {body} bytes and has {wrong}"));
        load_on_host(&patched(24, &(wrong as u32).to_le_bytes())).unwrap_err();
    }
    refused(&patched(24, &u32::MAX.to_le_bytes()), "a body longer than the file");
    let crc = u32::from_le_bytes(prefix.crc);
    let mut damaged = file.clone();
    damaged[28] ^= 1;
    says(&damaged, &format!("the model file is damaged: its CRC-32 should be 0x{:08x} and is 0x{crc:08x}", crc ^ 1));
}

#[test]
fn a_file_of_another_type_is_refused_by_its_fingerprint() {
    let (expected, found) = (Quantized::ARCHITECTURE.fingerprint(), Unquantized::ARCHITECTURE.fingerprint());
    assert_eq!(load(&golden("unquantized.flow")), Err(LoadError::Fingerprint { expected, found }));
    load_on_host(&golden("unquantized.flow")).expect("the host reads the type from the file");
}

#[test]
fn a_misaligned_file_is_refused_in_place_and_copied_by_postcard() {
    let file = golden("quantized.flow");
    let shifted = Aligned::new(&[&[0][..], &file].concat());
    let file = &shifted.bytes()[1..];
    let error = Quantized::from_flash(file).unwrap_err();
    assert_eq!(error, LoadError::Misaligned { required: 4 });
    assert_eq!(
        error.to_string(),
        "the model file does not lie on a multiple of 4 bytes, so it cannot be used in place"
    );
    Quantized::from_postcard(file).unwrap();
    from_file(file).unwrap();
    load_on_host(file).unwrap();
}

#[test]
fn a_partition_gives_the_length_of_the_file_in_it() {
    let file = golden("quantized.flow");
    let region = [&file[..], &[0xFF; 1000]].concat();
    assert_eq!(model_file::length(&region), Ok(file.len()));
    let short = &file[..file.len() - 1];
    assert_eq!(model_file::length(short), Err(LoadError::Length { expected: file.len(), found: short.len() }));
    assert_eq!(model_file::length(&[0xFF; 16]), Err(LoadError::TooShort { expected: 32, found: 16 }));
    assert!(matches!(model_file::length(&[0xFF; 1000]), Err(LoadError::Magic { .. })));
}

/// Offsets in the body of [`Quantized`], from its type: what the loaders compute from the schema, computed by hand.
mod offset {
    pub const MEAN: usize = 0;
    pub const INVERSE_SCALE: usize = 12;
    pub const LOG_DET: usize = 24;
    pub const BLOCKS: usize = 28;
    pub const SOURCE: usize = BLOCKS;
    pub const INVERSE_BOUND: usize = SOURCE + 12;
    pub const INVERSE_INPUT_SCALE: usize = INVERSE_BOUND + 4;
    /// Two quads of rows by one of columns.
    pub const FIRST_BIAS: usize = INVERSE_INPUT_SCALE + 4 + 32;
    pub const FIRST_SCALE: usize = FIRST_BIAS + 32;
    pub const INNER_BIAS: usize = FIRST_SCALE + 32 + 64;
    pub const LAST_SCALE: usize = INNER_BIAS + 64 + 32 + 16;
    pub const BLOCK: usize = LAST_SCALE + 16 - BLOCKS;
    pub const CALIBRATION: usize = BLOCKS + 4 * BLOCK;
    pub const END: usize = CALIBRATION + 16 + 16 + 12;
}

#[test]
fn unsound_values_are_refused_whatever_the_checksum_says() {
    use offset::*;
    assert_eq!(size_of::<Quantized>(), END);
    let negative_multiplier = (-1_i16).to_le_bytes();
    let shift_of_32 = [0, 64, 32, 0];
    let limit = i32::MAX - 4 * 128 * 32767;
    let faults: &[(&str, usize, usize, &[u8])] = &[
        ("mean", MEAN, MEAN, &f32::NAN.to_le_bytes()),
        ("mean", MEAN, MEAN + 8, &f32::INFINITY.to_le_bytes()),
        ("inverse_scale", INVERSE_SCALE, INVERSE_SCALE + 4, &0_f32.to_le_bytes()),
        ("inverse_scale", INVERSE_SCALE, INVERSE_SCALE, &(-1_f32).to_le_bytes()),
        ("inverse_scale", INVERSE_SCALE, INVERSE_SCALE + 8, &f32::NAN.to_le_bytes()),
        ("log_det", LOG_DET, LOG_DET, &f32::NEG_INFINITY.to_le_bytes()),
        ("source", SOURCE, SOURCE, &3_u32.to_le_bytes()),
        ("source", SOURCE, SOURCE + 4, &u32::MAX.to_le_bytes()),
        ("source", SOURCE, SOURCE, &[0; 12]),
        ("source", SOURCE + 3 * BLOCK, SOURCE + 3 * BLOCK, &[1, 0, 0, 0, 1, 0, 0, 0]),
        ("inverse_bound", INVERSE_BOUND, INVERSE_BOUND, &[0; 4]),
        ("inverse_input_scale", INVERSE_INPUT_SCALE, INVERSE_INPUT_SCALE, &f32::INFINITY.to_le_bytes()),
        ("bias", FIRST_BIAS, FIRST_BIAS + 28, &(limit + 1).to_le_bytes()),
        ("bias", FIRST_BIAS, FIRST_BIAS, &i32::MIN.to_le_bytes()),
        ("scale", FIRST_SCALE, FIRST_SCALE + 12, &negative_multiplier),
        ("scale", FIRST_SCALE, FIRST_SCALE, &shift_of_32),
        ("scale", LAST_SCALE, LAST_SCALE + 4, &(-0_f32).to_le_bytes()),
        ("scores", CALIBRATION, CALIBRATION + 4, &f32::MIN.to_le_bytes()),
        ("scores", CALIBRATION, CALIBRATION, &f32::NAN.to_le_bytes()),
        ("above", CALIBRATION + 16, CALIBRATION + 16 + 12, &u32::MAX.to_le_bytes()),
        ("threshold", END - 8, END - 8, &f32::NAN.to_le_bytes()),
        ("false_alarm_rate", END - 4, END - 4, &0_f32.to_le_bytes()),
        ("false_alarm_rate", END - 4, END - 4, &1.5_f32.to_le_bytes()),
        ("false_alarm_rate", END - 4, END - 4, &f32::NAN.to_le_bytes()),
    ];
    for &(name, offset, at, bytes) in faults {
        let file = patched(PREFIX + at, bytes);
        assert_eq!(load(&file), Err(LoadError::Field { name, offset }), "{name} at {at}");
        says(
            &file,
            &format!("field `{name}` at byte {offset} of the model's body holds a value that its layer does not allow"),
        );
    }
    // At the limit itself a bias is fine.
    load(&patched(PREFIX + FIRST_BIAS, &limit.to_le_bytes())).unwrap();
}

#[test]
fn permutations_with_which_features_do_not_meet_are_refused() {
    let file = golden("quantized.flow");
    let with_orders = |orders: [[u32; 3]; 4]| {
        let mut file = file.clone();
        for (block, order) in orders.iter().enumerate() {
            let at = PREFIX + offset::SOURCE + block * offset::BLOCK;
            file[at..at + 12].copy_from_slice(&order.map(u32::to_le_bytes).concat());
        }
        with_checksum(&mut file);
        file
    };
    let same = [0, 1, 2];
    // The first coordinate always passes: feature 0 is never transformed.
    says(
        &with_orders([same; 4]),
        "feature 0 is never transformed by any layer: add a layer, or permute between couplings",
    );
    // Only features 0 and 1 ever take turns in the first place, so each of them meets feature 2.
    load(&with_orders([same, [1, 0, 2], same, same])).unwrap();
}

#[test]
fn pairs_that_never_interact_are_named() {
    type Block = Chain<Permute<4>, AffineCoupling<1, 3, Float<1, 1, 0, 2>>>;
    type Stars = Detector<Flow<4, [Block; 2]>, 1>;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut body = body(&Stars::ARCHITECTURE, Style::Fitted, &mut rng);
    let mut check = |orders: [[u32; 4]; 2]| {
        for (block, order) in orders.iter().enumerate() {
            let at = block * size_of::<Block>();
            body[at..at + 16].copy_from_slice(&order.map(u32::to_le_bytes).concat());
        }
        let mut file = without_metadata(&Stars::ARCHITECTURE, &body);
        with_checksum(&mut file);
        let file = Aligned::new(&file);
        Stars::from_flash(file.bytes()).map(|_| ())
    };
    // First all are conditioned on 0. If then all are on 1, features 2 and 3 have not met.
    let error = check([[0, 1, 2, 3], [1, 0, 2, 3]]).unwrap_err();
    assert_eq!(error, LoadError::NeverInteract { first: 2, second: 3 });
    assert_eq!(
        error.to_string(),
        "features 2 and 3 never interact: no base coordinate depends on both: add a layer, or permute between couplings"
    );
    assert_eq!(check([[0, 1, 2, 3], [0, 1, 2, 3]]), Err(LoadError::NeverTransformed { feature: 0 }));
}

#[test]
fn each_flow_of_an_ensemble_is_checked() {
    type Block = Chain<Permute<3>, AffineCoupling<1, 2, Float<1, 1, 0, 1>>>;
    type Members = Ensemble<3, 2, [Block; 2]>;
    type Together = Detector<Flow<3, Standardize<3>, Members>, 1>;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let body = body(&Together::ARCHITECTURE, Style::Fitted, &mut rng);
    let members = size_of::<Standardize<3>>() + 2 * 8;
    let check = |change: &dyn Fn(&mut [u8])| {
        let mut body = body.clone();
        for member in 0..2 {
            for (block, order) in [[0_u32, 1, 2], [1, 2, 0]].into_iter().enumerate() {
                let at = members + (2 * member + block) * size_of::<Block>();
                body[at..at + 12].copy_from_slice(&order.map(u32::to_le_bytes).concat());
            }
        }
        change(&mut body);
        let mut file = without_metadata(&Together::ARCHITECTURE, &body);
        with_checksum(&mut file);
        let file = Aligned::new(&file);
        Together::from_flash(file.bytes()).map(|_| ())
    };
    assert_eq!(check(&|_| ()), Ok(()));
    // Only one of them never transforms a feature, whichever it is.
    for member in 0..2 {
        let at = members + (2 * member + 1) * size_of::<Block>();
        let same = [0_u32, 1, 2].map(u32::to_le_bytes).concat();
        let result = check(&|body| body[at..at + 12].copy_from_slice(&same));
        assert_eq!(result, Err(LoadError::NeverTransformed { feature: 0 }), "member {member}");
        let result = check(&|body| body[at] = 3);
        assert_eq!(result, Err(LoadError::Field { name: "source", offset: at }), "member {member}");
    }
    let weight = size_of::<Standardize<3>>();
    let result = check(&|body| body[weight..weight + 4].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert_eq!(result, Err(LoadError::Field { name: "offset", offset: weight }));
}

/// A file without metadata, and without a checksum.
fn without_metadata(architecture: &model_file::Architecture, body: &[u8]) -> Vec<u8> {
    let length = (PREFIX + body.len()) as u32;
    let numbers = [model_file::VERSION, length].map(u32::to_le_bytes).concat();
    let fingerprint = architecture.fingerprint().to_le_bytes();
    let body_length = (body.len() as u32).to_le_bytes();
    [&model_file::MAGIC[..], &numbers, &fingerprint, &body_length, &[0; 4], body].concat()
}

#[test]
fn metadata_that_do_not_fit_are_refused_on_the_host() {
    let (file, other) = (golden("quantized.flow"), golden("unquantized.flow"));
    let metadata = |file: &[u8]| PREFIX + u32::from_le_bytes(file[24..28].try_into().unwrap()) as usize;
    let splice = |tail: &[u8]| {
        let mut spliced = [&file[..metadata(&file)], tail].concat();
        let length = (spliced.len() as u32).to_le_bytes();
        spliced[12..16].copy_from_slice(&length);
        with_checksum(&mut spliced);
        spliced
    };
    // Of another model.
    let error = load_on_host(&splice(&other[metadata(&other)..])).unwrap_err();
    assert!(matches!(error, ModelError::Load(LoadError::Fingerprint { .. })), "{error}");
    // None, cut off, or no text.
    for tail in [&[][..], &file[metadata(&file)..file.len() - 1], &[0xFF; 40], b"\x08nonsense\x00"] {
        load_on_host(&splice(tail)).unwrap_err();
    }
    // The device has no use for them and does not read them.
    load(&splice(b"\x08nonsense\x00")).unwrap();
}

#[test]
fn the_smallest_model_has_the_size_that_its_fields_add_up_to() {
    assert_eq!(size_of::<Line>(), 12 + (2 + 2) * 4 + 12);
    assert_eq!(Line::FLASH, 40);
}
