//! `flowlet features`, `monitor` and `replay`.

use crate::{Folder, cells, readings, stderr};

/// How often the alarm state is entered.
fn alarms(replay: &str) -> usize {
    let states: Vec<&str> = cells(replay).into_iter().skip(1).map(|row| row[1]).collect();
    states.windows(2).filter(|pair| pair[0] != "alarm" && pair[1] == "alarm").count()
}

#[test]
fn alarms_of_a_normal_stream_keep_to_the_budget_and_a_fault_is_named() {
    let folder = Folder::with_model();
    folder.write("normal.csv", &readings(10_000, 0, 11));
    let report = folder.succeed(
        "monitor pump.flow normal.csv --label anomaly --rate 1Hz --false-alarms 6/hour --out watch.flow --json watch.json",
    );
    for line in ["6/hour at 1Hz: one alarm in 600 readings", "threshold", "CUSUM", "wrote watch.flow and watch.rs"] {
        assert!(report.contains(line), "{report}");
    }
    let json = folder.json("watch.json");
    assert_eq!(json["readings"].as_u64(), Some(10_000));
    // Rows that do not depend on each other.
    assert!(json["autocorrelation"].as_f64().unwrap().abs() < 0.05, "{report}");

    folder.write("later.csv", &readings(40_000, 0, 12));
    let replay = folder.succeed("replay watch.flow later.csv");
    let found = alarms(&replay);
    // 67 in the mean, if the recording were endless.
    assert!((20..=130).contains(&found), "{found} alarms in 40,000 readings");

    folder.write("leak.csv", &readings(300, 100, 13));
    let replay = folder.succeed("replay watch.flow leak.csv");
    let rows = cells(&replay);
    let entry = rows.iter().skip(301).find(|row| row[1] == "alarm").expect("the leak raises the alarm");
    assert!(entry[0].parse::<u32>().unwrap() < 310, "{entry:?}");
    let named = rows[1..].iter().find(|row| row[0].parse::<u32>().unwrap() > 300 && !row[7].is_empty()).unwrap();
    // Either of the two that do not fit together may be the one that is wrong.
    assert!(named[7].starts_with("pressure") || named[7].starts_with("temperature"), "{named:?}");
}

/// Against the sum of the densities of readings with all values of the missing one.
#[test]
fn a_reading_without_one_feature_is_scored_by_the_others() {
    let folder = Folder::with_model();
    folder.write("normal.csv", &readings(2000, 0, 11));
    let first = "temperature,pressure,valve";
    let error = folder.fail("score pump.flow normal.csv --marginal");
    assert!(error.contains("pump.flow has no monitor") && error.contains("`flowlet monitor`"), "{error}");
    folder.succeed("monitor pump.flow normal.csv --label anomaly --rate 1Hz --out pump.flow -q");
    let normal = readings(1, 0, 5);
    let [temperature, pressure, valve] =
        cells(&normal)[1][..3].iter().map(|cell| cell.parse::<f32>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{normal}")
    };
    let step = 0.02;
    let values = (-4000..4000).map(|number| format!("{temperature},{},{valve}\n", pressure + step * number as f32));
    folder.write("line.csv", &format!("{first}\n{}", values.collect::<String>()));
    let line = folder.succeed("score pump.flow line.csv");
    let densities = cells(&line).into_iter().skip(1).map(|row| row[1].parse::<f64>().unwrap().exp());
    let expected = (densities.sum::<f64>() * f64::from(step)).ln();

    folder.write("gap.csv", &format!("{first}\n{temperature},,{valve}\n{temperature},,\n"));
    let output = folder.run("score pump.flow gap.csv --marginal");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("1 of 2 readings lack one feature"), "{}", stderr(&output));
    let scores = String::from_utf8(output.stdout.clone()).unwrap();
    let rows = cells(&scores);
    assert_eq!((rows[1][3], rows[1][4], rows[2][4]), ("", "partial", "fault"));
    let found: f64 = rows[1][1].parse().unwrap();
    assert!((found - expected).abs() < 0.02, "{found}, but {expected}");
}

#[test]
fn replayed_bits_are_those_of_score_and_broken_sensors_are_faults() {
    let folder = Folder::with_model();
    folder.write("normal.csv", &readings(2000, 0, 11));
    folder.succeed(
        "monitor pump.flow normal.csv --label anomaly --rate 1Hz --faults 2 --range pressure=0:200 --out pump.flow -q",
    );
    let mut stream = readings(20, 0, 5);
    stream += "40,,1,0,none,0\n40,nan,1,0,none,0\n40,900,1,0,none,0\n";
    folder.write("stream.csv", &stream);
    let replay = folder.succeed("replay pump.flow stream.csv");
    let replayed = cells(&replay);
    let output = folder.run("score pump.flow stream.csv");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let scores = String::from_utf8(output.stdout).unwrap();
    for (replayed, scored) in replayed[1..=20].iter().zip(&cells(&scores)[1..=20]) {
        assert_eq!(replayed[2], scored[1]);
    }
    let ends: Vec<_> = replayed[21..].iter().map(|row| (row[1], row[7])).collect();
    assert_eq!(ends[1..], [("fault", "pressure not finite"), ("fault", "pressure out of range")]);
    assert_eq!(ends[0].1, "pressure not finite");
}

#[test]
fn windows_are_fitted_watched_and_replayed_alike() {
    let folder = Folder::new();
    let signal = |rows| readings(rows, 0, 21);
    folder.write("train.csv", &signal(6000));
    folder.write("normal.csv", &readings(4000, 0, 22));
    let keep = "--label anomaly --keep run,kind,valve";
    let recipe = "--window 16 --hop 8 --features mean,deviation,correlations";
    let table = folder.succeed(&format!("features train.csv {keep} {recipe}"));
    assert!(table.starts_with(
        "temperature.mean@16/8,temperature.deviation@16/8,pressure.mean@16/8,pressure.deviation@16/8,temperature~pressure@16/8,anomaly,run,kind,valve\n"
    ));
    assert_eq!(table.lines().count(), 1 + (6000 - 16) / 8 + 1);
    folder.write("features.csv", &table);
    folder.succeed(
        "fit features.csv --out w.flow --label anomaly --ignore run,kind,valve --family realnvp --layers 2 --hidden 8 --epochs 60 \
         --false-alarm-rate 0.05",
    );
    let monitor = |recipe: &str| format!("monitor w.flow normal.csv --label anomaly --rate 1Hz {recipe} --out w.flow");
    // Other features, and the same ones of other windows.
    for other in
        ["--window 16 --hop 8 --features mean,rms", "--window 16 --hop 4 --features mean,deviation,correlations"]
    {
        let error = folder.fail(&monitor(other));
        assert!(
            error.contains("w.flow has other features: temperature.mean@16/8, temperature.deviation@16/8"),
            "{error}"
        );
    }
    folder.succeed(&monitor(recipe));
    let inspected = folder.succeed("inspect w.flow");
    assert!(inspected.contains("signal::Windows<2, 16, 8, 5, 0, 0, true>"), "{inspected}");
    let replay = folder.succeed("replay w.flow normal.csv");
    let rows = cells(&replay);
    assert_eq!((rows[1][0], rows[2][0], rows.len()), ("16", "24", 1 + (4000 - 16) / 8 + 1));
    // A reading that is computed by `features` has the score that `replay` computes of its window.
    folder.write("again.csv", &folder.succeed(&format!("features normal.csv {keep} {recipe}")));
    let scores = folder.succeed("score w.flow again.csv");
    for (replayed, scored) in rows.iter().zip(cells(&scores)).skip(1) {
        assert_eq!(replayed[2], scored[1]);
    }
}

#[test]
fn what_is_missing_is_said() {
    let folder = Folder::with_model();
    folder.write("few.csv", &readings(30, 0, 1));
    let error = folder.fail("replay pump.flow test.csv");
    assert!(error.contains("pump.flow has no monitor: give it one with `flowlet monitor`"), "{error}");
    let error = folder.fail("monitor pump.flow few.csv --label anomaly --rate 1Hz --out w.flow");
    assert!(error.contains("few.csv: the scores of the recording: ") && error.contains("(record more"), "{error}");
    let error = folder.fail("monitor pump.flow test.csv --label anomaly --rate 1Hz --range flow=0:1 --out w.flow");
    assert!(error.contains("--range flow: is no feature; the features are temperature, pressure, valve"), "{error}");
    let error = folder.fail("monitor pump.flow test.csv --label anomaly --rate 1Hz --needed 3 --of 2 --out w.flow");
    assert!(error.contains("--of 2: an alarm looks back on 1 to 32 readings, and on --needed 3 or more"), "{error}");
    let error = folder.fail("features test.csv --label anomaly");
    assert!(error.contains("--window: expected the samples of a window"), "{error}");
    assert_eq!(folder.names().iter().filter(|name| name.starts_with('w')).count(), 0);
    for (arguments, expected) in [
        ("--rate fast", "expected a sampling rate, such as 1Hz"),
        ("--rate 1Hz --false-alarms often", "expected alarms in a time, such as \"1 per month\""),
        ("--rate 1Hz --window 8", "--features"),
        ("--rate 1Hz --window 8 --features rmse", "expected one of mean, rms"),
        ("--rate 1Hz --of 33", "33 is not in 1..=32"),
    ] {
        let output = folder.run(&format!("monitor pump.flow test.csv {arguments} --out w.flow"));
        assert!(stderr(&output).contains(expected), "{arguments}: {}", stderr(&output));
    }
}
