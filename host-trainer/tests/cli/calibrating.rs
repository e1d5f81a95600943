//! `flowlet calibrate`.

use crate::{Folder, cells, readings};

/// Readings of another device of the kind: the pressure sensor reads so much more.
fn device(normal: usize, offset: f32, seed: u64) -> String {
    let shifted = |(row, line): (usize, &str)| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if row > 0 {
            cells[1] = (cells[1].parse::<f32>().unwrap() + offset).to_string();
        }
        cells.join(",") + "\n"
    };
    readings(normal, 0, seed).lines().enumerate().map(shifted).collect()
}

#[test]
fn the_threshold_moves_to_the_devices_own_readings_and_nothing_else_does() {
    let folder = Folder::with_model();
    folder.write("device.csv", &device(400, 1.5, 7));
    folder.write("later.csv", &device(2000, 1.5, 8));
    let report = folder.succeed("calibrate pump.flow device.csv --out device.flow --label anomaly --json device.json");
    let json = folder.json("device.json");
    let number = |pointer: &str| json.pointer(pointer).and_then(serde_json::Value::as_f64).expect(pointer);
    assert!(number("/before/realized_rate") > 0.1, "{report}");
    assert!(number("/after/realized_rate") <= 0.05 && number("/after/realized_rate") > 0.03, "{report}");
    assert!(number("/after/threshold") > number("/before/threshold"), "{report}");
    assert!(number("/mean_log_prob") < number("/log_prob_before"), "{report}");
    assert_eq!((json["rows"].as_u64(), json["model"].as_str()), (Some(400), Some("pump.flow")));
    for line in
        ["alarm before", "alarm now", "threshold     moved by +", "wrote device.flow, device.f32.flow and device.rs"]
    {
        assert!(report.contains(line), "{report}");
    }
    assert!(String::from_utf8(folder.read("device.rs")).unwrap().contains("include_bytes!(\"device.flow\")"));

    // The same densities to the bit; alarms at the rate on readings that neither file has seen.
    let [before, after] = ["pump", "device"].map(|name| folder.succeed(&format!("score {name}.flow later.csv")));
    let log_probs = |scores: &str| cells(scores).iter().map(|row| row[1].to_owned()).collect::<Vec<_>>();
    assert_eq!(log_probs(&before), log_probs(&after));
    let alarms = |scores: &str| cells(scores).iter().filter(|row| row[4] == "1").count();
    assert!(alarms(&before) > 200 && (30..160).contains(&alarms(&after)), "{} {}", alarms(&before), alarms(&after));

    // In place, at another rate; what is calibrated as before is the same file.
    folder.succeed("calibrate device.flow device.csv --out other.flow --label anomaly --quiet");
    assert_eq!(folder.read("other.flow"), folder.read("device.flow"));
    folder.succeed("calibrate device.flow device.csv --out device.flow --false-alarm-rate 0.2 --quiet");
    assert_ne!(folder.read("other.flow"), folder.read("device.flow"));
    assert!(folder.succeed("inspect device.flow").contains("20.00 % of normal readings, calibrated on 400 rows"));
}

#[test]
fn readings_that_do_not_calibrate_are_refused_and_nothing_is_written() {
    let folder = Folder::with_model();
    folder.write("few.csv", &device(10, 0.0, 7));
    assert_eq!(
        folder.fail("calibrate pump.flow few.csv --out device.flow"),
        "error: few.csv: a false-alarm rate of 0.05 needs at least 19 held-back readings, found 10 (record more, or use --false-alarm-rate 0.091 or higher)\n"
    );
    let row = |(row, line): (usize, &str)| {
        let (_, rest) = line.split_once(',').unwrap();
        if row == 3 { format!(",{rest}\n") } else { format!("{line}\n") }
    };
    folder.write("gap.csv", &device(40, 0.0, 7).lines().enumerate().map(row).collect::<String>());
    assert_eq!(
        folder.fail("calibrate pump.flow gap.csv --out device.flow"),
        "error: gap.csv: 1 of 40 rows has missing cells (empty or NaN), in `temperature` (1); the first on line 4 (leave such rows out with --missing drop, or fill the cells in)\n"
    );
    folder.write("other.csv", "temperature,valve\n1,2\n");
    assert!(
        folder
            .fail("calibrate pump.flow other.csv --out device.flow")
            .contains("there is no column `pressure` (a feature of pump.flow)")
    );
    assert_eq!(
        folder.fail("calibrate pump.flow few.csv --out few.csv"),
        "error: few.csv: would be overwritten (choose another --out)\n"
    );
    assert!(!folder.names().iter().any(|name| name.starts_with("device")));
    let report = folder.succeed("calibrate pump.flow gap.csv --out device.flow --missing drop");
    assert!(report.contains("calibrated by 39 readings of gap.csv, 1 left out for missing cells"), "{report}");
}
