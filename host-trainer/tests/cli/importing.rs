//! `flowlet import`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Folder, cells};

/// A folder with a model that zuko trained, and readings for it.
fn folder() -> Folder {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/import");
    let folder = Folder::new();
    for name in ["zuko_maf.safetensors", "zuko_maf.json"] {
        fs::copy(vectors.join(name), folder.path(name)).unwrap();
    }
    let readings = folder.json("zuko_maf.json")["x"].as_array().unwrap().clone();
    let row = |row: &Value| {
        let cells: Vec<String> = row.as_array().unwrap().iter().map(Value::to_string).collect();
        cells.join(",")
    };
    let rows: Vec<String> = readings.iter().map(row).collect();
    folder.write("normal.csv", &format!("x0,x1,x2,x3\n{}\n", rows.join("\n")));
    folder
}

#[test]
fn a_model_is_imported_scores_and_is_calibrated() {
    let folder = folder();
    let said = folder.succeed("import zuko_maf.safetensors --sidecar zuko_maf.json --out pump.flow");
    assert!(said.starts_with("maf of 4 features and 0 values of context, "), "{said}");
    assert!(said.contains("not calibrated: the model scores readings, its alarm is off"), "{said}");
    assert!(said.ends_with("wrote pump.flow and pump.rs\n"), "{said}");
    assert!(String::from_utf8(folder.read("pump.rs")).unwrap().contains("MaskedAutoregressive<4, MaskedFloat<"));
    let scores = folder.succeed("score pump.flow normal.csv");
    let expected = folder.json("zuko_maf.json")["log_prob_f64"].clone();
    for (row, expected) in cells(&scores)[1..].iter().zip(expected.as_array().unwrap()) {
        let (found, expected) = (row[1].parse::<f64>().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(50.0), "{found}, zuko has {expected}");
        assert_eq!(row[4], "0");
    }

    let line = "import zuko_maf.safetensors --sidecar zuko_maf.json --out pump.flow --calibrate normal.csv";
    let said = folder.succeed(&format!("{line} --false-alarm-rate 0.15"));
    assert!(said.contains("calibrated by 16 readings of normal.csv: p-values up to 0.15 raise the alarm"), "{said}");
    // Scored again, the least likely reading has itself below it: its p-value is 2/17, the next one's 3/17.
    let scores = folder.succeed("score pump.flow normal.csv");
    assert_eq!(cells(&scores)[1..].iter().filter(|row| row[4] == "1").count(), 1);
}

#[test]
fn what_is_wrong_is_said_with_the_files() {
    let folder = folder();
    folder.write("bare.json", r#"{"lib": "zuko 1.6.0", "flow": "MAF", "activation": "relu"}"#);
    let line = "import zuko_maf.safetensors --sidecar bare.json --out pump.flow";
    let said = folder.fail(line);
    assert!(said.contains("zuko_maf.safetensors with bare.json"), "{said}");
    assert!(said.contains("the sidecar has no `slope`: zuko's bound of scales"), "{said}");
    assert!(!folder.names().contains(&"pump.flow".to_owned()));
    let said = folder.fail("import zuko_maf.safetensors --sidecar zuko_maf.json --out zuko_maf.json");
    assert!(said.contains("zuko_maf.json: would be overwritten (choose another --out)"), "{said}");
    let said =
        folder.fail("import zuko_maf.safetensors --sidecar zuko_maf.json --out pump.flow --calibrate normal.csv");
    assert!(said.contains("a false-alarm rate of 0.01 needs at least 99 held-back readings, found 16"), "{said}");
}
