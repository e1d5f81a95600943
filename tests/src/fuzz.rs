//! Fuzz targets: functions of any bytes that must return, whatever the bytes are.
//!
//! The tests run them on mutated seeds ([`mutate`]) and on kept regressions; `tests/fuzz` runs them under libFuzzer.

use flowlet::model_file::{self, MAGIC, PREFIX, Prefix, VERSION};
use flowlet::{AffineCoupling, Chain, Cube, Detector, Float, Flow, Int8, Permute, Standardize};
use flowlet_firmware::message::{Request, Response, Values};
use flowlet_firmware::{Malformed, Receiver, frame};
use flowlet_trainer::data::{Missing, Readings, Roles, Table, notes, quantization_steps};
use flowlet_trainer::model::{Architecture, Metadata, Model};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::models::{Aligned, Style, body, host_model, with_checksum};

/// Both nets, a permutation that is data, and a singularity.
type Typed = Detector<
    Flow<
        3,
        Chain<
            Standardize<3>,
            Chain<
                [Chain<Permute<3>, AffineCoupling<1, 2, Int8<1, 1, 1, 1>>>; 2],
                Chain<[Chain<Permute<3>, AffineCoupling<1, 2, Float<1, 1, 0, 1>>>; 2], Cube>,
            >,
        >,
    >,
    3,
>;

/// The model loaders. What they accept must score.
///
/// # Panics
/// If a loader accepts what another refuses, or an accepted model gives a score that is not finite.
pub fn model(bytes: &[u8]) {
    // As they come.
    let file = Aligned::new(bytes);
    assert_eq!(Typed::from_flash(file.bytes()).is_ok(), Typed::from_postcard(file.bytes()).is_ok());
    let _ = model_file::length(bytes);
    host(bytes);
    // As the body of a file that is whole, so that the checks of the values are reached.
    let mut rest = bytes.to_vec();
    rest.resize(size_of::<Typed>().max(bytes.len()), 0);
    let file = Aligned::new(&sealed(&rest, size_of::<Typed>(), Typed::ARCHITECTURE.fingerprint()));
    let (in_place, copied) = (Typed::from_flash(file.bytes()), Typed::from_postcard(file.bytes()));
    assert_eq!(in_place.is_ok(), copied.is_ok());
    if let Ok(model) = in_place {
        for reading in [[0.0; 3], [1.0, -1e30, 3e38], [f32::MIN_POSITIVE, 5.0, -0.1]] {
            if let Ok(assessment) = model.assess(&reading, &[]) {
                assert!(assessment.log_prob.is_finite() && (0.0..=1.0).contains(&assessment.p_value));
            }
        }
    }
    // As body and metadata of a file for the host, wherever the border is said to be.
    if let Some((border, rest)) = bytes.split_first_chunk() {
        let border = usize::from(u16::from_le_bytes(*border));
        if let Some((_, metadata)) = rest.split_at_checked(border) {
            host(&sealed(rest, border, fingerprint_in(metadata).unwrap_or_default()));
        }
    }
}

/// Bodies, whole files, and bodies and metadata with the border between them in front: all of them accepted.
///
/// # Panics
/// If they are not.
#[must_use]
pub fn model_seeds() -> Vec<Vec<u8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut seeds = Vec::new();
    for style in [Style::Fitted, Style::Initial, Style::Hostile] {
        let body = std::iter::repeat_with(|| body(&Typed::ARCHITECTURE, style, &mut rng))
            .find(|body| Typed::ARCHITECTURE.check_body::<3>(body).is_ok())
            .expect("an acceptable body");
        let file = Aligned::new(&host_model(&Typed::ARCHITECTURE, &body).to_bytes());
        Typed::from_flash(file.bytes()).expect("a good file");
        Model::from_bytes(file.bytes()).expect("a good file");
        seeds.push([&file.bytes()[24..26], &file.bytes()[PREFIX..]].concat());
        seeds.extend([file.bytes().to_vec(), body]);
    }
    seeds
}

/// A file with this body and what follows it, its prefix in order.
fn sealed(rest: &[u8], body_length: usize, fingerprint: u64) -> Vec<u8> {
    let length = (PREFIX + rest.len()) as u32;
    let numbers = [VERSION, length].map(u32::to_le_bytes).concat();
    let body_length = (body_length as u32).to_le_bytes();
    let mut file = [&MAGIC[..], &numbers, &fingerprint.to_le_bytes(), &body_length, &[0; 4], rest].concat();
    with_checksum(&mut file);
    file
}

/// The fingerprint of the architecture that metadata name, if they do.
fn fingerprint_in(metadata: &[u8]) -> Option<u64> {
    let metadata: Metadata = postcard::from_bytes(metadata).ok()?;
    let architecture = Architecture::parse(&metadata.architecture).ok()?;
    architecture.is_consistent().then(|| architecture.to_core().fingerprint())
}

fn host(file: &[u8]) {
    let Ok(model) = Model::from_bytes(file) else { return };
    let scorer = model.scorer();
    let (reading, context) = (vec![0.5; model.architecture().features], vec![0.5; model.architecture().context]);
    if let Ok(assessment) = scorer.assess(&reading, &context) {
        assert!(assessment.log_prob.is_finite());
    }
    // What was read can be written, and read again.
    let written = model.to_bytes();
    assert_eq!(Model::from_bytes(&written).map(|model| model.to_bytes()).ok(), Some(written));
    let _ = Prefix::split_from(file);
}

/// The parser of frames. Whatever came before, it understands the next frame after a delimiter.
///
/// # Panics
/// If it does not, or gives a frame longer than its buffer.
pub fn frames(bytes: &[u8]) {
    const LONGEST: usize = frame::max_request(4) - 1;
    let mut receiver = Receiver::<LONGEST>::new();
    for byte in bytes {
        match receiver.push(*byte) {
            Some(Ok(frame)) => {
                assert!(!frame.is_empty() && frame.len() <= LONGEST);
                let _ = frame::decode::<Response>(&mut frame.to_vec());
                match frame::decode::<Request<Values<4>>>(frame) {
                    Ok(Request::Reading { values, .. }) => drop(values.get()),
                    Ok(_) | Err(Malformed::Cobs | Malformed::Crc | Malformed::Content) => {}
                    Err(Malformed::TooLong) => panic!("a frame that fits is not too long"),
                }
            }
            Some(Err(error)) => assert_eq!(error, Malformed::TooLong),
            None => {}
        }
    }
    let _ = receiver.push(frame::DELIMITER);
    let request = frame::encode::<_, { LONGEST + 1 }>(&Request::<&[f32]>::Statistics).expect("it fits");
    let mut understood = false;
    for byte in request {
        if let Some(Ok(frame)) = receiver.push(byte) {
            understood = frame::decode(frame) == Ok(Request::<Values<4>>::Statistics);
        }
    }
    assert!(understood, "back in step after a delimiter");
}

/// The reader of CSV files. What it accepts is a matrix of finite numbers; what it refuses has a message of one piece.
///
/// # Panics
/// If it is not, or has not.
pub fn table(bytes: &[u8]) {
    let table = match Table::parse("fuzz.csv", bytes) {
        Ok(table) => table,
        Err(error) => return assert!(error.to_string().starts_with("fuzz.csv")),
    };
    let column = |index: usize| table.columns().get(index).cloned();
    for roles in [
        Roles::default(),
        Roles { label: column(0), ..Roles::default() },
        Roles {
            label: column(1),
            group: column(0),
            context: column(3).into_iter().collect(),
            ignore: column(2).into_iter().collect(),
            missing: Missing::Impute,
        },
    ] {
        match Readings::for_fitting(&table, &roles) {
            Ok(readings) => {
                assert_eq!(readings.values.columns(), readings.features.len() + readings.context.len());
                assert!(readings.values.values().iter().all(|value| value.is_finite()));
                let _ = (quantization_steps(&readings.values), notes(&readings));
                assert!(Readings::with_features(&table, &readings.features, &roles).is_ok());
            }
            Err(error) => assert!(error.to_string().starts_with("fuzz.csv"), "{error}"),
        }
    }
}

/// Bytes and words that formats treat in a way of their own.
const INTERESTING: [&[u8]; 22] = [
    b"\0",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\xc0\x7f",
    b"\0\0\x80\x7f",
    b"\n",
    b"\r\n",
    b",",
    b";",
    b"\"",
    b"NaN",
    b"-1e39",
    b"1",
    b"0",
    b"Repeat(1024,",
    b"Chain(",
    b")",
    b"18446744073709551615",
    b"\xef\xbb\xbf",
];

/// A seed with some bytes changed, moved, left out or put in.
pub fn mutate(seed: &[u8], other: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let longest = 1 << rng.random_range(0..8);
        let length = rng.random_range(0..=(bytes.len() - at).min(longest));
        let piece: Vec<u8> = match rng.random_range(0..6) {
            // Flip a bit.
            0 => bytes[at..at + length].iter().map(|byte| byte ^ (1 << rng.random_range(0..8))).collect(),
            // Leave out.
            1 => Vec::new(),
            // Any bytes.
            2 => (0..length).map(|_| rng.random()).collect(),
            // Double.
            3 => bytes[at..at + length].repeat(2),
            // From elsewhere.
            4 => {
                let from = rng.random_range(0..=other.len());
                other[from..(from + length).min(other.len())].to_vec()
            }
            _ => INTERESTING[rng.random_range(0..INTERESTING.len())].to_vec(),
        };
        bytes.splice(at..at + length, piece);
    }
    bytes.truncate(1 << 14);
    bytes
}
