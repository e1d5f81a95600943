//! `flowlet fit-many`.

use serde_json::Value;

use crate::{Folder, QUICK, cells, readings, stderr};

/// A folder `fleet` with four good tables and two bad ones.
fn fleet() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("fleet")).unwrap();
    for device in 1..=4 {
        folder.write(&format!("fleet/pump-{device}.csv"), &readings(300, 0, device));
    }
    folder.write("fleet/short.csv", "temperature,pressure\n1,2\n3,4\n");
    folder.write("fleet/text.csv", "temperature,pressure,kind,run,anomaly\n1,2,a,0,0\nx,4,a,0,0\n");
    folder.write("fleet/README.txt", "no table");
    folder
}

const FIT: &str = "--out models --label anomaly --ignore kind,run";

fn line(options: &str) -> String {
    format!("fit-many fleet {FIT} {} {options}", QUICK.replace("150", "20"))
}

fn statuses(folder: &Folder, name: &str) -> Vec<(String, String)> {
    let summary = folder.json(name);
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    summary.as_array().unwrap().iter().map(|entry| (text(entry, "file"), text(entry, "status"))).collect()
}

#[test]
fn every_table_gets_its_model_whatever_becomes_of_the_others() {
    let folder = fleet();
    let output = folder.run(&line(""));
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "6 tables: 4 fitted, 0 up to date, 2 failed, 0 interrupted; see models/summary.csv\n");
    assert!(
        stderr(&output).contains("failed: fleet/text.csv:3: column `temperature`: `x` is not a number"),
        "{}",
        stderr(&output)
    );
    for device in 1..=4 {
        for extension in ["flow", "f32.flow", "rs", "fit.json"] {
            assert!(folder.path(&format!("models/pump-{device}.{extension}")).is_file());
        }
    }
    // Alone it is the same model.
    folder.succeed(
        &format!("fit fleet/pump-3.csv --quiet {FIT} {}", QUICK.replace("150", "20")).replace("models", "3.flow"),
    );
    assert_eq!(folder.read("3.flow"), folder.read("models/pump-3.flow"));

    let csv = String::from_utf8(folder.read("models/summary.csv")).unwrap();
    let rows = cells(&csv);
    assert_eq!(rows[0][..4], ["file", "status", "rows", "mean_log_prob"]);
    assert_eq!(rows.len(), 7);
    assert_eq!(rows[1][..3], ["fleet/pump-1.csv", "fitted", "300"]);
    assert!(rows[5][..3] == ["fleet/short.csv", "failed", ""], "{csv}");
    let summary = folder.json("models/summary.json");
    assert_eq!(summary[0]["threshold"], folder.json("models/pump-1.fit.json")["report"]["threshold"]);
    assert!(summary[4]["error"].as_str().unwrap().contains("there is no column `anomaly` (--label)"), "{summary}");
}

#[test]
fn what_is_up_to_date_is_skipped_and_what_is_not_is_made_anew() {
    let folder = fleet();
    let fit = |options: &str| {
        folder.run(&line(options));
        statuses(&folder, "models/summary.json").into_iter().map(|(_, status)| status).collect::<Vec<_>>()
    };
    assert_eq!(fit("--jobs 1")[..4], ["fitted"; 4]);
    let first = folder.read("models/pump-2.flow");
    folder.write("fleet/pump-1.csv", &readings(320, 0, 9));
    folder.write("models/pump-2.flow", "damaged");
    std::fs::remove_file(folder.path("models/pump-3.rs")).unwrap();
    folder.write("fleet/short.csv", &readings(300, 0, 8));
    assert_eq!(fit("--jobs 3"), ["fitted", "fitted", "fitted", "up-to-date", "fitted", "failed"]);
    assert_eq!(folder.read("models/pump-2.flow"), first);
    assert_eq!(fit("")[..5], ["up-to-date"; 5]);
    assert_eq!(folder.json("models/summary.json")[0]["rows"], 320, "a line is whole whenever it was made");
    assert_eq!(fit("--seed 1")[..5], ["fitted"; 5]);
}

#[test]
fn shards_divide_the_tables_and_the_whole_gathers_their_lines() {
    let folder = fleet();
    let mut all = Vec::new();
    for shard in 1..=3 {
        folder.run(&line(&format!("--shard {shard}/3 --quiet")));
        all.extend(statuses(&folder, &format!("models/summary-{shard}-of-3.json")));
    }
    let file = |name: &str, status: &str| (format!("fleet/{name}.csv"), status.to_owned());
    all.sort();
    let fitted = |device| file(&format!("pump-{device}"), "fitted");
    let expected = [fitted(1), fitted(2), fitted(3), fitted(4), file("short", "failed"), file("text", "failed")];
    assert_eq!(all, expected);
    folder.run(&line("--quiet"));
    let whole: Vec<String> = statuses(&folder, "models/summary.json").into_iter().map(|(_, status)| status).collect();
    assert_eq!(whole, ["up-to-date", "up-to-date", "up-to-date", "up-to-date", "failed", "failed"]);
}

#[test]
fn tables_that_cannot_be_told_apart_or_found_are_refused_before_any_fit() {
    let folder = fleet();
    std::fs::create_dir(folder.path("other")).unwrap();
    folder.write("other/pump-1.csv", "a\n1\n");
    let message = folder.fail("fit-many fleet other --out models");
    assert_eq!(
        message,
        "error: fleet/pump-1.csv and other/pump-1.csv: their models would have the same name (rename one, or fit them to two folders)\n"
    );
    std::fs::create_dir(folder.path("empty")).unwrap();
    assert_eq!(folder.fail("fit-many empty --out models"), "error: empty: holds no file that ends in .csv\n");
    assert!(!folder.path("models").exists());
}
