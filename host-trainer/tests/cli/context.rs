//! Conditional flows: what is normal depends on columns that are no features.

use crate::Folder;

/// Readings of a pressure that follows the speed, which is any between 1000 and 3000, and of a temperature beside it.
fn readings(rows: usize) -> String {
    let mut csv = "rpm,pressure,temperature\n".to_owned();
    let mut state = 1_u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    };
    for _ in 0..rows {
        let rpm = 1000.0 + 2000.0 * uniform();
        let noise = (0..6).map(|_| uniform() - 0.5).sum::<f64>();
        csv += &format!("{rpm:.1},{:.4},{:.4}\n", rpm / 100.0 + 0.5 * noise, 60.0 + 5.0 * (uniform() + uniform()));
    }
    csv
}

fn fitted() -> Folder {
    let folder = Folder::new();
    folder.write("train.csv", &readings(1500));
    folder.succeed("fit train.csv --out pump.flow --context rpm --layers 4 --hidden 16 --epochs 60 --quiet");
    folder
}

fn columns(csv: &str) -> Vec<Vec<f64>> {
    csv.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect()
}

#[test]
fn the_context_decides_what_is_normal() {
    let folder = fitted();
    // 25 bar are normal at 2500 rpm and not at 1200; the order of columns does not matter.
    folder.write("new.csv", "temperature,pressure,rpm\n65,25,2500\n65,25,1200\n65,12,1200\n65,12,2500\n");
    let rows = columns(&folder.succeed("score pump.flow new.csv"));
    let alarms: Vec<f64> = rows.iter().map(|row| row[4]).collect();
    assert_eq!(alarms, [0.0, 1.0, 0.0, 1.0], "{rows:?}");
    assert!(rows[0][1] > rows[1][1] + 5.0 && rows[2][1] > rows[3][1] + 5.0, "{rows:?}");

    let facts = folder.succeed("inspect pump.flow --json facts.json");
    assert!(
        facts.contains("features      2: pressure, temperature\n") && facts.contains("context       1: rpm\n"),
        "{facts}"
    );
    assert!(facts.contains("StandardizeContext<1, "), "{facts}");
    let source = String::from_utf8(folder.read("pump.rs")).unwrap();
    assert!(source.contains(r#"pub const CONTEXT: [&str; C] = ["rpm"];"#), "{source}");
}

#[test]
fn samples_are_drawn_for_a_context() {
    let folder = fitted();
    for (rpm, pressure) in [(1500.0, 15.0), (2500.0, 25.0)] {
        let csv = folder.succeed(&format!("sample pump.flow -n 200 --context rpm={rpm}"));
        assert!(csv.starts_with("pressure,temperature\n"), "{csv}");
        let rows = columns(&csv);
        let mean = rows.iter().map(|row| row[0]).sum::<f64>() / rows.len() as f64;
        assert!((mean - pressure).abs() < 1.0, "{mean} at {rpm}");
    }
}

#[test]
fn a_missing_or_unknown_context_is_named() {
    let folder = fitted();
    for (command, expected) in [
        ("sample pump.flow", "pump.flow needs the context value `rpm`: give it with --context rpm=VALUE"),
        ("sample pump.flow --context speed=3", "--context speed: pump.flow takes no such context value (it takes rpm)"),
        ("fit train.csv --out a.flow --context speed", "`speed`"),
        ("fit train.csv --out a.flow --context rpm --ignore rpm", "rpm"),
    ] {
        let error = folder.fail(command);
        assert!(error.contains(expected), "{command}: {error}");
    }
    folder.write("new.csv", "pressure,temperature\n1,2\n");
    let error = folder.fail("score pump.flow new.csv");
    assert!(error.contains("`rpm`"), "{error}");
}
