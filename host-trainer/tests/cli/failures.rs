//! What goes wrong, and that nothing is lost by it.

use crate::{Folder, QUICK, readings, stderr};

#[test]
fn a_fit_that_fails_leaves_files_as_they_were() {
    let folder = Folder::new();
    folder.write("pump.flow", "old");
    folder.write("bad.csv", "a,b\n1,2\nx,3\n");
    let message = folder.fail("fit bad.csv --out pump.flow");
    assert_eq!(
        message,
        "error: bad.csv:3: column `a`: `x` is not a number (ignore the column with --ignore a, or remove the row)\n"
    );
    assert_eq!(folder.names(), ["bad.csv", "pump.flow"]);
    assert_eq!(folder.read("pump.flow"), b"old");
}

#[test]
fn places_that_cannot_be_written_are_found_before_the_readings_are_read() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).unwrap();
    for (options, expected) in [
        ("--out no/pump.flow", "no/pump.flow: there is no folder no (create it first)"),
        ("--out folder", "folder: is a directory, expected the name of a file"),
        ("--out -", "--out -: expected the name of a file"),
        ("--out ..", "--out ..: expected the name of a file"),
        ("--out a.flow --json no/a.json", "no/a.json: there is no folder no (create it first)"),
        ("--out a.flow --json a.rs", "--json a.rs: is where the model goes (choose another)"),
        ("--out missing.csv", "missing.csv: would be overwritten (choose another --out)"),
    ] {
        assert_eq!(folder.fail(&format!("fit missing.csv {options}")), format!("error: {expected}\n"));
    }
    assert!(folder.fail("fit missing.csv --out a.flow").contains("missing.csv: cannot be read"));
    assert_eq!(folder.names(), ["folder"]);
}

#[test]
fn eval_says_what_it_needs() {
    let folder = Folder::with_model();
    assert_eq!(
        folder.fail("eval pump.flow test.csv"),
        "error: test.csv: eval needs to know which readings are anomalies: name the column that has 1 for them and 0 for normal readings with --label (columns that are no features: run, kind, anomaly)\n"
    );
    assert!(folder.fail("eval pump.flow test.csv --label anomaly --by fault").contains("no column `fault` (--by)"));
    assert!(
        folder.fail("eval pump.flow test.csv --label anomaly --ignore valve").contains("has it as a feature"),
        "a feature cannot be ignored"
    );
    folder.write("gap.csv", "temperature,pressure,valve,anomaly\n1,2,3,0\n1,,3,1\n");
    assert_eq!(
        folder.fail("eval pump.flow gap.csv --label anomaly"),
        "error: gap.csv:3: column `pressure`: the cell is empty (fill it in, or remove the row)\n"
    );
}

#[test]
fn a_missing_feature_is_named_with_the_columns_that_are_there() {
    let folder = Folder::with_model();
    folder.write("new.csv", "temperature,presure,valve\n1,2,3\n");
    for command in ["score pump.flow new.csv", "eval pump.flow new.csv --label anomaly"] {
        assert_eq!(
            folder.fail(command),
            "error: new.csv: there is no column `pressure` (a feature of pump.flow), did you mean `presure`?; its columns are `temperature`, `presure`, `valve`\n"
        );
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = Folder::with_model();
    let mut damaged = folder.read("pump.flow");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    std::fs::write(folder.path("damaged.flow"), &damaged).unwrap();
    std::fs::write(folder.path("short.flow"), &damaged[..100]).unwrap();
    for model in ["damaged.flow", "short.flow", "test.csv"] {
        for command in ["inspect", "sample"] {
            let message = folder.fail(&format!("{command} {model}"));
            assert!(message.starts_with(&format!("error: {model}: is not a model that can be used: ")), "{message}");
        }
    }
    assert!(folder.fail("inspect missing.flow").contains("missing.flow: cannot be read"));
}

#[test]
fn too_many_features_are_refused() {
    let folder = Folder::new();
    let names: Vec<String> = (0..129).map(|i| format!("x{i}")).collect();
    let row = |row: usize| (0..129).map(|i| ((row * 31 + i * 17) % 101).to_string()).collect::<Vec<_>>().join(",");
    let rows: Vec<String> = (0..900).map(row).collect();
    folder.write("wide.csv", &format!("{}\n{}\n", names.join(","), rows.join("\n")));
    assert!(folder.fail(&format!("fit wide.csv --out a.flow {QUICK}")).contains(
        "error: wide.csv: 129 columns are to be fitted, a model has at most 128 features (leave some out with --ignore)"
    ));
}

#[test]
fn usage_errors_have_their_own_status() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(10, 0, 1));
    let output = folder.run("fit train.csv --out a.flow --false-alarm-rate 2");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("expected a number between 0 and 1"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_every_file_of_a_model_as_it_was() {
    let folder = Folder::with_model();
    folder.write("pump.rs", "old");
    let files = || folder.names().into_iter().map(|name| (folder.read(&name), name)).collect::<Vec<_>>();
    let before = files();
    // A file that cannot grow stands for a disk that cannot take more; the signal would end the process.
    let line = "calibrate pump.flow test.csv --out pump.flow --label anomaly";
    let script = format!("trap '' XFSZ; ulimit -f 2; exec {} {line}", env!("CARGO_BIN_EXE_flowlet"));
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(folder.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stderr(&output), "error: pump.f32.flow: cannot be written: File too large (os error 27)\n");
    assert!(files() == before, "{:?}", folder.names());
    folder.succeed(line);
    assert!(files() != before);

    assert_eq!(
        folder.fail(&format!("{line} --quiet --json /dev/full")),
        "error: /dev/full: cannot be written: No space left on device (os error 28)\n"
    );
}
