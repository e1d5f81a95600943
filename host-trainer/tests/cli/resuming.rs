//! `flowlet fit --checkpoint`.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::{Folder, readings};

const LINE: &str = "fit train.csv --label anomaly --ignore kind,run --family realnvp --layers 4 --hidden 16 --false-alarm-rate 0.05 --quiet \
                    --epochs 150 --quantization-budget 0";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("train.csv", &readings(1200, 0, 1));
    folder
}

/// Begins the fit and kills it after a checkpoint, without a chance to do anything about it.
fn kill_after_a_checkpoint(folder: &Folder, line: &str) {
    let before = fs::read(folder.path("run.ckpt")).ok();
    let mut fit = folder.command(line).spawn().unwrap();
    while fit.try_wait().unwrap().is_none() && fs::read(folder.path("run.ckpt")).ok() == before {
        thread::sleep(Duration::from_millis(2));
    }
    let _ = fit.kill();
    fit.wait().unwrap();
}

#[test]
fn a_killed_fit_goes_on_to_the_same_files() {
    let folder = folder();
    // One whose weights are fine-tuned: both descents are to be in it.
    let is_tuned = |seed: &u32| {
        folder.succeed(&format!("{LINE} --seed {seed} --out whole.flow --json whole.json"));
        folder.json("whole.json")["quantization"]["fine_tuning"].is_object()
    };
    let seed = (0..20).find(is_tuned).expect("of twenty fits one loses by int8");
    let line = format!("{LINE} --seed {seed} --out pump.flow --checkpoint run.ckpt --checkpoint-every 0");
    for _ in 0..4 {
        kill_after_a_checkpoint(&folder, &line);
    }
    assert!(!folder.path("pump.flow").exists(), "killed too late");
    let line = line.replace("--quiet", "--json pump.json");
    let output = folder.run(&line);
    assert!(output.status.success(), "{}", crate::stderr(&output));
    assert!(
        crate::stderr(&output).contains("note: going on from the checkpoint, after "),
        "{}",
        crate::stderr(&output)
    );
    for (whole, resumed) in [("whole.flow", "pump.flow"), ("whole.f32.flow", "pump.f32.flow")] {
        assert_eq!(folder.read(whole), folder.read(resumed));
    }
    let epochs = |name: &str| folder.json(name)["epochs"].clone();
    assert_eq!(epochs("whole.json"), epochs("pump.json"));
    assert!(!folder.path("run.ckpt").exists(), "a fit that is done leaves no checkpoint");
}

#[test]
fn a_killed_mixture_goes_on_to_the_same_files() {
    let folder = folder();
    folder.succeed(&format!("{LINE} --members 2 --out whole.flow"));
    let line = format!("{LINE} --members 2 --out pump.flow --checkpoint run.ckpt --checkpoint-every 0");
    for _ in 0..4 {
        kill_after_a_checkpoint(&folder, &line);
    }
    assert!(!folder.path("pump.flow").exists(), "killed too late");
    folder.succeed(&line);
    for (whole, resumed) in [("whole.flow", "pump.flow"), ("whole.f32.flow", "pump.f32.flow")] {
        assert_eq!(folder.read(whole), folder.read(resumed));
    }
}

#[test]
fn a_checkpoint_of_another_fit_is_refused_with_what_differs() {
    let folder = folder();
    let line = format!("{LINE} --out pump.flow --checkpoint run.ckpt --checkpoint-every 0");
    kill_after_a_checkpoint(&folder, &line);
    let advice = "(fit as then to go on, or remove the file to begin anew)";
    assert_eq!(
        folder.fail(&line.replace("--epochs 150", "--epochs 70")),
        format!("error: run.ckpt: is the checkpoint of another fit: `options.epochs` was 150 and is 70 {advice}\n")
    );
    folder.write("train.csv", &readings(1200, 0, 2));
    let message = folder.fail(&line);
    assert!(message.contains("the readings are others; the rows of the calibration are others (fit as"), "{message}");

    let mut damaged = folder.read("run.ckpt");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 4;
    fs::write(folder.path("run.ckpt"), damaged).unwrap();
    assert_eq!(
        folder.fail(&line),
        "error: run.ckpt: is no checkpoint that this version can go on from (remove it to begin anew)\n"
    );
    for (option, expected) in [
        ("--checkpoint train.csv", "train.csv: would be overwritten (choose another --checkpoint)"),
        ("--checkpoint pump.rs", "--checkpoint pump.rs: is where the model goes (choose another)"),
        ("--checkpoint no/run.ckpt", "no/run.ckpt: there is no folder no (create it first)"),
    ] {
        assert_eq!(folder.fail(&format!("{LINE} --out pump.flow {option}")), format!("error: {expected}\n"));
    }
}
