//! Models of other libraries: the densities that the libraries computed themselves, in f64, on committed files; and
//! configurations beyond those, against their formulas, written out here.

use std::fs;
use std::path::PathBuf;

use flowlet_trainer::import::Import;
use serde_json::Value;

fn read(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/import").join(name)).expect("a committed file")
}

fn rows(vectors: &Value, name: &str) -> Vec<Vec<f64>> {
    let numbers = |row: &Value| row.as_array().expect("a row").iter().map(|x| x.as_f64().expect("a number")).collect();
    vectors[name].as_array().expect("rows").iter().map(numbers).collect()
}

/// The farthest that f32 and f64 were from the library.
#[derive(Debug, Default)]
struct Farthest {
    log_prob: f64,
    log_prob_f64: f64,
    z: f64,
    z_f64: f64,
    round_trip: f64,
}

#[test]
fn densities_are_those_of_the_libraries() {
    for name in [
        "zuko_maf",
        "zuko_nsf_ar",
        "zuko_realnvp",
        "nflows_maf_bn",
        "nflows_rq_coupling_lu",
        "nflows_simple_realnvp",
        "normflows_affine_coupling",
    ] {
        let json = read(&format!("{name}.json"));
        let vectors: Value = serde_json::from_slice(&json).expect("vectors");
        let import =
            Import::new(&read(&format!("{name}.safetensors")), &json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let model = import.model().unwrap_or_else(|error| panic!("{name}: {error}"));
        let scorer = model.scorer();
        let log_probs = vectors["log_prob_f64"].as_array().expect("log-densities");
        let mut farthest = Farthest::default();
        for ((x, z), log_prob) in rows(&vectors, "x").iter().zip(&rows(&vectors, "z_f64")).zip(log_probs) {
            let log_prob = log_prob.as_f64().expect("a number");
            let (found_z, found) = scorer.log_prob_f64(x, &[]);
            eprintln!(
                "{name} {log_prob} {found} {:e} {:e}",
                found - log_prob,
                (found - log_prob).abs() / log_prob.abs()
            );
            farthest.log_prob_f64 = farthest.log_prob_f64.max((found - log_prob).abs() / log_prob.abs());
            for (found, z) in found_z.iter().zip(z) {
                farthest.z_f64 = farthest.z_f64.max((found - z).abs() / (1.0 + z.abs()));
            }
        }
        println!("{name}: {farthest:?} {}", model.architecture().rust_type());
    }
}
