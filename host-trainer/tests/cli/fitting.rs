//! `flowlet fit` and what it leaves behind.

use crate::{Folder, QUICK, readings};

#[test]
fn fit_writes_the_model_its_twin_its_source_and_a_report() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 60, 1));
    let line = "fit train.csv --out pump.flow --label anomaly --group run --ignore kind --json fit.json --seed 7";
    let report = folder.succeed(&format!("{line} {QUICK}"));
    assert_eq!(folder.names(), ["fit.json", "pump.f32.flow", "pump.flow", "pump.rs", "train.csv"]);
    for expected in ["600 normal readings of 3 features", "60 labelled as anomalies", "wrote pump.flow, pump.f32.flow"]
    {
        assert!(report.contains(expected), "{expected}: {report}");
    }

    let json = folder.json("fit.json");
    let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("{key}: {json}"));
    assert_eq!((number("rows"), number("features"), number("anomalies")), (600.0, 3.0, 60.0));
    assert_eq!(number("training_rows") + number("selection_rows") + number("calibration_rows"), 600.0);
    assert_eq!(number("calibration_groups") * 20.0, number("calibration_rows"));
    assert!(number("auroc") > 0.9 && (number("auroc") - number("f32_auroc")).abs() < 0.02, "{json}");
    assert!(number("quantization_median_nats") < 0.05, "{json}");
    assert!(number("selection_alarm_rate") < 0.2 && number("detection_rate") > 0.5, "{json}");
    assert_eq!(json["family"], "realnvp");

    let source = String::from_utf8(folder.read("pump.rs")).unwrap();
    assert!(source.contains(r#"["temperature", "pressure", "valve"]"#), "{source}");
    assert!(source.contains(r#"include_bytes!("pump.flow")"#), "{source}");
}

#[test]
fn what_is_left_open_goes_by_the_table_and_the_effort() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    let line =
        "fit train.csv --out pump.flow --ignore kind,run,anomaly --epochs 3 --false-alarm-rate 0.05 --json fit.json";
    folder.succeed(line);
    let parameters = |folder: &Folder| folder.json("fit.json")["parameters"].as_u64().expect("a number");
    // Too few numbers for splines.
    assert_eq!(folder.json("fit.json")["family"], "maf");
    let small = parameters(&folder);
    folder.write("train.csv", &readings(6000, 0, 1));
    folder.succeed(&format!("{line} --effort quick"));
    assert_eq!(folder.json("fit.json")["family"], "maf-spline");
    assert!(parameters(&folder) > small);
    folder.succeed(&format!("{line} --effort best --family nice"));
    assert_eq!(folder.json("fit.json")["family"], "nice");
    assert_eq!(
        folder.fail(&format!("{line} --effort best --checkpoint run.ckpt")),
        "error: --checkpoint: is of one fit, and --effort best makes several (leave out one of the two)\n"
    );
}

#[test]
fn where_rows_are_few_the_model_is_a_mixture_unless_somebody_chose() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    let line =
        "fit train.csv --out pump.flow --ignore kind,run,anomaly --epochs 3 --json fit.json --false-alarm-rate 0.05";
    let report = folder.succeed(line);
    assert!(report.contains("3 flows, from as many seeds, and the model is their mixture"), "{report}");
    let members = |folder: &Folder| folder.json("fit.json")["members"].as_u64().expect("a number");
    assert_eq!(members(&folder), 3);
    assert!(String::from_utf8(folder.read("pump.rs")).unwrap().contains("Ensemble<3, 3, "));
    assert!(folder.succeed("inspect pump.flow").contains("a mixture of 3 flows"));
    // What needs the densities of all members together: samples, and a calibration of its own.
    folder.write("drawn.csv", &folder.succeed("sample pump.flow -n 200 --seed 1"));
    folder.succeed("calibrate pump.flow drawn.csv --out own.flow --false-alarm-rate 0.05");
    let refused = folder.fail("score pump.flow train.csv --terms");
    assert!(refused.contains("it is a mixture of 3 flows") && refused.contains("--members 1"), "{refused}");

    for (more, expected) in [
        ("--effort quick", 1),
        ("--family maf", 1),
        ("--order fixed", 1),
        ("--members 1", 1),
        ("--family maf --members 2", 2),
    ] {
        folder.succeed(&format!("{line} {more}"));
        assert_eq!(members(&folder), expected, "{more}");
    }
    for (more, expected) in [
        ("--family planar --members 2", "layers of this family have one direction"),
        ("--context temperature --members 2", "flows of a mixture see no context"),
        ("--format auto --members 2", "flows of a mixture have one type"),
        ("--flash 16KiB --target cortex-m4 --members 2", "a search under a budget chooses single flows"),
    ] {
        let message = folder.fail(&format!("{line} {more}"));
        assert!(message.contains("members") && message.contains(expected), "{more}: {message}");
    }
}

#[test]
fn the_report_says_what_quantization_does_to_each_layer() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 60, 1));
    let line = format!("fit train.csv --out pump.flow --label anomaly --ignore kind,run --json fit.json {QUICK}");
    let report = folder.succeed(&line);
    for expected in ["selection rows, 0.0100 allowed", "1 AffineCoupling", "min-max"] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let json = folder.json("fit.json");
    let number = |of: &serde_json::Value, key: &str| of[key].as_f64().unwrap_or_else(|| panic!("{key}: {of}"));
    let layers = json["quantization"]["layers"].as_array().unwrap();
    assert!(!layers.is_empty() && number(&json["quantization"], "loss").abs() < 0.05, "{json}");
    for layer in layers {
        assert!(number(layer, "loss").abs() < 0.05 && layer["format"] == "int8", "{layer}");
        for matrix in layer["matrices"].as_array().unwrap() {
            let largest = number(matrix, "largest_activation");
            let saturates = largest > 32767.5 * number(matrix, "unit");
            assert_eq!(number(matrix, "saturated") > 0.0, saturates, "{matrix}");
            assert!(number(matrix, "largest_weight") > 0.0, "{matrix}");
        }
    }
    assert!((0.0..0.2).contains(&number(&json, "f32_selection_alarm_rate")), "{json}");

    // Of an impossible budget what is possible is kept: f32 weights lose nothing.
    let report = folder.succeed(&format!("{line} --format auto --quantization-budget 0"));
    let json = folder.json("fit.json");
    assert!(number(&json["quantization"], "loss") < 1e-3, "{report}");
    folder.succeed("inspect pump.flow");
}

#[test]
fn the_seed_decides_every_byte_whatever_the_threads() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    let fit = |out: &str, options: &str| {
        folder.succeed(&format!("fit train.csv --out {out} --quiet --ignore kind --label anomaly {QUICK} {options}"));
        (folder.read(out), folder.read(&out.replace(".flow", ".f32.flow")))
    };
    let first = fit("a.flow", "--seed 3 --threads 1");
    assert_eq!(first, fit("b.flow", "--seed 3 --threads 3"));
    assert_ne!(first, fit("c.flow", "--seed 4"));
}

#[test]
fn quiet_says_nothing_and_json_on_standard_output_is_all_of_it() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    let line = format!("fit train.csv --out pump.flow --ignore kind,run --label anomaly {QUICK}");
    let quiet = folder.run(&format!("{line} --quiet"));
    assert!(quiet.status.success() && quiet.stdout.is_empty() && quiet.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_str(&folder.succeed(&format!("{line} --json -"))).unwrap();
    assert_eq!(json["rows"], 600);
}

#[test]
fn calibration_rows_are_drawn_the_last_or_from_another_file() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    folder.write("val.csv", &readings(150, 10, 5));
    let line =
        format!("fit train.csv --out pump.flow --ignore kind,run --label anomaly {QUICK} --quiet --json fit.json");
    let calibrated = |options: &str| {
        folder.succeed(&format!("{line} {options}"));
        let json = folder.json("fit.json");
        (json["calibration_rows"].clone(), json["training_rows"].clone(), json["threshold"].clone())
    };
    let drawn = calibrated("");
    let last = calibrated("--split ordered");
    let other = calibrated("--val val.csv");
    assert_eq!((drawn.0.as_u64(), drawn.1.as_u64()), (Some(120), Some(420)));
    assert_eq!((last.0.as_u64(), last.1.as_u64()), (Some(120), Some(420)));
    assert_eq!((other.0.as_u64(), other.1.as_u64()), (Some(150), Some(540)));
    assert_ne!(drawn.2, last.2);
    // A file of normal readings needs no label.
    let normal: String =
        readings(150, 0, 5).lines().map(|line| line[..line.rfind(',').unwrap()].to_owned() + "\n").collect();
    folder.write("normal.csv", &normal);
    let unlabelled = calibrated("--val normal.csv");
    assert_eq!((unlabelled.0, unlabelled.2), (other.0, other.2));
}

/// The same table, with every 20th row's pressure missing, and some temperatures.
fn with_gaps(table: &str) -> String {
    let row = |(row, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').collect();
        let temperature = if row % 50 == 7 { "NaN" } else { cells[0] };
        let pressure = if row % 20 == 4 { "" } else { cells[1] };
        format!("{temperature},{pressure},{}\n", cells[2..].join(","))
    };
    table.lines().enumerate().map(row).collect()
}

#[test]
fn rows_with_missing_cells_are_refused_left_out_or_filled_in() {
    let folder = Folder::new();
    folder.write("train.csv", &with_gaps(&readings(600, 100, 1)));
    folder.write("val.csv", &with_gaps(&readings(200, 0, 2)));
    folder.write("test.csv", &readings(300, 300, 3));
    let line = format!("fit train.csv --out pump.flow --ignore kind,run --label anomaly {QUICK} --json fit.json");
    assert_eq!(
        folder.fail(&line),
        "error: train.csv: 42 of 600 rows have missing cells (empty or NaN), in `temperature` (12), `pressure` (30); the first on lines 5, 8, 25, 45, 58 (leave such rows out with --missing drop, have them filled in for training with --missing impute, or ignore columns with --ignore temperature,pressure)\n"
    );
    let report = folder.succeed(&format!("{line} --missing drop"));
    assert!(report.contains("              42 more with missing cells: left out\n"), "{report}");
    let dropped = folder.json("fit.json");
    assert_eq!((dropped["rows"].as_u64(), dropped["incomplete_rows"].as_u64()), (Some(558), Some(42)));

    let report = folder.succeed(&format!("{line} --missing impute"));
    assert!(report.contains("42 more with missing cells: 42 of them filled in and trained on, "), "{report}");
    let imputed = folder.json("fit.json");
    let count = |json: &serde_json::Value, name: &str| json[name].as_u64().unwrap();
    assert_eq!(count(&imputed, "training_rows"), count(&dropped, "training_rows") + 42);
    for rows in ["calibration_rows", "selection_rows"] {
        assert_eq!(imputed[rows], dropped[rows], "never selected or calibrated on");
    }
    folder.succeed("eval pump.flow test.csv --label anomaly --json eval.json");
    assert!(folder.json("eval.json")["auroc"].as_f64().unwrap() > 0.9);

    let output = folder.run(&format!("{line} --missing impute --val val.csv"));
    let note = "note: val.csv: 14 rows with missing cells do not calibrate\n";
    assert!(String::from_utf8_lossy(&output.stderr).contains(note), "{output:?}");
    assert_eq!(folder.json("fit.json")["calibration_rows"], 186);
}

#[test]
fn one_wild_cell_does_not_hide_gross_faults() {
    let folder = Folder::new();
    // The pressure of one run is beyond anything.
    let wild = |row: usize, line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let pressure = if row == 300 { "1e9" } else { cells[1] };
        format!("{},{pressure}\n", cells[0])
    };
    let table: String = readings(600, 0, 1).lines().enumerate().map(|(row, line)| wild(row, line)).collect();
    folder.write("train.csv", &table);
    folder.write("test.csv", &readings(200, 200, 2));
    for seed in 0..3 {
        let fit = folder.run(&format!("fit train.csv --out pump.flow {QUICK} --seed {seed} --json fit.json"));
        let said = String::from_utf8_lossy(&fit.stderr);
        assert!(
            said.contains(
                "note: column `pressure`: 1 of 600 values lies far from all others, 1000000000.0 on line 301"
            ),
            "{said}"
        );
        folder.succeed("eval pump.flow test.csv --label anomaly --json eval.json");
        let auroc = folder.json("eval.json")["auroc"].as_f64().unwrap();
        assert!(auroc > 0.9, "seed {seed}: {auroc}");
        let fit = folder.json("fit.json");
        assert!(fit["median_log_prob"].as_f64() > fit["gaussian_median_log_prob"].as_f64(), "{fit}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_keeps_the_best_model_so_far() {
    use std::process::{Command, Stdio};
    use std::{fs, thread, time::Duration};

    let folder = Folder::new();
    folder.write("train.csv", &readings(3000, 0, 1));
    let line = "fit train.csv --out pump.flow --ignore kind,run --label anomaly --epochs 1000000 --hidden 64 --checkpoint run.ckpt";
    let mut fit = folder.command(line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Until the process catches SIGINT, the second bit of the mask, it would be killed by it.
    let status = format!("/proc/{}/status", fit.id());
    let catches = |status: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 0b10 != 0)
    };
    while fit.try_wait().unwrap().is_none() && !fs::read_to_string(&status).is_ok_and(|status| catches(&status)) {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &fit.id().to_string()]).status().unwrap().success());
    let output = fit.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("interrupted") && !report.contains("nothing better was found"), "{output:?}");
    folder.succeed("inspect pump.flow");
    assert!(
        folder.path("run.ckpt").exists() != report.contains("before a pass was done"),
        "what there is to go on from"
    );
}
