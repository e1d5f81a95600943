//! `flowlet eval --per`: whole groups of readings.

use crate::{Folder, readings};

#[test]
fn groups_are_calibrated_by_groups_and_judged_as_groups() {
    let folder = Folder::with_model();
    // Runs of 20 rows, which are of one kind each but for the last column's faults.
    folder.write("normal.csv", &readings(2000, 0, 31));
    folder.write("runs.csv", &readings(1000, 400, 32));
    let line = "eval pump.flow runs.csv --label anomaly --per run --calibration normal.csv --json runs.json";
    let report = folder.succeed(line);
    assert!(report.contains("70 groups by `run`, 20 of them anomalies"), "{report}");
    assert!(report.contains("by 100 normal groups, which reach 0.99 % at the lowest"), "{report}");
    let json = folder.json("runs.json");
    let groups = &json["per"];
    let number = |name: &str| groups[name].as_f64().unwrap_or_else(|| panic!("{name}: {json}"));
    // Twenty readings together tell more than one of them.
    assert!(number("auroc") > 0.99 && number("auroc") >= json["auroc"].as_f64().unwrap(), "{json}");
    assert!(number("detection_rate") > 0.9 && number("false_alarm_rate") < 0.2, "{json}");
    assert_eq!(number("calibration_groups"), 100.0);
}

#[test]
fn held_back_groups_are_written_for_that() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    folder.succeed(
        "fit train.csv --out pump.flow --label anomaly --group run --ignore kind --held-back normal.csv --family realnvp --layers 2 \
         --hidden 8 --epochs 5 --false-alarm-rate 0.05",
    );
    let held_back = String::from_utf8(folder.read("normal.csv")).unwrap();
    let mut lines = held_back.lines();
    assert_eq!(lines.next(), Some("temperature,pressure,valve,run,kind,anomaly"));
    let runs: Vec<&str> = lines.map(|line| line.split(',').nth(3).unwrap()).collect();
    assert!(runs.chunk_by(|a, b| a == b).all(|run| run.len() == 20) && runs.len() >= 100, "{}", runs.len());
}

#[test]
fn what_groups_need_is_said() {
    let folder = Folder::with_model();
    folder.write("few.csv", &readings(100, 0, 3));
    let error = folder.fail("eval pump.flow test.csv --label anomaly --per run");
    assert!(error.contains("--per run: whole groups are calibrated by normal groups"), "{error}");
    let error = folder.fail("eval pump.flow test.csv --label anomaly --per cycle --calibration few.csv");
    assert!(error.contains("test.csv: there is no column `cycle` (--per)"), "{error}");
    let error = folder
        .fail("eval pump.flow test.csv --label anomaly --per run --calibration few.csv --group-false-alarm-rate 0.01");
    assert!(error.contains("few.csv: ") && error.contains("raise --group-false-alarm-rate"), "{error}");
    let error = folder.fail("eval pump.flow test.csv --label anomaly --per run --calibration few.csv --by kind");
    assert!(error.contains("but a group is of one kind"), "{error}");
}
