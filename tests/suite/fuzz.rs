//! A short run of every fuzz target: its seeds, what crashed it before, and mutations of both.
//!
//! `FLOWLET_FUZZ_ROUNDS=1000000 cargo test --release -p flowlet-tests --test fuzz` runs longer.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use flowlet_firmware::frame;
use flowlet_firmware::message::Request;
use flowlet_tests::fuzz;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn run(name: &str, target: fn(&[u8]), mut seeds: Vec<Vec<u8>>, rounds: u32) {
    let regressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(name);
    for entry in fs::read_dir(&regressions).expect("a committed directory") {
        seeds.push(fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    let rounds = std::env::var("FLOWLET_FUZZ_ROUNDS").map_or(rounds, |rounds| rounds.parse().expect("a number"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mutated = |_| {
        let (seed, other) = (rng.random_range(0..seeds.len()), rng.random_range(0..seeds.len()));
        fuzz::mutate(&seeds[seed], &seeds[other], &mut rng)
    };
    let mutated: Box<dyn Iterator<Item = Vec<u8>>> = Box::new((0..rounds).map(mutated));
    for bytes in seeds.clone().into_iter().chain(mutated) {
        if catch_unwind(|| target(&bytes)).is_err() {
            let crash = std::env::temp_dir().join(format!("flowlet-{name}-crash"));
            fs::write(&crash, &bytes).expect("written");
            panic!("{name}: crashed, see above. Keep {} in {}", crash.display(), regressions.display());
        }
    }
}

#[test]
fn model_loaders_return() {
    run("model", fuzz::model, fuzz::model_seeds(), 6000);
}

#[test]
fn the_parser_of_frames_returns_and_keeps_step() {
    let reading = |values: &[f32]| {
        let request = Request::Reading { sequence: 7, values };
        frame::encode::<_, { frame::max_request(8) }>(&request).expect("it fits").to_vec()
    };
    let stop = frame::encode::<_, 16>(&Request::<&[f32]>::Stop).expect("it fits").to_vec();
    let seeds =
        vec![reading(&[0.0, 1.0, -2.5, 1e30]), [reading(&[f32::NAN; 5]), stop.clone()].concat(), stop, vec![1; 300]];
    run("frame", fuzz::frames, seeds, 30_000);
}

#[test]
fn the_reader_of_tables_returns() {
    let seeds = [
        "a,b,label\n1,2,0\n2,3,1\n3,4,0\n",
        "\u{feff}cycle;x;y\r\n1;0.5;1e3\r\n1;-2;3\r\n2;7;1e-9\r\n",
        "\"a\nb\"\tc\n1\t2\n\n3\t4\n",
        "x\n1\n2\n2\n\n",
    ];
    run("table", fuzz::table, seeds.map(|seed| seed.as_bytes().to_vec()).into(), 10_000);
}
