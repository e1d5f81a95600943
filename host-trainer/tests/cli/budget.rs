//! `flowlet fit` under a budget of a device.

use crate::{Folder, readings, stderr};

#[test]
fn a_budget_chooses_the_architecture_and_is_kept() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(400, 40, 1));
    let line = "fit train.csv --out pump.flow --label anomaly --ignore kind,run --false-alarm-rate 0.05 --epochs 30 --json fit.json";
    let report =
        folder.succeed(&format!("{line} --flash 7KiB --instructions 10k --target cortex-m4 --hidden-layers 1"));
    assert_eq!(folder.names(), ["fit.json", "pump.f32.flow", "pump.flow", "pump.front.svg", "pump.rs", "train.csv"]);
    for expected in
        ["shapes fit 7,168 bytes of flash, 10,000 instructions on cortex-m4", "* is chosen", "wrote pump.front.svg"]
    {
        assert!(report.contains(expected), "{expected}: {report}");
    }

    let json = folder.json("fit.json");
    let trials = json["search"]["trials"].as_array().unwrap();
    let number = |trial: &serde_json::Value, key: &str| trial[key].as_u64().unwrap_or_else(|| panic!("{key}: {trial}"));
    for trial in trials {
        assert!(number(trial, "model_bytes") + number(trial, "code_bytes") <= 7168, "{trial}");
        assert!(number(trial, "instructions") <= 10_000, "{trial}");
    }
    let chosen: Vec<_> = trials.iter().filter(|trial| trial["chosen"] == true).collect();
    let [chosen] = chosen[..] else { panic!("{json}") };
    assert_eq!(number(chosen, "model_bytes"), number(&json, "model_bytes"));
    assert_eq!(number(chosen, "ram_bytes"), number(&json, "ram_bytes"));
    let picture = String::from_utf8(folder.read("pump.front.svg")).unwrap();
    assert!(picture.contains("bytes of flash") && picture.contains("instructions"), "{picture}");

    // What is given is kept, and the same seed gives the same bytes whatever the number of threads.
    let ram = "--ram 700 --family nice --layers 3 --hidden-layers 1 --threads";
    folder.succeed(&format!("{line} {ram} 1"));
    let (one, json) = (folder.read("pump.flow"), folder.json("fit.json"));
    assert!(number(&json, "ram_bytes") <= 700, "{json}");
    let trials = json["search"]["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["family"] == "nice" && trial["layers"] == 3), "{json}");
    folder.succeed(&format!("{line} {ram} 3"));
    assert_eq!(one, folder.read("pump.flow"));
}

#[test]
fn what_cannot_be_held_to_a_budget_is_refused() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(400, 0, 1));
    let fails = |options: &str| {
        folder
            .fail(&format!("fit train.csv --out pump.flow --ignore kind,run,anomaly --false-alarm-rate 0.05 {options}"))
    };
    let message = fails("--flash 2KiB --target cortex-m0");
    assert!(message.contains("no model fits: the one that comes closest, "), "{message}");
    assert!(message.contains("bytes of flash of 2,048"), "{message}");
    assert!(fails("--target cortex-m4").contains("--target: there is no budget for it"));
    let message = fails("--flash 64KiB --target cortex-m0 --arithmetic fixed");
    assert!(message.contains("what Fixed16Saturating costs a device has not been measured"), "{message}");
    assert!(fails("--ram 1KiB --format auto").contains("--format: costs are predicted for int8 nets"));
    assert!(fails("--ram 1KiB --family continuous").contains("--family: under a budget it is one of nice"));
    assert_eq!(folder.names(), ["train.csv"]);
    for (options, expected) in [
        ("--flash 16Kib --target cortex-m4", "expected a number of bytes above 0, such as 16384, 16KiB or 16kB"),
        ("--flash 16KiB", "--target <CORE>"),
        ("--instructions 100kB --target cortex-m4", "such as 100000, 100k or 1.5M"),
        ("--ram 1KiB --target cortex-m5", "cortex-m33"),
    ] {
        let output = folder.run(&format!("fit train.csv --out pump.flow {options}"));
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(expected), "{options}: {}", stderr(&output));
    }
}
