//! What `flowlet fit --flash` predicts of a score, against counts on emulated devices.

use flowlet_tests::costs::{HELD_OUT, POINTS, firmware, score};
use flowlet_tests::emulator::Board;
use flowlet_trainer::cost::{TOLERANCE, Target, estimate};

/// A few shapes; `cargo xtask bench costs --check` compares all.
#[test]
fn costs_of_shapes_that_were_not_measured_are_predicted_within_a_tenth() {
    let folder = tempfile::tempdir().expect("a folder");
    for (board, target) in [(Board::Mps2An386, Target::CortexM4), (Board::Microbit, Target::CortexM0)] {
        let mut baseline = None;
        for shape in &HELD_OUT[..4] {
            let model = shape.model().expect("a model");
            let build = |baseline| firmware(board, &model, baseline, folder.path()).expect("the firmware builds");
            let baseline = baseline.get_or_insert_with(|| build(true));
            // Which also holds the stack to the RAM of the model's type.
            let counted = score(&model, &build(false), baseline, POINTS).expect("scores like the host's");
            let predicted = estimate(&shape.architecture().to_core(), Some(target)).expect("known costs");
            assert_eq!(predicted.model_bytes, counted.model_bytes as u64);
            let on_target = predicted.on_target.expect("a target was given");
            for (what, predicted, counted) in [
                ("instructions", on_target.instructions, counted.instructions),
                ("bytes of code", on_target.code_bytes, counted.code_bytes as f64),
            ] {
                let error = predicted as f64 / counted - 1.0;
                println!("{board}, {shape}: {counted:.0} {what}, predicted {predicted} ({:+.1} %)", 100.0 * error);
                assert!(error.abs() <= TOLERANCE, "{board}, {shape}: {counted:.0} {what}, predicted {predicted}");
            }
        }
    }
}
