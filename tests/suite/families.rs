//! Every layer family on every emulated core: the host's bits, in every direction.

use flowlet_jobs::{COSTS, FAMILIES, FIXED, FLOATS, Job, QUANTIZED};
use flowlet_tests::emulator::{Backend, Board, Build, Options, build};
use flowlet_tests::jobs::{Task, any_point, on_device};
use flowlet_tests::models::{Aligned, Style, image};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Points for each family and direction. The environment variable asks for more: `FLOWLET_POINTS=1000 cargo test ..`.
fn points() -> usize {
    std::env::var("FLOWLET_POINTS").map_or(7, |points| points.parse().expect("FLOWLET_POINTS is a number"))
}

fn compare(example: &'static str, lists: &'static [&'static [Job]]) {
    // `cargo xtask bits` asks the other emulator, and with many more points. The Cortex-M7 runs the Cortex-M4F's program.
    let backend = Backend::default();
    for board in Board::ALL.into_iter().filter(|board| *board != Board::Mps2An500) {
        let firmware = build(&Build { board, example: Some(example), ..Build::default() }).expect("it builds");
        let tasks = Task::all(lists, points(), any_point, &mut ChaCha8Rng::seed_from_u64(1));
        let (device, _) = on_device(backend, &firmware, &tasks, &Options::default()).expect("the device answers");
        let (mut bits, mut finite) = (0, 0);
        for (task, device) in tasks.iter().zip(device) {
            let host = task.on_host();
            assert_eq!(device, host, "{board}, {backend}: {}", task.job.name);
            bits += 32 * host.iter().map(Vec::len).sum::<usize>();
            finite += host.iter().flatten().filter(|bits| f32::from_bits(**bits).is_finite()).count();
        }
        println!("{board}, {backend}: {} jobs, none of {bits} bits differs", tasks.len());
        // Most are numbers, or the comparison is of one NaN with another.
        assert!(64 * finite > bits, "{finite} finite results of {}", bits / 32);
    }
}

#[test]
fn devices_have_the_bits_of_the_host_for_every_family_without_a_net() {
    compare("families", FAMILIES);
}

#[test]
fn devices_have_the_bits_of_the_host_for_every_family_with_a_net_in_f32() {
    compare("families_f32", FLOATS);
}

#[test]
fn devices_have_the_bits_of_the_host_for_every_family_with_a_net_in_int8() {
    compare("families_int8", QUANTIZED);
}

#[test]
fn devices_have_the_bits_of_the_host_for_every_family_in_fixed_point() {
    compare("families_fixed", FIXED);
}

#[test]
fn every_family_is_in_both_lists_by_its_directions() {
    let names = |jobs: &'static [Job]| jobs.iter().map(|job| job.name.rsplit_once(", ").expect("a direction"));
    for (inverse, forward) in [(FAMILIES[0], FAMILIES[1]), (FLOATS[0], FLOATS[1]), (QUANTIZED[0], QUANTIZED[1])] {
        for (inverse, forward) in names(inverse).zip(names(forward)) {
            assert_eq!(inverse.0, forward.0);
            assert!(inverse.1 == "inverse" || forward.1 == "forward", "{inverse:?} {forward:?}");
        }
        assert_eq!(inverse.len(), forward.len());
    }
    assert!([FLOATS[0], QUANTIZED[0]].iter().all(|list| names(list).any(|(name, _)| name == "AffineCoupling")));
}

#[test]
fn the_dense_determinant_is_a_determinant() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let dense = COSTS.iter().copied().flatten().filter(|job| job.name.contains("dense"));
    let mut compared = 0;
    for job in dense {
        let matrix: Vec<f32> = (0..job.features * job.features).map(|_| rng.random_range(-1.0..1.0)).collect();
        let bytes: Vec<u8> = matrix.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut results = [0.0; 2];
        let point = vec![0.0; job.values];
        assert_eq!((job.evaluate)(Aligned::new(&bytes).bytes(), &point, &mut results), Some(1));
        let double =
            DMatrix::from_row_iterator(job.features, job.features, matrix.iter().map(|value| f64::from(*value)));
        let expected = double.determinant().abs().ln();
        assert!((f64::from(results[0]) - expected).abs() < 1e-3, "{}: {} and {expected}", job.features, results[0]);
        compared += 1;
    }
    assert_eq!(compared, 5);
}

#[test]
fn one_pass_gives_the_samples_of_one_pass_for_each_feature() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut compared = 0;
    for job in COSTS.iter().copied().flatten() {
        let Some(one_pass) = job.name.strip_suffix(" in D passes") else { continue };
        let mut same = COSTS.iter().copied().flatten().filter(|other| other.features == job.features);
        let other = same.find(|other| other.name == one_pass).expect("the same in one pass");
        let image = Aligned::new(&image(job.schema, Style::Fitted, &mut rng));
        let point = any_point(job.values, 0, &mut rng);
        let results = [job, other].map(|job| {
            let mut results = [0.0; 80];
            assert_eq!((job.evaluate)(image.bytes(), &point, &mut results), Some(job.features + 1));
            results.map(f32::to_bits)
        });
        assert_eq!(results[0], results[1], "{} on {} features", job.name, job.features);
        compared += 1;
    }
    assert_eq!(compared, 10);
}
