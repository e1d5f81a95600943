//! `flowlet eval`, `score`, `sample` and `inspect` on a fitted model.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::{Folder, cells, readings, stderr};

#[test]
fn eval_measures_the_model_its_twin_and_each_kind() {
    let folder = Folder::with_model();
    let report = folder.succeed("eval pump.flow test.csv --label anomaly --by kind --json eval.json");
    for expected in ["300 readings, 100 of them anomalies", "f32 twin", "leak", "clog", "none"] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let json = folder.json("eval.json");
    let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("{key}: {json}"));
    assert_eq!(number("rows"), 300.0);
    assert!(number("auroc") > 0.9 && number("average_precision") > 0.8, "{json}");
    assert!(number("detection_rate") > 0.5 && number("false_alarm_rate") < 0.15, "{json}");
    for key in ["auroc", "average_precision", "mean_log_prob", "median_log_prob", "detection_rate", "false_alarm_rate"]
    {
        let twin = json["f32"][key].as_f64().unwrap_or_else(|| panic!("{key}: {json}"));
        assert!((twin - number(key)).abs() < 0.1, "{key}: {json}");
    }
    assert_eq!(json["by"]["leak"]["rows"], 50);
    assert!(json["by"]["leak"]["auroc"].as_f64().unwrap() > 0.9);
    assert!(json["by"]["none"]["auroc"].is_null() && json["by"]["none"]["detection_rate"].is_null());
    assert_eq!(json["by"]["none"]["false_alarm_rate"], json["false_alarm_rate"]);
}

#[test]
fn eval_without_a_twin_or_without_anomalies_leaves_out_what_it_cannot_say() {
    let folder = Folder::with_model();
    std::fs::remove_file(folder.path("pump.f32.flow")).unwrap();
    folder.write("normal.csv", &readings(50, 0, 3));
    let output = folder.run("eval pump.flow normal.csv --label anomaly --json eval.json");
    assert!(output.status.success());
    assert!(stderr(&output).contains("no reading is labelled 1"));
    let json = folder.json("eval.json");
    assert!(json["auroc"].is_null() && json["detection_rate"].is_null() && json.get("f32").is_none(), "{json}");
    assert!(json["false_alarm_rate"].is_number() && json["mean_log_prob"].is_number(), "{json}");
}

#[test]
fn a_damaged_or_foreign_twin_is_left_out_with_a_warning() {
    let folder = Folder::with_model();
    let mut twin = folder.read("pump.f32.flow");
    twin[100] ^= 1;
    std::fs::write(folder.path("pump.f32.flow"), twin).unwrap();
    let output = folder.run("eval pump.flow test.csv --label anomaly --json eval.json");
    assert!(output.status.success() && stderr(&output).contains("pump.f32.flow"), "{}", stderr(&output));
    assert!(folder.json("eval.json").get("f32").is_none());
}

#[test]
fn score_gives_a_line_for_every_reading() {
    let folder = Folder::with_model();
    folder.succeed("eval pump.flow test.csv --label anomaly --json eval.json");
    let scores = folder.succeed("score pump.flow test.csv");
    let lines = cells(&scores);
    assert_eq!(lines[0], ["row", "log_prob", "score", "p_value", "alarm"]);
    assert_eq!(lines.len(), 301);
    let mut detected = 0;
    for (row, line) in lines.iter().enumerate().skip(1) {
        let number = |cell: usize| line[cell].parse::<f32>().unwrap();
        assert_eq!(line[0], row.to_string());
        assert_eq!(number(1), -number(2));
        assert_eq!(line[4], if number(3) <= 0.05 { "1" } else { "0" });
        detected += usize::from(row > 200 && line[4] == "1");
    }
    assert_eq!(folder.json("eval.json")["detection_rate"], detected as f64 / 100.0);
}

#[test]
fn columns_match_by_name_and_standard_input_is_a_table_too() {
    let folder = Folder::with_model();
    let test = readings(200, 100, 2);
    let shuffled: String =
        cells(&test).iter().map(|row| format!("{};note;{};{};{}\n", row[2], row[5], row[0], row[1])).collect();
    let shuffled = shuffled.replacen("note", "comment", 1);
    let mut score = folder.command("score pump.flow -").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    score.stdin.take().unwrap().write_all(shuffled.as_bytes()).unwrap();
    let output = score.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), folder.succeed("score pump.flow test.csv"));
}

#[test]
fn readings_that_cannot_be_scored_are_faults_and_never_normal() {
    let folder = Folder::with_model();
    folder.write("odd.csv", "valve,pressure,temperature\n0.5,100,40\n0.5,,40\n0.5,NaN,40\ninf,100,40\n0.5,err,40\n1e39,1,1\n3e38,3e38,-3e38\n");
    let output = folder.run("score pump.flow odd.csv");
    assert_eq!(output.status.code(), Some(3));
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = cells(&stdout);
    for (row, line) in (2..=6).zip(&lines[2..]) {
        assert_eq!(line, &[row.to_string().as_str(), "", "", "", "fault"]);
    }
    assert_eq!(lines[1][4], "0");
    assert_eq!(lines[7][4], "1");
    assert!(lines[7][1].parse::<f32>().unwrap().is_finite());
    assert_eq!(
        stderr(&output),
        "warning: 5 of 7 readings could not be scored and have `fault` in the alarm column; the first is row 2 (odd.csv:3: column `pressure`: the cell is empty)\n"
    );
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::with_model();
    folder.write("long.csv", &readings(20_000, 0, 3));
    for line in ["sample pump.flow -n 100000", "score pump.flow long.csv"] {
        let mut child = folder.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains(','));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {}", stderr(&output));
    }
}

#[test]
fn samples_are_readings_that_the_model_believes() {
    let folder = Folder::with_model();
    let samples = folder.succeed("sample pump.flow -n 2000 --seed 5");
    assert_eq!(samples, folder.succeed("sample pump.flow -n 2000 --seed 5"));
    assert_ne!(samples, folder.succeed("sample pump.flow -n 2000 --seed 6"));
    let rows = cells(&samples);
    assert_eq!((rows[0].join(",").as_str(), rows.len()), ("temperature,pressure,valve", 2001));
    let column = |index: usize| -> Vec<f64> { rows[1..].iter().map(|row| row[index].parse().unwrap()).collect() };
    let (temperature, pressure) = (column(0), column(1));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mt, mp) = (mean(&temperature), mean(&pressure));
    assert!((mt - 40.0).abs() < 1.0 && (mp - 100.0).abs() < 2.0, "{mt} {mp}");
    let moment =
        |a: &[f64], ma: f64, b: &[f64], mb: f64| a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>();
    let correlation = moment(&temperature, mt, &pressure, mp)
        / (moment(&temperature, mt, &temperature, mt) * moment(&pressure, mp, &pressure, mp)).sqrt();
    assert!(correlation > 0.9, "{correlation}");
    folder.write("samples.csv", &samples);
    let scores = folder.succeed("score pump.flow samples.csv");
    let alarms = cells(&scores)[1..].iter().filter(|row| row[4] == "1").count();
    assert!(alarms < 300, "{alarms} of 2000 samples raise the alarm");
}

#[test]
fn inspect_says_what_the_model_is_and_costs() {
    let folder = Folder::with_model();
    let text = folder.succeed("inspect pump.flow --json inspect.json");
    let json = folder.json("inspect.json");
    assert_eq!((&json["family"], &json["features"]), (&"realnvp".into(), &3.into()));
    assert_eq!(json["feature_names"], serde_json::json!(["temperature", "pressure", "valve"]));
    // Four couplings of 1 -> 8 -> 8 -> 4.
    assert_eq!(json["parameters"], 4 * ((1 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 4));
    assert_eq!(json["file_bytes"], folder.read("pump.flow").len());
    let (body, file) = (json["model_bytes"].as_u64().unwrap(), json["file_bytes"].as_u64().unwrap());
    assert!(body + 32 < file && file < body + 1024, "{json}");
    assert!(json["macs"].as_u64().unwrap() > 0 && json["ram_bytes"].as_u64().unwrap() > 0);
    assert!((json["false_alarm_rate"].as_f64().unwrap() - 0.05).abs() < 1e-6);
    for expected in ["realnvp, int8 weights", "temperature, pressure, valve", "Detector<Flow<3"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let twin: serde_json::Value = serde_json::from_str(&folder.succeed("inspect pump.f32.flow --json -")).unwrap();
    assert_eq!((&twin["number_format"], &twin["parameters"]), (&"f32".into(), &json["parameters"]));
}
